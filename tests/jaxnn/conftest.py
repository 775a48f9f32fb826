"""Every form of a convolution is tested, also those that only large batches repay."""

from __future__ import annotations

import pytest

from jaxnn import convolution


@pytest.fixture(autouse=True)
def _all_forms(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convolution, "LARGE_BATCH", 1)
