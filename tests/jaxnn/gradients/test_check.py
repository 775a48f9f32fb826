"""The judge: it finds every wrong rule, names it, and accuses no right one, at any scale."""

# Wrong types and NumPy's arrays are passed on purpose.
# pyright: reportArgumentType=false

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from layers import LAYERS

import jaxnn
from jaxnn import Layer
from jaxnn.gradients.check import GradientCheck
from jaxnn.gradients.rounding import Rounding, round_randomly
from jaxnn.losses import Loss

pytestmark = pytest.mark.usefixtures("compiled_quickly")

SCALES = [1e-12, 1.0, 1e12]
zero = Loss("zero", lambda z, y: 0.0 * jnp.sum(z), lambda z, y: 0 * z)  # its row says nothing


def draw_params(layer: Layer, x, draw: np.random.Generator, scale: float = 1.0):
    like = jax.eval_shape(layer.init, jax.random.key(0), jax.ShapeDtypeStruct(x.shape, x.dtype))
    return jax.tree.map(lambda p: scale * draw.standard_normal(p.shape), like)


def check(layer: Layer, x, params=None, loss: Loss = zero, y=0.0) -> GradientCheck:
    x = np.asarray(x, float)
    if params is None:
        params = draw_params(layer, x, np.random.default_rng(1))
    return jaxnn.check_gradients(layer, params, x, y, loss)


def spoil(layer: Layer, mistake: Callable) -> Layer:
    """The layer with a mistake ``(dparams, dx, dy) -> (dparams, dx)`` in its rule."""

    def backward(params, cache, dy):
        return mistake(*layer.backward(params, cache, dy), dy)

    return dataclasses.replace(layer, backward=backward)


def wide(shape: tuple[int, ...], draw: np.random.Generator) -> np.ndarray:
    """Numbers of every size between 1e-12 and 1e12, side by side."""
    return draw.choice([-1, 1], shape) * 10.0 ** draw.uniform(-12, 12, shape)


# Right rules


@pytest.mark.parametrize("x_scale", [1e-12, 1e12])
@pytest.mark.parametrize("name", ["dense", "tanh", "gelu", "conv", "layer_norm", "rms_norm"])
def test_right_rules_pass_at_every_scale_of_the_input(
    name: str, x_scale: float, compiled_once: None
) -> None:
    layer, shape = LAYERS[name]
    draw = np.random.default_rng(4)
    for params_scale in [1 / x_scale, x_scale]:
        x = x_scale * draw.standard_normal((2, *shape))
        result = check(layer, x, draw_params(layer, x, draw, params_scale))
        assert result.ok, str(result)


@pytest.mark.parametrize("y_scale", SCALES)
@pytest.mark.parametrize("z_scale", SCALES)
def test_right_losses_pass_at_every_scale(z_scale: float, y_scale: float) -> None:
    draw = np.random.default_rng(5)
    z, y = z_scale * draw.standard_normal((3, 4)), y_scale * draw.standard_normal((3, 4))
    for loss, targets in [
        (jaxnn.mean_squared_error, y),
        (jaxnn.binary_cross_entropy, y),
        (jaxnn.binary_cross_entropy, (y > 0).astype(float)),
        (jaxnn.softmax_cross_entropy, y),
        (jaxnn.softmax_cross_entropy, np.array([0, 3, 1])),
    ]:
        result = check(jaxnn.identity, z, (), loss, targets)
        assert result.ok, f"{targets}\n{result}"


