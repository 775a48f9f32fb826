"""Sparse matrices along an axis, against products with the whole matrix in NumPy."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnn.kernels.sparse_matmul import multiply_along


def few(rows: int, columns: int, most: int) -> np.ndarray:
    """A matrix with 0 to ``most`` numbers in a row."""
    draw = np.random.default_rng(rows)
    matrix = np.zeros((rows, columns))
    for row in matrix:
        there = draw.choice(columns, draw.integers(0, most + 1), replace=False)
        row[there] = draw.normal(size=len(there))
    return matrix


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_along_is_the_product_with_the_matrix(axis: int, x64) -> None:
    x = np.random.default_rng(0).normal(size=(5, 6, 7))
    matrix = few(9, x.shape[axis], 3)
    expected = np.moveaxis(np.tensordot(matrix, x, (1, axis)), 0, axis)
    np.testing.assert_allclose(multiply_along(axis, matrix, jnp.asarray(x)), expected, atol=1e-14)


def test_its_transpose_is_that_of_the_matrix(x64) -> None:
    """⟨M x, y⟩ = ⟨x, Mᵀ y⟩, by JAX's own derivative."""
    matrix = few(9, 6, 3)
    y, vjp = jax.vjp(lambda x: multiply_along(1, matrix, x), jnp.ones((2, 6)))
    dy = jnp.asarray(np.random.default_rng(1).normal(size=y.shape))
    np.testing.assert_allclose(vjp(dy)[0], multiply_along(1, matrix.T, dy), atol=1e-14)


def test_a_row_does_not_see_what_it_has_no_number_for() -> None:
    matrix = np.array([[1.0, 1.0, 0.0], [0.0, 0.0, 2.0]])
    y = multiply_along(0, matrix, jnp.array([1.0, jnp.nan, 3.0]))
    assert np.isnan(y[0])
    assert y[1] == 6


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_the_dtype_stays(dtype: str) -> None:
    assert multiply_along(0, np.eye(2), jnp.ones(2, dtype)).dtype == dtype


def test_sums_of_16_bits_are_taken_in_32() -> None:
    """In float16 6e4 + 6e4 is infinite, in bfloat16 256 + 1 is 256."""
    half = multiply_along(0, np.array([[1, 1, -1]]), jnp.array([6e4, 6e4, 6e4], jnp.float16))
    assert half == jnp.float16(6e4)
    brain = multiply_along(0, np.ones((1, 4)), jnp.array([256, 1, 1, 2], jnp.bfloat16))
    assert brain == 260


def test_a_matrix_of_zeros_gives_zeros() -> None:
    assert multiply_along(0, np.zeros((2, 3)), jnp.ones(3)).tolist() == [0, 0]
