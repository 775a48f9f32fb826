"""Exercise 14 of jaxnn-lecture: attention.

Q, K and V: (m, T, n), queries, keys and values of T steps.

    S = Q Kᵀ / √n              (m, T, T)
    P = softmax(S) by rows
    Z = P V                    (m, T, n)

backward is wrong in one place.  Mend it and leave forward as it is; then:
    jaxnn-lecture --check FILE
"""

import jax
import jax.numpy as jnp

from jaxnn import Layer


def init(key, QKV):
    return ()


def transpose(A):
    return jnp.swapaxes(A, -1, -2)


def forward(params, QKV, key=None):
    Q, K, V = QKV
    P = jax.nn.softmax(Q @ transpose(K) / Q.shape[-1] ** 0.5, axis=-1)
    return P @ V, (Q, K, V, P)


def backward(params, cache, dZ):
    Q, K, V, P = cache
    dV = transpose(P) @ dZ
    dP = dZ @ transpose(V)
    dS = P * (dP - jnp.sum(P * dP, axis=-1, keepdims=True))
    dQ = dS @ K / Q.shape[-1] ** 0.5
    dK = transpose(dS) @ Q
    return (), (dQ, dK, dV)


layer = Layer("attention", init, forward, backward)
