"""Losses against their formulas in NumPy, and at the ends of the float range."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnn

pytestmark = pytest.mark.usefixtures("compiled_quickly")
RNG = np.random.default_rng(0)
Z = RNG.normal(size=(6, 3))
DISTRIBUTIONS = RNG.dirichlet(np.ones(3), size=6)


def binary(z, y):
    a = 1 / (1 + np.exp(-z))
    return np.mean(-y * np.log(a) - (1 - y) * np.log(1 - a))


def softmax(z, y):
    a = np.exp(z) / np.exp(z).sum(axis=-1, keepdims=True)
    return np.mean(np.sum(-y * np.log(a), axis=-1))


ORACLES = {
    "binary_cross_entropy": binary,
    "softmax_cross_entropy": softmax,
    "mean_squared_error": lambda z, y: np.mean((z - y) ** 2),
}
LOSSES = {name: getattr(jaxnn, name) for name in ORACLES}
every_loss = pytest.mark.parametrize("name", ORACLES)


@every_loss
def test_value_is_the_formula_and_gradient_that_of_jax(name: str, x64: None) -> None:
    loss = LOSSES[name]
    z, y = jnp.asarray(Z), jnp.asarray(DISTRIBUTIONS)
    np.testing.assert_allclose(loss(z, y), ORACLES[name](Z, DISTRIBUTIONS), rtol=1e-13)
    np.testing.assert_allclose(loss.gradient(z, y), jax.grad(loss)(z, y), rtol=1e-12, atol=1e-15)


@every_loss
@pytest.mark.parametrize("size", [1e4, 0.0])
def test_finite_and_right_at_the_ends_and_at_zero(name: str, size: float) -> None:
    loss = LOSSES[name]
    z = jnp.array([[size, -size], [-size, size]])
    y = jnp.array([[1.0, 0.0], [1.0, 0.0]])
    cost, dz = loss(z, y), loss.gradient(z, y)
    assert np.isfinite(cost)
    np.testing.assert_allclose(dz, jax.grad(loss)(z, y), atol=1e-6)
    if name != "mean_squared_error":
        right = 0.5 if size == 0 else 0.0
        share = 2 if name == "softmax_cross_entropy" else 4
        np.testing.assert_allclose(dz[0], [-right / share, right / share], atol=1e-7)


def test_zero_logit_with_its_textbook_gradient() -> None:
    z, y = jnp.zeros((1, 1)), jnp.ones((1, 1))
    assert jaxnn.binary_cross_entropy.gradient(z, y).item() == -0.5
    assert jax.grad(jaxnn.binary_cross_entropy)(z, y).item() == -0.5


def test_class_indices_are_their_one_hot_distributions(x64: None) -> None:
    z, indices = jnp.asarray(Z), jnp.array([0, 1, 2, 2, 1, 0])
    loss = jaxnn.softmax_cross_entropy
    one_hot = jax.nn.one_hot(indices, 3)
    assert loss(z, indices) == loss(z, one_hot)
    np.testing.assert_array_equal(loss.gradient(z, indices), loss.gradient(z, one_hot))


def test_a_class_that_does_not_exist_is_not_passed_over() -> None:
    loss = jaxnn.softmax_cross_entropy
    assert np.isnan(loss(jnp.zeros((2, 3)), jnp.array([0, 3])))


def test_bfloat16_logits_cost_in_float32() -> None:
    z = jnp.asarray(Z, jnp.bfloat16)
    for loss in LOSSES.values():
        assert loss(z, jnp.asarray(DISTRIBUTIONS, jnp.float32)).dtype == jnp.float32
        assert loss.gradient(z, jnp.asarray(DISTRIBUTIONS, jnp.float32)).dtype == jnp.bfloat16


@every_loss
def test_targets_of_another_shape_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=rf"{name}: expected targets .*got"):
        LOSSES[name](jnp.zeros((6, 1)), jnp.zeros(6))


def test_the_remedy_for_flat_targets_is_named() -> None:
    with pytest.raises(ValueError, match=r"reshape them to y\[:, None\]"):
        jaxnn.binary_cross_entropy(jnp.zeros((6, 1)), jnp.zeros(6))
