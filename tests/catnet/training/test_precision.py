"""Mixed precision: the network computes in bfloat16, its parameters and costs are float32."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from catnet.training.photo.classes import Classes
from catnet.training.photo.config import CHUNK, PhotoConfig
from catnet.training.photo.state import make_state
from catnet.training.photo.steps import compile_steps


@pytest.mark.usefixtures("compiled_quickly")
def test_half_precision_learns_the_same_with_parameters_in_full() -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (CHUNK, 6, 64, 64, 3), dtype=np.uint8)
    cat = rng.integers(0, 2, (CHUNK, 6))
    classes = Classes(("non-cat", "cat"), (1,), cat.ravel())
    costs = {}
    for precision in ("float32", "bfloat16"):
        config = PhotoConfig((4,), (1,), steps=CHUNK, batch_size=6, precision=precision)
        run = compile_steps(config, classes)
        state, found = run(make_state(config, 2), images, cat, cat, np.zeros(cat.shape, np.float32))
        assert {leaf.dtype.name for leaf in jax.tree.leaves(state.params)} == {"float32"}
        assert found.dtype == np.float32
        costs[precision] = np.asarray(found)
    np.testing.assert_allclose(costs["bfloat16"], costs["float32"], rtol=0.02)
    assert (costs["bfloat16"] != costs["float32"]).any()