@pytest.mark.parametrize(
    ("layer", "x"),
    [
        (jaxnn.layer_norm(), np.full((2, 3), 0.1)),  # variance 0, but for rounding
        (jaxnn.layer_norm(), np.full((2, 3), 1e9 / 3)),
        (jaxnn.rms_norm(), np.zeros((2, 3))),
        (jaxnn.group_norm(1), np.full((1, 3, 3, 2), 1 / 3)),
        (jaxnn.layer_norm(), 1e9 + np.arange(6.0).reshape(2, 3)),  # 1e9 cancels
        (jaxnn.sigmoid, np.array([[-700.0, -40, -36, 0, 17, 36, 36.5, 37, 40, 700]])),
        (jaxnn.tanh, np.array([[-300.0, -18, -17, -9, 0, 1e-9, 15, 18.5, 19, 300]])),
        (jaxnn.softplus, np.array([[-800.0, -40, -1e-9, 0, 36, 800]])),
        (jaxnn.gelu, np.array([[-1e200, -40.0, -8, 0, 8, 40, 1e200]])),
        (jaxnn.relu, np.array([[-1.0, 0, 0, 1e-300]])),
        (jaxnn.max_pool(2), np.zeros((1, 4, 4, 2))),  # ties everywhere
        (jaxnn.max_pool(3, 1, "SAME"), np.round(np.random.default_rng(0).random((1, 5, 5, 2)))),
        (jaxnn.serial(jaxnn.dense(3), jaxnn.relu, jaxnn.dense(2)), np.zeros((2, 3))),
    ],
    ids=lambda value: value.name if isinstance(value, Layer) else "",
)
def test_right_rules_pass_where_rounding_or_kinks_decide(layer: Layer, x) -> None:
    result = check(layer, x)
    assert result.ok, str(result)


@pytest.mark.parametrize(
    "z", [[[1e3, 0.0, 0.0]], [[30.0, 0, 0]], [[0.0, 0, 0]], [[-36.5, 36.5, 37]], [[1e12, 1e12, 1]]]
)
def test_right_losses_pass_for_saturated_logits(z) -> None:
    third = np.full((1, 3), 1 / 3)
    for loss, y in [
        (jaxnn.softmax_cross_entropy, np.array([0])),
        (jaxnn.softmax_cross_entropy, np.array([2])),
        (jaxnn.softmax_cross_entropy, third),
        (jaxnn.binary_cross_entropy, np.array([[1.0, 0, 1]])),
        (jaxnn.binary_cross_entropy, third),
    ]:
        result = check(jaxnn.identity, z, (), loss, y)
        assert result.ok, f"{loss} {y}\n{result}"


ONE_OVER_COSH = dataclasses.replace(
    jaxnn.tanh,
    forward=lambda params, x, key=None: (jnp.tanh(x), x),
    backward=lambda params, x, dy: ((), dy / jnp.cosh(x) ** 2),
)


def test_a_right_rule_in_another_form_than_jax_finds_passes_where_that_one_has_no_digits() -> None:
    """1 − tanh² = 1 / cosh²: the first has no digit left at 18, the second all."""
    result = check(ONE_OVER_COSH, [[0.5, 3.0, 10.0, 16.0, 17.5, 18.0, 18.7, 19.0, 40.0, -18.0]], ())
    assert result.ok, str(result)


def test_a_sum_over_many_examples_passes() -> None:
    draw = np.random.default_rng(0)
    result = check(jaxnn.dense(1), draw.standard_normal((20_000, 2)))
    assert result.ok, str(result)


def test_scales_of_the_users_data_pass() -> None:
    """Unix times beside small numbers, targets in the millions."""
    params = {"W": np.array([[0.5, -0.25]]), "b": np.zeros(1)}
    for x, y in [
        ([[1.70e9, 0.3], [1.71e9, -0.7]], [[1.0], [0.0]]),
        ([[0.1, 0.3], [0.2, -0.7]], [[3.1e6], [2.9e6]]),
    ]:
        result = check(jaxnn.dense(1), x, params, jaxnn.mean_squared_error, y)
        assert result.ok, str(result)


# Wrong rules


def multiply(leaf: str, where, factor: float) -> Callable:
    """One part of one gradient a little too large."""

    def mistake(dparams, dx, dy):
        if leaf == "input":
            return dparams, dx.at[where].multiply(factor)
        return {**dparams, leaf: dparams[leaf].at[where].multiply(factor)}, dx

    return mistake


