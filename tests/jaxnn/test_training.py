"""Descent and minibatch training: chunks, resuming, order of the data."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxnn
from jaxnn.training import _batches

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
    seen = []
    in_chunks, chunk_costs = jaxnn.gradient_descent(
        NET, LOSS, START, X, Y, **how, chunk=10, progress=lambda *args: seen.append(args)
    )
    np.testing.assert_allclose(chunk_costs, costs, rtol=1e-5)
    assert [state.step for state, _ in seen] == [10, 20, 25]
    assert [len(costs) for _, costs in seen] == [10, 10, 5]
    assert same(seen[-1][0].params, in_chunks)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4), in_chunks, params)


def test_the_first_cost_is_before_the_first_update_and_params_are_not_changed() -> None:
    before = jax.tree.map(np.array, START)
    _, costs = jaxnn.gradient_descent(NET, LOSS, START, X, Y, learning_rate=0.1, steps=2)
    assert costs[0] == pytest.approx(float(LOSS(NET.apply(START, X), Y)), rel=1e-6)
    assert same(before, START)


def test_ctrl_c_between_chunks_leaves_the_last_state_with_the_caller() -> None:
    seen = []

    def stop(state, costs):
        seen.append(state)
        if len(seen) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        jaxnn.gradient_descent(
            NET, LOSS, START, X, Y, learning_rate=0.1, steps=50, chunk=5, progress=stop
        )
    straight, _ = jaxnn.gradient_descent(NET, LOSS, START, X, Y, learning_rate=0.1, steps=10)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), seen[-1].params, straight
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
def test_plain_sgd_on_full_batches_is_gradient_descent(gradient: str) -> None:
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
        ({"batch_size": 31}, "batch_size 31 is more than the 30 examples there are"),
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
