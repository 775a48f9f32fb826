"""Exercise 1 of jaxnn-lecture: the gradient of logistic regression.

Columns are examples: X (n_x, m), Y (1, m), w (n_x, 1), b a number.

    A = σ(wᵀX + b),  J = −1/m Σ (y log a + (1 − y) log(1 − a))
    dZ = A − Y,  dw = 1/m X dZᵀ,  db = 1/m Σ dz

This code has two mistakes.  Mend them, then run:  jaxnn-lecture --check FILE
"""

import numpy as np


def gradient(w, b, X, Y):
    """The cost J, dw (n_x, 1) and db (a number)."""
    m = X.shape[1]
    A = 1 / (1 + np.exp(-(w.T @ X + b)))
    J = -np.sum(Y * np.log(A) + (1 - Y) * np.log(1 - A)) / m
    dZ = Y - A
    dw = X @ dZ.T / m
    db = np.sum(dZ)
    return {"J": J, "dw": dw, "db": db}
