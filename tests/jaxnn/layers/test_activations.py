"""Activations against their formulas in NumPy."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnn

Z = np.linspace(-6, 6, 41)[np.newaxis]  # 0 is among them
PHI = np.vectorize(lambda z: 0.5 * (1 + math.erf(z / math.sqrt(2))))


def sigma(z):
    return 1 / (1 + np.exp(-z))


FORMULAS = {
    "sigmoid": (sigma, lambda z: sigma(z) * (1 - sigma(z))),
    "tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    "relu": (lambda z: np.maximum(z, 0), lambda z: np.where(z > 0, 1.0, 0.0)),
    "leaky_relu": (
        lambda z: np.maximum(z, 0.01 * z),
        lambda z: np.where(z > 0, 1.0, np.where(z < 0, 0.01, 0.0)),
    ),
    "identity": (lambda z: z, np.ones_like),
    "gelu": (
        lambda z: z * PHI(z),
        lambda z: PHI(z) + z * np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi),
    ),
    "silu": (lambda z: z * sigma(z), lambda z: sigma(z) + z * sigma(z) * (1 - sigma(z))),
    "softplus": (lambda z: np.log(1 + np.exp(z)), sigma),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_value_and_derivative_are_the_formulas(name: str, x64: None) -> None:
    g, g_prime = FORMULAS[name]
    layer = getattr(jaxnn, name)
    a, cache = layer.forward((), jnp.asarray(Z))
    _, dz = layer.backward((), cache, jnp.ones_like(a))
    np.testing.assert_allclose(a, g(Z), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(dz, g_prime(Z), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["relu", "leaky_relu"])
def test_derivative_at_the_kink_is_zero_by_hand_and_by_jax(name: str) -> None:
    layer = getattr(jaxnn, name)
    zero = jnp.zeros(3)
    _, cache = layer.forward((), zero)
    assert layer.backward((), cache, jnp.ones(3))[1].tolist() == [0, 0, 0]
    assert jax.grad(lambda z: layer.apply((), z).sum())(zero).tolist() == [0, 0, 0]


@pytest.mark.parametrize("name", FORMULAS)
def test_finite_far_from_zero(name: str) -> None:
    layer = getattr(jaxnn, name)
    a, cache = layer.forward((), jnp.array([-1e4, 1e4]))
    _, dz = layer.backward((), cache, jnp.ones(2))
    assert np.isfinite(a).all()
    assert np.isfinite(dz).all()