DENSE_MISTAKES = {
    "an entry of W by 5%": ("W", multiply("W", (1, 2), 1.05)),
    "an entry of W by 1e-6": ("W", multiply("W", (1, 2), 1 + 1e-6)),
    "an entry of b by 1e-6": ("b", multiply("b", 0, 1 + 1e-6)),
    "an entry of x by 1e-6": ("input", multiply("input", (1, 0), 1 + 1e-6)),
    "a column of W": ("W", multiply("W", (slice(None), 1), 1.05)),
    "a row of W": ("W", multiply("W", 0, 1.05)),
    "sign": ("input", lambda dp, dx, dy: (dp, -dx)),
    "mean in place of sum": ("b", lambda dp, dx, dy: ({**dp, "b": dp["b"] / len(dy)}, dx)),
    "transposed": ("W", lambda dp, dx, dy: ({**dp, "W": dp["W"].T}, dx)),
    "wrong axis": ("b", lambda dp, dx, dy: ({**dp, "b": jnp.sum(dy, axis=1)}, dx)),
    "one example left out": ("b", lambda dp, dx, dy: ({**dp, "b": jnp.sum(dy[1:], axis=0)}, dx)),
    "dy left out": ("b", lambda dp, dx, dy: ({**dp, "b": jnp.full(3, 3.0)}, dx)),
    "dy clipped": ("b", lambda dp, dx, dy: ({**dp, "b": jnp.sum(dy.clip(-9, 9), axis=0)}, dx)),
}


@pytest.mark.parametrize("mistake", DENSE_MISTAKES)
def test_a_mistake_in_a_dense_layer_is_found_at_every_scale(
    mistake: str, compiled_once: None
) -> None:
    leaf, wrong = DENSE_MISTAKES[mistake]
    layer, draw = spoil(jaxnn.dense(3), wrong), np.random.default_rng(6)
    for x in (wide((3, 3), draw), *(scale * draw.standard_normal((3, 3)) for scale in SCALES)):
        result = check(layer, x)
        assert [row.path for row in result.rows if not row.ok] == [f"dense(3).{leaf}"], str(result)


@pytest.mark.parametrize(
    ("name", "leaf", "mistake"),
    [
        ("conv", "W", lambda dp, dx, dy: ({**dp, "W": jnp.roll(dp["W"], 1, axis=0)}, dx)),
        ("conv", "input", lambda dp, dx, dy: (dp, jnp.roll(dx, 1, axis=2))),
        ("average_pool", "input", lambda dp, dx, dy: (dp, 4 * dx)),
        ("layer_norm", "gamma", multiply("gamma", 3, 1 + 1e-6)),
        ("layer_norm", "input", multiply("input", (0, 1), 1 + 1e-6)),
        ("sigmoid", "input", multiply("input", (1, 4), 1.05)),
    ],
)
def test_a_mistake_in_another_layer_is_found_at_every_scale(
    name: str, leaf: str, mistake: Callable, compiled_once: None
) -> None:
    right, shape = LAYERS[name]
    layer = spoil(right, mistake)
    for scale in SCALES:
        x = scale * np.random.default_rng(7).standard_normal((2, *shape))
        if name == "sigmoid":
            x = x.clip(-25, 25)  # beyond, the derivative has no digits
        result = check(layer, x)
        wrong = [row.path.split(".")[-1] for row in result.rows if not row.ok]
        assert wrong == [leaf], str(result)


def test_a_small_column_beside_a_large_one_is_found() -> None:
    draw = np.random.default_rng(0)
    for big in [1.0, 1e6, 1.7e9, 1e12]:
        x = np.stack([big * (1 + 0.01 * draw.random(8)), draw.standard_normal(8)], 1)
        result = check(spoil(jaxnn.dense(1), multiply("W", (0, 1), 1.05)), x)
        assert result.culprit is not None
        assert result.culprit.path == "dense(1).W"
        assert result.culprit.jax_error == pytest.approx(0.05, rel=1e-3)


