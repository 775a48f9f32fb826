"""Minibatch gradient descent, momentum and Adam on two moons, and one step of each.

2 → 5 → 2 → 1 with relu, He's initialization after the seed 3, 300 points after the seed 3.  Epoch e
= 1, 2, … has the points in the order ``permutation(300)`` after the seed 10 + e, in batches of 64,
of which the last has 44; 10,000 epochs with the learning rate 0.0007.  The cost that is printed is
that of the last batch of an epoch, before its update.

Momentum is the course's V := 0.9 V + 0.1 dW.  Adam has its ε = 1e-8 outside of the square root in
one published run, and inside in another.

Sources: DeepLearning.AI, "Improving Deep Neural Networks", week 2, "Optimization methods"; Adam:
github:Anosy/Ng_DL, 2_2_optimization.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxnn
from catnet.course.networks import as_params, initialize, network, share_right
from catnet.course.record import Gradient, Number, Options, Set, Table, numbers
from catnet.course.synthetic import draw_moons
from catnet.terminal import log
from jaxnn.training.state import GRADIENTS

SIZES = (2, 5, 2, 1)
EPOCHS = 10_000
EVERY = 1000
BATCH = 64
RATE = 0.0007


def momentum(rate: float) -> optax.GradientTransformation:
    """The course's momentum: V := 0.9 V + 0.1 dW,  W := W − α V."""
    return optax.chain(optax.ema(0.9, debias=False), optax.scale(-rate))


# Name, optimizer, costs at epochs 0, 1000, …, 9000, training accuracy.
RUNS = (
    (
        "gradient descent",
        optax.sgd(RATE),
        "0.690736 0.685273 0.647072 0.619525 0.576584 0.607243 0.529403 0.460768 0.465586 0.464518",
        "0.796666666667",
    ),
    (
        "momentum",
        momentum(RATE),
        "0.690741 0.685341 0.647145 0.619594 0.576665 0.607324 0.529476 0.460936 0.465780 0.464740",
        "0.796666666667",
    ),
    (
        "Adam",
        optax.adam(RATE),
        "0.690552 0.185567 0.150852 0.074454 0.125936 0.104235 0.100552 0.031601 0.111709 0.197648",
        "0.94",
    ),
    (
        "Adam with ε inside the root",
        optax.adam(RATE, eps=0.0, eps_root=1e-8),
        "0.690552 0.185501 0.150830 0.074454 0.125959 0.104344 0.100676 0.031652 0.111973 0.197940",
        "0.94",
    ),
)


def run(options: Options, epochs: int = EPOCHS, count: int = len(RUNS)) -> Iterator[Table]:
    """A table of one step of each optimizer, and a table of the training with each.

    Args:
        epochs: a test takes fewer.
        count: of the last optimizers; a test takes fewer.
    """
    yield one_step()
    x, y = draw_moons(300, 0.2, np.random.RandomState(3))
    orders = jnp.array(
        [np.random.RandomState(10 + e).permutation(300) for e in range(1, epochs + 1)]
    )
    net, start = network(SIZES), as_params(initialize(SIZES, "he", seed=3))
    for name, optimizer, published, accuracy in RUNS[-count:]:
        log(f"{name}, {epochs} epochs")
        params, costs = train(net, optimizer, start, x, y, orders, options.gradient)
        names = [f"epoch {epoch}" for epoch in range(0, epochs, EVERY)]
        rows = list(numbers(names, " ".join(published.split()[: len(names)]), costs[::EVERY]))
        if epochs == EPOCHS:
            rows.append(Number("training accuracy", accuracy, share_right(net, params, x, y)))
        yield Table(f"{name}: 2 → 5 → 2 → 1, float64", rows)


def train(
    net: jaxnn.Layer,
    optimizer: optax.GradientTransformation,
    params: Any,
    x: np.ndarray,
    y: np.ndarray,
    orders: jax.Array,
    gradient: Gradient,
) -> tuple[Any, np.ndarray]:
    """The params after all epochs, and the cost of the last batch of each.

    ``jaxnn.fit`` draws its own orders; this loop takes those of the course.
    """
    value_and_grad = GRADIENTS[gradient](net, jaxnn.binary_cross_entropy)
    full = len(x) // BATCH * BATCH

    def update(carry: Any, batch: jax.Array) -> tuple[Any, jax.Array]:
        params, state = carry
        cost, grads = value_and_grad(params, X[batch], Y[batch])
        changes, state = optimizer.update(grads, state, params)
        return (optax.apply_updates(params, changes), state), cost

    def epoch(carry: Any, order: jax.Array) -> tuple[Any, jax.Array]:
        carry, _ = jax.lax.scan(update, carry, order[:full].reshape(-1, BATCH))
        return update(carry, order[full:])

    X, Y = jnp.asarray(x), jnp.asarray(y)
    carry = jax.tree.map(jnp.asarray, (params, optimizer.init(params)))
    (params, _), costs = jax.jit(lambda carry: jax.lax.scan(epoch, carry, orders))(carry)
    return params, np.asarray(costs)


def one_step() -> Table:
    """One step of each optimizer from random params with random gradients, after the seed 1."""
    rng = np.random.RandomState(1)
    shapes = {"W1": (2, 3), "b1": (2, 1), "W2": (3, 3), "b2": (3, 1)}
    params, grads = ({name: rng.randn(*shape) for name, shape in shapes.items()} for _ in "pg")
    rows = []
    for name, optimizer, published in (
        ("gradient descent", optax.sgd(0.01), "1.63535156 -0.62320365 -0.53718766"),
        ("momentum", momentum(0.01), "1.62544598 -0.61290114 -0.52907334"),
        ("Adam, t = 2", optax.adam(0.01), "1.63178673 -0.61919778 -0.53561312"),
    ):
        state = optimizer.init(params)
        if name.startswith("Adam"):  # the course starts with t = 2 and moments of 0
            state = (state[0]._replace(count=state[0].count + 1), *state[1:])  # type: ignore
        changes, _ = optimizer.update(grads, state, params)
        W1 = jax.tree.map(jnp.add, params, changes)["W1"]
        rows += numbers(f"{name}: W1[0]", published, W1[0])
    return Table("one step of each optimizer, float64", rows)


SET = Set(
    name="optimizers",
    title="gradient descent, momentum and Adam on minibatches of two moons",
    source="DeepLearning.AI, Improving Deep Neural Networks, week 2; github:Anosy/Ng_DL",
    run=run,
)
