"""The three products of a convolution, y(x, W), dW(x, dy) and dx(dy, W), each in a fast form.

All three products are convolutions, which accelerators compute fast.  XLA's CPU backend (jax
0.10.2) is slower at them than at matrix products and elementwise sums, which therefore replace
the convolutions on a CPU.  ``python -m catnet_bench rules`` compares the speeds.
Images are (N, H, W, C), kernels (h, w, C / groups, n).

Sums are in float32 at least.  Accelerators multiply 16-bit numbers and add in 32 bits.  A CPU has
no such instruction: there the inputs are converted to float32 first.
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

LARGE_BATCH = 64  # for fewer images, compilation and memory cost more than the speed gains

Forward = Callable[[Array, Array, Array | None, Geometry], Array]
Backward = Callable[[Array, Array, Array, Geometry], tuple[Array, Array]]


class Form(NamedTuple):
    """One way to convolve on a CPU, in float32 or float64.

    Attributes:
        applies: ``(shape of W, geometry) -> bool``: whether the form exists and is faster.
        forward: ``(x, W, b, geometry) -> y``.
        backward: ``(x, W, dy, geometry) -> (dW, dx)``.
        forward_of_small: whether the forward pass is faster for small batches too.
        backward_of_small: whether the backward pass is faster for small batches too.
    """

    applies: Callable[[Sequence[int], Geometry], bool]
    forward: Forward
    backward: Backward
    forward_of_small: bool = False
    backward_of_small: bool = True


@partial(jax.jit, static_argnames="geometry")
def convolve(x: Array, W: Array, b: Array | None, geometry: Geometry) -> Array:
    """y in the dtype of x; see ``jaxnn.conv`` for the formulas.  b is (n,) or None."""
    large, dtype = _is_large(x), sum_dtype(x.dtype)
    form = next(
        f.forward for f in FORMS if f.applies(W.shape, geometry) and (large or f.forward_of_small)
    )

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
        f.backward for f in FORMS if f.applies(W.shape, geometry) and (large or f.backward_of_small)
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
    """Whether the batch is large.  A symbolic batch counts as small: its size is unknown."""
    n = x.shape[0]
    return not is_symbolic_dim(n) and n >= LARGE_BATCH


def _convolve_groups(x: Array, W: Array, b: Array | None, geometry: Geometry) -> Array:
    """Convolve each group of channels by itself, one group after the other."""
    g, of_one = geometry.groups, geometry._replace(groups=1)
    groups = _split(x, g), _split(W, g), None if b is None else _split(b, g)
    return _merge(lax.map(lambda group: convolve(*group, of_one), groups))


def _convolve_groups_backward(
    x: Array, W: Array, dy: Array, geometry: Geometry
) -> tuple[Array, Array]:
    g, of_one = geometry.groups, geometry._replace(groups=1)
    # W has the inputs of one group, and the outputs of all groups side by side.
    groups = _split(x, g), _split(W, g), _split(dy, g)
    dW, dx = lax.map(lambda group: convolve_backward(*group, of_one), groups)
    return _merge(dW), _merge(dx)


def _split(a: Array, groups: int) -> Array:
    """(..., groups · n) as (groups, ..., n)."""
    return jnp.moveaxis(a.reshape(*a.shape[:-1], groups, a.shape[-1] // groups), -2, 0)


def _merge(a: Array) -> Array:
    """The inverse of ``_split``."""
    a = jnp.moveaxis(a, 0, -2)
    return a.reshape(*a.shape[:-2], a.shape[-2] * a.shape[-1])


def _is_depthwise(shape: Sequence[int], geometry: Geometry) -> bool:
    return tuple(shape[2:]) == (1, geometry.groups)


def _is_grouped(shape: Sequence[int], geometry: Geometry) -> bool:
    return geometry.groups > 1


def _suits_winograd(shape: Sequence[int], geometry: Geometry) -> bool:
    """Whether Winograd's form exists and its matrix products are large enough to be fast."""
    return tuple(shape[:2]) == (3, 3) and geometry.stride == (1, 1) and min(shape[2:]) >= 16


def _suits_blocks(shape: Sequence[int], geometry: Geometry) -> bool:
    """Whether the window is a whole number of strides and covers at most four blocks of pixels."""
    (h, w), (s, t) = shape[:2], geometry.stride
    return h % s == 0 and w % t == 0 and h * w <= 4 * s * t


def _suits_patches(shape: Sequence[int], geometry: Geometry) -> bool:
    """Whether patches copy x few times and their matrix products are large enough to be fast."""
    return shape[0] * shape[1] <= 9 and shape[2] >= 16


# The first form that applies is used; the last one always applies.
FORMS = (
    Form(_is_depthwise, depthwise.convolve, depthwise.convolve_backward, forward_of_small=True),
    Form(_is_grouped, _convolve_groups, _convolve_groups_backward),
    Form(_suits_winograd, winograd.convolve, winograd.convolve_backward, backward_of_small=False),
    Form(_suits_blocks, space_to_depth.convolve, space_to_depth.convolve_backward),
    Form(_suits_patches, xla.convolve, patches.convolve_backward, forward_of_small=True),
    Form(lambda shape, geometry: True, xla.convolve, xla.convolve_backward, forward_of_small=True),
)
