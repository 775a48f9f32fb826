"""Activation functions a = g(z), each with its derivative g'(z) beside it.

Each works element by element on an array of any shape.  Where the lecture gives the
derivative in terms of a, so does this file, and a is what the backward pass remembers:
the next layer remembers the same array, so it costs no memory.

At its kink z = 0 the derivative of relu and of leaky relu is 0, by convention: neither
has a derivative there, and a unit that sits exactly on its kink stays where it is.
``jax.vjp`` of these layers gives the same value.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp

from jaxnn.layer import Array, Key, Layer, constant, expect_input, no_params
from jaxnn.layers.masked import masked


def _activation(
    name: str,
    g: Callable[[Array], Array],
    g_prime: Callable[[Array], Array],
    of: Literal["z", "a"],
) -> Layer:
    """A layer from g and its derivative, the latter written in terms of ``of``."""

    def forward(params: tuple[()], z: Array, key: Key | None = None) -> tuple[Array, Array]:
        expect_input(name, z)
        a = g(z)
        return a, a if of == "a" else z

    def backward(params: tuple[()], cache: Array, da: Array) -> tuple[tuple[()], Array]:
        return (), da * g_prime(cache)

    return constant(__name__, masked(Layer(name, no_params, forward, backward)))


# The lecture's: a = σ(z) = 1 / (1 + e⁻ᶻ),  a' = a (1 − a)
sigmoid = _activation("sigmoid", jax.nn.sigmoid, lambda a: a * (1 - a), of="a")

# a = tanh(z) = (eᶻ − e⁻ᶻ) / (eᶻ + e⁻ᶻ),  a' = 1 − a²
tanh = _activation("tanh", jnp.tanh, lambda a: 1 - a**2, of="a")

# a = max(0, z),  a' = 1 where z > 0, that is where a > 0, else 0
relu = _activation(
    "relu",
    lambda z: jnp.where(z > 0, z, jnp.zeros_like(z)),
    lambda a: (a > 0).astype(a.dtype),
    of="a",
)

# a = z where z > 0, 0.01 z where z < 0,  a' = 1, 0.01; a has the sign of z
leaky_relu = _activation(
    "leaky_relu",
    lambda z: jnp.where(z > 0, z, jnp.where(z < 0, 0.01 * z, jnp.zeros_like(z))),
    lambda a: jnp.where(a > 0, 1.0, jnp.where(a < 0, 0.01, 0.0)).astype(a.dtype),
    of="a",
)

# a = z,  a' = 1: a deep network of these is one dense layer
identity = _activation("identity", lambda z: z, jnp.ones_like, of="a")


def _normal_cdf(z: Array) -> Array:
    return 0.5 * jax.lax.erfc(-z * 0.5**0.5)


def _normal_pdf(z: Array) -> Array:
    return jnp.exp(-0.5 * z**2) / (2 * jnp.pi) ** 0.5


# Today's: a = z Φ(z),  a' = Φ(z) + z φ(z), with the normal distribution's Φ and density φ
# (Hendrycks and Gimpel 2016, "Gaussian Error Linear Units", arXiv:1606.08415; the exact form)
gelu = _activation(
    "gelu",
    lambda z: z * _normal_cdf(z),
    lambda z: _normal_cdf(z) + z * _normal_pdf(z),
    of="z",
)


def _silu_prime(z: Array) -> Array:
    s = jax.nn.sigmoid(z)
    return s * (1 + z * (1 - s))


# a = z σ(z),  a' = σ(z) (1 + z (1 − σ(z)))
# (Elfwing, Uchibe and Doya 2017, arXiv:1702.03118; "swish" in arXiv:1710.05941)
silu = _activation("silu", lambda z: z * jax.nn.sigmoid(z), _silu_prime, of="z")

# a = log(1 + eᶻ),  a' = σ(z): the smooth relu (Dugas et al. 2000)
softplus = _activation("softplus", jax.nn.softplus, jax.nn.sigmoid, of="z")
