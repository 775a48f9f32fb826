"""Shapes that do not fit name the layer's path."""

from __future__ import annotations

import re
from typing import Any, cast

import jax
import jax.numpy as jnp
import pytest

import jaxnn
from jaxnn import LayerError

KEY = jax.random.key(0)


def complaint(function, *args) -> str:
    with pytest.raises(LayerError) as error:
        function(*args)
    return str(error.value)


def test_a_wrong_input_names_path_expectation_and_shape() -> None:
    net = jaxnn.serial(jaxnn.dense(20), jaxnn.relu, jaxnn.dense(7))
    params = net.init(KEY, jnp.ones((209, 12)))
    params[2]["W"] = jnp.ones((7, 19))
    assert complaint(net.apply, params, jnp.ones((209, 12))) == (
        "serial[2].dense(7): expected input (..., 19), got (209, 20)"
    )
    assert complaint(jax.jit(net.apply), params, jnp.ones((209, 11))) == (
        "serial[0].dense(20): expected input (..., 12), got (209, 11)"
    )


def test_paths_go_through_every_combinator() -> None:
    net = jaxnn.serial(
        jaxnn.tanh, jaxnn.residual(jaxnn.parallel(jaxnn.dense(3), jaxnn.flatten, merge="sum"))
    )
    assert complaint(net.init, KEY, jnp.ones((2, 3))) == (
        "serial[1].residual[0].parallel(sum)[1].flatten: expected input (..., H, W, C), got (2, 3)"
    )


def test_a_residual_body_has_to_keep_the_shape() -> None:
    net = jaxnn.residual(jaxnn.dense(4), jaxnn.dense(5))
    params = net.init(KEY, jnp.ones((2, 3)))
    assert complaint(net.apply, params, jnp.ones((2, 3))) == (
        "residual: expected its layers to keep the shape (2, 3), got (2, 5)"
    )


def test_parallel_outputs_have_to_fit_together() -> None:
    net = jaxnn.parallel(jaxnn.dense(4), jaxnn.dense(5))
    params = net.init(KEY, jnp.ones((2, 3)))
    message = complaint(net.apply, params, jnp.ones((2, 3)))
    assert message.startswith("parallel(sum)[1].dense(5): expected an output to sum with (2, 4)")


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: jaxnn.serial(), "serial: expected at least one layer"),
        (lambda: jaxnn.serial(jaxnn.relu, cast(Any, jax.nn.relu)), "serial[1]: expected a Layer"),
        (
            lambda: jaxnn.serial(cast(Any, jaxnn.dense)),
            "serial[0]: expected a Layer, got the function dense",
        ),
        (
            lambda: jaxnn.parallel(jaxnn.relu, merge=cast(Any, "mean")),
            "merge to be 'sum', 'concat' or",
        ),
        (lambda: jaxnn.dropout(1.0), "dropout(1): expected a rate in [0, 1)"),
        (lambda: jaxnn.dense(0), "dense(0): expected at least one unit"),
    ],
)
def test_nets_that_cannot_be_are_refused_when_built(build, message: str) -> None:
    with pytest.raises(LayerError, match=re.escape(message)):
        build()


def test_params_of_another_network_are_refused() -> None:
    net = jaxnn.serial(jaxnn.dense(2), jaxnn.relu)
    params = net.init(KEY, jnp.ones(3))
    assert "expected a tuple of params for 2 layers, got 1" in complaint(
        net.apply, params[:1], jnp.ones(3)
    )
    assert "serial[0].dense(2): expected params" in complaint(net.apply, ((), ()), jnp.ones(3))


def test_however_deep_a_chain_lies_in_chains_init_traces_its_layers_once() -> None:
    traced = []

    def forward(params, x, key=None):
        traced.append(x.shape)
        return x, x

    layer = jaxnn.Layer("counted", lambda key, x: (), forward, lambda params, x, dy: ((), dy))
    net = jaxnn.serial(jaxnn.serial(jaxnn.serial(layer), jaxnn.dense(2)), jaxnn.dense(1))
    net.init(jax.random.key(0), jnp.ones((5, 3)))
    assert traced == [(5, 3)]