def test_a_term_that_the_mean_of_layer_norm_adds_is_missed() -> None:
    """dx = r (dx̂ − mean(dx̂) − x̂ mean(dx̂ x̂)) without its mean(dx̂)."""

    def without_mean(dparams, dx, dy):
        return dparams, dx - jnp.mean(dx + dy, axis=-1, keepdims=True)

    result = check(spoil(jaxnn.layer_norm(), without_mean), 1e9 + np.arange(8.0).reshape(2, 4))
    assert result.culprit is not None
    assert result.culprit.path == "layer_norm.input"


def test_at_ties_and_kinks_another_convention_than_jaxs_is_found() -> None:
    def to_all(params, cache, dy):  # every pixel that is largest gets all of dy
        x, y = cache
        ups = [jnp.repeat(jnp.repeat(a, 2, axis=1), 2, axis=2) for a in (y, dy)]
        return (), jnp.where(x == ups[0], ups[1], 0)

    pool = dataclasses.replace(jaxnn.max_pool(2), backward=to_all)
    assert check(pool, np.random.default_rng(0).standard_normal((1, 4, 4, 2))).ok
    assert not check(pool, np.zeros((1, 4, 4, 2))).ok

    one_at_zero = dataclasses.replace(jaxnn.relu, backward=lambda p, a, da: ((), da * (a >= 0)))
    assert not check(one_at_zero, [[0.0, 1.0]], ()).ok


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize(
    "loss",
    [jaxnn.mean_squared_error, jaxnn.binary_cross_entropy, jaxnn.softmax_cross_entropy],
    ids=str,
)
def test_a_mistake_in_a_loss_is_found(loss: Loss, scale: float) -> None:
    def gradient(z, y):
        dz = loss.gradient(z, y)
        return dz.at[1, 2].multiply(1.05)

    draw = np.random.default_rng(8)
    z, y = scale * draw.standard_normal((3, 4)), scale * draw.standard_normal((3, 4))
    result = check(jaxnn.identity, z, (), dataclasses.replace(loss, gradient=gradient), y)
    assert [row.path for row in result.rows if not row.ok] == [f"{loss.name} dZ.input"]


# A forward pass whose derivative JAX is told wrongly, and a rule that agrees with it


@jax.custom_jvp
def doubled_derivative(x):
    return jnp.sin(x)


doubled_derivative.defjvp(lambda x, dx: (jnp.sin(x[0]), 2 * jnp.cos(x[0]) * dx[0]))


@pytest.mark.parametrize("scale", [1e-3, 1.0])
@pytest.mark.parametrize(
    ("function", "derivative"),
    [
        (doubled_derivative, lambda x: 2 * jnp.cos(x)),
        (lambda x: x * jax.lax.stop_gradient(x), lambda x: x),
        (lambda x: jax.lax.stop_gradient(3 * x), jnp.zeros_like),
        (lambda x: x + jax.lax.stop_gradient(jnp.sign(x) - x), jnp.ones_like),
        (lambda x: x.at[:, 3].set(jax.lax.stop_gradient(x[:, 3])), lambda x: x * 0 + MASK),
    ],
    ids=["custom_jvp", "a factor", "everything", "straight through", "one column"],
)
def test_a_forward_pass_that_hides_its_derivative_is_found(function, derivative, scale) -> None:
    layer = Layer(
        "hiding",
        lambda key, x: (),
        lambda params, x, key=None: (function(x), x),
        lambda params, x, dy: ((), dy * derivative(x)),
    )
    x = scale * np.random.default_rng(9).standard_normal((2, 40))
    [row, *_] = check(layer, x, ()).rows
    assert row.jax_error < 1e-9
    assert not row.ok
    assert "jax.vjp agrees" in row.note


MASK = np.where(np.arange(40) == 3, 0.0, 1.0)[None]


