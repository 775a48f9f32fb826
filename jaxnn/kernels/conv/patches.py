"""The gradient dW of a convolution as one matrix product of patches (im2col).

A patch is the part of x inside one window; each output pixel has one::

    dW = patchesᵀ dy        patches (pixels, h w C), dy (pixels, n)

Faster than XLA's convolution on a CPU (jax 0.10.2, ``python -m catnet_bench rules``).
"""

from __future__ import annotations

import math

import jax.numpy as jnp

from jaxnn.kernels.chunked import images_per_chunk, map_chunks
from jaxnn.kernels.conv.xla import input_gradient
from jaxnn.kernels.geometry import Geometry
from jaxnn.kernels.window import gather_places
from jaxnn.layer import Array

PIXELS = 1024  # output pixels in a chunk


def convolve_backward(x: Array, W: Array, dy: Array, geometry: Geometry) -> tuple[Array, Array]:
    """(dW, dx) of ``jaxnn.kernels.conv.xla.convolve``, without groups."""

    def of_chunk(dW: Array, x: Array, dy: Array) -> tuple[Array, None]:
        places = gather_places(x, W.shape, dy.shape[1:3], geometry.stride, geometry.pads)
        pixels = math.prod(dy.shape[:3])
        patches = jnp.concatenate(places, axis=-1).reshape(pixels, dW.shape[0])
        return dW + jnp.matmul(patches.T, dy.reshape(pixels, dW.shape[1])), None

    start = jnp.zeros((math.prod(W.shape[:3]), W.shape[3]), x.dtype)
    dW, _ = map_chunks(of_chunk, start, images_per_chunk(PIXELS, dy.shape[1:3]), x, dy)
    return dW.reshape(W.shape), input_gradient(W, dy, x.shape, geometry)
