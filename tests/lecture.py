"""The lecture's gradient descent in plain NumPy, as its formulas say: an oracle of tests."""

from __future__ import annotations

import numpy as np


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
