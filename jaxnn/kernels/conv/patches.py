"""The derivative of a convolution by patches: what every output pixel sees, as rows of a matrix.

::

    dW = seenᵀ dy        seen (pixels, h w C), dy (pixels, n)

This pays where a product of matrices is faster than a convolution: on a CPU, with XLA.
"""

from __future__ import annotations

import math

import jax.numpy as jnp

from jaxnn.kernels.chunked import images_per_chunk, map_chunks
from jaxnn.kernels.conv.xla import input_gradient
from jaxnn.kernels.geometry import Geometry
from jaxnn.kernels.window import gather_places
from jaxnn.layer import Array

ROWS = 1024  # output pixels at a time


def convolve_backward(x: Array, W: Array, dy: Array, geometry: Geometry) -> tuple[Array, Array]:
    """(dW, dx) of ``jaxnn.kernels.conv.xla.convolve``, without groups."""

    def of_chunk(dW: Array, x: Array, dy: Array) -> tuple[Array, None]:
        window_places = gather_places(x, W.shape, dy.shape[1:3], geometry.stride, geometry.pads)
        outputs = math.prod(dy.shape[:3])
        seen = jnp.concatenate(window_places, axis=-1).reshape(outputs, dW.shape[0])
        return dW + jnp.matmul(seen.T, dy.reshape(outputs, dW.shape[1])), None

    start = jnp.zeros((math.prod(W.shape[:3]), W.shape[3]), x.dtype)
    dW, _ = map_chunks(of_chunk, start, images_per_chunk(ROWS, dy.shape[1:3]), x, dy)
    return dW.reshape(W.shape), input_gradient(W, dy, x.shape, geometry)
