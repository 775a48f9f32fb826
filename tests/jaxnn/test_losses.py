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


INF = np.inf
LIMITS = [  # logits, targets, cost and gradient in the limit
    ("softmax", [1.0, 2.0, -INF], [0.0, 1.0, 0.0], np.log1p(np.exp(-1.0))),
    ("softmax", [1.0, 2.0, -INF], [0.25, 0.75, 0.0], np.log1p(np.exp(1.0)) - 0.75),
    ("softmax", [0.0, -INF, -INF], [1.0, 0.0, 0.0], 0.0),
    ("softmax", [1.0, 2.0, -INF], [0.0, 0.0, 1.0], INF),
    ("softmax", [INF, 2.0, -INF], [1.0, 0.0, 0.0], 0.0),
    ("softmax", [INF, 2.0, -3.0], [0.0, 1.0, 0.0], INF),
    ("softmax", [INF, INF, 0.0], [0.5, 0.5, 0.0], np.log(2.0)),
    ("softmax", [-INF, -INF, -INF], [0.0, 1.0, 0.0], np.log(3.0)),
    ("softmax", [-INF, -INF, -INF], [0.0, 0.0, 0.0], 0.0),
    ("softmax", [3e38, -3e38, 0.0], [1.0, 0.0, 0.0], 0.0),
    ("binary", [INF], [1.0], 0.0),
    ("binary", [-INF], [0.0], 0.0),
    ("binary", [INF], [0.0], INF),
    ("binary", [-INF], [1.0], INF),
    ("binary", [INF], [0.5], INF),
    ("binary", [3e38], [1.0], 0.0),
    ("binary", [-3e38], [1.0], 3e38),
]


@pytest.mark.parametrize(("name", "logits", "targets", "cost"), LIMITS)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_infinite_logits_have_the_cost_and_gradient_of_the_limit(
    name: str, logits: list, targets: list, cost: float, dtype: str
) -> None:
    loss = LOSSES[f"{name}_cross_entropy"]
    if dtype == "float16" and any(6e4 < abs(z) < INF for z in logits):
        pytest.skip("no float16")
    large = np.clip(np.array(logits), -1e4, 1e4)  # the softmax there is that of the limit
    a = np.exp(large - large.max())
    a = a / a.sum() if name == "softmax" else np.array(large > 0, np.float64)
    z, y = jnp.array([logits], dtype), jnp.array([targets])
    np.testing.assert_allclose(loss(z, y), cost, rtol=1e-2 if dtype != "float32" else 1e-6)
    expected = a * np.sum(targets) - targets if name == "softmax" else a - targets
    for gradient in (loss.gradient(z, y), jax.grad(loss)(z, y)):
        assert gradient.dtype == z.dtype
        np.testing.assert_allclose(gradient[0], expected, atol=2e-3 if dtype != "float32" else 1e-6)


def test_a_masked_class_costs_nothing_given_as_an_index() -> None:
    z, y = jnp.array([[1.0, 2.0, -INF], [-INF, 0.0, -INF]]), jnp.array([1, 1])
    loss = jaxnn.softmax_cross_entropy
    np.testing.assert_allclose(loss(z, y), np.log1p(np.exp(-1.0)) / 2, rtol=1e-6)
    np.testing.assert_allclose(jax.grad(loss)(z, y), loss.gradient(z, y), atol=1e-7)


def test_small_costs_of_sure_answers_keep_their_digits() -> None:
    z = jnp.array([[20.0], [-20.0], [80.0]])
    costs = [
        float(jaxnn.binary_cross_entropy(z[i : i + 1], jnp.array([[y]])))
        for i, y in enumerate((1.0, 0.0, 1.0))
    ]
    np.testing.assert_allclose(costs, np.log1p(np.exp([-20.0, -20.0, -80.0])), rtol=1e-5)


@every_loss
def test_the_gradient_of_the_targets_is_that_of_the_formula(name: str, x64: None) -> None:
    """Also for targets of 0, whose cost does not count."""
    right = {
        "mean_squared_error": lambda y: 2 * (y - Z) / Z.size,
        "binary_cross_entropy": lambda y: -Z / Z.size,
        "softmax_cross_entropy": lambda y: (np.log(np.exp(Z).sum(-1, keepdims=True)) - Z) / len(Z),
    }
    hard = np.where(DISTRIBUTIONS > 0.5, 1.0, 0.0)
    for y in (DISTRIBUTIONS, hard):
        dy = jax.grad(LOSSES[name], argnums=1)(jnp.asarray(Z), jnp.asarray(y))
        np.testing.assert_allclose(dy, right[name](y), rtol=1e-12)


@every_loss
@pytest.mark.parametrize("dtype", ["int32", "uint8", "bool", "complex64"])
def test_outputs_that_are_no_floating_numbers_are_refused(name: str, dtype: str) -> None:
    z, y = jnp.ones((2, 3), dtype), jnp.zeros((2, 3))
    for f in (LOSSES[name], LOSSES[name].gradient):
        with pytest.raises(TypeError, match=rf"{name}: .*floating dtype, got {dtype}; convert"):
            f(z, y)
