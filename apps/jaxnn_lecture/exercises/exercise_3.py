"""Exercise 3 of jaxnn-lecture: forward and backward through one hidden layer.

Columns are examples: X (n_x, m), Y (1, m).

    Z1 = W1 X + b1,  A1 = tanh(Z1),  Z2 = W2 A1 + b2,  A2 = σ(Z2)
    dZ2 = A2 − Y,                  dW2 = 1/m dZ2 A1ᵀ,  db2 = 1/m Σ dz2
    dZ1 = W2ᵀ dZ2 ∘ (1 − A1²),     dW1 = 1/m dZ1 Xᵀ,   db1 = 1/m Σ dz1

This code has two mistakes.  Mend them, then run:  jaxnn-lecture --check FILE
"""

import numpy as np


def gradient(W1, b1, W2, b2, X, Y):
    """The gradients, each of the shape of what it belongs to."""
    m = X.shape[1]
    A1 = np.tanh(W1 @ X + b1)
    A2 = 1 / (1 + np.exp(-(W2 @ A1 + b2)))
    dZ2 = A2 - Y
    dW2 = dZ2 @ A1.T / m
    db2 = np.sum(dZ2, axis=1, keepdims=True) / m
    dZ1 = (W2.T @ dZ2) * A1 * (1 - A1)
    dW1 = dZ1 @ X.T / m
    db1 = np.mean(dZ1, axis=1)
    return {"dW1": dW1, "db1": db1, "dW2": dW2, "db2": db2}