def test_where_differences_decide_nothing_the_table_says_so_and_jax_decides() -> None:
    wrong = spoil(jaxnn.sigmoid, multiply("input", (0, 1), 1.05))
    for layer, ok in [(jaxnn.sigmoid, True), (wrong, False)]:
        [row, *_] = check(layer, [[40.0, -1e9, 50.0]] if ok else [[20.0, -700, 50]], ()).rows
        assert row.ok == ok
    [row, *_] = (result := check(ONE_OVER_COSH, [[18.9, 20.0, 25.0]], ())).rows
    assert np.isnan(row.differences_error)
    assert "–  pass  no differences" in str(result)


# Rules that give something else than a gradient

DENSE = jaxnn.dense(3)
right = DENSE.backward


def raising(error: Exception) -> Callable:
    def function(*args, **kwargs):
        raise error

    return function


BROKEN_BACKWARD = {
    "dx of a wrong shape": (
        lambda p, c, dy: (right(p, c, dy)[0], right(p, c, dy)[1].T),
        ".input",
        "backward gives an array of shape (4, 2), expected shape (2, 4)",
    ),
    "dx alone": (
        lambda p, c, dy: right(p, c, dy)[1],
        "",
        "backward gives an array of shape (2, 4), expected a pair (dparams, dx)",
    ),
    "None": (lambda *_: None, "", "backward gives None, expected a pair (dparams, dx)"),
    "three": (
        lambda p, c, dy: (*right(p, c, dy), dy),
        "",
        "backward gives a tuple of 3, expected a pair (dparams, dx)",
    ),
    "dparams None": (
        lambda p, c, dy: (None, right(p, c, dy)[1]),
        ".params",
        "backward gives None, expected a dict of W, b",
    ),
    "dx None": (
        lambda p, c, dy: (right(p, c, dy)[0], None),
        ".input",
        "backward gives None, expected shape (2, 4)",
    ),
    "a missing key": (
        lambda p, c, dy: ({"W": right(p, c, dy)[0]["W"]}, right(p, c, dy)[1]),
        ".b",
        "backward gives nothing, expected an array of shape (3,)",
    ),
    "another key": (
        lambda p, c, dy: ({**right(p, c, dy)[0], "c": dy}, right(p, c, dy)[1]),
        ".c",
        "backward gives an array of shape (2, 3), expected nothing",
    ),
    "a tuple for a dict": (
        lambda p, c, dy: (tuple(right(p, c, dy)[0].values()), right(p, c, dy)[1]),
        ".params",
        "backward gives a tuple of 2, expected a dict of W, b",
    ),
    "integers": (
        lambda p, c, dy: (right(p, c, dy)[0], right(p, c, dy)[1].astype(int)),
        ".input",
        "backward gives int64, expected float64",
    ),
    "an exception": (
        raising(IndexError("tuple index out of range")),
        "",
        "backward raises IndexError: tuple index out of range",
    ),
    "too few arguments": (
        lambda params, cache: ((), cache),
        "",
        "backward raises TypeError: <lambda>() takes 2 positional arguments but 3 were given",
    ),
    "NaN": (
        lambda p, c, dy: (right(p, c, dy)[0], jnp.nan * dy @ p["W"]),
        ".input",
        "not finite, by hand or by jax.vjp",
    ),
}


@pytest.mark.parametrize("broken", BROKEN_BACKWARD)
def test_a_rule_that_gives_no_gradient_is_named_and_all_other_layers_are_checked(
    broken: str,
) -> None:
    backward, leaf, note = BROKEN_BACKWARD[broken]
    layer = dataclasses.replace(DENSE, backward=backward)
    x = np.random.default_rng(0).standard_normal((2, 4))
    result = check(jaxnn.serial(jaxnn.tanh, layer, jaxnn.dense(1)), x)
    assert result.culprit is not None
    assert (result.culprit.path, result.culprit.note) == (f"serial[1].dense(3){leaf}", note)
    assert f"FAIL  {note}" in str(result)
    passed = [row.path for row in result.rows if row.ok]
    assert {"serial[0].tanh.input", "serial[2].dense(1).W", "serial[2].dense(1).input"} <= {*passed}
    assert result.rows[-2].path.startswith("serial")  # the network's own row is there too


