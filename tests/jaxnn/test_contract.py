"""What a layer is: a value, of pytrees, that is sliced, shared, pickled and compiled once."""

from __future__ import annotations

import dataclasses
import pickle
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnn
from jaxnn import Layer, LayerError

pytestmark = pytest.mark.usefixtures("compiled_quickly")
KEY = jax.random.key(0)


def normal(*shape: int, seed: int = 1) -> jax.Array:
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape), jnp.float32)


def assert_gradients_equal_jax(net: Layer, params: Any, x: Any) -> None:
    """The rule by hand against ``jax.vjp`` of the forward pass, in the floating leaves."""
    y, pullback = jax.vjp(lambda params, x: net.apply(params, x), params, x)
    dy = jax.tree.map(jnp.cos, y)
    dparams, dx = net.backward(params, net.forward(params, x)[1], dy)
    by_jax = jax.tree.map(
        lambda g: None if g.dtype == jax.dtypes.float0 else g, pullback(dy)
    )  # None is JAX's empty tree, as it is ours for integer leaves
    assert jax.tree.structure((dparams, dx)) == jax.tree.structure(by_jax)
    for a, b in zip(jax.tree.leaves((dparams, dx)), jax.tree.leaves(by_jax), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


# ---- slices


def test_slices_of_a_chain_are_networks_of_the_same_slices_of_params() -> None:
    net = jaxnn.serial(jaxnn.dense(4), jaxnn.tanh, jaxnn.dense(2))
    x = normal(5, 3)
    params = net.init(KEY, x)
    features = net[:-1].apply(params[:-1], x)
    np.testing.assert_array_equal(net[-1:].apply(params[-1:], features), net.apply(params, x))
    assert len(net) == 3
    assert net[-1] is net.layers[-1]
    assert [layer.name for layer in net] == ["dense(4)", "tanh", "dense(2)"]
    with pytest.raises(LayerError, match="serial: expected at least one layer"):
        net[3:]


# ---- pytrees


def lookup(n_out: int) -> Layer:
    """Tokens (...) of an integer dtype to rows of a table: a layer whose dx is None."""

    def forward(params: Any, x: jax.Array, key: Any = None) -> tuple[jax.Array, jax.Array]:
        return params["E"][x], x

    def backward(params: Any, x: jax.Array, dy: jax.Array) -> tuple[Any, None]:
        return {"E": jnp.zeros_like(params["E"]).at[x].add(dy)}, None

    init = lambda key, x: {"E": jax.random.normal(key, (7, n_out))}  # noqa: E731
    return Layer("lookup", init, forward, backward)


def test_an_image_and_numbers_and_tokens_go_through_one_network() -> None:
    net = jaxnn.serial(
        jaxnn.each(jaxnn.global_average_pool, jaxnn.dense(2), lookup(3), merge="concat"),
        jaxnn.residual(jaxnn.dense(8), jaxnn.tanh),
        jaxnn.parallel(jaxnn.dense(1), jaxnn.dense(2), merge="tuple"),
        jaxnn.each(jaxnn.tanh, jaxnn.identity),
    )
    x = (normal(5, 4, 4, 3), normal(5, 6), jnp.arange(5))
    params = net.init(KEY, jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), x))
    y = jax.jit(net.apply)(params, x)
    assert [part.shape for part in y] == [(5, 1), (5, 2)]
    assert_gradients_equal_jax(net, params, x)
    table = jaxnn.summary(net, x)
    assert table.rows[-1].output == (5, 2)
    assert table.parameters == sum(leaf.size for leaf in jax.tree.leaves(params))


def test_two_inputs_of_equal_shape_are_never_stacked() -> None:
    x = (normal(2, 3), normal(2, 3, seed=2))
    with pytest.raises(LayerError, match=r"tanh: expected one array.* got a tuple of \(2, 3\), "):
        jaxnn.tanh.apply((), x)
    net = jaxnn.each(jaxnn.tanh, jaxnn.relu, merge="sum")
    np.testing.assert_allclose(
        net.apply(((), ()), x), np.tanh(x[0]) + np.maximum(x[1], 0), rtol=1e-6
    )
    with pytest.raises(LayerError, match=r"each\(sum\): expected a tuple of 2 inputs, got"):
        net.apply(((), ()), x[0])


