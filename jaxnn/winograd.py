"""Convolution with 3×3 windows by Winograd's minimal filtering: 4 multiplications for 9.

A tile of 2×2 outputs of a 3×3 convolution sees 4×4 inputs.  With the matrices below::

    y = Aᵀ [(G W Gᵀ) ⊙ (Bᵀ x B)] A        for every tile

⊙ takes 16 multiplications a tile in place of 36; with the sum over channels, each of the 16
places of a tile is a product of matrices, (tiles, C) by (C, n).  The derivative takes the
same steps back, each transposed::

    dM = A dy Aᵀ      dx = B [dM (G W Gᵀ)ᵀ] Bᵀ      dW = Gᵀ [(Bᵀ x B)ᵀ dM] G

This pays where products of matrices are faster than convolutions: on a CPU, with XLA.

Source: Winograd 1980, "Arithmetic complexity of computations"; Lavin and Gray 2015,
arXiv:1509.09308, F(2×2, 3×3).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxnn.layer import Array
from jaxnn.window import Pads, by_parts, pictures_of

A = np.array([[1, 0], [1, 1], [1, -1], [0, -1]])
B = np.array([[1, 0, 0, 0], [0, 1, -1, 1], [-1, 1, 1, 0], [0, 0, 0, -1]])
G = np.array([[2, 0, 0], [1, 1, 1], [1, -1, 1], [0, 0, 2]]) / 2
BOTH = np.kron(G, G)  # G on the rows and on the columns of a 3×3 kernel at once
ROWS, COLUMNS = -3, -2
TILES = 512  # at a time


def convolve(x: Array, W: Array, pads: Pads) -> Array:
    """x (N, H, W, C) convolved with W (3, 3, C, n), stride 1 and the given padding."""
    U = _kernels(W)
    height, width = _output_size(x.shape, pads)

    def of_part(x: Array) -> Array:
        y = jnp.matmul(_see(x, pads), U).reshape(4, 4, len(x), *_tiles(x.shape, pads), -1)
        for axis in (ROWS, COLUMNS):
            y = _interleaved(_mix(A.T, y), axis)
        return y[:, :height, :width]

    part = pictures_of(TILES, _tiles(x.shape, pads))
    return by_parts(lambda _, x: (None, of_part(x)), None, part, x)[1]


def convolve_backward(
    x: Array, W: Array, dy: Array, pads: Pads, dtype: jnp.dtype
) -> tuple[Array, Array]:
    """(dW, dx) of ``convolve``; dW in ``dtype``."""
    U = _kernels(W)
    rows, columns = tiles = _tiles(x.shape, pads)
    beyond = [(0, 2 * rows - dy.shape[1]), (0, 2 * columns - dy.shape[2])]

    def of_part(dU: Array, x: Array, dy: Array) -> tuple[Array, Array]:
        dM = jnp.pad(dy, ((0, 0), *beyond, (0, 0)))
        for axis in (COLUMNS, ROWS):
            dM = jnp.stack(_mix(A, [_every_second(dM, i, 2, axis) for i in range(2)]))
        dM = dM.reshape(16, -1, dy.shape[-1])
        dU += jnp.matmul(_see(x, pads).mT, dM, preferred_element_type=dtype)
        dx = jnp.matmul(dM, U.mT).reshape(4, 4, len(x), *tiles, -1)
        for axis, (lo, _) in zip((ROWS, COLUMNS), pads, strict=True):
            dx = _put(_mix(B, dx), lo, x.shape[axis], axis)
        return dU, dx

    start = jnp.zeros(U.shape, dtype)
    dU, dx = by_parts(of_part, start, pictures_of(TILES, tiles), x, dy)
    dW = jnp.matmul(BOTH.T.astype(dtype), dU.reshape(16, -1)).reshape(W.shape)
    return dW, dx


def _output_size(shape: Sequence[int], pads: Pads) -> tuple[int, int]:
    (above, below), (left, right) = pads
    return shape[ROWS] + above + below - 2, shape[COLUMNS] + left + right - 2


def _tiles(shape: Sequence[int], pads: Pads) -> tuple[int, int]:
    """Rows and columns of tiles that cover the output; the last may reach over its edge."""
    height, width = _output_size(shape, pads)
    return -(-height // 2), -(-width // 2)


def _kernels(W: Array) -> Array:
    """G W Gᵀ: (16, C, n)."""
    return jnp.matmul(BOTH.astype(W.dtype), W.reshape(9, -1)).reshape(16, *W.shape[2:])


def _see(x: Array, pads: Pads) -> Array:
    """Bᵀ x B of every tile: (16, tiles, C)."""
    channels = x.shape[-1]
    around = [
        (lo, 2 * n + 2 - lo - size)
        for (lo, _), n, size in zip(pads, _tiles(x.shape, pads), x.shape[1:3], strict=True)
    ]
    x = jnp.pad(x, ((0, 0), *around, (0, 0)))
    for axis in (COLUMNS, ROWS):
        x = jnp.stack(_mix(B.T, [_every_second(x, i, 4, axis) for i in range(4)]))
    return x.reshape(16, -1, channels)


def _every_second(x: Array, first: int, size: int, axis: int) -> Array:
    """Place ``first`` of tiles of that size, of which one begins at every second pixel."""
    return lax.slice_in_dim(x, first, x.shape[axis] - size + first + 1, 2, axis)


def _put(places: Sequence[Array], lo: int, size: int, axis: int) -> Array:
    """The transpose of looking: what the tiles say of each of ``size`` pixels, added up.

    Place i of tile t is pixel 2 t + i − lo, for every axis has ``lo`` pixels of padding.
    """
    half = -(-size // 2)

    def moved(part: Array, by: int) -> Array:
        config = [(0, 0, 0)] * part.ndim
        config[axis] = (by, half - by - part.shape[axis], 0)
        return lax.pad(part, jnp.zeros((), part.dtype), config)

    def pixels(parity: int) -> Array:
        parts = [moved(p, (i - lo) // 2) for i, p in enumerate(places) if (i - lo) % 2 == parity]
        return functools.reduce(jnp.add, parts)

    return lax.slice_in_dim(_interleaved([pixels(0), pixels(1)], axis), 0, size, axis=axis)


def _interleaved(parts: Sequence[Array], axis: int) -> Array:
    """Two arrays taken in turns along an axis, which is counted from the last."""
    both = jnp.stack(parts, axis=axis)
    shape = list(parts[0].shape)
    shape[axis] *= 2
    return both.reshape(shape)


def _mix(matrix: np.ndarray, parts: Array | Sequence[Array]) -> list[Array]:
    """matrix · parts; written as sums, since the factors are 0, 1 and −1."""

    def row(factors: np.ndarray) -> Array:
        terms = [part if f > 0 else -part for f, part in zip(factors, parts, strict=True) if f]
        return functools.reduce(jnp.add, terms)

    return [row(factors) for factors in matrix]