BROKEN_FORWARD = {
    "no cache": (
        lambda p, x, key=None: DENSE.apply(p, x),
        "forward gives an array of shape (2, 3), expected a pair (y, cache)",
    ),
    "None": (lambda p, x, key=None: None, "forward gives None, expected a pair (y, cache)"),
    "an exception": (raising(KeyError("W")), "forward raises KeyError: 'W'"),
    "no key": (
        lambda p, x: DENSE.forward(p, x),
        "forward raises TypeError: <lambda>() takes 2 positional arguments but 3 were given",
    ),
    "Python's if": (
        lambda p, x, key=None: DENSE.forward(p, x if x.sum() > 0 else -x),
        "forward raises TracerBoolConversionError: "
        "Attempted boolean conversion of traced array with shape bool[].",
    ),
}


@pytest.mark.parametrize("broken", BROKEN_FORWARD)
def test_a_forward_pass_that_fails_is_named_and_what_cannot_be_checked_says_so(
    broken: str,
) -> None:
    forward, note = BROKEN_FORWARD[broken]
    layer = dataclasses.replace(DENSE, forward=forward)
    net = jaxnn.serial(jaxnn.tanh, jaxnn.residual(layer), jaxnn.dense(1))
    right_net = jaxnn.serial(jaxnn.tanh, jaxnn.dense(3), jaxnn.dense(1))
    x = np.random.default_rng(0).standard_normal((2, 4))
    first, own, last = draw_params(right_net, x, np.random.default_rng(1))
    result = check(net, x, (first, (own,), last))
    path = "serial[1].residual[0].dense(3)"
    assert result.culprit is not None
    assert (result.culprit.path, result.culprit.note) == (path, note)
    rows = {row.path: row for row in result.rows}
    assert rows["serial[0].tanh.input"].ok
    for skipped in ["serial[2].dense(1)", "zero dZ"]:
        assert not rows[skipped].ok
        assert rows[skipped].note == f"not checked: {path} gives no output"
    assert not any(row.ok for name, row in rows.items() if name != "serial[0].tanh.input")


def test_an_output_of_integers_is_named() -> None:
    layer = Layer("argmax", lambda k, x: (), lambda p, x, key=None: (x.argmax(-1), x), raising)
    assert check(layer, np.ones((2, 3)), ()).rows[0] == check(layer, np.ones((2, 3)), ()).rows[0]
    assert (
        "expected an output of a floating dtype" in check(layer, np.ones((2, 3)), ()).rows[0].note
    )


def test_a_list_for_a_tuple_is_named() -> None:
    layer = Layer(
        "affine",
        lambda key, x: (jnp.ones(()), jnp.ones(())),
        lambda params, x, key=None: (params[0] * x + params[1], x),
        lambda params, x, dy: ([jnp.sum(dy * x), jnp.sum(dy)], params[0] * dy),
    )
    result = check(layer, np.ones((2, 3)), (2.0, 0.5))
    assert result.culprit is not None
    assert result.culprit.path == "affine.params"
    assert result.culprit.note == "backward gives a list of 2, expected a tuple of 2"
    assert [row.ok for row in result.rows] == [False, True, True, True, True]


def test_a_loss_that_gives_no_number_or_no_gradient_is_named() -> None:
    z, y = np.ones((2, 3)), np.zeros((2, 3))
    mse = jaxnn.mean_squared_error
    for value, gradient, note in [
        (lambda z, y: (z - y) ** 2, mse.gradient, "the loss gives shape (2, 3), expected one"),
        (mse.value, lambda z, y: None, "backward gives None, expected shape (2, 3)"),
        (mse.value, lambda z, y: jnp.ones(3), "an array of shape (3,), expected shape (2, 3)"),
        (mse.value, raising(ValueError("no")), "backward raises ValueError: no"),
        (raising(ValueError("no")), mse.gradient, "forward raises ValueError: no"),
    ]:
        result = check(jaxnn.identity, z, (), Loss("mine", value, gradient), y)
        assert result.culprit is not None
        assert result.culprit.path.startswith("mine dZ")
        assert note in result.culprit.note


