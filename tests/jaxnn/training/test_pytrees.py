"""Examples that are tuples or dicts of arrays, parameters in lists."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxnn
from jaxnn import Layer, Loss

pytestmark = pytest.mark.usefixtures("compiled_quickly")
RNG = np.random.default_rng(0)
WORDS = RNG.integers(0, 5, size=12)
NUMBERS = RNG.normal(size=(12, 3)).astype(np.float32)
X = {"word": WORDS, "numbers": NUMBERS}
Y = (NUMBERS[:, :1] + 0.1 * WORDS[:, None]).astype(np.float32)
W = np.float32(0.5) * RNG.normal(size=(5, 3)).astype(np.float32)


def _forward(W, x, key=None):
    rows = W[x["word"]]
    return rows * x["numbers"], (rows, x)


def _backward(W, cache, dy):
    rows, x = cache
    dW = jnp.zeros_like(W).at[x["word"]].add(dy * x["numbers"])
    return dW, {"word": None, "numbers": dy * rows}


# Row w of W for every word w, times the numbers; what goes in is a dict.
LOOK_UP = Layer("look_up", lambda key, x: jnp.asarray(W), _forward, _backward)
DENSE = jaxnn.dense(1)
PARAMS = (jnp.asarray(W), {"W": jnp.ones((1, 3)), "b": jnp.zeros(1)})


def _net_forward(params, x, key=None):
    hidden, look_up = LOOK_UP.forward(params[0], x)
    z, dense = DENSE.forward(params[1], hidden)
    return z, (look_up, dense)


def _net_backward(params, cache, dz):
    d_dense, d_hidden = DENSE.backward(params[1], cache[1], dz)
    d_look_up, dx = LOOK_UP.backward(params[0], cache[0], d_hidden)
    return (d_look_up, d_dense), dx


NET = Layer("net", lambda key, x: PARAMS, _net_forward, _net_backward)
MSE = jaxnn.mean_squared_error


def assert_close(a, b) -> None:
    assert jax.tree.structure(a) == jax.tree.structure(b)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), a, b)


def numpy_gradient(params):
    """Of the mean squared error, by its formula."""
    rows, (_, dense) = np.asarray(params[0], float)[WORDS], params
    hidden = rows * NUMBERS
    dz = 2 * (hidden @ np.asarray(dense["W"], float).T + np.asarray(dense["b"], float) - Y) / 12
    dW = np.zeros(W.shape)
    np.add.at(dW, WORDS, dz @ np.asarray(dense["W"], float) * NUMBERS)
    return dW, {"W": dz.T @ hidden, "b": dz.sum(0)}


@pytest.mark.parametrize("gradient", [jaxnn.value_and_grad, jaxnn.value_and_grad_by_jax])
def test_the_gradient_of_a_net_that_takes_a_dict(gradient) -> None:
    cost, grads = gradient(NET, MSE)(PARAMS, X, Y)
    assert_close(grads, numpy_gradient(PARAMS))
    np.testing.assert_allclose(cost, MSE(NET.forward(PARAMS, X)[0], Y), rtol=1e-6)


def test_hand_gives_no_gradient_for_whole_numbers() -> None:
    def cost(params, numbers):
        return MSE(jaxnn.hand(NET)(params, {"word": WORDS, "numbers": numbers}), Y)

    d_params, d_numbers = jax.grad(cost, argnums=(0, 1))(PARAMS, NUMBERS)
    assert_close(d_params, numpy_gradient(PARAMS))
    by_jax = jax.grad(lambda n: MSE(NET.forward(PARAMS, X | {"numbers": n})[0], Y))(NUMBERS)
    assert_close(d_numbers, by_jax)


def test_training_on_a_dict() -> None:
    descended, costs = jaxnn.gradient_descent(NET, MSE, PARAMS, X, Y, learning_rate=0.1, steps=3)
    expected = PARAMS
    for _ in range(3):
        expected = jax.tree.map(lambda p, dp: p - 0.1 * dp, expected, numpy_gradient(expected))
    assert_close(descended, jax.tree.map(np.float32, expected))
    fitted, fit_costs = jaxnn.fit(
        NET, MSE, PARAMS, X, Y, optimizer=optax.sgd(0.1), batch_size=12, steps=3,
        key=jax.random.key(0),
    )  # fmt: skip
    assert_close(fitted, descended)
    np.testing.assert_allclose(fit_costs, costs, rtol=1e-5)


def test_batches_of_a_dict_hold_the_same_examples_of_every_array() -> None:
    x = {"a": np.arange(10.0)[:, None], "b": 10 * np.arange(10.0)[:, None]}
    y = (np.arange(10.0)[:, None], -np.arange(10.0)[:, None])
    same = Layer(
        "same",
        lambda key, x: jnp.zeros(()),
        lambda p, x, key=None: (jnp.concatenate([x["a"], x["b"]], axis=-1) + p, None),
        lambda p, cache, dy: (jnp.sum(dy), None),
    )

    def apart(z, y):
        return jnp.max(jnp.abs(z - jnp.concatenate([y[0], -10 * y[1]], axis=-1)))

    loss = Loss("apart", apart, lambda z, y: jnp.zeros_like(z))
    _, costs = jaxnn.fit(
        same, loss, jnp.zeros(()), x, y, optimizer=optax.sgd(0.1), batch_size=3, steps=5,
        key=jax.random.key(0),
    )  # fmt: skip
    assert costs.tolist() == [0.0] * 5


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        ({"a": np.ones((4, 2)), "b": np.ones((5, 2))}, np.ones(4), r"4 in x\['a'\], 5 in x\['b'\]"),
        ((np.ones((4, 2)),), np.ones(3), r"4 in x\[0\], 3 in y"),
        (np.ones((4, 2)), {"class": np.ones(4), "weight": 1.0}, r"y\['weight'\] to have an axis"),
        ({}, (), "at least one array of examples"),
    ],
)
def test_examples_that_do_not_fit_are_refused(x, y, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        jaxnn.fit(
            NET, MSE, PARAMS, x, y, optimizer=optax.sgd(0.1), batch_size=2, steps=1,
            key=jax.random.key(0),
        )  # fmt: skip


def test_the_span_is_for_one_array() -> None:
    with pytest.raises(ValueError, match="the examples are not one array"):
        jaxnn.gradient_descent(
            NET, MSE, PARAMS, X, Y, learning_rate=0.1, steps=1, in_row_space=True
        )


def test_lists_of_numbers_are_arrays() -> None:
    x, y, start = (
        [[1.0, 2.0], [3.0, 4.0]],
        ((1.0,), (0.0,)),
        {"W": jnp.ones((1, 2)), "b": jnp.ones(1)},
    )
    step = jaxnn.value_and_grad(DENSE, MSE)
    arrays = np.array(x, np.float32), np.array(y, np.float32)
    assert_close(step(start, x, y), step(start, *arrays))
    how = {"learning_rate": 0.1, "steps": 2}
    assert_close(
        jaxnn.gradient_descent(DENSE, MSE, start, x, y, **how),
        jaxnn.gradient_descent(DENSE, MSE, start, *arrays, **how),
    )


@pytest.mark.parametrize("gradient", ["hand", "jax"])
def test_parameters_in_lists_train_as_those_in_tuples(gradient) -> None:
    net = jaxnn.serial(
        jaxnn.residual(jaxnn.dense(40), jaxnn.tanh),
        jaxnn.parallel(jaxnn.dense(2), jaxnn.dense(1), merge="concat"),
        jaxnn.dense(1),
    )
    x, y = RNG.normal(size=(6, 40)).astype(np.float32), np.ones((6, 1), np.float32)
    start = net.init(jax.random.key(0), x)
    as_lists = [list(start[0]), list(start[1]), start[2]]
    grads = jaxnn.value_and_grad(net, MSE)(as_lists, x, y)[1]
    by_hand = jax.grad(lambda params: MSE(jaxnn.hand(net)(params, x), y))(as_lists)
    assert jax.tree.structure(as_lists) == jax.tree.structure(grads)
    assert_close(by_hand, grads)
    for train in (
        lambda params: jaxnn.gradient_descent(
            net, MSE, params, x, y, learning_rate=0.1, momentum=0.5, steps=2, gradient=gradient
        ),
        lambda params: jaxnn.fit(
            net, MSE, params, x, y, optimizer=optax.adam(0.1), batch_size=3, steps=2,
            key=jax.random.key(0), gradient=gradient,
        ),
    ):  # fmt: skip
        (from_lists, costs), (from_tuples, expected) = train(as_lists), train(start)
        assert jax.tree.structure(from_lists) == jax.tree.structure(as_lists)
        np.testing.assert_allclose(costs, expected, rtol=1e-6)
        for a, b in zip(jax.tree.leaves(from_lists), jax.tree.leaves(from_tuples), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5)


def test_the_span_keeps_lists() -> None:
    net = jaxnn.serial(jaxnn.dense(3), jaxnn.tanh, jaxnn.dense(1))
    x, y = RNG.normal(size=(4, 20)).astype(np.float32), np.ones((4, 1), np.float32)
    start = net.init(jax.random.key(0), x)
    how = {"learning_rate": 0.1, "steps": 2, "in_row_space": True}
    from_list, _ = jaxnn.gradient_descent(net, MSE, list(start), x, y, **how)
    from_tuple, _ = jaxnn.gradient_descent(net, MSE, start, x, y, **how)
    assert isinstance(from_list, list)
    assert_close(tuple(from_list), from_tuple)
