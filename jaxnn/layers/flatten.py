"""Flatten images to vectors."""

from __future__ import annotations

import math

from jaxnn.layer import Array, Key, Layer, Static, constant, expect_input, no_params


def _forward(params: tuple[()], x: Array, key: Key | None = None) -> tuple[Array, Static]:
    expect_input("flatten", x, "H", "W", "C")
    shape = x.shape[-3:]
    return x.reshape(*x.shape[:-3], math.prod(shape)), Static(shape)


def _backward(params: tuple[()], shape: Static, dy: Array) -> tuple[tuple[()], Array]:
    return (), dy.reshape(*dy.shape[:-1], *shape.value)


#: Images to vectors: (..., H, W, C) → (..., H·W·C).  The lecture's 64×64×3 image becomes a vector
#: of 12288 numbers.  ::
#:
#:     forward    y = x, row by row, with the channels last
#:     backward   dx = dy in the shape of x
flatten = constant(__name__, Layer("flatten", no_params, _forward, _backward))