def test_a_list_of_params_stays_a_list_and_a_list_of_numbers_is_an_array() -> None:
    layer = Layer(
        "affine",
        lambda key, x: [jnp.ones(()), jnp.ones(())],
        lambda params, x, key=None: (params[0] * x + params[1], x),
        lambda params, x, dy: ([jnp.sum(dy * x), jnp.sum(dy)], params[0] * dy),
    )
    mse = jaxnn.mean_squared_error
    result = jaxnn.check_gradients(layer, [2.0, 0.5], [[1.0, 2.0]], [[0.0, 3.0]], mse)
    assert result.ok, str(result)
    assert [row.shape for row in result.rows] == [(), (), (1, 2), (1, 2)]


# Inputs that are no array of numbers

EMBED = Layer(
    "embed",
    lambda key, x: {"E": jnp.ones((5, 3))},
    lambda params, x, key=None: (params["E"][x], x),
    lambda params, x, dy: ({"E": jnp.zeros((5, 3)).at[x].add(dy)}, None),
)


def test_integers_have_no_gradient() -> None:
    tokens, params = np.array([[0, 4, 4], [1, 2, 0]]), {"E": np.ones((5, 3))}
    check_it = lambda layer: jaxnn.check_gradients(layer, params, tokens, 0.0, zero)  # noqa: E731
    right = check_it(EMBED)
    assert right.ok, str(right)
    assert right.rows[1][:2] == ("embed.input", (2, 3))
    float0 = lambda dp, dx, dy: (dp, np.zeros((2, 3), jax.dtypes.float0))  # noqa: E731
    assert check_it(spoil(EMBED, float0)).ok
    wrong = check_it(spoil(EMBED, lambda dp, dx, dy: (dp, dy[..., 0])))
    assert wrong.culprit is not None
    assert wrong.culprit.path == "embed.input"
    assert "expected None: int64 has no gradient" in wrong.culprit.note
    net = jaxnn.serial(EMBED, jaxnn.dense(2))
    dense = {"W": np.ones((2, 3)), "b": np.zeros(2)}
    inside = jaxnn.check_gradients(net, (params, dense), tokens, 0.0, zero)
    assert inside.ok, str(inside)
    assert "serial.input" in [row.path for row in inside.rows]
    twice = check_it(spoil(EMBED, multiply("E", (4, 1), 1.05)))  # token 4 comes twice
    assert twice.culprit is not None
    assert twice.culprit.path == "embed.E"


def test_integers_among_params_have_no_gradient() -> None:
    layer = Layer(
        "shift",
        lambda key, x: {"by": jnp.array(1), "scale": jnp.ones(())},
        lambda p, x, key=None: (p["scale"] * jnp.roll(x, p["by"], -1), (p, x)),
        lambda p, cache, dy: (
            {"by": None, "scale": jnp.sum(dy * jnp.roll(cache[1], p["by"], -1))},
            p["scale"] * jnp.roll(dy, -p["by"], -1),
        ),
    )
    x = np.random.default_rng(0).standard_normal((2, 3))
    result = jaxnn.check_gradients(layer, {"by": 1, "scale": 2.0}, x, 0.0, zero)
    assert result.ok, str(result)


