"""Exercise 13 of jaxnn-lecture: an embedding.

tokens (m, T) are whole numbers below 6; E (6, n) has a row for each.

    Z = E[tokens]      (m, T, n)

backward is wrong in one place.  Mend it and leave forward as it is; then:
    jaxnn-lecture --check FILE
"""

import jax
import jax.numpy as jnp

from jaxnn import Layer

VOCABULARY, UNITS = 6, 3


def init(key, tokens):
    return {"E": jax.random.normal(key, (VOCABULARY, UNITS))}


def forward(params, tokens, key=None):
    return params["E"][tokens], tokens


def backward(params, tokens, dZ):
    dE = jnp.zeros_like(params["E"]).at[tokens].set(dZ)
    return {"E": dE}, None  # tokens have no gradient


layer = Layer("embedding", init, forward, backward)
