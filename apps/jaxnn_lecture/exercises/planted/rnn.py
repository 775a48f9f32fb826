"""Exercise 11 of jaxnn-lecture: a recurrent layer.

X (m, T, n_x): m sequences of T steps.  W (n, n_x), U (n, n), b (n,); h starts at 0.

    h_t = tanh(x_t Wᵀ + h_{t−1} Uᵀ + b)     the outputs are h_1 … h_T: (m, T, n)

backward is wrong in one place.  Mend it and leave forward as it is; then:
    jaxnn-lecture --check FILE
"""

import jax
import jax.numpy as jnp

from jaxnn import Layer

UNITS = 3


def init(key, X):
    W = jax.random.normal(key, (UNITS, X.shape[-1]))
    U = jax.random.normal(jax.random.fold_in(key, 1), (UNITS, UNITS))
    return {"W": W, "U": U, "b": jnp.zeros(UNITS)}


def forward(params, X, key=None):
    W, U, b = params["W"], params["U"], params["b"]
    H = [jnp.zeros((len(X), UNITS), X.dtype)]
    for t in range(X.shape[1]):
        H.append(jnp.tanh(X[:, t] @ W.T + H[-1] @ U.T + b))
    return jnp.stack(H[1:], axis=1), (X, H)


def backward(params, cache, dH):
    W, U, b = params["W"], params["U"], params["b"]
    X, H = cache
    dW, dU, db = jnp.zeros_like(W), jnp.zeros_like(U), jnp.zeros_like(b)
    dX, dh = jnp.zeros_like(X), jnp.zeros_like(H[0])
    for t in reversed(range(X.shape[1])):
        h_prev, h = H[t], H[t + 1]
        dz = (dH[:, t] + dh) * (1 - h**2)
        dW, db = dW + dz.T @ X[:, t], db + jnp.sum(dz, axis=0)
        dU = dU + h_prev.T @ dz
        dX = dX.at[:, t].set(dz @ W)
        dh = dz @ U
    return {"W": dW, "U": dU, "b": db}, dX


layer = Layer("rnn", init, forward, backward)
