"""Minibatch training of any of the networks."""

from __future__ import annotations

import math
from typing import Any

import jax
import optax

import jaxnn
from catnet.errors import UserError
from catnet.progress import make_progress_reporter
from jaxnn import Layer, Loss
from jaxnn.layer import Array, Params

CHUNK = 50


def descend(
    net: Layer,
    loss: Loss,
    params: Params,
    x: Any,
    y: Any,
    *,
    epochs: float,
    learning_rate: float,
    batch_size: int,
    seed: int,
    title: str,
    fewest: int = 0,
) -> Params:
    """Train with Adam, with a learning rate that falls to 0 along a cosine.

    Args:
        net: the network.
        loss: of its output.
        params: the initial parameters.
        x: all examples, with one leading axis.
        y: their targets.
        epochs: how often each example is used.
        learning_rate: at the first step.
        batch_size: examples in a batch; fewer where there are fewer examples.
        seed: of the order of examples and of dropout.
        title: the text before each line of progress.
        fewest: steps at least, with more epochs if there are few examples.

    Raises:
        UserError: the cost is not finite.
    """
    count = len(jax.tree.leaves(y)[0])
    batch_size = min(batch_size, count)
    steps = max(fewest, math.ceil(epochs * count / batch_size))
    report = make_progress_reporter(steps, title=f"{title}  ")

    def progress(state: jaxnn.State, costs: Array) -> None:
        cost = float(costs.mean())
        if not math.isfinite(cost):
            raise UserError(
                f"training diverged before step {state.step}: the cost is {cost}; "
                "try another --seed"
            )
        report(int(state.step), cost)

    params, _ = jaxnn.fit(
        net,
        loss,
        params,
        x,
        y,
        optimizer=optax.adam(optax.cosine_decay_schedule(learning_rate, steps)),
        batch_size=batch_size,
        steps=steps,
        key=jax.random.key(seed),
        progress=progress,
        chunk=CHUNK,
    )
    return params


def first(x: Any) -> Any:
    """The first example, from which ``init`` takes the shapes."""
    return jax.tree.map(lambda a: a[:1], x)
