"""The lecture's networks in plain NumPy, as its formulas say: the oracle of several tests."""

from __future__ import annotations

import itertools

import numpy as np

import jaxnn
from jaxnn import Layer


def initialise(sizes: list[int], scale: str, seed: int = 1) -> list[tuple[np.ndarray, np.ndarray]]:
    """(W, b) of every layer; W drawn in order from numpy.random.seed(seed), b zero.

    ``scale`` is "0.01" (times 0.01) or "sqrt" (divided by the root of the inputs).
    """
    draw = np.random.RandomState(seed)
    layers = []
    for n_in, n_out in itertools.pairwise(sizes):
        W = draw.randn(n_out, n_in)
        layers.append((W * 0.01 if scale == "0.01" else W / np.sqrt(n_in), np.zeros(n_out)))
    return layers


def network(sizes: list[int], activation: Layer = jaxnn.relu) -> Layer:
    """dense, activation, dense, activation, …, dense: ends in logits."""
    layers: list[Layer] = []
    for n_out in sizes[1:]:
        layers += [jaxnn.dense(n_out), activation]
    return jaxnn.serial(*layers[:-1])


def as_params(layers: list[tuple[np.ndarray, np.ndarray]]) -> tuple:
    """The same numbers as parameters of ``network``."""
    params: list = []
    for W, b in layers:
        params += [{"W": W, "b": b}, ()]
    return tuple(params[:-1])


def descend(layers, X, Y, learning_rate: float, steps: int):
    """The lecture's gradient descent: X (n, m) and Y (1, m) in columns; relu, at last sigmoid."""
    m = X.shape[1]
    costs = []
    Ws, bs = [W for W, _ in layers], [b[:, None] for _, b in layers]
    for _ in range(steps):
        As, Zs = [X], []
        for layer, (W, b) in enumerate(zip(Ws, bs, strict=True)):
            Zs.append(W @ As[-1] + b)
            last = layer == len(Ws) - 1
            As.append(1 / (1 + np.exp(-Zs[-1])) if last else np.maximum(0, Zs[-1]))
        costs.append(-np.mean(Y * np.log(As[-1]) + (1 - Y) * np.log(1 - As[-1])))
        dZ = As[-1] - Y
        gradients = []
        for layer in reversed(range(len(Ws))):
            gradients.append((dZ @ As[layer].T / m, dZ.sum(axis=1, keepdims=True) / m))
            if layer:
                dZ = (Ws[layer].T @ dZ) * (Zs[layer - 1] > 0)
        for layer, (dW, db) in enumerate(reversed(gradients)):
            Ws[layer] = Ws[layer] - learning_rate * dW
            bs[layer] = bs[layer] - learning_rate * db
    return [(W, b[:, 0]) for W, b in zip(Ws, bs, strict=True)], costs
