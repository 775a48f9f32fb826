"""Exercise 2 of jaxnn-lecture: activations and their derivatives.

    sigmoid      a = 1 / (1 + e⁻ᶻ)               g'(z) = a (1 − a)
    tanh         a = (eᶻ − e⁻ᶻ) / (eᶻ + e⁻ᶻ)     g'(z) = 1 − a²
    ReLU         a = max(0, z)                   g'(z) = 1 where z > 0, else 0
    leaky ReLU   a = max(0.01 z, z)              g'(z) = 1 where z > 0, else 0.01

This code has two mistakes.  Mend them, then run:  jaxnn-lecture --check FILE
"""

import numpy as np


def slopes(Z):
    """g'(z) of each activation, arrays of the shape of Z."""
    sigmoid = 1 / (1 + np.exp(-Z))
    tanh = np.tanh(Z)
    return {
        "sigmoid": sigmoid * (1 - sigmoid),
        "tanh": 1 - tanh,
        "ReLU": np.where(Z > 0, Z, 0.0),
        "leaky ReLU": np.where(Z > 0, 1.0, 0.01),
    }
