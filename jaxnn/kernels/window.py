"""What windows show of arrays of images, place by place: convolution and pooling share it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
from jax import lax

from jaxnn.kernels.geometry import Pads
from jaxnn.layer import Array

FEW = 49  # places of a window; XLA compiles a program for each of them within a second


def as_images(x: Array) -> Array:
    """All batch axes as one: (..., H, W, C) → (N, H, W, C)."""
    return x.reshape(math.prod(x.shape[:-3]), *x.shape[-3:])


def with_batch_of(x: Array, y: Array) -> Array:
    """The way back: y (N, H', W', C') with the batch axes of x (..., H, W, C)."""
    return y.reshape(*x.shape[:-3], *y.shape[1:])


def to_blocks(x: Array, block: Sequence[int]) -> Array:
    """Every block of pixels as one of many channels: (N, H, W, C) → (N, H/h, W/w, h w C)."""
    (h, w), (n, height, width, c) = block, x.shape
    x = x.reshape(n, height // h, h, width // w, w, c).swapaxes(2, 3)
    return x.reshape(n, height // h, width // w, h * w * c)


def from_blocks(x: Array, block: Sequence[int]) -> Array:
    """The way back."""
    (h, w), (n, rows, columns, c) = block, x.shape
    x = x.reshape(n, rows, columns, h, w, c // (h * w)).swapaxes(2, 3)
    return x.reshape(n, rows * h, columns * w, c // (h * w))


def window_places(window: Sequence[int]) -> list[tuple[int, int]]:
    """The places of a window, row by row."""
    return [(i, j) for i in range(window[0]) for j in range(window[1])]


def over_places(
    step: Callable[[Any, Any], tuple[Any, Array | None]],
    carry: Any,
    window: Sequence[int],
    few: int = FEW,
) -> tuple[Any, Any]:
    """``carry, y = step(carry, at)`` for every place of a window, row by row; all y stacked.

    A program for each of a few places is the fastest, but takes long to compile for many: they
    are one loop.
    """
    where = window_places(window)
    if len(where) > few:
        return lax.scan(step, carry, jnp.array(where))
    ys = []
    for at in where:
        carry, y = step(carry, at)
        ys.append(y)
    return carry, None if ys[0] is None else jnp.stack(ys)


def gather_place(x: Array, at: Any, stride: Sequence[int], n: Sequence[int]) -> Array:
    """The pixels that place ``at`` of each window shows: (N, H, W, C) → (N, *n, C)."""
    (i, j), (sh, sw), (rows, columns) = at, stride, n
    h, w = sh * (rows - 1) + 1, sw * (columns - 1) + 1
    if isinstance(at, tuple):
        return x[:, i : i + h : sh, j : j + w : sw]
    seen = lax.dynamic_slice_in_dim(lax.dynamic_slice_in_dim(x, i, h, 1), j, w, 2)
    return seen[:, ::sh, ::sw]


def scatter_place(part: Array, at: Any, stride: Sequence[int], size: Sequence[int]) -> Array:
    """The transpose of ``gather_place``: the pixels back where they were, zeros elsewhere."""
    zero = jnp.zeros((), part.dtype)
    if isinstance(at, tuple):
        pads = [
            (i, total - i - s * (n - 1) - 1, s - 1)
            for i, s, n, total in zip(at, stride, part.shape[1:3], size, strict=True)
        ]
        return lax.pad(part, zero, [(0, 0, 0), *pads, (0, 0, 0)])
    spread = lax.pad(part, zero, [(0, 0, 0), *((0, 0, s - 1) for s in stride), (0, 0, 0)])
    whole = jnp.zeros((part.shape[0], *size, part.shape[3]), part.dtype)
    return lax.dynamic_update_slice(whole, spread, (0, *at, 0))


def gather_places(
    x: Array, window: Sequence[int], n: Sequence[int], stride: Sequence[int], pads: Pads
) -> list[Array]:
    """For every place of the window, the pixels that it shows to the n outputs."""
    x = jnp.pad(x, ((0, 0), *pads, (0, 0)))
    return [gather_place(x, at, stride, n) for at in window_places(window)]


def with_bias(y: Array, b: Array | None) -> Array:
    """y (..., n) + b (n,), or y where there is no b."""
    return y if b is None else y + jnp.broadcast_to(b, y.shape)
