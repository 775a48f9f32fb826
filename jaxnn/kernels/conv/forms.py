"""The three products of a convolution, y(x, W), dW(x, dy) and dx(dy, W), each in a fast form.

All three are convolutions, and accelerators are fast at them.  XLA's CPU backend is not:
products of matrices, or sums over the places of the window, take their place there.
Images are (N, H, W, C), kernels (h, w, C / groups, n).

Sums are kept in float32 at least.  Accelerators multiply numbers of 16 bits and add in 32; a
CPU has no such products, and converts the numbers first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.export import is_symbolic_dim

from jaxnn.kernels.conv import depthwise, patches, space_to_depth, winograd, xla
from jaxnn.kernels.geometry import Geometry
from jaxnn.layer import Array, sum_dtype

LARGE_BATCH = 64  # fewer images do not repay longer compilation and more memory

Forward = Callable[[Array, Array, Array | None, Geometry], Array]
Backward = Callable[[Array, Array, Array, Geometry], tuple[Array, Array]]


class Form(NamedTuple):
    """A way to convolve on a CPU, for float32 and float64.

    Attributes:
        applies: whether it exists, and pays, for a kernel of that shape and a geometry.
        y: ``(x, W, b, geometry) -> y``.
        backward: ``(x, W, dy, geometry) -> (dW, dx)``.
        y_of_few: whether y pays for small batches too.
        backward_of_few: whether the backward pass does.
    """

    applies: Callable[[Sequence[int], Geometry], bool]
    y: Forward
    backward: Backward
    y_of_few: bool = False
    backward_of_few: bool = True


@partial(jax.jit, static_argnames="geometry")
def convolve(x: Array, W: Array, b: Array | None, geometry: Geometry) -> Array:
    """y in the dtype of x, with b (n,) added if there is one; see ``jaxnn.conv`` for formulas."""
    large, dtype = _is_large(x), sum_dtype(x.dtype)
    form = next(f.y for f in FORMS if f.applies(W.shape, geometry) and (large or f.y_of_few))

    def on_cpu(x: Array, W: Array, b: Array | None) -> Array:
        return form(x.astype(dtype), W.astype(dtype), b, geometry).astype(x.dtype)

    def default(x: Array, W: Array, b: Array | None) -> Array:
        return xla.convolve(x, W, b, geometry).astype(x.dtype)

    if form is xla.convolve and x.dtype == dtype:
        return default(x, W, b)
    return lax.platform_dependent(x, W, b, cpu=on_cpu, default=default)


@partial(jax.jit, static_argnames="geometry")
def convolve_backward(x: Array, W: Array, dy: Array, geometry: Geometry) -> tuple[Array, Array]:
    """(dW, dx); dW in float32 at least, dx in the dtype of x."""
    large, dtype = _is_large(x), sum_dtype(x.dtype)
    form = next(
        f.backward for f in FORMS if f.applies(W.shape, geometry) and (large or f.backward_of_few)
    )

    def on_cpu(x: Array, W: Array, dy: Array) -> tuple[Array, Array]:
        dW, dx = form(x.astype(dtype), W.astype(dtype), dy.astype(dtype), geometry)
        return dW, dx.astype(x.dtype)

    def default(x: Array, W: Array, dy: Array) -> tuple[Array, Array]:
        return xla.convolve_backward(x, W, dy.astype(x.dtype), geometry)

    if form is xla.convolve_backward and x.dtype == dtype:
        return default(x, W, dy)
    return lax.platform_dependent(x, W, dy, cpu=on_cpu, default=default)


def _is_large(x: Array) -> bool:
    """Whether there are many images; of a symbolic number of them nobody knows."""
    n = x.shape[0]
    return not is_symbolic_dim(n) and n >= LARGE_BATCH


def _y_by_groups(x: Array, W: Array, b: Array | None, geometry: Geometry) -> Array:
    """A convolution for each group of channels, one after the other."""
    g, alone = geometry.groups, geometry._replace(groups=1)
    groups = _split(x, g), _split(W, g), None if b is None else _split(b, g)
    return _joined(lax.map(lambda of_group: convolve(*of_group, alone), groups))


def _backward_by_groups(x: Array, W: Array, dy: Array, geometry: Geometry) -> tuple[Array, Array]:
    g, alone = geometry.groups, geometry._replace(groups=1)
    # The outputs of a group lie together in W, which has the inputs of one group.
    groups = _split(x, g), _split(W, g), _split(dy, g)
    dW, dx = lax.map(lambda of_group: convolve_backward(*of_group, alone), groups)
    return _joined(dW), _joined(dx)


def _split(a: Array, groups: int) -> Array:
    """(..., groups · n) as (groups, ..., n)."""
    return jnp.moveaxis(a.reshape(*a.shape[:-1], groups, a.shape[-1] // groups), -2, 0)


def _joined(a: Array) -> Array:
    """The way back."""
    a = jnp.moveaxis(a, 0, -2)
    return a.reshape(*a.shape[:-2], a.shape[-2] * a.shape[-1])


def _is_depthwise(shape: Sequence[int], geometry: Geometry) -> bool:
    return tuple(shape[2:]) == (1, geometry.groups)


def _is_grouped(shape: Sequence[int], geometry: Geometry) -> bool:
    return geometry.groups > 1


def _is_for_winograd(shape: Sequence[int], geometry: Geometry) -> bool:
    """Whether Winograd's form exists, and has products of a useful size."""
    return tuple(shape[:2]) == (3, 3) and geometry.stride == (1, 1) and min(shape[2:]) >= 16


def _is_in_blocks(shape: Sequence[int], geometry: Geometry) -> bool:
    """Whether the window is a whole number of strides, so that it sees a few blocks of pixels."""
    (h, w), (s, t) = shape[:2], geometry.stride
    return h % s == 0 and w % t == 0 and h * w <= 4 * s * t


def _is_in_patches(shape: Sequence[int], geometry: Geometry) -> bool:
    """Whether there are not too many copies of x, and products of a useful size."""
    return shape[0] * shape[1] <= 9 and shape[2] >= 16


# The first one that applies; the last one always does.
FORMS = (
    Form(_is_depthwise, depthwise.convolve, depthwise.convolve_backward, y_of_few=True),
    Form(_is_grouped, _y_by_groups, _backward_by_groups),
    Form(_is_for_winograd, winograd.convolve, winograd.convolve_backward, backward_of_few=False),
    Form(_is_in_blocks, space_to_depth.convolve, space_to_depth.convolve_backward),
    Form(_is_in_patches, xla.convolve, patches.convolve_backward, y_of_few=True),
    Form(lambda shape, geometry: True, xla.convolve, xla.convolve_backward, y_of_few=True),
)
