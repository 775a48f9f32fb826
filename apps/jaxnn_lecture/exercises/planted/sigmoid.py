"""Exercise 4 of jaxnn-lecture: the sigmoid.

Z and A have the same shape.

    A = 1 / (1 + exp(−Z))

backward is wrong in one place.  Mend it and leave forward as it is; then:
    jaxnn-lecture --check FILE
"""

import jax

from jaxnn import Layer


def init(key, Z):
    return ()


def forward(params, Z, key=None):
    A = jax.nn.sigmoid(Z)
    return A, A


def backward(params, A, dA):
    dZ = dA * A
    return (), dZ


layer = Layer("sigmoid", init, forward, backward)
