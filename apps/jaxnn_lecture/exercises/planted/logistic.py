"""Exercise 3 of jaxnn-lecture: logistic regression and its cost.

Examples are rows: X (m, n_x), w (n_x,), b a number; Y (m,) has the labels, 0 or 1.

    z = X w + b,  a = σ(z)
    J = −1/m Σ (y log a + (1 − y) log(1 − a))

backward is wrong in one place.  Mend it and leave forward as it is; then:
    jaxnn-lecture --check FILE
"""

import jax
import jax.numpy as jnp

from jaxnn import Layer


def init(key, XY):
    return {"w": jax.random.normal(key, XY[0].shape[-1:]), "b": jnp.zeros(())}


def forward(params, XY, key=None):
    X, Y = XY
    z = X @ params["w"] + params["b"]
    log_a, log_1_minus_a = jax.nn.log_sigmoid(z), jax.nn.log_sigmoid(-z)
    J = -jnp.mean(Y * log_a + (1 - Y) * log_1_minus_a)
    return J, (X, Y, jax.nn.sigmoid(z))


def backward(params, cache, dJ):
    X, Y, a = cache
    m = len(X)
    dz = dJ * (a - Y)
    dw = X.T @ dz / m
    db = jnp.sum(dz)
    dX = jnp.outer(dz, params["w"]) / m
    return {"w": dw, "b": db}, (dX, None)  # labels have no gradient


layer = Layer("logistic", init, forward, backward)
