"""Descent and minibatch training: chunks, resuming, order of the data."""

from __future__ import annotations

from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxnn
from jaxnn.training.minibatches import _batches

NET = jaxnn.serial(jaxnn.dense(8), jaxnn.dropout(0.2), jaxnn.tanh, jaxnn.dense(1))
RNG = np.random.default_rng(0)
X = RNG.normal(size=(30, 2)).astype(np.float32)
Y = (X[:, :1] * X[:, 1:] > 0).astype(np.float32)
START = NET.init(jax.random.key(0), X)
LOSS = jaxnn.binary_cross_entropy


def same(a, b) -> bool:
    return all(
        np.array_equal(x, y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    )


def test_descent_in_chunks_is_the_same_descent() -> None:
    how = {"learning_rate": 0.3, "steps": 25, "key": jax.random.key(1)}
    params, costs = jaxnn.gradient_descent(NET, LOSS, START, X, Y, **how)
    calls = []
    in_chunks, chunk_costs = jaxnn.gradient_descent(
        NET, LOSS, START, X, Y, **how, chunk=10, progress=lambda *args: calls.append(args)
    )
    np.testing.assert_allclose(chunk_costs, costs, rtol=1e-5)
    assert [state.step for state, _ in calls] == [10, 20, 25]
    assert [len(costs) for _, costs in calls] == [10, 10, 5]
    assert same(calls[-1][0].params, in_chunks)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4), in_chunks, params)


def test_the_first_cost_is_before_the_first_update_and_params_are_not_changed() -> None:
    before = jax.tree.map(np.array, START)
    _, costs = jaxnn.gradient_descent(NET, LOSS, START, X, Y, learning_rate=0.1, steps=2)
    assert costs[0] == pytest.approx(float(LOSS(NET.apply(START, X), Y)), rel=1e-6)
    assert same(before, START)


def test_ctrl_c_between_chunks_leaves_the_last_state_with_the_caller() -> None:
    calls = []

    def stop(state, costs):
        calls.append(state)
        if len(calls) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        jaxnn.gradient_descent(
            NET, LOSS, START, X, Y, learning_rate=0.1, steps=50, chunk=5, progress=stop
        )
    straight, _ = jaxnn.gradient_descent(NET, LOSS, START, X, Y, learning_rate=0.1, steps=10)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), calls[-1].params, straight
    )


def test_descent_under_vmap_trains_many_learning_rates_at_once() -> None:
    rates = jnp.array([0.0, 0.1, 1.0])

    def descend(rate):
        return jaxnn.gradient_descent(NET, LOSS, START, X, Y, learning_rate=rate, steps=20)[1]

    together = jax.vmap(descend)(rates)
    for rate, costs in zip(rates, together, strict=True):
        np.testing.assert_allclose(costs, descend(float(rate)), rtol=1e-4)
    assert together[2, -1] < together[1, -1] < together[0, -1]


@pytest.mark.parametrize("gradient", ["hand", "jax"])
def test_plain_sgd_on_full_batches_is_gradient_descent(gradient: Literal["hand", "jax"]) -> None:
    net = jaxnn.serial(jaxnn.dense(8), jaxnn.tanh, jaxnn.dense(1))
    start = net.init(jax.random.key(0), X)
    fitted, _ = jaxnn.fit(
        net, LOSS, start, X, Y, optimizer=optax.sgd(0.5), batch_size=len(X), steps=20,
        key=jax.random.key(0), gradient=gradient,
    )  # fmt: skip
    descended, _ = jaxnn.gradient_descent(net, LOSS, start, X, Y, learning_rate=0.5, steps=20)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), fitted, descended
    )


def test_a_fit_that_goes_on_from_a_state_ends_where_the_whole_one_does() -> None:
    how = {"optimizer": optax.adam(0.01), "batch_size": 7, "key": jax.random.key(3), "chunk": 10}
    states = []
    whole, costs = jaxnn.fit(
        NET, LOSS, START, X, Y, **how, steps=30, progress=lambda state, _: states.append(state)
    )
    rest, rest_costs = jaxnn.fit(NET, LOSS, START, X, Y, **how, steps=30, state=states[1])
    assert same(rest, whole)
    assert same(rest_costs, costs[20:])


def test_every_epoch_holds_every_example_once_in_its_own_order() -> None:
    order = _batches(jax.random.key(0), 10, 4, 0, 10).reshape(4, 10)
    assert all(sorted(epoch) == list(range(10)) for epoch in order)
    assert len({tuple(epoch) for epoch in order}) == 4
    np.testing.assert_array_equal(
        _batches(jax.random.key(0), 10, 4, 3, 5), order.reshape(10, 4)[3:8]
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch_size": 31}, "batch_size 31 is more than the 30 examples; choose a smaller one"),
        ({"batch_size": 0}, "expected batch_size to be at least 1"),
        ({"gradient": "backprop"}, "expected gradient to be 'hand' or 'jax'"),
    ],
)
def test_settings_that_cannot_be_are_refused(change: dict, message: str) -> None:
    how = {"optimizer": optax.sgd(1.0), "batch_size": 5, "steps": 1, "key": jax.random.key(0)}
    with pytest.raises(ValueError, match=message):
        jaxnn.fit(NET, LOSS, START, X, Y, **{**how, **change})


