"""The list of slow tests names tests that exist."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

TESTS = Path(__file__).parent


def slow() -> tuple[str, ...]:
    spec = importlib.util.spec_from_file_location("conftest_of_all_tests", TESTS / "conftest.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.SLOW


@pytest.mark.parametrize("name", slow())
def test_a_slow_test_exists(name: str) -> None:
    file, _, function = name.partition("::")
    assert (TESTS / file).exists()
    if function:
        assert f"\ndef {function}(" in (TESTS / file).read_text()
