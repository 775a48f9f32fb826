"""Convolution by XLA, forward and backward: both derivatives are convolutions too."""

from __future__ import annotations

from collections.abc import Sequence

import jax.numpy as jnp
from jax import lax

from jaxnn.kernels.geometry import Geometry, pads_around_dy
from jaxnn.kernels.window import with_bias
from jaxnn.layer import Array, sum_dtype


def convolve(x: Array, W: Array, b: Array | None, geometry: Geometry) -> Array:
    """x (N, H, W, C) convolved with W (h, w, C / groups, n), plus b; in float32 at least."""
    y = lax.conv_general_dilated(
        x,
        W,
        geometry.stride,
        geometry.pads,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=geometry.groups,
    )
    return with_bias(y.astype(sum_dtype(x.dtype)), b)


def convolve_backward(x: Array, W: Array, dy: Array, geometry: Geometry) -> tuple[Array, Array]:
    """(dW, dx) of ``convolve``."""
    return kernel_gradient(x, dy, W.shape, geometry), input_gradient(W, dy, x.shape, geometry)


def input_gradient(W: Array, dy: Array, shape: Sequence[int], geometry: Geometry) -> Array:
    """dx: dy with stride − 1 zeros between pixels, convolved with the kernel rotated by 180°."""
    h, w, n_in, n_out = W.shape
    g = geometry.groups
    # Exchange the inputs and the outputs of each group.
    W_rotated = jnp.flip(W, (0, 1)).reshape(h, w, n_in, g, n_out // g)
    W_rotated = W_rotated.transpose(0, 1, 4, 3, 2).reshape(h, w, n_out // g, g * n_in)
    pads = pads_around_dy((h, w), dy.shape, shape, geometry.stride, geometry.pads)
    return lax.conv_general_dilated(
        dy,
        W_rotated,
        (1, 1),
        pads,
        lhs_dilation=geometry.stride,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=g,
    )


def kernel_gradient(x: Array, dy: Array, shape: Sequence[int], geometry: Geometry) -> Array:
    """dW: x convolved with dy; the examples take the place of the channels and are summed."""
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
        preferred_element_type=sum_dtype(x.dtype),
    )
