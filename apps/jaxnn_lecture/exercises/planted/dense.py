"""Exercise 1 of jaxnn-lecture: a dense layer, as the course of 2017 had it.

Examples are rows: X (m, n_x), W (n, n_x), b (n,), Z (m, n).

    Z = X Wᵀ + b

backward is wrong in one place.  Mend it and leave forward as it is; then:
    jaxnn-lecture --check FILE
"""

import jax
import jax.numpy as jnp

from jaxnn import Layer

UNITS = 3


def init(key, X):
    return {"W": jax.random.normal(key, (UNITS, X.shape[-1])), "b": jnp.zeros(UNITS)}


def forward(params, X, key=None):
    W, b = params["W"], params["b"]
    return X @ W.T + b, X


def backward(params, X, dZ):
    W, b = params["W"], params["b"]
    dW = dZ.T @ X
    db = jnp.full(b.shape, jnp.sum(dZ))
    dX = dZ @ W
    return {"W": dW, "b": db}, dX


layer = Layer("dense", init, forward, backward)
