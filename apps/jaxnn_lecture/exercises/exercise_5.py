"""Exercise 5 of jaxnn-lecture: one step of gradient descent through L layers.

Columns are examples.  The hidden layers have ReLU, the last one has the sigmoid.

    dZ[L] = A[L] − Y
    dW[l] = 1/m dZ[l] A[l−1]ᵀ,  db[l] = 1/m Σ dz[l],  dZ[l−1] = W[l]ᵀ dZ[l] ∘ g'(Z[l−1])
    W[l] := W[l] − α dW[l],     b[l] := b[l] − α db[l]

This code has one mistake.  Mend it, then run:  jaxnn-lecture --check FILE
"""

import numpy as np


def step(layers, X, Y, alpha):
    """The new layers, a list of (W, b), from the old ones; W (n[l], n[l−1]), b (n[l], 1)."""
    m, L = X.shape[1], len(layers)
    A, new = [X], list(layers)
    for l, (W, b) in enumerate(layers):  # noqa: E741 - the lecture's name
        Z = W @ A[-1] + b
        A.append(1 / (1 + np.exp(-Z)) if l == L - 1 else np.maximum(0, Z))
    dZ = A[L] - Y
    for l in reversed(range(L)):  # noqa: E741
        W, b = new[l]
        dW = dZ @ A[l].T / m
        db = np.sum(dZ, axis=1, keepdims=True) / m
        new[l] = (W - alpha * dW, b - alpha * db)
        dZ = (new[l][0].T @ dZ) * (A[l] > 0)
    return new
