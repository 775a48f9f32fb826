"""The pixels in the windows of images, place by place; for convolution and pooling.

A place (i, j) is a row and a column of the window.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
from jax import lax

from jaxnn.kernels.geometry import Pads
from jaxnn.layer import Array

FEW = 49  # places of a window; XLA compiles that many programs within a second


def as_images(x: Array) -> Array:
    """Merge all batch axes: (..., H, W, C) → (N, H, W, C)."""
    return x.reshape(math.prod(x.shape[:-3]), *x.shape[-3:])


def with_batch_of(x: Array, y: Array) -> Array:
    """The inverse of ``as_images``: y (N, H', W', C') with the batch axes of x (..., H, W, C)."""
    return y.reshape(*x.shape[:-3], *y.shape[1:])


def to_blocks(x: Array, block: Sequence[int]) -> Array:
    """Each block of pixels becomes one pixel: (N, H, W, C) → (N, H/h, W/w, h w C)."""
    (h, w), (n, height, width, c) = block, x.shape
    x = x.reshape(n, height // h, h, width // w, w, c).swapaxes(2, 3)
    return x.reshape(n, height // h, width // w, h * w * c)


def from_blocks(x: Array, block: Sequence[int]) -> Array:
    """The inverse of ``to_blocks``."""
    (h, w), (n, rows, columns, c) = block, x.shape
    x = x.reshape(n, rows, columns, h, w, c // (h * w)).swapaxes(2, 3)
    return x.reshape(n, rows * h, columns * w, c // (h * w))


def window_places(window: Sequence[int]) -> list[tuple[int, int]]:
    """All places of a window, row by row."""
    return [(i, j) for i in range(window[0]) for j in range(window[1])]


def scan_places(
    step: Callable[[Any, Any], tuple[Any, Array | None]],
    carry: Any,
    window: Sequence[int],
    few: int = FEW,
) -> tuple[Any, Any]:
    """``carry, y = step(carry, place)`` for each place of a window, row by row; stacks all y.

    Up to ``few`` places, each place is compiled separately, which runs fastest.  More places are
    one loop, because compiling each of them takes too long.
    """
    places = window_places(window)
    if len(places) > few:
        return lax.scan(step, carry, jnp.array(places))
    ys = []
    for place in places:
        carry, y = step(carry, place)
        ys.append(y)
    return carry, None if ys[0] is None else jnp.stack(ys)


def gather_place(x: Array, place: Any, stride: Sequence[int], n: Sequence[int]) -> Array:
    """The pixel at one place of each of the n = (rows, columns) windows.

    (N, H, W, C) → (N, rows, columns, C).  The place is a tuple, or an array inside a loop.
    """
    (i, j), (sh, sw), (rows, columns) = place, stride, n
    h, w = sh * (rows - 1) + 1, sw * (columns - 1) + 1
    if isinstance(place, tuple):
        return x[:, i : i + h : sh, j : j + w : sw]
    pixels = lax.dynamic_slice_in_dim(lax.dynamic_slice_in_dim(x, i, h, 1), j, w, 2)
    return pixels[:, ::sh, ::sw]


def scatter_place(pixels: Array, place: Any, stride: Sequence[int], size: Sequence[int]) -> Array:
    """The transpose of ``gather_place``: the pixels at that place of the windows, zeros elsewhere.

    (N, rows, columns, C) → (N, *size, C).
    """
    zero = jnp.zeros((), pixels.dtype)
    if isinstance(place, tuple):
        pads = [
            (i, total - i - s * (n - 1) - 1, s - 1)
            for i, s, n, total in zip(place, stride, pixels.shape[1:3], size, strict=True)
        ]
        return lax.pad(pixels, zero, [(0, 0, 0), *pads, (0, 0, 0)])
    dilated = lax.pad(pixels, zero, [(0, 0, 0), *((0, 0, s - 1) for s in stride), (0, 0, 0)])
    image = jnp.zeros((pixels.shape[0], *size, pixels.shape[3]), pixels.dtype)
    return lax.dynamic_update_slice(image, dilated, (0, *place, 0))


def gather_places(
    x: Array, window: Sequence[int], n: Sequence[int], stride: Sequence[int], pads: Pads
) -> list[Array]:
    """``gather_place`` of the padded x for every place of the window."""
    x = jnp.pad(x, ((0, 0), *pads, (0, 0)))
    return [gather_place(x, place, stride, n) for place in window_places(window)]


def with_bias(y: Array, b: Array | None) -> Array:
    """y (..., n) + b (n,); y if b is None."""
    return y if b is None else y + jnp.broadcast_to(b, y.shape)
