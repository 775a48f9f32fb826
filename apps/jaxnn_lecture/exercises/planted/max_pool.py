"""Exercise 9 of jaxnn-lecture: max pooling.

X (m, H, W, channels), H and W even.  The output is the largest entry of each 2 × 2 window:
(m, H/2, W/2, channels).

backward is wrong in one place.  Mend it and leave forward as it is; then:
    jaxnn-lecture --check FILE
"""

import jax.numpy as jnp

from jaxnn import Layer


def init(key, X):
    return ()


def spread(Z):
    """Each entry of Z at all four places of its window."""
    return jnp.repeat(jnp.repeat(Z, 2, axis=1), 2, axis=2)


def forward(params, X, key=None):
    m, H, W, channels = X.shape
    Z = jnp.max(X.reshape(m, H // 2, 2, W // 2, 2, channels), axis=(2, 4))
    return Z, (X, Z)


def backward(params, cache, dZ):
    X, Z = cache
    dX = spread(dZ)
    return (), dX


layer = Layer("max_pool", init, forward, backward)
