"""Descent in the span of the examples is the same descent."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnn
from jaxnn.span import span
from jaxnn.training import _descend

RNG = np.random.default_rng(0)
X = RNG.normal(size=(9, 4, 5, 2))
X[3] = X[7]  # the examples need not be independent
Y = np.arange(9.0)[:, None] % 2
NETS = {
    "pictures": jaxnn.serial(jaxnn.flatten, jaxnn.dense(6), jaxnn.relu, jaxnn.dense(1)),
    "vectors": jaxnn.serial(jaxnn.dense(6), jaxnn.tanh, jaxnn.dense(1)),
    "nested": jaxnn.serial(jaxnn.serial(jaxnn.flatten, jaxnn.dense(6)), jaxnn.dense(1)),
    "logistic": jaxnn.dense(1),
}


@pytest.mark.parametrize("gradient", ["hand", "jax"])
@pytest.mark.parametrize("name", NETS)
def test_same_costs_and_same_parameters_as_in_all_coordinates(name, gradient, x64) -> None:
    net = NETS[name]
    x = jnp.asarray(X if name in ("pictures", "nested") else X.reshape(9, -1))
    start = net.init(jax.random.key(0), x)
    assert span(net, x, 60) is not None
    loss = jaxnn.binary_cross_entropy
    params, costs = jaxnn.gradient_descent(
        net, loss, start, x, Y, learning_rate=0.3, steps=60, gradient=gradient
    )
    whole, whole_costs = _descend(net, loss, gradient, 60, start, x, jnp.asarray(Y), 0.3, None, 0)
    np.testing.assert_allclose(costs, whole_costs, rtol=1e-12)
    assert jax.tree.structure(params) == jax.tree.structure(whole)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12), params, whole
    )


def test_progress_sees_parameters_of_the_network_itself(x64) -> None:
    net, x = NETS["pictures"], jnp.asarray(X)
    start = net.init(jax.random.key(0), x)
    states = []
    how = {"learning_rate": 0.3, "steps": 60, "chunk": 20}
    loss = jaxnn.binary_cross_entropy
    params, costs = jaxnn.gradient_descent(
        net, loss, start, x, Y, **how, progress=lambda state, _: states.append(state)
    )
    assert states[0].params[1]["W"].shape == (6, 40)
    assert loss(net.apply(states[0].params, x), Y) == pytest.approx(float(costs[20]), rel=1e-12)
    rest, _ = jaxnn.gradient_descent(net, loss, start, x, Y, **how, state=states[1])
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9), rest, params)


@pytest.mark.parametrize(
    ("net", "x", "steps"),
    [
        (jaxnn.serial(jaxnn.dropout(0.1), jaxnn.dense(1)), jnp.ones((3, 20)), 50),
        (jaxnn.serial(jaxnn.tanh, jaxnn.dense(1)), jnp.ones((3, 20)), 50),
        (jaxnn.residual(jaxnn.dense(20)), jnp.ones((3, 20)), 50),
        (jaxnn.dense(1), jnp.ones((15, 20)), 50),
        (jaxnn.dense(1), jnp.ones((3, 20)), 2),
        (jaxnn.dense(1), jnp.ones((3, 20), jnp.bfloat16), 50),
    ],
    ids=["dropout", "tanh", "residual", "many examples", "few steps", "bfloat16"],
)
def test_not_used_where_it_is_not_exact_or_does_not_pay(net, x, steps) -> None:
    assert span(net, x, steps) is None
