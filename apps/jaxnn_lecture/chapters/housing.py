"""Prices of houses: a number needs a linear output."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

import jaxnn
from catnet.course.housing import read_houses
from jaxnn_lecture.chapter import Claim, Figure
from jaxnn_lecture.plots import WIDTH
from jaxnn_lecture.svg import Axis, drawing, element, make_frame
from jaxnn_lecture.training import count_params

STEPS, RATE = 200, 0.2
UNIT = 100_000  # dollars: what the network's answers count in
LINEAR = jaxnn.dense(1)
SIGMOID = jaxnn.serial(LINEAR, jaxnn.sigmoid)
HEIGHT = 340


class Houses(NamedTuple):
    """What was measured of the 47 houses.

    Attributes:
        prices, answers: (47,) in dollars; each answer is by a network without this house.
        linear, sigmoid: the share of the variance that the answers of both outputs explain.
        difference: of the trained network's answers from those of the normal equation, in dollars.
        parameters: of the network.
    """

    prices: np.ndarray
    answers: np.ndarray
    linear: float
    sigmoid: float
    difference: float
    parameters: int


def measure_houses() -> Houses:
    """Train for each house on the 46 others, with both outputs."""
    x, y = read_houses()
    prices = y[:, 0]
    answers = {}
    for net in (LINEAR, SIGMOID):
        found = []
        for i in range(len(x)):
            others = np.arange(len(x)) != i
            found.append(_learn(net, x[others], prices[others])(x[i : i + 1]).item())
        answers[net] = np.array(found)
    ones = np.concatenate([np.ones((len(x), 1)), x], axis=1)
    theta = np.linalg.lstsq(ones, prices, rcond=None)[0]
    trained = _learn(LINEAR, x, prices)(x)
    params = LINEAR.init(jax.random.key(0), x)
    linear, sigmoid = (
        1 - float(np.mean((a - prices) ** 2) / prices.var()) for a in answers.values()
    )
    return Houses(
        prices,
        answers[LINEAR],
        linear,
        sigmoid,
        float(np.abs(trained - ones @ theta).max()),
        count_params(params),
    )


def _learn(net: jaxnn.Layer, houses: np.ndarray, prices: np.ndarray) -> Callable[[Any], np.ndarray]:
    """The network after gradient descent, as a function from houses (n, 2) to prices (n,).

    The features are standardized with the means and deviations of these houses alone.
    """
    mean, deviation = houses.mean(axis=0), houses.std(axis=0)

    def standardize(houses: np.ndarray) -> np.ndarray:
        return ((houses - mean) / deviation).astype(np.float32)

    x, y = standardize(houses), (prices[:, None] / UNIT).astype(np.float32)
    start = jax.tree.map(lambda a: a * 0, net.init(jax.random.key(0), x))
    params, _ = jaxnn.gradient_descent(
        net, jaxnn.mean_squared_error, start, x, y, learning_rate=RATE, steps=STEPS, chunk=STEPS
    )
    return lambda houses: UNIT * np.asarray(net.apply(params, standardize(houses)), float)[:, 0]


def compare_outputs(houses: Houses) -> Claim:
    """The claim about the output for a price."""
    thousands = houses.prices / 1000, houses.answers / 1000
    low, high = min(map(np.min, thousands)), max(map(np.max, thousands))
    axis = Axis(float(low) - 20, float(high) + 20, "price in 1000 dollars")
    frame = make_frame(axis, axis._replace(label="answer in 1000 dollars"), WIDTH, HEIGHT)
    ends = np.array([axis.low, axis.high])
    (x1, x2), (y1, y2) = frame.across(ends), frame.down(ends)
    parts = [frame.draw(), element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_="line s1")]
    parts += [
        element("circle", cx=float(frame.across(a)), cy=float(frame.down(b)), r=4, class_="dot s0")
        for a, b in zip(*thousands, strict=True)
    ]
    figure = drawing(
        "Prices of 47 houses and the answers of networks",
        f"The answers explain {houses.linear:.1%} of the variance of the prices.",
        WIDTH,
        HEIGHT,
        "".join(parts),
    )
    return Claim(
        "A price is a number, not a class: the output is linear, without a sigmoid.",
        "47 published houses (size, bedrooms, price), each answered by a neuron that has learnt "
        f"from the 46 others: {houses.linear:.1%} of the variance of the prices is explained; with "
        f"a sigmoid, whose output ends at 1 (100,000 dollars), {_share(houses.sigmoid)}. Trained "
        f"on all 47, the neuron's answers differ from those of the normal equation by at most "
        f"{houses.difference:.2f} dollars.",
        houses.linear > 0.5 and houses.sigmoid < 0 and houses.difference < 100,
        formulas=(r"\hat{y} = w x + b", r"J = \frac{1}{m} \sum (\hat{y} - y)^2"),
        figures=(
            Figure("Each dot is a house; on the dashed line the answer is right.", (figure,)),
        ),
    )


def _share(value: float) -> str:
    return f"{value:.1%}" if value > 0 else "none"
