"""The one list of all layers: every property test runs over it."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp

import jaxnn
from jaxnn import Layer


class Case(NamedTuple):
    """A layer and the shape of one example for it."""

    layer: Layer
    shape: tuple[int, ...]


# The running sum of tanh, which gives the sum twice: as output and as state.
cell = jaxnn.serial(
    jaxnn.each(jaxnn.tanh, jaxnn.identity, merge="sum"),
    jaxnn.parallel(jaxnn.dense(3), jaxnn.identity, merge="tuple"),
)

# Layers of other inputs are tested in jaxnn/test_sequences.py and jaxnn/test_contract.py.
OF_OTHER_INPUTS = {"each", "embedding"}

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
    "tied": Case(
        jaxnn.tied(jaxnn.serial(jaxnn.dense(4), jaxnn.tanh, jaxnn.dense(4)), (0, 2)), (4,)
    ),
    "each": Case(
        jaxnn.serial(
            jaxnn.parallel(jaxnn.tanh, jaxnn.identity, merge="tuple"),
            jaxnn.each(jaxnn.dense(2), jaxnn.tanh, merge="concat"),
        ),
        (3,),
    ),
    "scan": Case(jaxnn.scan(cell, jnp.zeros_like), (4, 3)),
    "conv": Case(jaxnn.conv(4, 3, 2), (7, 6, 3)),
    "conv, as a stem": Case(jaxnn.conv(5, 8, 4, ((2, 2), (2, 2))), (16, 16, 3)),
    "conv, of many channels": Case(jaxnn.conv(16), (5, 4, 16)),
    "conv, standardized": Case(jaxnn.conv(4, standardize=True), (5, 5, 3)),
    "conv, grouped": Case(jaxnn.conv(6, 3, groups=2), (5, 6, 4)),
    "conv, depthwise": Case(jaxnn.conv(4, groups=4, bias=False), (5, 6, 4)),
    "conv, depthwise, of many places": Case(jaxnn.conv(2, 8, 2, groups=2), (9, 8, 2)),
    "max_pool": Case(jaxnn.max_pool(3, 2, "SAME"), (6, 7, 3)),
    "average_pool": Case(jaxnn.average_pool(2), (5, 6, 3)),
    "max_pool, of many places": Case(jaxnn.max_pool((4, 11), (3, 2), "SAME"), (7, 13, 2)),
    "average_pool, of many places": Case(jaxnn.average_pool((4, 5), (3, 2)), (8, 9, 3)),
    "global_average_pool": Case(jaxnn.global_average_pool, (4, 5, 3)),
    "space_to_depth": Case(jaxnn.space_to_depth(2), (4, 6, 3)),
    "layer_norm": Case(jaxnn.layer_norm(), (5,)),
    "rms_norm": Case(jaxnn.rms_norm(), (5,)),
    "group_norm": Case(jaxnn.group_norm(3), (4, 5, 6)),
    "rnn": Case(jaxnn.rnn(3), (4, 2)),
    "lstm": Case(jaxnn.lstm(3), (4, 2)),
    "gru": Case(jaxnn.gru(3), (4, 2)),
    "bidirectional": Case(jaxnn.bidirectional(jaxnn.rnn(2), jaxnn.gru(2)), (3, 2)),
    "reverse": Case(jaxnn.reverse, (4, 2)),
    "last": Case(jaxnn.last, (4, 2)),
    "mean": Case(jaxnn.mean, (4, 2)),
    "max_over_time": Case(jaxnn.max_over_time, (4, 2)),
    "attention": Case(jaxnn.attention(2), (3, 4)),
    "attention, causal": Case(jaxnn.attention(1, causal=True), (3, 2)),
    "transformer_block": Case(jaxnn.transformer_block(4, 2, n_hidden=3, rate=0.1), (3, 4)),
    "sinusoidal_positions": Case(jaxnn.sinusoidal_positions, (3, 4)),
    "learned_positions": Case(jaxnn.learned_positions(3), (3, 4)),
    "conv1d": Case(jaxnn.conv1d(4, 3, 2), (5, 2)),
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
