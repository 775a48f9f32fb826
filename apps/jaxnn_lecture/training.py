"""Training of the small networks of the applications, and their scores."""

from __future__ import annotations

import functools
from typing import Any

import jax
import numpy as np
import optax

import jaxnn
from jaxnn import Layer, Loss

BATCH = 50
RATE = 0.01


def train(
    net: Layer, loss: Loss, x: Any, y: Any, *, steps: int, seed: int, rate: float = RATE
) -> Any:
    """The params after some steps of Adam, whose learning rate falls to 0."""
    key = jax.random.key(seed)
    start = net.init(key, jax.tree.map(lambda a: a[:1], x))
    count = len(jax.tree.leaves(y)[0])
    params, _ = jaxnn.fit(
        net, loss, start, x, y,
        optimizer=_optimizer(rate, steps),
        batch_size=min(BATCH, count), steps=steps, key=key, chunk=steps,
    )  # fmt: skip
    return params


@functools.cache  # equal trainings are one compiled program
def _optimizer(rate: float, steps: int) -> Any:
    return optax.adam(optax.cosine_decay_schedule(rate, steps))


def take(x: Any, rows: Any) -> Any:
    """The examples with some indices, of one array or several."""
    return jax.tree.map(lambda a: a[rows], x)


@functools.partial(jax.jit, static_argnums=0)
def output(net: Layer, params: Any, x: Any) -> Any:
    """The output of a network, compiled once for each shape of x."""
    return net.apply(params, x)


def score(net: Layer, loss: Loss, params: Any, x: Any, y: Any) -> float:
    """The share of right answers; with the squared error, the share of the explained variance.

    Args:
        loss: that the network was trained with: softmax or binary cross-entropy, or squared error.
    """
    z = np.asarray(output(net, params, x))
    if loss == jaxnn.softmax_cross_entropy:
        return float(np.mean(z.argmax(axis=-1) == y))
    if loss == jaxnn.binary_cross_entropy:
        return float(np.mean((z > 0) == (y > 0.5)))
    if loss != jaxnn.mean_squared_error:
        raise ValueError(f"expected a cross-entropy or the squared error, got {loss}")
    return 1 - float(np.mean((z - y) ** 2) / np.mean((y - y.mean(axis=0)) ** 2))


def count_params(params: Any) -> int:
    """The number of parameters."""
    return sum(leaf.size for leaf in jax.tree.leaves(params))