def test_tokens_on_two_paths_keep_the_gradient_none() -> None:
    net = jaxnn.parallel(lookup(3), lookup(3))
    x = jnp.array([1, 4, 4])
    assert_gradients_equal_jax(net, net.init(KEY, x), x)


# ---- shared weights


def test_tied_layers_have_one_set_of_params_and_the_sum_of_their_gradients() -> None:
    dense = jaxnn.dense(4)
    plain = jaxnn.serial(dense, jaxnn.tanh, dense, jaxnn.tanh, dense)
    net = jaxnn.tied(plain, (0, 2, 4))
    x = normal(5, 4)
    params = net.init(KEY, x)
    assert params[1:] == ((), (), (), ())
    full = (params[0], (), params[0], (), params[0])
    np.testing.assert_array_equal(net.apply(params, x), plain.apply(full, x))
    dparams, _ = net.backward(params, net.forward(params, x)[1], jnp.ones((5, 4)))
    of_each, _ = plain.backward(full, plain.forward(full, x)[1], jnp.ones((5, 4)))
    total = jax.tree.map(lambda *g: sum(g), of_each[0], of_each[2], of_each[4])
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), dparams[0], total)
    assert_gradients_equal_jax(net, params, x)
    assert jaxnn.check_gradients(net, params, x, x, jaxnn.mean_squared_error).ok


def test_one_array_can_be_tied_to_another_layers() -> None:
    """The output of a language model looks with the table that its input was looked up in."""
    net = jaxnn.tied(jaxnn.serial(lookup(3), jaxnn.tanh, jaxnn.dense(7)), ((0, "E"), (2, "W")))
    x = jnp.array([[1, 4, 4]])
    params = net.init(KEY, x)
    assert jax.tree.map(jnp.shape, params) == ({"E": (7, 3)}, (), {"b": (7,)})
    assert_gradients_equal_jax(net, params, x)


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ((), "tied: expected groups of two or more places"),
        (((0,),), "tied: expected groups of two or more places"),
        (((0, 5),), r"tied: no params at \(5,\)"),
        (((0, 2),), "tied: expected params of equal shapes at"),
        ((((0, "W"), (0, "V")),), r"tied: no params at \(0, 'V'\)"),
    ],
)
def test_places_that_do_not_fit_are_named(groups: Any, message: str) -> None:
    chain = jaxnn.serial(jaxnn.dense(4), jaxnn.tanh, jaxnn.dense(2))
    with pytest.raises(LayerError, match=message):
        jaxnn.tied(chain, *groups).init(KEY, normal(5, 4))


# ---- the time axis


def elman(n: int) -> Layer:
    """The cell h' = tanh(W x + U h), which gives h' twice: as output and as state."""

    def init(key: Any, x: Any) -> Any:
        return {"W": normal(n, x[0].shape[-1]), "U": normal(n, n, seed=2) / 2}

    def forward(params: Any, x: Any, key: Any = None) -> Any:
        x_t, h = x
        new = jnp.tanh(x_t @ params["W"].T + h @ params["U"].T)
        return (new, new), (x_t, h, new)

    def backward(params: Any, cache: Any, dy: Any) -> Any:
        x_t, h, new = cache
        dz = (dy[0] + dy[1]) * (1 - new**2)
        rows = lambda a: a.reshape(-1, a.shape[-1])  # noqa: E731
        dparams = {"W": rows(dz).T @ rows(x_t), "U": rows(dz).T @ rows(h)}
        return dparams, (dz @ params["W"], dz @ params["U"])

    return Layer("elman", init, forward, backward)


def recurrent() -> Layer:
    return jaxnn.scan(elman(3), lambda x: jnp.zeros((*x.shape[:-1], 3), x.dtype))


@pytest.mark.parametrize("batch", [(), (2,), (2, 3)])
def test_scan_is_the_loop_written_out(batch: tuple[int, ...]) -> None:
    layer, x = recurrent(), normal(*batch, 5, 4)
    params = layer.init(KEY, x)
    h, ys = np.zeros((*batch, 3)), []
    for t in range(5):
        h = np.tanh(np.asarray(x)[..., t, :] @ params["W"].T + h @ params["U"].T)
        ys.append(h)
    np.testing.assert_allclose(layer.apply(params, x), np.stack(ys, axis=-2), rtol=1e-4, atol=1e-6)
    assert_gradients_equal_jax(layer, params, x)


