"""Activation functions a = g(z), each with its derivative g'(z) beside it.

Each is elementwise, on an array of any shape, and its backward pass is dz = da g'(z).  Where the
lecture writes the derivative as a function of a, so does this file.  The cache is then a, which
the next layer caches too: it takes no extra memory.

At z = 0, relu and leaky relu have no derivative.  By convention it is 0 here, as it is for
``jax.vjp`` of these layers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp

from jaxnn.layer import Array, Key, Layer, constant, expect_input, no_params
from jaxnn.padding import masked


def _activation(
    name: str,
    g: Callable[[Array], Array],
    g_prime: Callable[[Array], Array],
    of: Literal["z", "a"],
) -> Layer:
    """A layer from g and its derivative, which is a function of z or of a."""

    def forward(params: tuple[()], z: Array, key: Key | None = None) -> tuple[Array, Array]:
        expect_input(name, z)
        a = g(z)
        return a, a if of == "a" else z

    def backward(params: tuple[()], cache: Array, da: Array) -> tuple[tuple[()], Array]:
        return (), da * g_prime(cache)

    return constant(__name__, masked(Layer(name, no_params, forward, backward)))


#: The lecture's sigmoid: a = σ(z) = 1 / (1 + e⁻ᶻ),  a' = a (1 − a)
sigmoid = _activation("sigmoid", jax.nn.sigmoid, lambda a: a * (1 - a), of="a")

#: a = tanh(z) = (eᶻ − e⁻ᶻ) / (eᶻ + e⁻ᶻ),  a' = 1 − a²
tanh = _activation("tanh", jnp.tanh, lambda a: 1 - a**2, of="a")

#: a = max(0, z),  a' = 1 where a > 0 (that is, z > 0), else 0
relu = _activation(
    "relu",
    lambda z: jnp.where(z > 0, z, jnp.zeros_like(z)),
    lambda a: (a > 0).astype(a.dtype),
    of="a",
)

#: a = z where z > 0, else 0.01 z;  a' = 1 where a > 0, 0.01 where a < 0, 0 where a = 0
leaky_relu = _activation(
    "leaky_relu",
    lambda z: jnp.where(z > 0, z, jnp.where(z < 0, 0.01 * z, jnp.zeros_like(z))),
    lambda a: jnp.where(a > 0, 1.0, jnp.where(a < 0, 0.01, 0.0)).astype(a.dtype),
    of="a",
)

#: a = z,  a' = 1.  Dense layers with this activation between them are one linear map.
identity = _activation("identity", lambda z: z, jnp.ones_like, of="a")


def _normal_cdf(z: Array) -> Array:
    return 0.5 * jax.lax.erfc(-z * 0.5**0.5)


def _normal_pdf(z: Array) -> Array:
    return jnp.exp(-0.5 * z**2) / (2 * jnp.pi) ** 0.5


#: a = z Φ(z),  a' = Φ(z) + z φ(z), with the distribution function Φ and the density φ of the
#: standard normal distribution.  This is the exact form, without tanh.
#: Source: Hendrycks and Gimpel 2016, "Gaussian Error Linear Units", arXiv:1606.08415.
gelu = _activation(
    "gelu",
    lambda z: z * _normal_cdf(z),
    lambda z: _normal_cdf(z) + z * _normal_pdf(z),
    of="z",
)


def _silu_prime(z: Array) -> Array:
    s = jax.nn.sigmoid(z)
    return s * (1 + z * (1 - s))


#: a = z σ(z),  a' = σ(z) (1 + z (1 − σ(z))); also called swish.
#: Source: Elfwing, Uchibe and Doya 2017, arXiv:1702.03118; swish: arXiv:1710.05941.
silu = _activation("silu", lambda z: z * jax.nn.sigmoid(z), _silu_prime, of="z")

#: a = log(1 + eᶻ),  a' = σ(z): a smooth relu.  Source: Dugas et al. 2000.
softplus = _activation("softplus", jax.nn.softplus, jax.nn.sigmoid, of="z")
