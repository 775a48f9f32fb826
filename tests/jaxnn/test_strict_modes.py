"""JAX's strict modes: no key is used twice, no dtype is promoted silently."""

from __future__ import annotations

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.nn import initializers
from layers import LAYERS, Case

import jaxnn

pytestmark = pytest.mark.usefixtures("compiled_quickly")
every_layer = pytest.mark.parametrize("case", LAYERS.values(), ids=LAYERS.keys())
NET = jaxnn.serial(jaxnn.dense(3), jaxnn.dropout(0.3), jaxnn.layer_norm(), jaxnn.dense(1))
X = np.random.default_rng(0).normal(size=(8, 2)).astype(np.float32)
Y = (X[:, :1] > 0).astype(np.float32)


@pytest.fixture
def no_key_twice() -> Iterator[None]:
    with jax.debug_key_reuse(True):
        yield


@pytest.fixture
def strict_promotion() -> Iterator[None]:
    with jax.numpy_dtype_promotion("strict"):
        yield


def train(key: jax.Array, dtype="float32") -> None:
    """Every way to train there is: ``fit`` for two steps, the others are only traced."""
    loss, x = jaxnn.binary_cross_entropy, jnp.asarray(X, dtype)
    params = NET.init(jax.random.key(0), X)
    jaxnn.fit(
        NET, loss, params, x, Y, optimizer=optax.sgd(0.01, 0.9), batch_size=4, steps=2, key=key
    )

    def descent(params, key):
        how = {"learning_rate": 0.1, "momentum": 0.9, "weight_decay": 0.1, "steps": 2}
        return jaxnn.gradient_descent(NET, loss, params, x, Y, key=key, **how)

    def by_grad(params, key):
        return jax.grad(lambda params: loss(jaxnn.hand(NET)(params, x, key), Y))(params)

    by_hand, by_jax = jaxnn.value_and_grad(NET, loss), jaxnn.value_and_grad_by_jax(NET, loss)
    for f in (
        descent,
        by_grad,
        lambda params, key: by_hand(params, x, Y, key),
        lambda params, key: by_jax(params, x, Y, key),
    ):
        jax.jit(f).lower(params, jax.random.key(1))


@every_layer
def test_no_layer_uses_a_key_twice(case: Case, no_key_twice: None) -> None:
    x = jnp.ones((2, *case.shape))

    @jax.jit
    def both(key):
        key_of_init, key_of_forward = jax.random.split(key)
        return case.layer.forward(case.layer.init(key_of_init, x), x, key_of_forward)

    both.lower(jax.random.key(0))


def test_no_training_uses_a_key_twice(no_key_twice: None) -> None:
    train(jax.random.key(1))


def test_weights_and_biases_of_dense_are_drawn_independently(no_key_twice: None) -> None:
    normal = initializers.normal(1.0)
    layer = jaxnn.dense(400, W_init=normal, b_init=normal)
    params = layer.init(jax.random.key(0), jnp.ones(5))
    correlations = np.corrcoef([*params["W"].T, params["b"]])[-1, :-1]
    assert np.abs(correlations).max() < 0.2


@every_layer
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_every_layer_works_without_promotion(case: Case, dtype, strict_promotion: None) -> None:
    x = jnp.ones((2, *case.shape), dtype)

    def both(key):
        params = case.layer.init(key, jnp.ones((2, *case.shape)))
        y, cache = case.layer.forward(params, x, key)
        return y, params, *case.layer.backward(params, cache, y)

    y, params, dparams, dx = jax.eval_shape(both, jax.random.key(0))
    assert y.dtype == dx.dtype == x.dtype
    assert dparams == params


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize(
    "loss", [jaxnn.binary_cross_entropy, jaxnn.mean_squared_error, jaxnn.softmax_cross_entropy]
)
def test_every_loss_works_without_promotion(loss, dtype, strict_promotion: None) -> None:
    z = jnp.array([[0.5, -1.0], [2.0, 0.25]], dtype)
    targets = [np.eye(2), jnp.eye(2, dtype=dtype), np.eye(2, dtype=bool)]
    if loss is jaxnn.softmax_cross_entropy:
        targets.append(np.arange(2))
    for y in targets:
        for f in (loss.gradient, jax.grad(loss)):
            assert jax.eval_shape(f, z, y) == jax.ShapeDtypeStruct((2, 2), dtype)
        assert jax.eval_shape(loss, z, y) == jax.ShapeDtypeStruct((), "float32")


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_training_works_without_promotion(dtype, strict_promotion: None) -> None:
    train(jax.random.key(1), dtype)