def test_scan_goes_on_from_a_state_that_the_input_brings() -> None:
    layer, x = recurrent(), normal(2, 6, 4)
    params = layer.init(KEY, x)
    whole = layer.apply(params, x)
    first = layer.apply(params, x[:, :2])
    rest = layer.apply(params, (x[:, 2:], first[:, -1]))
    np.testing.assert_allclose(rest, whole[:, 2:], rtol=1e-6)
    assert_gradients_equal_jax(layer, params, (x[:, 2:], first[:, -1]))
    without = jaxnn.scan(elman(3))
    np.testing.assert_array_equal(without.apply(params, (x[:, 2:], first[:, -1])), rest)
    with pytest.raises(LayerError, match=r"scan\(elman\): expected an input \(x, state\), or a"):
        without.apply(params, x)


def test_scan_says_what_is_wrong_with_its_input_or_cell() -> None:
    layer = recurrent()
    with pytest.raises(LayerError, match=r"scan\(elman\): expected an input \(..., T, n\) with a"):
        layer.init(KEY, normal(4))
    wrong = jaxnn.scan(jaxnn.Layer("one", lambda key, x: (), lambda p, x, key=None: (x[0], ()),
                                   lambda p, c, dy: ((), dy)), jnp.zeros_like)  # fmt: skip
    with pytest.raises(LayerError, match=r"one: expected an output \(y, state\)"):
        wrong.apply((), normal(5, 4))


# ---- values


def build() -> Layer:
    return jaxnn.serial(
        jaxnn.conv(1, (3, 3), padding=((1, 1), (1, 1))),
        jaxnn.relu,
        jaxnn.max_pool(2),
        jaxnn.flatten,
        jaxnn.residual(jaxnn.layer_norm(), jaxnn.dropout(0.1)),
        jaxnn.tied(jaxnn.serial(jaxnn.dense(4), jaxnn.gelu, jaxnn.dense(n_out=4)), (0, 2)),
        jaxnn.parallel(jaxnn.dense(1), jaxnn.dense(1), merge="sum"),
    )


def compilations(work: Callable[[], Any]) -> int:
    """How many programs XLA compiles for some work."""
    count = 0

    def listen(event: str, duration_secs: float, **_: Any) -> None:
        nonlocal count
        count += event == "/jax/core/compile/backend_compile_duration"

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        work()
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
    return count


def test_equal_networks_are_one_and_compile_once() -> None:
    assert build() is build()
    assert jaxnn.dense(3) is jaxnn.dense(n_out=3)
    assert jaxnn.dense(3) != jaxnn.dense(4)
    x, y = normal(4, 4, 4, 1), jnp.ones((4, 1))
    params = build().init(KEY, x)

    def descend() -> Any:
        return jaxnn.gradient_descent(
            build(), jaxnn.mean_squared_error, params, x, y, learning_rate=0.1, steps=2
        )

    assert compilations(lambda: descend()) > 0  # the count sees what is compiled
    assert compilations(lambda: descend()) == 0


def test_layers_can_be_pickled() -> None:
    net = build()
    assert pickle.loads(pickle.dumps(net)) is net
    for layer in (jaxnn.relu, jaxnn.flatten, jaxnn.global_average_pool):
        assert pickle.loads(pickle.dumps(layer)) is layer


def test_a_layer_with_another_rule_is_not_pickled_as_the_one_it_was_made_from() -> None:
    changed = dataclasses.replace(jaxnn.dense(3), backward=lambda *args: None)
    assert changed != jaxnn.dense(3)
    with pytest.raises((AttributeError, pickle.PicklingError)):
        pickle.dumps(changed)


def test_calling_a_layer_says_how_it_is_applied() -> None:
    with pytest.raises(TypeError, match=r"apply it with dense\(3\).apply\(params, x\)"):
        jaxnn.dense(3)({}, jnp.ones(2))
    with pytest.raises(TypeError, match=r"relu is a layer, not a function: use it without \(\)"):
        jaxnn.relu()
