"""The three products of a convolution, y(x, W), dW(x, dy) and dx(dy, W), each in a fast form.

All three are convolutions, and accelerators are fast at them.  XLA's CPU backend is not:
products of matrices, or sums over the places of the window, take their place there.
Pictures are (N, H, W, C), kernels (h, w, C / groups, n).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jaxnn import blocks, depthwise, winograd
from jaxnn.layer import Array
from jaxnn.parts import by_parts, pictures_of
from jaxnn.window import Pads, pads_around_dy, seen_by_place, with_bias

ROWS = 1024  # output pixels at a time
LARGE_BATCH = 64  # fewer pictures do not repay longer compilation and more memory


class Geometry(NamedTuple):
    """Where the windows lie, and how the channels are grouped."""

    stride: tuple[int, int]
    pads: Pads
    groups: int


@partial(jax.jit, static_argnames="geometry")
def convolve(x: Array, W: Array, b: Array | None, geometry: Geometry) -> Array:
    """y, with b (n,) added if there is one; see ``jaxnn.conv`` for the formulas."""
    default = partial(_y, geometry=geometry)
    if _depthwise(W, geometry):
        on_cpu = partial(depthwise.convolve, stride=geometry.stride, pads=geometry.pads)
    elif len(x) < LARGE_BATCH:
        return default(x, W, b)
    elif geometry.groups > 1:
        on_cpu = partial(_y_by_groups, geometry=geometry)
    elif _winograd_pays(x, W, geometry):
        on_cpu = partial(winograd.convolve, pads=geometry.pads)
    elif _in_blocks(W, geometry):
        on_cpu = partial(blocks.convolve, stride=geometry.stride, pads=geometry.pads)
    else:
        return default(x, W, b)
    return lax.platform_dependent(x, W, b, cpu=on_cpu, default=default)


@partial(jax.jit, static_argnames=("geometry", "dtype"))
def convolve_backward(
    x: Array, W: Array, dy: Array, geometry: Geometry, dtype: jnp.dtype
) -> tuple[Array, Array]:
    """(dW, dx); dW in ``dtype``."""

    def default(x: Array, W: Array, dy: Array) -> tuple[Array, Array]:
        dW = _dW(x, dy, W.shape, geometry).astype(dtype)
        return dW, _dx(W, dy, x.shape, geometry)

    def by_patches(x: Array, W: Array, dy: Array) -> tuple[Array, Array]:
        dW = _dW_by_patches(x, dy, W.shape, geometry, dtype)
        return dW, _dx(W, dy, x.shape, geometry)

    h, w, n_in, _ = W.shape
    if _depthwise(W, geometry):
        on_cpu = partial(
            depthwise.convolve_backward, stride=geometry.stride, pads=geometry.pads, dtype=dtype
        )
    elif geometry.groups > 1:
        on_cpu = partial(_backward_by_groups, geometry=geometry, dtype=dtype)
    elif _winograd_pays(x, W, geometry):
        on_cpu = partial(winograd.convolve_backward, pads=geometry.pads, dtype=dtype)
    elif _in_blocks(W, geometry):
        on_cpu = partial(
            blocks.convolve_backward, stride=geometry.stride, pads=geometry.pads, dtype=dtype
        )
    elif h * w <= 9 and n_in >= 16:  # larger windows make too many copies of x
        on_cpu = by_patches
    else:
        return default(x, W, dy)
    return lax.platform_dependent(x, W, dy, cpu=on_cpu, default=default)


def _depthwise(W: Array, geometry: Geometry) -> bool:
    return W.shape[2:] == (1, geometry.groups)


def _winograd_pays(x: Array, W: Array, geometry: Geometry) -> bool:
    """Whether Winograd's form exists, is exact enough and has products of a useful size."""
    return (
        W.shape[:2] == (3, 3)
        and geometry.stride == (1, 1)
        and min(W.shape[2:]) >= 16
        and x.dtype.itemsize >= 4
        and len(x) >= LARGE_BATCH
    )


