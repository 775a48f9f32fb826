"""The one list of all layers: every property test runs over it."""

from __future__ import annotations

from typing import NamedTuple

import jaxnn
from jaxnn import Layer


class Case(NamedTuple):
    """A layer and the shape of one example for it."""

    layer: Layer
    shape: tuple[int, ...]


LAYERS = {
    "dense": Case(jaxnn.dense(3), (5,)),
    "flatten": Case(jaxnn.flatten, (4, 3, 2)),
    "dropout": Case(jaxnn.dropout(0.4), (6,)),
    "sigmoid": Case(jaxnn.sigmoid, (5,)),
    "tanh": Case(jaxnn.tanh, (5,)),
    "relu": Case(jaxnn.relu, (5,)),
    "leaky_relu": Case(jaxnn.leaky_relu, (5,)),
    "identity": Case(jaxnn.identity, (5,)),
    "gelu": Case(jaxnn.gelu, (5,)),
    "silu": Case(jaxnn.silu, (5,)),
    "softplus": Case(jaxnn.softplus, (5,)),
    "serial": Case(jaxnn.serial(jaxnn.dense(4), jaxnn.tanh, jaxnn.dense(2)), (3,)),
    "residual": Case(jaxnn.residual(jaxnn.dense(4), jaxnn.tanh), (4,)),
    "sum": Case(jaxnn.parallel(jaxnn.dense(4), jaxnn.tanh, merge="sum"), (4,)),
    "concat": Case(jaxnn.parallel(jaxnn.dense(4), jaxnn.tanh, merge="concat"), (3,)),
    "nested": Case(
        jaxnn.serial(
            jaxnn.flatten,
            jaxnn.dropout(0.2),
            jaxnn.residual(jaxnn.dense(12), jaxnn.relu, jaxnn.dense(12)),
            jaxnn.parallel(jaxnn.dense(2), jaxnn.serial(jaxnn.dense(3)), merge="concat"),
        ),
        (2, 3, 2),
    ),
}
