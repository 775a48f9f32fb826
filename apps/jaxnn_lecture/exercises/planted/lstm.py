"""Exercise 2 of jaxnn-lecture: an LSTM over time, as the course had it until 2020.

X (m, T, n_x): m sequences of T steps.  W (4n, n_x), U (4n, n), b (4n,); h and c start at 0.

    f, i, o = σ(…),  g = tanh(…)   of the four quarters of  x_t Wᵀ + h_{t−1} Uᵀ + b
    c_t = f c_{t−1} + i g
    h_t = o tanh(c_t)              the outputs are h_1 … h_T: (m, T, n)

backward is wrong in one place.  Mend it and leave forward as it is; then:
    jaxnn-lecture --check FILE
"""

import jax
import jax.numpy as jnp

from jaxnn import Layer

UNITS = 2


def init(key, X):
    W = jax.random.normal(key, (4 * UNITS, X.shape[-1]))
    U = jax.random.normal(jax.random.fold_in(key, 1), (4 * UNITS, UNITS))
    return {"W": W, "U": U, "b": jnp.zeros(4 * UNITS)}


def forward(params, X, key=None):
    W, U, b = params["W"], params["U"], params["b"]
    h = c = jnp.zeros((len(X), UNITS), X.dtype)
    outputs, steps = [], []
    for t in range(X.shape[1]):
        f, i, o, g = jnp.split(X[:, t] @ W.T + h @ U.T + b, 4, axis=1)
        f, i, o, g = jax.nn.sigmoid(f), jax.nn.sigmoid(i), jax.nn.sigmoid(o), jnp.tanh(g)
        h_prev, c_prev = h, c
        c = f * c_prev + i * g
        h = o * jnp.tanh(c)
        outputs.append(h)
        steps.append((f, i, o, g, h_prev, c_prev, c))
    return jnp.stack(outputs, axis=1), (X, steps)


def backward(params, cache, dH):
    W, U, b = params["W"], params["U"], params["b"]
    X, steps = cache
    dW, dU, db = jnp.zeros_like(W), jnp.zeros_like(U), jnp.zeros_like(b)
    dX = jnp.zeros_like(X)
    for t in reversed(range(X.shape[1])):
        f, i, o, g, h_prev, c_prev, c = steps[t]
        dh = dc = jnp.zeros_like(h_prev)
        dh_t = dH[:, t] + dh
        dc_t = dc + dh_t * o * (1 - jnp.tanh(c) ** 2)
        df, di, dg = dc_t * c_prev, dc_t * g, dc_t * i
        do = dh_t * jnp.tanh(c)
        dZ = jnp.concatenate(
            [df * f * (1 - f), di * i * (1 - i), do * o * (1 - o), dg * (1 - g**2)], axis=1
        )
        dW, dU, db = dW + dZ.T @ X[:, t], dU + dZ.T @ h_prev, db + jnp.sum(dZ, axis=0)
        dX = dX.at[:, t].set(dZ @ W)
        dh, dc = dZ @ U, dc_t * f  # for step t − 1
    return {"W": dW, "U": dU, "b": db}, dX


layer = Layer("lstm", init, forward, backward)
