"""Exercise 4 of jaxnn-lecture: initialization that learns.

The network has n_x inputs, n_h hidden units with ReLU and one output.

    W[l] = √(2 / n[l−1]) · normal random numbers,  b[l] = 0

This code has two mistakes.  Mend them, then run:  jaxnn-lecture --check FILE
"""

import numpy as np


def initialize(n_x, n_h, seed):
    """W1 (n_h, n_x), b1 (n_h, 1), W2 (1, n_h) and b2 (1, 1)."""
    rng = np.random.default_rng(seed)
    W1 = np.ones((n_h, 1)) * rng.normal(size=(1, n_x)) * np.sqrt(2 / n_x)
    W2 = rng.normal(size=(1, n_h)) * np.sqrt(2 / 1)
    return {"W1": W1, "b1": np.zeros((n_h, 1)), "W2": W2, "b2": np.zeros((1, 1))}
