"""Exercise 10 of jaxnn-lecture: a convolution over time.

X (m, T, n_x), W (3, n, n_x): a matrix for each of three neighbouring steps; Z (m, T − 2, n).

    z_t = W_0 x_t + W_1 x_{t+1} + W_2 x_{t+2}

backward is wrong in one place.  Mend it and leave forward as it is; then:
    jaxnn-lecture --check FILE
"""

import jax
import jax.numpy as jnp

from jaxnn import Layer

UNITS = 2


def init(key, X):
    return {"W": jax.random.normal(key, (3, UNITS, X.shape[-1]))}


def forward(params, X, key=None):
    W, steps = params["W"], X.shape[1] - 2
    return sum(X[:, k : k + steps] @ W[k].T for k in range(3)), X


def backward(params, X, dZ):
    W, steps = params["W"], X.shape[1] - 2
    dW = jnp.stack([jnp.einsum("mti,mtj->ij", dZ, X[:, 2 - k : 2 - k + steps]) for k in range(3)])
    dX = jnp.zeros_like(X)
    for k in range(3):
        dX = dX.at[:, k : k + steps].add(dZ @ W[k])
    return {"W": dW}, dX


layer = Layer("conv1d", init, forward, backward)