def _in_blocks(W: Array, geometry: Geometry) -> bool:
    """Whether the window is a whole number of strides, so that it sees a few blocks of pixels."""
    h, w = window = W.shape[:2]
    s = geometry.stride
    whole = all(k % n == 0 for k, n in zip(window, s, strict=True))
    return whole and h * w <= 4 * s[0] * s[1]


def _y(x: Array, W: Array, b: Array | None, geometry: Geometry) -> Array:
    y = lax.conv_general_dilated(
        x,
        W,
        geometry.stride,
        geometry.pads,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=geometry.groups,
    )
    return with_bias(y, b)


def _dx(W: Array, dy: Array, shape: Sequence[int], geometry: Geometry) -> Array:
    """dy, spread by the stride, convolved with the kernel turned by 180°."""
    h, w, n_in, n_out = W.shape
    g = geometry.groups
    # Inputs and outputs change places within each group.
    turned = jnp.flip(W, (0, 1)).reshape(h, w, n_in, g, n_out // g)
    turned = turned.transpose(0, 1, 4, 3, 2).reshape(h, w, n_out // g, g * n_in)
    pads = pads_around_dy((h, w), dy.shape, shape, geometry.stride, geometry.pads)
    return lax.conv_general_dilated(
        dy,
        turned,
        (1, 1),
        pads,
        lhs_dilation=geometry.stride,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=g,
    )


def _dW(x: Array, dy: Array, shape: Sequence[int], geometry: Geometry) -> Array:
    """x convolved with dy: the channels of x are the examples, the examples are summed over."""
    pads = [
        (lo, k + (n - 1) * s - size - lo)
        for k, (lo, _), size, n, s in zip(
            shape[:2], geometry.pads, x.shape[1:3], dy.shape[1:3], geometry.stride, strict=True
        )
    ]
    return lax.conv_general_dilated(
        x,
        dy,
        (1, 1),
        pads,
        rhs_dilation=geometry.stride,
        dimension_numbers=("CHWN", "IHWO", "HWNC"),
        batch_group_count=geometry.groups,
    )


def _dW_by_patches(
    x: Array, dy: Array, shape: Sequence[int], geometry: Geometry, dtype: jnp.dtype
) -> Array:
    """What every output pixel sees of x, as rows of one matrix: dW = seenᵀ dy."""

    def of_part(dW: Array, x: Array, dy: Array) -> tuple[Array, None]:
        seen = jnp.concatenate(
            seen_by_place(x, shape, dy.shape[1:3], geometry.stride, geometry.pads), axis=-1
        )
        seen, dy = seen.reshape(-1, seen.shape[-1]), dy.reshape(-1, dy.shape[-1])
        return dW + jnp.matmul(seen.T, dy, preferred_element_type=dtype), None

    start = jnp.zeros((math.prod(shape[:3]), shape[3]), dtype)
    return by_parts(of_part, start, pictures_of(ROWS, dy.shape[1:3]), x, dy)[0].reshape(shape)


def _y_by_groups(x: Array, W: Array, b: Array | None, geometry: Geometry) -> Array:
    """A convolution for each group of channels, one after the other."""
    g, alone = geometry.groups, geometry._replace(groups=1)
    groups = _split(x, g), _split(W, g), None if b is None else _split(b, g)
    return _joined(lax.map(lambda of_group: convolve(*of_group, alone), groups))


def _backward_by_groups(
    x: Array, W: Array, dy: Array, geometry: Geometry, dtype: jnp.dtype
) -> tuple[Array, Array]:
    g, alone = geometry.groups, geometry._replace(groups=1)
    # The outputs of a group lie together in W, which has the inputs of one group.
    groups = _split(x, g), _split(W, g), _split(dy, g)
    dW, dx = lax.map(lambda of_group: convolve_backward(*of_group, alone, dtype), groups)
    return _joined(dW), _joined(dx)


def _split(a: Array, groups: int) -> Array:
    """(..., groups · n) as (groups, ..., n)."""
    return jnp.moveaxis(a.reshape(*a.shape[:-1], groups, -1), -2, 0)


def _joined(a: Array) -> Array:
    """The way back."""
    a = jnp.moveaxis(a, 0, -2)
    return a.reshape(*a.shape[:-2], -1)
