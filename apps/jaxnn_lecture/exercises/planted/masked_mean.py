"""Exercise 15 of jaxnn-lecture: the mean over time, of sequences of different lengths.

X (m, T, n); mask (m, T) is True at the steps that a sequence has, at least one.

    Z = the mean of the steps with mask True: (m, n)

backward is wrong in one place.  Mend it and leave forward as it is; then:
    jaxnn-lecture --check FILE
"""

import jax.numpy as jnp

from jaxnn import Layer


def init(key, X_and_mask):
    return ()


def forward(params, X_and_mask, key=None):
    X, mask = X_and_mask
    steps = jnp.sum(mask, axis=1)[:, None]
    return jnp.sum(jnp.where(mask[:, :, None], X, 0), axis=1) / steps, (X, mask, steps)


def backward(params, cache, dZ):
    X, mask, steps = cache
    dX = jnp.broadcast_to((dZ / steps)[:, None, :], X.shape)
    return (), (dX, None)  # a mask has no gradient


layer = Layer("masked_mean", init, forward, backward)