@pytest.mark.parametrize("wrong", [False, True])
def test_pytrees_in_and_out(wrong: bool) -> None:
    product = Layer(
        "product",
        lambda key, x: (),
        lambda p, x, key=None: ({"y": x[0] * x[1]["b"], "mask": x[1]["mask"]}, x),
        lambda p, x, dy: (
            (),
            (dy["y"] * x[1]["b"], {"b": (1.05 if wrong else 1) * dy["y"] * x[0], "mask": None}),
        ),
    )
    draw = np.random.default_rng(0)
    x = draw.standard_normal(3), {"b": draw.standard_normal(3), "mask": np.array([1, 0, 1])}
    nothing = Loss(
        "zero", lambda z, y: 0 * z["y"].sum(), lambda z, y: {"y": 0 * z["y"], "mask": None}
    )
    result = jaxnn.check_gradients(product, (), x, 0.0, nothing)
    names = [row.path for row in result.rows]
    assert names[:3] == ["product.input[0]", "product.input[1].b", "product.input[1].mask"]
    assert [row.ok for row in result.rows] == [True, not wrong, *[True] * (len(names) - 2)]


@pytest.mark.parametrize("shape", [(0, 4), (2, 0, 4)])
def test_empty_leaves_do_not_crash(shape: tuple[int, ...]) -> None:
    params = {"W": np.ones((3, 4)), "b": np.ones(3)}, ()
    result = check(jaxnn.serial(jaxnn.dense(3), jaxnn.tanh), np.ones(shape), params)
    assert result.ok, str(result)


# JAX's own switches


@pytest.mark.parametrize(
    "switch",
    [
        lambda: jax.numpy_dtype_promotion("strict"),
        lambda: jax.debug_key_reuse(True),
    ],
    ids=["strict promotion", "key reuse"],
)
def test_under_jaxs_strict_switches(switch) -> None:
    params, x = [{"W": np.ones((2, 3)), "b": np.ones(2)}, ()], np.ones((2, 3))
    with switch():
        net = jaxnn.serial(jaxnn.dense(2), jaxnn.dropout(0.4))
        result = jaxnn.check_gradients(net, params, x, 0.0, zero, jax.random.key(1))
    assert result.ok, str(result)


def test_a_nan_is_a_row_where_jax_raises_on_nans() -> None:
    not_a_number = spoil(jaxnn.tanh, lambda dparams, dx, dy: (dparams, 0 * dx / (0 * dx)))
    with jax.debug_nans(True):
        result = check(not_a_number, np.ones((1, 2)), ())
    assert result.culprit is not None
    assert result.culprit.note == "not finite, by hand or by jax.vjp"


# Random rounding


@pytest.mark.parametrize("name", ["dense", "conv, as a stem", "max_pool", "group_norm", "dropout"])
def test_a_run_without_errors_computes_what_the_function_does(name: str, x64: None) -> None:
    layer, shape = LAYERS[name]
    draw = np.random.default_rng(0)
    x = draw.standard_normal((2, *shape))
    params = draw_params(layer, x, draw)

    def run(params, x):
        y, pull = jax.vjp(lambda p, x: layer.apply(p, x, jax.random.key(0)), params, x)
        return y, pull(jnp.cos(y))

    again = jax.jit(round_randomly(run))
    exact, expected = again(Rounding(0.0, np.uint32(1)), params, x), jax.jit(run)(params, x)
    for a, b in zip(jax.tree.leaves(exact), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)
    other = again(Rounding(1e-6, np.uint32(1)), params, x)
    changes = [
        jnp.abs(a - b).max() for a, b in zip(*map(jax.tree.leaves, (exact, other)), strict=True)
    ]
    assert all(0 <= change < 1e-3 for change in changes)
    assert name in ("max_pool", "dropout") or min(changes) > 1e-8


def test_a_function_that_a_rule_calls_may_change_between_two_checks() -> None:
    """As in a notebook: the layer is the same object, the function has a new definition."""
    factors = [3.0]
    square = Layer(
        "square",
        lambda key, x: (),
        lambda params, x, key=None: (x**2, x),
        lambda params, x, dy: ((), factors[-1] * x * dy),
    )
    assert not check(square, np.ones((2, 3)), ()).ok
    factors.append(2.0)
    assert check(square, np.ones((2, 3)), ()).ok
