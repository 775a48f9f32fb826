"""Every form of a convolution is tested, also those that only large batches repay."""

from __future__ import annotations

import pytest

from jaxnn.kernels.conv import forms


@pytest.fixture(autouse=True)
def _all_forms(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forms, "LARGE_BATCH", 1)
