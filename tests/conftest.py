"""What all tests share: strict JAX, float64 or quick compiling on demand, the course's photos."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import jax
import pytest

os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # workers share one GPU
jax.config.update("jax_numpy_rank_promotion", "raise")

SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture
def x64() -> Iterator[None]:
    """The test runs with JAX's float64 switched on."""
    with jax.enable_x64(True):
        yield


@pytest.fixture
def compiled_quickly() -> Iterator[None]:
    """What the test compiles runs slower: for formulas, where compiling takes most of the time.

    XLA does what it always does, but LLVM does not optimize the machine code.
    """
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


@pytest.fixture(scope="session")
def course_folder() -> Path:
    """The folder with the course's two h5 files; tests that need it skip where it is absent."""
    folder = SHARED_DATA / "catvnoncat"
    if not folder.is_dir():
        pytest.skip("needs the course's photographs in ../shared/data/catvnoncat")
    return folder
