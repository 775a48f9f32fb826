"""Training of the lecture's networks on pictures."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import numpy as np

import jaxnn
from catnet.data.dataset import Dataset
from catnet.models import registry
from jaxnn_lecture.chapter import Settings

MODELS = {name: registry.DEFAULT_HIDDEN[name] for name in ("logistic", "shallow", "deep")}


class Trained(NamedTuple):
    """A trained network: its params before and after, its costs and its answers.

    Attributes:
        p, p_test: probabilities of class 1 of the training and the test pictures, (n,).
    """

    name: str
    hidden: tuple[int, ...]
    start: Any
    params: Any
    costs: np.ndarray
    p: np.ndarray
    p_test: np.ndarray


def train(
    name: str, train_part: Dataset, test_part: Dataset, settings: Settings, rate: float = 1.0
) -> Trained:
    """Train one of the lecture's networks; ``rate`` multiplies its learning rate."""
    hidden = MODELS[name]
    net = registry.build(registry.architecture(name, hidden))
    x, x_test = (part.images.astype(np.float32) / 255 for part in (train_part, test_part))
    y = train_part.labels[:, None].astype(np.float32)
    start = net.init(jax.random.key(settings["seed"]), x[:1])
    params, costs = jaxnn.gradient_descent(
        net,
        jaxnn.binary_cross_entropy,
        start,
        x,
        y,
        learning_rate=rate * settings["learning_rate"],
        steps=settings["steps"],
    )
    apply = jax.jit(lambda params, x: jax.nn.sigmoid(net.apply(params, x))[:, 0])
    answers = [np.asarray(apply(params, part), float) for part in (x, x_test)]
    return Trained(name, hidden, start, params, np.asarray(costs), *answers)


def first_weights(params: Any) -> np.ndarray:
    return np.asarray(params[1]["W"], float)  # params[0] is that of flatten