def test_a_learning_rate_too_high_shows_in_the_costs() -> None:
    x = 1e3 * np.ones((4, 2), np.float32)
    net = jaxnn.dense(1)
    start = net.init(jax.random.key(0), x)
    _, costs = jaxnn.gradient_descent(
        net, jaxnn.mean_squared_error, start, x, np.ones((4, 1)), learning_rate=1.0, steps=50
    )
    assert np.isfinite(costs[0])
    assert not np.isfinite(costs[-1])


RATES = {
    "float": float,
    "np.float64": np.float64,
    "np.float32": np.float32,
    "jnp.float32": jnp.float32,
    "bfloat16": lambda rate: jnp.asarray(rate, jnp.bfloat16),
    "array": np.array,
}


@pytest.mark.usefixtures("compiled_quickly")
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_rates_of_every_type_make_the_same_descent(dtype: str) -> None:
    """The rates are numbers of bfloat16, so that no type rounds them; the oracle is NumPy's."""
    net, start = jaxnn.dense(1), {"W": np.ones((1, 2), np.float32), "b": np.zeros(1, np.float32)}
    start = jax.tree.map(lambda p: jnp.asarray(p, dtype), start)
    rates = {"learning_rate": 0.125, "momentum": 0.5, "weight_decay": 0.25}
    W, b = np.ones((1, 2)), np.zeros(1)
    V, v = np.zeros((1, 2)), np.zeros(1)
    for _ in range(4):
        dZ = 2 * (X @ W.T + b - Y) / len(X)
        V, v = 0.5 * V + dZ.T @ X + 0.25 * W, 0.5 * v + dZ.sum(axis=0)
        W, b = W - 0.125 * V, b - 0.125 * v
    ends = []
    for kind in RATES.values():
        params, costs = jaxnn.gradient_descent(
            net, jaxnn.mean_squared_error, start, jnp.asarray(X, dtype), Y, steps=4,
            **{name: kind(rate) for name, rate in rates.items()},
        )  # fmt: skip
        assert params["W"].dtype == params["b"].dtype == dtype
        assert costs.shape == (4,)
        ends.append(params)
    assert all(same(end, ends[0]) for end in ends)
    tolerance = 1e-6 if dtype == "float32" else 0.02
    np.testing.assert_allclose(np.asarray(ends[0]["W"], float), W, atol=tolerance)
    np.testing.assert_allclose(np.asarray(ends[0]["b"], float), b, atol=tolerance)


@pytest.mark.usefixtures("compiled_quickly")
def test_descent_under_vmap_over_every_rate_with_narrow_parameters() -> None:
    net = jaxnn.dense(1)
    start = jax.tree.map(lambda p: p.astype(jnp.bfloat16), net.init(jax.random.key(0), X))

    def descend(rate, momentum, decay):
        return jaxnn.gradient_descent(
            net, LOSS, start, jnp.asarray(X, jnp.bfloat16), Y, learning_rate=rate,
            momentum=momentum, weight_decay=decay, steps=3,
        )[1]  # fmt: skip

    rates = jnp.array([[0.5, 0.5, 0.0], [0.25, 0.0, 0.5]])
    together = jax.vmap(descend)(*rates.T)
    for row, costs in zip(rates.tolist(), together, strict=True):
        np.testing.assert_allclose(costs, descend(*row), rtol=2e-2)


@pytest.mark.usefixtures("compiled_quickly")
def test_momentum_may_begin_after_a_plain_descent() -> None:
    how = {"learning_rate": 0.1, "chunk": 5, "progress": lambda state, _: states.append(state)}
    states: list[jaxnn.State] = []
    jaxnn.gradient_descent(NET, LOSS, START, X, Y, steps=5, **how)
    params, _ = jaxnn.gradient_descent(
        NET, LOSS, START, X, Y, steps=10, momentum=0.5, state=states[-1], **how
    )
    expected, _ = jaxnn.gradient_descent(
        NET, LOSS, states[0].params, X, Y, steps=5, momentum=0.5, learning_rate=0.1
    )
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), params, expected)


@pytest.mark.usefixtures("compiled_quickly")
@pytest.mark.parametrize("how", ["fit", "descent", "row space"])
def test_a_state_restored_leaf_by_leaf_goes_on_to_the_same_bits(how: str) -> None:
    """As a file gives it back: arrays of NumPy in the structure of the state."""
    x = RNG.normal(size=(30, 64)).astype(np.float32) if how == "row space" else X
    start, states = NET.init(jax.random.key(0), x), []

    def train(state=None):
        common = {
            "key": jax.random.key(3), "chunk": 4, "steps": 8, "state": state,
            "progress": lambda state, _: states.append(state),
        }  # fmt: skip
        if how == "fit":
            optimizer = optax.chain(optax.clip(1.0), optax.adam(0.01))
            return jaxnn.fit(NET, LOSS, start, x, Y, optimizer=optimizer, batch_size=7, **common)
        return jaxnn.gradient_descent(
            NET, LOSS, start, x, Y, learning_rate=0.1, momentum=0.9,
            in_row_space=how == "row space",
            **common,
        )  # fmt: skip

    whole, costs = train()
    leaves, structure = jax.tree.flatten(states[0])
    assert all(isinstance(leaf, (int, jax.Array, np.ndarray)) for leaf in leaves)
    for step in (np.asarray, np.int64, int):  # the step is the first leaf
        restored = [step(leaves[0]), *(np.array(leaf) for leaf in leaves[1:])]
        rest, rest_costs = train(jax.tree.unflatten(structure, restored))
        assert same(rest, whole)
        assert same(rest_costs, costs[4:])
        assert same(states[-1], states[1])
