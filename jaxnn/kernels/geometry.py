"""The sizes, strides and paddings of windows: as arguments of layers, and in pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from jax import lax

from jaxnn.layer import LayerError, Shaped, describe, expect

Size: TypeAlias = int | tuple[int, int]
Pads: TypeAlias = Sequence[tuple[int, int]]
Padding: TypeAlias = str | Pads
Stride: TypeAlias = tuple[int, int]


class Geometry(NamedTuple):
    """The stride and the padding of a convolution in pixels, and its groups of channels."""

    stride: Stride
    pads: Pads
    groups: int = 1


def is_count(n: Any, least: int = 1) -> bool:
    """Whether n is an integer of Python or NumPy and at least ``least``."""
    whole = isinstance(n, int | np.integer) and not isinstance(n, bool)
    return bool(whole and n >= least)


def expect_count(layer: str, what: str, n: Any) -> int:
    """Check a count and return it as an integer of Python.

    Raises:
        LayerError: when it is not an integer above zero.
    """
    if not is_count(n):
        raise LayerError(f"{layer}: expected {what} to be an integer of at least 1, got {n!r}")
    return int(n)


def height_width(layer: str, what: str, size: Size) -> tuple[int, int]:
    """(height, width) from one number for both, or from two.

    Raises:
        LayerError: when it is neither an integer above zero nor two of them.
    """
    both: Any = (size, size) if is_count(size) else size
    two = isinstance(both, Sequence | np.ndarray) and len(both) == 2
    if not (two and all(is_count(n) for n in both)):
        raise LayerError(
            f"{layer}: expected {what} to be an integer of at least 1 or two of them "
            f"(height, width), got {size!r}"
        )
    return int(both[0]), int(both[1])


def check_padding(layer: str, padding: Padding) -> Padding:
    """Check a padding and return it: "SAME", "VALID" or two pairs of integers of Python.

    Raises:
        LayerError: when it is something else.
    """
    if isinstance(padding, str) and padding in ("SAME", "VALID"):
        return padding
    sides = np.asarray(padding, object)
    if sides.shape != (2, 2) or not all(is_count(n, 0) for n in sides.flat):
        got = " ".join(repr(padding).split())  # NumPy prints one row on each line
        raise LayerError(
            f"{layer}: expected padding to be 'SAME', 'VALID' or "
            f"((above, below), (left, right)) in pixels, got {got}"
        )
    (above, below), (left, right) = sides
    return (int(above), int(below)), (int(left), int(right))


def pads_in_pixels(
    layer: str, x: Shaped, window: tuple[int, int], stride: tuple[int, int], padding: Padding
) -> Pads:
    """((above, below), (left, right)) for images (..., H, W, C).

    Raises:
        LayerError: when the window does not fit into the padded image.
    """
    sizes = x.shape[-3:-1]
    named = isinstance(padding, str)
    pads = lax.padtype_to_pads(sizes, window, stride, padding) if named else padding
    fits = all(n + lo + hi >= k for n, (lo, hi), k in zip(sizes, pads, window, strict=True))
    expect(fits, layer, f"images no smaller than the window {window}", x)
    return tuple((lo, hi) for lo, hi in pads)


def expect_pixels(
    layer: str, x: Shaped, window: tuple[int, int], stride: tuple[int, int], pads: Pads
) -> None:
    """Raise a LayerError when a window contains nothing but padding.

    The first and the last window along each axis contain the fewest pixels.
    """
    n = output_size((0, *x.shape[-3:-1]), window, stride, pads)
    for k, s, (lo, _), size, windows in zip(window, stride, pads, x.shape[-3:-1], n, strict=True):
        if lo >= k or (windows - 1) * s - lo >= size:
            raise LayerError(
                f"{layer}: expected a pixel of {describe(x)} in every window, but a window "
                f"{window} with padding {tuple(pads)} has none; pad by less than the window"
            )


def output_size(
    shape: Sequence[int], window: Sequence[int], stride: Sequence[int], pads: Pads
) -> tuple[int, int]:
    """The number of windows along the height and along the width."""
    rows, columns = ((shape[1 + i] + sum(pads[i]) - window[i]) // stride[i] + 1 for i in range(2))
    return rows, columns


def pads_around_dy(
    window: Sequence[int],
    dy_shape: Sequence[int],
    x_shape: Sequence[int],
    stride: Sequence[int],
    pads: Pads,
) -> list[tuple[int, int]]:
    """The padding of dy, dilated by the stride, that gives dx the size of x."""
    return [
        (k - 1 - lo, size + lo - (n - 1) * s - 1)
        for k, (lo, _), size, n, s in zip(
            window, pads, x_shape[1:3], dy_shape[1:3], stride, strict=True
        )
    ]
