"""A batch in parts is the batch as a whole."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnn.kernels.chunked import map_chunks

RNG = np.random.default_rng(0)
SIZES = [(1, 1), (2, 1), (6, 3), (7, 3), (12, 5), (13, 5), (5, 8)]


@pytest.mark.parametrize(("size", "part"), SIZES)
@pytest.mark.parametrize("width", [3, 2], ids=["in the place of x", "of another shape"])
def test_every_image_is_worked_on_once_and_x_stays(size, part, width) -> None:
    x, W = jnp.asarray(RNG.normal(size=(size, 4, 3))), jnp.asarray(RNG.normal(size=(3, width)))
    before = np.array(x)
    made = jax.jit(lambda x: (map_chunks(lambda _, x: (None, x @ W), None, part, x), x.sum()))
    (total, y), _ = made(x)
    assert total is None
    np.testing.assert_allclose(y, before @ np.asarray(W), rtol=0, atol=1e-6)
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize(("size", "part"), SIZES)
def test_sums_over_all_parts_and_both_arrays(size, part) -> None:
    x, dy = (jnp.asarray(RNG.normal(size=(size, 4, 3))) for _ in range(2))

    def of_chunk(total, x, dy):
        return total + jnp.sum(x * dy), x - 2 * dy

    total, dx = jax.jit(lambda x, dy: map_chunks(of_chunk, jnp.zeros(()), part, x, dy))(x, dy)
    np.testing.assert_allclose(total, (np.asarray(x) * np.asarray(dy)).sum(), rtol=0, atol=1e-5)
    np.testing.assert_allclose(dx, np.asarray(x) - 2 * np.asarray(dy), rtol=0, atol=1e-6)


def test_a_part_that_divides_is_preferred() -> None:
    """So that what is left over need not be compiled too."""
    seen = []

    def of_chunk(total, x):
        seen.append(len(x))
        return total, x

    map_chunks(of_chunk, None, 64, jnp.ones((300, 2)))
    assert set(seen) == {60}
