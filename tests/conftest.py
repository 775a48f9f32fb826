"""What all tests share: strict JAX, float64 on demand, and the course's photographs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import jax
import pytest

jax.config.update("jax_numpy_rank_promotion", "raise")

SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture
def x64() -> Iterator[None]:
    """The test runs with JAX's float64 switched on."""
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="session")
def course_folder() -> Path:
    """The folder with the course's two h5 files; tests that need it skip where it is absent."""
    folder = SHARED_DATA / "catvnoncat"
    if not folder.is_dir():
        pytest.skip("needs the course's photographs in ../shared/data/catvnoncat")
    return folder
