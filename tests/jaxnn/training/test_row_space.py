"""Descent in the row space of the examples is the same descent."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxnn
from jaxnn.training.row_space import is_worthwhile, row_space

RNG = np.random.default_rng(0)
X = RNG.normal(size=(9, 4, 5, 2))
X[3] = X[7]  # the examples need not be independent
Y = np.arange(9.0)[:, None] % 2
NETS = {
    "images": jaxnn.serial(jaxnn.flatten, jaxnn.dense(6), jaxnn.relu, jaxnn.dense(1)),
    "vectors": jaxnn.serial(jaxnn.dense(6), jaxnn.tanh, jaxnn.dense(1)),
    "nested": jaxnn.serial(jaxnn.serial(jaxnn.flatten, jaxnn.dense(6)), jaxnn.dense(1)),
    "logistic": jaxnn.dense(1),
}


RULES = {
    "plain": {},
    "momentum": {"momentum": 0.9},
    "decay": {"weight_decay": 0.2},
    "both": {"momentum": 0.8, "weight_decay": 0.1},
}


def close(a, b, rtol=1e-9) -> None:
    assert jax.tree.structure(a) == jax.tree.structure(b)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=rtol, atol=1e-12), a, b)


def examples(name):
    return jnp.asarray(X if name in ("images", "nested") else X.reshape(9, -1))


@pytest.mark.usefixtures("compiled_quickly")
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("gradient", ["hand", "jax"])
@pytest.mark.parametrize("name", NETS)
def test_same_costs_and_same_parameters_as_in_all_coordinates(name, gradient, rule, x64) -> None:
    net, x = NETS[name], examples(name)
    start = net.init(jax.random.key(0), x)
    how = {"learning_rate": 0.1, "steps": 60, "gradient": gradient, **RULES[rule]}
    loss = jaxnn.binary_cross_entropy
    assert is_worthwhile(net, x, 60)
    params, costs = jaxnn.gradient_descent(net, loss, start, x, Y, **how)
    whole, whole_costs = jaxnn.gradient_descent(net, loss, start, x, Y, **how, in_row_space=False)
    np.testing.assert_allclose(costs, whole_costs, rtol=1e-11)
    close(params, whole)


@pytest.mark.parametrize(
    ("examples", "directions"),
    [
        (X.reshape(9, -1), 8),
        (X.reshape(9, -1)[:1], 1),
        (np.ones((3, 20)), 1),
        (np.zeros((3, 20)), 3),
    ],
    ids=["two alike", "one", "all alike", "all 0"],
)
def test_float32_examples_are_as_exact_in_their_span_as_they_are(examples, directions) -> None:
    x = examples.astype(np.float32)
    net = jaxnn.serial(jaxnn.dense(2), jaxnn.tanh, jaxnn.dense(1))
    basis = row_space(net, x)
    assert basis.x.dtype == np.float32
    assert basis.x.shape == (len(x), directions)
    tolerance = np.finfo(np.float32).eps * np.abs(x).max()
    Q = functools.reduce(np.matmul, basis.Q)
    np.testing.assert_allclose(Q.T @ Q, np.eye(directions), rtol=0, atol=1e-7)
    np.testing.assert_allclose(basis.x @ Q.T, x, rtol=0, atol=10 * tolerance)
    start = net.init(jax.random.key(0), x)
    how = {"learning_rate": 0.1, "steps": 40}
    params, costs = jaxnn.gradient_descent(
        net, jaxnn.binary_cross_entropy, start, x, Y[: len(x)], **how, in_row_space=True
    )
    with jax.enable_x64(True):
        exact, exact_costs = jaxnn.gradient_descent(
            net,
            jaxnn.binary_cross_entropy,
            jax.tree.map(lambda p: p.astype("float64"), start),
            examples,
            Y[: len(x)],
            **how,
            in_row_space=False,
        )
    np.testing.assert_allclose(costs, exact_costs, rtol=1e-5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), params, exact)


@pytest.mark.parametrize("rule", RULES)
def test_the_update_is_that_of_numpy(rule, x64) -> None:
    x, y = X.reshape(9, -1), Y
    W, b = RNG.normal(size=(1, 40)), np.zeros(1)
    beta, decay = (RULES[rule].get(key, 0) for key in ("momentum", "weight_decay"))
    V, v = np.zeros_like(W), np.zeros_like(b)
    params, _ = jaxnn.gradient_descent(
        jaxnn.dense(1),
        jaxnn.binary_cross_entropy,
        {"W": W, "b": b},
        x,
        y,
        learning_rate=0.1,
        steps=30,
        in_row_space=True,
        **RULES[rule],
    )
    for _ in range(30):
        dZ = (1 / (1 + np.exp(-(x @ W.T + b))) - y) / len(x)
        V, v = beta * V + dZ.T @ x + decay * W, beta * v + dZ.sum(axis=0)
        W, b = W - 0.1 * V, b - 0.1 * v
    close(params, {"W": W, "b": b})


@pytest.mark.parametrize("rule", RULES)
def test_going_on_is_the_same_to_the_last_bit(rule, x64) -> None:
    net, x = NETS["images"], examples("images")
    start = net.init(jax.random.key(0), x)
    states = []
    how = {"learning_rate": 0.1, "steps": 60, "chunk": 20, **RULES[rule]}
    loss = jaxnn.binary_cross_entropy
    params, costs = jaxnn.gradient_descent(
        net, loss, start, x, Y, **how, progress=lambda state, _: states.append(state)
    )
    assert states[0].params[1]["W"].shape == (6, 40)
    assert loss(net.apply(states[0].params, x), Y) == pytest.approx(float(costs[20]), rel=1e-12)
    for state in states[:2]:
        rest, _ = jaxnn.gradient_descent(
            net, loss, start, x, Y, **how, state=state, progress=lambda *_: None
        )
        jax.tree.map(np.testing.assert_array_equal, rest, params)


def test_weight_decay_may_begin_after_a_plain_descent(x64) -> None:
    """The scale of the orthogonal part of W is in the state, also while nothing changes it."""
    net, x = NETS["vectors"], examples("vectors")
    start = net.init(jax.random.key(0), x)
    ends = []
    for in_row_space in (True, False):
        states = []
        for steps, decay in ((20, 0.0), (40, 0.2)):
            params, _ = jaxnn.gradient_descent(
                net,
                jaxnn.binary_cross_entropy,
                start,
                x,
                Y,
                learning_rate=0.1,
                steps=steps,
                weight_decay=decay,
                in_row_space=in_row_space,
                state=states[-1] if states else None,
                progress=lambda state, _, states=states: states.append(state),
            )
        ends.append(params)
    close(*ends)


def test_adam_is_another_descent_in_rotated_coordinates(x64) -> None:
    """Why ``fit`` never goes through the row space."""
    net, x = NETS["vectors"], examples("vectors")
    start = net.init(jax.random.key(0), x)
    basis = row_space(net, x)
    how = {"optimizer": optax.adam(0.01), "batch_size": 9, "steps": 60, "key": jax.random.key(0)}
    loss = jaxnn.binary_cross_entropy
    _, costs = jaxnn.fit(net, loss, start, x, Y, **how)
    _, rotated = jaxnn.fit(net, loss, basis.project(start).params, basis.x, Y, **how)
    np.testing.assert_allclose(costs[0], rotated[0], rtol=1e-12)
    assert abs(costs[-1] - rotated[-1]) > 0.01 * costs[-1]


@pytest.mark.parametrize(
    ("net", "x", "reason"),
    [
        (jaxnn.serial(jaxnn.dropout(0.1), jaxnn.dense(1)), jnp.ones((3, 20)), "dropout"),
        (jaxnn.serial(jaxnn.tanh, jaxnn.dense(1)), jnp.ones((3, 20)), "tanh, not dense"),
        (jaxnn.residual(jaxnn.dense(20)), jnp.ones((3, 20)), "residual"),
        (jaxnn.dense(1), jnp.ones((3, 20), jnp.bfloat16), "bfloat16 is not precise enough"),
        (jaxnn.dense(1), jnp.ones((3, 4, 20)), r"\(4, 20\)"),
    ],
    ids=["dropout", "tanh", "residual", "bfloat16", "axes"],
)
def test_refused_with_the_reason_where_it_is_not_exact(net, x, reason) -> None:
    assert not is_worthwhile(net, x, 1000)
    with pytest.raises(ValueError, match=reason):
        jaxnn.gradient_descent(
            net,
            jaxnn.mean_squared_error,
            net.init(jax.random.key(0), x),
            x,
            x[..., :1],
            learning_rate=0.1,
            steps=2,
            in_row_space=True,
        )


def test_not_used_by_itself_where_it_does_not_pay() -> None:
    assert is_worthwhile(jaxnn.dense(1), jnp.ones((3, 20)), 3)
    assert not is_worthwhile(jaxnn.dense(1), jnp.ones((3, 20)), 2)
    assert not is_worthwhile(jaxnn.dense(1), jnp.ones((15, 20)), 50)
