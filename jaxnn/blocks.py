"""Convolution with a window of a whole number of strides: it sees whole blocks of pixels.

With the pixels of a block as channels of one pixel, such a convolution has no stride and a
small window, most often of one or four places; each is a product of matrices::

    y[p, q] = Σ_ij x̃[p + i, q + j] W̃[i, j]        x̃ (H/s, W/s, s s C), W̃ (h/s, w/s, s s C, n)

This pays where products of matrices are faster than convolutions: on a CPU, with XLA.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import jax.numpy as jnp
from jax import lax

from jaxnn.layer import Array
from jaxnn.window import (
    Pads,
    by_parts,
    from_blocks,
    output_size,
    pictures_of,
    places,
    put,
    see,
    to_blocks,
)

BLOCKS = 4096  # at a time
Stride = tuple[int, int]


def convolve(x: Array, W: Array, stride: Stride, pads: Pads) -> Array:
    """x (N, H, W, C) convolved with W (h, w, C, n); the stride divides the window."""
    size = output_size(x.shape, W.shape, stride, pads)
    kernel = _kernel(W, stride)

    def of_part(x: Array) -> Array:
        blocks = to_blocks(_pad(x, _whole(x.shape, W.shape, stride, pads)), stride)
        seen = [(see(blocks, at, (1, 1), size), kernel[at]) for at in places(kernel.shape)]
        return functools.reduce(jnp.add, [jnp.matmul(pixels, K) for pixels, K in seen])

    return by_parts(lambda _, x: (None, of_part(x)), None, pictures_of(BLOCKS, size), x)[1]


def convolve_backward(
    x: Array, W: Array, dy: Array, stride: Stride, pads: Pads, dtype: jnp.dtype
) -> tuple[Array, Array]:
    """(dW, dx) of ``convolve``; dW in ``dtype``."""
    size = dy.shape[1:3]
    kernel = _kernel(W, stride)
    where = places(kernel.shape)
    around = _whole(x.shape, W.shape, stride, pads)
    back = [(-lo, -hi) for lo, hi in around]

    def of_part(dK: Array, x: Array, dy: Array) -> tuple[Array, Array]:
        blocks, rows = to_blocks(_pad(x, around), stride), dy.reshape(-1, dy.shape[-1])
        seen = [see(blocks, at, (1, 1), size).reshape(len(rows), -1) for at in where]
        by_place = [jnp.matmul(p.T, rows, preferred_element_type=dtype) for p in seen]
        dK += jnp.stack(by_place).reshape(dK.shape)
        shown = [put(jnp.matmul(dy, kernel[at].T), at, (1, 1), blocks.shape[1:3]) for at in where]
        return dK, _pad(from_blocks(functools.reduce(jnp.add, shown), stride), back)

    start = jnp.zeros(kernel.shape, dtype)
    dK, dx = by_parts(of_part, start, pictures_of(BLOCKS, size), x, dy)
    (h, w), (s, t), (n_in, n_out) = W.shape[:2], stride, W.shape[2:]
    dW = dK.reshape(h // s, w // t, s, t, n_in, n_out).swapaxes(1, 2)
    return dW.reshape(W.shape), dx


def _kernel(W: Array, stride: Stride) -> Array:
    """W̃ (h/s, w/s, s s C, n)."""
    (h, w), (s, t), (n_in, n_out) = W.shape[:2], stride, W.shape[2:]
    blocks = W.reshape(h // s, s, w // t, t, n_in, n_out).swapaxes(1, 2)
    return blocks.reshape(h // s, w // t, s * t * n_in, n_out)


def _whole(
    shape: Sequence[int], window: Sequence[int], stride: Stride, pads: Pads
) -> list[tuple[int, int]]:
    """The padding with which pictures are whole blocks; what no window sees is cut off."""
    n = output_size(shape, window, stride, pads)
    return [
        (lo, (count - 1) * s + k - lo - size)
        for k, s, count, size, (lo, _) in zip(window[:2], stride, n, shape[1:3], pads, strict=True)
    ]


def _pad(x: Array, pads: Sequence[tuple[int, int]]) -> Array:
    """Zeros around pictures; negative numbers cut pixels off."""
    around = [(0, 0, 0), *((lo, hi, 0) for lo, hi in pads), (0, 0, 0)]
    return lax.pad(x, jnp.zeros((), x.dtype), around)
