"""Windows that move over pictures: what convolution and pooling share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import jax.numpy as jnp
from jax import lax

from jaxnn.layer import Array, LayerError, Shaped, expect

Size: TypeAlias = int | tuple[int, int]
Pads: TypeAlias = Sequence[tuple[int, int]]
Padding: TypeAlias = str | Pads
Stride: TypeAlias = tuple[int, int]


def height_width(layer: str, what: str, size: Size) -> tuple[int, int]:
    """Both numbers, where one number may stand for two."""
    height, width = (size, size) if isinstance(size, int) else size
    if height < 1 or width < 1:
        raise LayerError(f"{layer}: expected {what} of at least one pixel, got {size}")
    return height, width


def check_padding(layer: str, padding: Padding) -> None:
    """Raise unless padding is "SAME", "VALID" or two pairs of pixels."""
    if isinstance(padding, str):
        fits = padding in ("SAME", "VALID")
    else:
        fits = len(padding) == 2 and all(len(p) == 2 and min(p) >= 0 for p in padding)
    if not fits:
        raise LayerError(
            f"{layer}: expected padding to be 'SAME', 'VALID' or "
            f"((above, below), (left, right)), got {padding!r}"
        )


def pads_in_pixels(
    layer: str, x: Shaped, window: tuple[int, int], stride: tuple[int, int], padding: Padding
) -> Pads:
    """((above, below), (left, right)) for pictures (..., H, W, C).

    Raises:
        LayerError: when the window does not fit into the padded picture.
    """
    sizes = x.shape[-3:-1]
    named = isinstance(padding, str)
    pads = lax.padtype_to_pads(sizes, window, stride, padding) if named else padding
    fits = all(n + lo + hi >= k for n, (lo, hi), k in zip(sizes, pads, window, strict=True))
    expect(fits, layer, f"pictures no smaller than the window {window}", x)
    return tuple((lo, hi) for lo, hi in pads)


def to_blocks(x: Array, block: Sequence[int]) -> Array:
    """Every block of pixels as one of many channels: (N, H, W, C) → (N, H/h, W/w, h w C)."""
    (h, w), (n, height, width, _) = block, x.shape
    x = x.reshape(n, height // h, h, width // w, w, -1).swapaxes(2, 3)
    return x.reshape(n, height // h, width // w, -1)


def from_blocks(x: Array, block: Sequence[int]) -> Array:
    """The way back."""
    (h, w), (n, rows, columns, _) = block, x.shape
    x = x.reshape(n, rows, columns, h, w, -1).swapaxes(2, 3)
    return x.reshape(n, rows * h, columns * w, -1)


def output_size(
    shape: Sequence[int], window: Sequence[int], stride: Sequence[int], pads: Pads
) -> tuple[int, int]:
    """How many windows lie one below the other, and how many side by side."""
    rows, columns = ((shape[1 + i] + sum(pads[i]) - window[i]) // stride[i] + 1 for i in range(2))
    return rows, columns


def pads_around_dy(
    window: Sequence[int],
    dy_shape: Sequence[int],
    x_shape: Sequence[int],
    stride: Sequence[int],
    pads: Pads,
) -> list[tuple[int, int]]:
    """What dy, spread by the stride, is padded with for dx to have the size of x."""
    return [
        (k - 1 - lo, size + lo - (n - 1) * s - 1)
        for k, (lo, _), size, n, s in zip(
            window, pads, x_shape[1:3], dy_shape[1:3], stride, strict=True
        )
    ]


def places(window: Sequence[int]) -> list[tuple[int, int]]:
    """The places of a window, row by row."""
    return [(i, j) for i in range(window[0]) for j in range(window[1])]


def see(x: Array, at: Sequence[int], stride: Sequence[int], n: Sequence[int]) -> Array:
    """The pixels that place ``at`` of each window shows: (N, H, W, C) → (N, *n, C)."""
    (i, j), (sh, sw), (rows, columns) = at, stride, n
    return x[:, i : i + sh * (rows - 1) + 1 : sh, j : j + sw * (columns - 1) + 1 : sw]


def seen_by_place(
    x: Array, window: Sequence[int], n: Sequence[int], stride: Sequence[int], pads: Pads
) -> list[Array]:
    """For every place of the window, the pixels that it shows to the n outputs."""
    x = jnp.pad(x, ((0, 0), *pads, (0, 0)))
    return [see(x, at, stride, n) for at in places(window)]


def put(part: Array, at: Sequence[int], stride: Sequence[int], size: Sequence[int]) -> Array:
    """The transpose of ``see``: the pixels back where they were, zeros elsewhere."""
    pads = [
        (i, total - i - s * (n - 1) - 1, s - 1)
        for i, s, n, total in zip(at, stride, part.shape[1:3], size, strict=True)
    ]
    return lax.pad(part, jnp.zeros((), part.dtype), [(0, 0, 0), *pads, (0, 0, 0)])


def with_bias(y: Array, b: Array | None) -> Array:
    """y (..., n) + b (n,), or y where there is no b."""
    return y if b is None else y + jnp.broadcast_to(b, y.shape)
