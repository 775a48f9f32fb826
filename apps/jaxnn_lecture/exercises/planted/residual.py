"""Exercise 16 of jaxnn-lecture: a residual block.

Examples are rows: X (m, n), W (n, n), b (n,).

    Z = X Wᵀ + b
    A = X + tanh(Z)

backward is wrong in one place.  Mend it and leave forward as it is; then:
    jaxnn-lecture --check FILE
"""

import jax
import jax.numpy as jnp

from jaxnn import Layer


def init(key, X):
    n = X.shape[-1]
    return {"W": jax.random.normal(key, (n, n)), "b": jnp.zeros(n)}


def forward(params, X, key=None):
    T = jnp.tanh(X @ params["W"].T + params["b"])
    return X + T, (X, T)


def backward(params, cache, dA):
    X, T = cache
    dZ = dA * (1 - T**2)
    dW = dZ.T @ X
    db = jnp.sum(dZ, axis=0)
    dX = dZ @ params["W"]
    return {"W": dW, "b": db}, dX


layer = Layer("residual", init, forward, backward)
