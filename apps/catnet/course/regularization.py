"""No regularization, L2, and dropout: one network on 211 points of a football field.

2 → 20 → 3 → 1 with relu, W = randn / √n after the seed 3, 30,000 full-batch steps with the learning
rate 0.3.  The points are those of ex6data3.mat of Stanford's machine learning course.

* L2 adds λ / 2m ΣW² to the cost, λ = 0.7, and so λ / m W to the gradient.
* Dropout keeps a unit with the probability 0.86.  The seed is set to 1 in every step, so that the
  masks are the same in all steps.

Source: DeepLearning.AI, "Improving Deep Neural Networks", week 1, "Regularization"; run in
github:Kulbear/deep-learning-coursera @997fdb2e.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxnn
from catnet.course.files import EX6DATA3, read_mat
from catnet.course.networks import as_params, initialize, network, share_right
from catnet.course.record import Gradient, Number, Options, Set, Table
from catnet.progress import make_progress_reporter
from jaxnn import Layer, State

SIZES = (2, 20, 3, 1)
STEPS = 30_000
EVERY = 10_000
LEARNING_RATE = 0.3
LAMBDA = 0.7
KEEP_PROB = 0.86


# Costs at steps 0, 10000 and 20000, training accuracy, test accuracy.
NONE = "0.6557412523481002 0.16329987525724216 0.13851642423255986 0.947867298578 0.915"
L2 = "0.6974484493131264 0.2684918873282239 0.2680916337127301 0.938388625592 0.93"
DROPOUT = "0.6543912405149825 0.06101698657490559 0.060582435798513114 0.928909952607 0.95"


def fixed_dropout(mask: np.ndarray) -> Layer:
    """Dropout with a given mask: inverted dropout of which the randomness is known.

    ::

        forward    y  = x mask / keep_prob       with a key; y = x without
        backward   dx = dy mask / keep_prob

    Args:
        mask: (examples, units) of 0 and 1.
    """
    scale = mask / KEEP_PROB

    def forward(params: tuple[()], x: jax.Array, key: Any = None) -> tuple[jax.Array, Any]:
        return (x, None) if key is None else (x * scale, scale)

    def backward(params: tuple[()], cache: Any, dy: jax.Array) -> tuple[tuple[()], jax.Array]:
        return (), dy if cache is None else dy * cache

    return Layer("fixed_dropout", lambda key, x: (), forward, backward)


def dropout_network(examples: int) -> Layer:
    """The network with dropout after both hidden layers; the masks of the course."""
    rng = np.random.RandomState(1)
    masks = [(rng.rand(n, examples) < KEEP_PROB).T.astype(float) for n in SIZES[1:-1]]
    hidden = [
        layer
        for n, mask in zip(SIZES[1:], masks, strict=False)
        for layer in (jaxnn.dense(n), jaxnn.serial(jaxnn.relu, fixed_dropout(mask)))
    ]
    return jaxnn.serial(*hidden, jaxnn.dense(1))


def run(options: Options, steps: int = STEPS) -> Iterator[Table]:
    """A table for each of the three."""
    data = read_mat(options.files[EX6DATA3.name])
    x, y, x_test, y_test = (data[name].astype(float) for name in ("X", "y", "Xval", "yval"))
    start = as_params(initialize(SIZES, "sqrt", seed=3))
    with_masks = tuple(((), ()) if params == () else params for params in start)
    plain, dropped = network(SIZES), dropout_network(len(x))
    training = jax.random.key(0)  # says that this is training; the masks are fixed
    for title, net, params, numbers, l2, key in (
        ("no regularization", plain, start, NONE, 0.0, None),
        ("L2, λ = 0.7", plain, start, L2, LAMBDA, None),
        ("dropout, keep_prob = 0.86", dropped, with_masks, DROPOUT, 0.0, training),
    ):
        published = numbers.split()
        costs, params = train(title, net, params, x, y, options.gradient, steps, l2, key)
        rows = [
            Number(f"step {EVERY * i}", text, cost, 1e-9)
            for i, (text, cost) in enumerate(zip(published[:3], costs, strict=False))
        ]
        if steps == STEPS:
            rows += [
                Number("training accuracy", published[3], share_right(net, params, x, y)),
                Number("test accuracy", published[4], share_right(net, params, x_test, y_test)),
            ]
        yield Table(f"{title}: 2 → 20 → 3 → 1, float64", rows)


def train(
    title: str,
    net: Layer,
    params: Any,
    x: np.ndarray,
    y: np.ndarray,
    gradient: Gradient,
    steps: int,
    l2: float,
    key: Any,
) -> tuple[list[float], Any]:
    """The costs at steps 0, 10000, …, with the penalty, and the params after the last step."""
    report = make_progress_reporter(steps, title=f"{title}  ")
    penalties = [penalty(params, l2, len(x))]

    def progress(state: State, costs: Any) -> None:
        report(state.step, float(costs[-1]))
        penalties.append(penalty(state.params, l2, len(x)))

    params, costs = jaxnn.gradient_descent(
        net,
        jaxnn.binary_cross_entropy,
        params,
        x,
        y,
        learning_rate=LEARNING_RATE,
        steps=steps,
        weight_decay=l2 / len(x),
        gradient=gradient,
        key=key,
        progress=progress,
        chunk=EVERY,
    )
    first = np.asarray(costs[::EVERY])
    return [float(c + p) for c, p in zip(first, penalties, strict=False)], params


def penalty(params: Any, l2: float, m: int) -> float:
    """λ / 2m ΣW², over all W."""
    squares = [jnp.sum(leaf**2) for leaf in jax.tree.leaves(params) if leaf.ndim > 1]
    return float(l2 / (2 * m) * sum(squares))


SET = Set(
    name="regularization",
    title="no regularization, L2 and dropout on the points of a football field",
    source="DeepLearning.AI, Improving Deep Neural Networks, week 1",
    run=run,
    needs=(EX6DATA3,),
)
