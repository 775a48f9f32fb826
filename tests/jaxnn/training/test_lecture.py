"""What the lecture claims, shown: stacking, vmap and loops agree; zeros stay equal; and more."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax.nn import initializers
from lecture import descend

import jaxnn
from catnet.course.networks import as_params, initialize, network

SIZES = [6, 4, 3, 1]
RNG = np.random.default_rng(0)
X = RNG.normal(size=(20, 6))
Y = (X[:, :1] * X[:, 1:2] > 0).astype(float)


def test_descent_is_the_numpy_formulas_step_by_step(x64) -> None:
    start = initialize(SIZES, "sqrt")
    layers, costs = descend(start, X.T, Y.T, learning_rate=0.5, steps=50)
    params, costs_jax = jaxnn.gradient_descent(
        network(SIZES), jaxnn.binary_cross_entropy, as_params(start), X, Y,
        learning_rate=0.5, steps=50,
    )  # fmt: skip
    np.testing.assert_allclose(costs_jax, costs, rtol=1e-12)
    for leaf, expected in zip(
        jax.tree.leaves(params), jax.tree.leaves(as_params(layers)), strict=True
    ):
        np.testing.assert_allclose(leaf, expected, rtol=1e-10, atol=1e-12)


def test_loop_vmap_and_stack_agree_on_cost_and_gradient(x64) -> None:
    net, params = network(SIZES), as_params(initialize(SIZES, "sqrt"))
    step = jaxnn.value_and_grad(net, jaxnn.binary_cross_entropy)
    cost, grads = step(params, X, Y)
    looped = [step(params, x, y) for x, y in zip(X, Y, strict=True)]
    mapped = jax.vmap(step, in_axes=(None, 0, 0))(params, X, Y)
    np.testing.assert_allclose(np.mean([c for c, _ in looped]), cost, rtol=1e-13)
    np.testing.assert_allclose(mapped[0].mean(), cost, rtol=1e-13)
    for whole, stacked, *each in zip(
        *map(jax.tree.leaves, (grads, mapped[1], *(g for _, g in looped))), strict=True
    ):
        np.testing.assert_allclose(np.mean(each, axis=0), whole, rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(stacked.mean(axis=0), whole, rtol=1e-12, atol=1e-15)


def hidden_units_after_training(W_init) -> np.ndarray:
    net = jaxnn.serial(jaxnn.dense(4, W_init=W_init), jaxnn.tanh, jaxnn.dense(1, W_init=W_init))
    params, _ = jaxnn.gradient_descent(
        net, jaxnn.binary_cross_entropy, net.init(jax.random.key(0), X), X, Y,
        learning_rate=0.5, steps=200,
    )  # fmt: skip
    return np.asarray(params[0]["W"])


def test_zero_initialisation_keeps_hidden_units_identical_and_random_does_not() -> None:
    for constant in (initializers.zeros, initializers.constant(0.3)):
        W = hidden_units_after_training(constant)
        assert (W[0] == W).all()
    W = hidden_units_after_training(initializers.he_normal())
    assert all(np.abs(W[i] - W[j]).max() > 0.1 for i in range(4) for j in range(i))


def test_deep_identity_network_is_one_dense_layer(x64) -> None:
    net = network(SIZES, jaxnn.identity)
    params = as_params(initialize(SIZES, "sqrt"))
    W, b = np.eye(6), np.zeros(6)
    for layer in params[::2]:
        W, b = layer["W"] @ W, layer["W"] @ b + layer["b"] + 1
        layer["b"] = layer["b"] + 1
    one = {"W": jnp.asarray(W), "b": jnp.asarray(b)}
    np.testing.assert_allclose(net.apply(params, X), jaxnn.dense(1).apply(one, X), rtol=1e-12)


def test_dropout_keeps_the_expected_value_and_the_stated_share() -> None:
    y = jaxnn.dropout(0.3).apply((), jnp.ones(100_000), jax.random.key(0))
    assert abs(float(jnp.mean(y == 0)) - 0.3) < 0.01
    assert abs(float(jnp.mean(y)) - 1) < 0.01
