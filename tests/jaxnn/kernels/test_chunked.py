"""Work in chunks gives the same as the whole batch at once."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnn.kernels.chunked import map_chunks

RNG = np.random.default_rng(0)
SIZES = [(1, 1), (2, 1), (6, 3), (7, 3), (12, 5), (13, 5), (5, 8)]


@pytest.mark.parametrize(("size", "chunk"), SIZES)
@pytest.mark.parametrize("width", [3, 2], ids=["in the place of x", "of another shape"])
def test_every_image_is_worked_on_once_and_x_stays(size, chunk, width) -> None:
    x, W = jnp.asarray(RNG.normal(size=(size, 4, 3))), jnp.asarray(RNG.normal(size=(3, width)))
    before = np.array(x)
    mapped = jax.jit(lambda x: (map_chunks(lambda _, x: (None, x @ W), None, chunk, x), x.sum()))
    (total, y), _ = mapped(x)
    assert total is None
    np.testing.assert_allclose(y, before @ np.asarray(W), rtol=0, atol=1e-6)
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize(("size", "chunk"), SIZES)
def test_sums_over_all_chunks_and_both_arrays(size, chunk) -> None:
    x, dy = (jnp.asarray(RNG.normal(size=(size, 4, 3))) for _ in range(2))

    def of_chunk(total, x, dy):
        return total + jnp.sum(x * dy), x - 2 * dy

    total, dx = jax.jit(lambda x, dy: map_chunks(of_chunk, jnp.zeros(()), chunk, x, dy))(x, dy)
    np.testing.assert_allclose(total, (np.asarray(x) * np.asarray(dy)).sum(), rtol=0, atol=1e-5)
    np.testing.assert_allclose(dx, np.asarray(x) - 2 * np.asarray(dy), rtol=0, atol=1e-6)


def test_a_chunk_that_divides_is_preferred() -> None:
    """Then there is no remainder, which would be compiled too."""
    sizes = []

    def of_chunk(total, x):
        sizes.append(len(x))
        return total, x

    map_chunks(of_chunk, None, 64, jnp.ones((300, 2)))
    assert set(sizes) == {60}
