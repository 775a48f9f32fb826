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

import math
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np

from jaxnn.kernels.chunked import images_per_chunk, map_chunks
from jaxnn.kernels.geometry import Geometry, Pads
from jaxnn.kernels.sparse_matmul import along
from jaxnn.kernels.window import with_bias
from jaxnn.layer import Array

A = np.array([[1, 0], [1, 1], [1, -1], [0, -1]])
B = np.array([[1, 0, 0, 0], [0, 1, -1, 1], [-1, 1, 1, 0], [0, 0, 0, -1]])
G = np.array([[2, 0, 0], [1, 1, 1], [1, -1, 1], [0, 0, 2]]) / 2
BOTH = np.kron(G, G)  # G on the rows and on the columns of a 3×3 kernel at once
TILES = 256  # at a time: what a step makes of them stays in the cache
LARGE = 196_608  # tiles · channels, from which on XLA divides a product between cores

Matrices = Sequence[np.ndarray]  # for the rows, and for the columns of images


def convolve(x: Array, W: Array, b: Array | None, geometry: Geometry) -> Array:
    """x (N, H, W, C) convolved with W (3, 3, C, n), stride 1, plus b."""
    U = _kernels(W)
    A_T, B_T = _matrices(x.shape, geometry.pads)

    def of_chunk(x: Array) -> Array:
        return with_bias(_from_tiles(A_T, jnp.matmul(_to_tiles(B_T, x), U)), b)

    large = 2 ** int(math.log2(max(1, LARGE / max(W.shape[2:]))))  # XLA cuts at powers of 2
    part = _images(large, A_T)
    if len(x) < 2 * part:  # of a single part XLA makes more loops, and copies
        part = _images(TILES, A_T)
    return map_chunks(lambda _, x: (None, of_chunk(x)), None, part, x)[1]


def convolve_backward(x: Array, W: Array, dy: Array, geometry: Geometry) -> tuple[Array, Array]:
    """(dW, dx) of ``convolve``."""
    U = _kernels(W)
    A_T, B_T = _matrices(x.shape, geometry.pads)

    def of_chunk(dU: Array, x: Array, dy: Array) -> tuple[Array, Array]:
        dM = _to_tiles([matrix.T for matrix in A_T], dy)
        dU += jnp.matmul(_to_tiles(B_T, x).mT, dM)
        return dU, _from_tiles([matrix.T for matrix in B_T], jnp.matmul(dM, U.mT))

    dU, dx = map_chunks(of_chunk, jnp.zeros(U.shape, x.dtype), _images(TILES, A_T), x, dy)
    dW = jnp.matmul(BOTH.T.astype(x.dtype), dU.reshape(16, -1)).reshape(W.shape)
    return dW, dx


def _kernels(W: Array) -> Array:
    """G W Gᵀ: (16, C, n)."""
    return jnp.matmul(BOTH.astype(W.dtype), W.reshape(9, -1)).reshape(16, *W.shape[2:])


def _matrices(shape: Sequence[int], pads: Pads) -> tuple[Matrices, Matrices]:
    """Aᵀ and Bᵀ of all tiles of an axis at once, for rows and columns.

    Aᵀ (outputs, 4 · tiles) and Bᵀ (4 · tiles, pixels); place i of tile t is number
    i · tiles + t, and pixel 2 t + i − lo.  The last tile may reach over the edge.
    """
    A_T, B_T = [], []
    for size, (lo, hi) in zip(shape[1:3], pads, strict=True):
        n = lo + size + hi - 2
        tiles = -(-n // 2)
        seen = np.zeros((4, tiles, 2 * tiles + 2))
        for t in range(tiles):
            seen[:, t, 2 * t : 2 * t + 4] = B.T
        B_T.append(seen[..., lo : lo + size].reshape(4 * tiles, size))
        given = np.einsum("ir,tu->triu", A, np.eye(tiles))
        A_T.append(given.reshape(2 * tiles, 4 * tiles)[:n])
    return A_T, B_T


def _images(tiles: int, A_T: Matrices) -> int:
    """How many images have so many tiles."""
    return images_per_chunk(tiles, [matrix.shape[1] // 4 for matrix in A_T])


def _to_tiles(matrices: Matrices, x: Array) -> Array:
    """Images (N, H, W, C) times a matrix on either side: (16, tiles, C)."""
    rows, columns = matrices
    n, channels = len(x), x.shape[-1]
    tiles = along(2, columns, along(1, rows, x))
    tiles = tiles.reshape(n, 4, len(rows) // 4, 4, len(columns) // 4, channels)
    return tiles.transpose(1, 3, 0, 2, 4, 5).reshape(16, -1, channels)


def _from_tiles(matrices: Matrices, tiles: Array) -> Array:
    """(16, tiles, C) times a matrix on either side: images (N, H, W, C)."""
    rows, columns = matrices
    height, width, channels = rows.shape[1], columns.shape[1], tiles.shape[-1]
    x = tiles.reshape(4, 4, -1, height // 4, width // 4, channels)
    x = x.transpose(2, 0, 3, 1, 4, 5).reshape(-1, height, width, channels)
    return along(2, columns, along(1, rows, x))
