"""Layers of sequences: tokens, states, padding; each property over one list of cases."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

import jaxnn
from jaxnn import Layer, LayerError, Masked
from jaxnn.layers import dot_product, recurrence
from jaxnn.padding import zero

pytestmark = pytest.mark.usefixtures("compiled_quickly")
KEY = jax.random.key(0)
T, N_IN = 4, 3
Draw = np.random.Generator


class Case(NamedTuple):
    """A layer, and inputs for it: a function of batch axes, number of steps and a generator."""

    layer: Layer
    inputs: Callable[[tuple[int, ...], int, Draw], Any]


def floats(batch: tuple[int, ...], steps: int, draw: Draw) -> Any:
    return draw.standard_normal((*batch, steps, N_IN))


def floats_of(n: int) -> Callable[..., Any]:
    return lambda batch, steps, draw: draw.standard_normal((*batch, steps, n))


def tokens(batch: tuple[int, ...], steps: int, draw: Draw) -> Any:
    return draw.integers(0, 7, (*batch, steps))


def mask(batch: tuple[int, ...], steps: int, draw: Draw) -> Any:
    """Holes anywhere, but a valid step in each sequence."""
    there = draw.random((*batch, steps)) < 0.6
    there[..., steps // 2 : steps // 2 + 1] = True
    return there


def holes(inputs: Callable[..., Any]) -> Callable[..., Any]:
    return lambda batch, steps, draw: Masked(inputs(batch, steps, draw), mask(batch, steps, draw))


def with_state(inputs: Callable[..., Any], states: int = 1) -> Callable[..., Any]:
    def pair(batch: tuple[int, ...], steps: int, draw: Draw) -> Any:
        h = tuple(draw.standard_normal((*batch, 2)) for _ in range(states))
        return inputs(batch, steps, draw), h if states > 1 else h[0]

    return pair


def with_memory(inputs: Callable[..., Any]) -> Callable[..., Any]:
    return lambda batch, steps, draw: (
        inputs(batch, steps, draw),
        inputs(batch, steps + (steps > 0), draw),
    )


def with_pairs(inputs: Callable[..., Any]) -> Callable[..., Any]:
    """A mask of who may look at whom; one step may look at nothing."""

    def triple(batch: tuple[int, ...], steps: int, draw: Draw) -> Any:
        x = inputs(batch, steps, draw)
        parts = x if isinstance(x, tuple) else (x,)
        pairs = draw.random((*batch, steps, steps + (len(parts) > 1))) < 0.5
        pairs[..., :1, :] = False
        return (*parts, pairs)

    return triple


CASES = {
    "embedding": Case(jaxnn.embedding(7, 2), tokens),
    "embedding, masked": Case(jaxnn.embedding(7, 2), holes(tokens)),
    "rnn, state": Case(jaxnn.rnn(2), with_state(floats)),
    "rnn, masked": Case(jaxnn.rnn(2), holes(floats)),
    "lstm, state": Case(jaxnn.lstm(2), with_state(floats, 2)),
    "lstm, masked": Case(jaxnn.lstm(2), holes(floats)),
    "lstm, masked, state": Case(jaxnn.lstm(2), with_state(holes(floats), 2)),
    "gru, state": Case(jaxnn.gru(2), with_state(floats)),
    "gru, masked": Case(jaxnn.gru(2), holes(floats)),
    "bidirectional, masked": Case(
        jaxnn.bidirectional(jaxnn.rnn(2), jaxnn.rnn(2), merge="sum"), holes(floats)
    ),
    "reverse, masked": Case(jaxnn.reverse, holes(floats)),
    "last, masked": Case(jaxnn.last, holes(floats)),
    "mean, masked": Case(jaxnn.mean, holes(floats)),
    "max_over_time, masked": Case(jaxnn.max_over_time, holes(floats)),
    "dense and tanh, masked": Case(jaxnn.serial(jaxnn.dense(2), jaxnn.tanh), holes(floats)),
    "residual, masked": Case(jaxnn.residual(jaxnn.layer_norm(), jaxnn.dense(3)), holes(floats)),
    "attention, masked": Case(jaxnn.attention(3), holes(floats)),
    "attention, causal, masked": Case(jaxnn.attention(1, causal=True), holes(floats)),
    "attention, mask": Case(jaxnn.attention(1), with_pairs(floats)),
    "attention, memory": Case(jaxnn.attention(3), with_memory(floats)),
    "attention, memory, mask, masked": Case(
        jaxnn.attention(1), with_pairs(with_memory(holes(floats)))
    ),
    "transformer, masked": Case(jaxnn.transformer_block(3, 1, n_hidden=2), holes(floats)),
    "sinusoidal positions, masked": Case(jaxnn.sinusoidal_positions, holes(floats)),
    "learned positions, masked": Case(jaxnn.learned_positions(7), holes(floats)),
    "conv1d, masked": Case(jaxnn.conv1d(2, 3), holes(floats)),
    "conv1d, causal, masked": Case(jaxnn.conv1d(2, 2, padding="CAUSAL"), holes(floats)),
    "words, masked": Case(
        jaxnn.serial(
            jaxnn.embedding(7, 3),
            jaxnn.bidirectional(jaxnn.gru(2), jaxnn.gru(2)),
            jaxnn.last,
            jaxnn.dense(2),
        ),
        holes(tokens),
    ),
}
every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())


def is_floating(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jnp.floating)


def prepared(
    case: Case, *batch: int, steps: int = T, dtype: Any = np.float32, seed: int = 1
) -> tuple[Any, Any]:
    """Parameters that are nowhere zero, and an input."""
    draw = np.random.default_rng(seed)
    convert = lambda a: jnp.asarray(a, dtype if is_floating(a) else None)  # noqa: E731
    x = jax.tree.map(convert, case.inputs(batch, steps, draw))
    like = jax.eval_shape(case.layer.init, KEY, x)
    params = jax.tree.map(lambda p: jnp.asarray(0.5 * draw.standard_normal(p.shape), p.dtype), like)
    return params, x


def some_dy(y: Any) -> Any:
    return jax.tree.map(lambda leaf: jnp.cos(3 * leaf) if is_floating(leaf) else None, y)


def gradients(layer: Layer, params: Any, x: Any) -> tuple[Any, Any]:
    y, cache = layer.forward(params, x)
    return layer.backward(params, cache, some_dy(y))


def gradients_by_jax(layer: Layer, params: Any, x: Any) -> tuple[Any, Any]:
    y, pullback = jax.vjp(layer.apply, params, x)
    dy = jax.tree.map(
        lambda leaf: (
            jnp.cos(3 * leaf) if is_floating(leaf) else np.zeros(leaf.shape, jax.dtypes.float0)
        ),
        y,
    )
    return jax.tree.map(lambda g: None if g.dtype == jax.dtypes.float0 else g, pullback(dy))


@functools.partial(jax.jit, static_argnums=0)
def both_gradients(layer: Layer, params: Any, x: Any) -> tuple[Any, Any]:
    return gradients(layer, params, x), gradients_by_jax(layer, params, x)


def assert_close(actual: Any, expected: Any, tolerance: float = 1e-5) -> None:
    assert jax.tree.structure(actual) == jax.tree.structure(expected)
    for a, b in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


# ---- what every layer has


@every_case
def test_backward_by_hand_equals_jax(case: Case, x64: None) -> None:
    params, x = prepared(case, 2, dtype=np.float64)
    by_hand, by_jax = both_gradients(case.layer, params, x)
    assert_close(by_hand, by_jax, 1e-12)


@every_case
def test_one_example_a_stack_and_vmap_agree(case: Case) -> None:
    params, x = prepared(case, 2, 3)
    run = jax.jit(lambda x: (case.layer.apply(params, x), gradients(case.layer, params, x)))
    y, (dparams, dx) = run(x)
    x_host = jax.tree.map(np.asarray, x)
    parts = [[run(jax.tree.map(lambda a: a[i, j], x_host)) for j in range(3)] for i in range(2)]  # noqa: B023
    stack = lambda *leaves: np.stack(leaves)  # noqa: E731
    rows = [jax.tree.map(stack, *row) for row in parts]
    y_each, (dparams_each, dx_each) = jax.tree.map(stack, *rows)
    assert_close((y_each, dx_each), (y, dx))
    total = lambda g: g.sum((0, 1))  # noqa: E731
    assert_close(jax.tree.map(total, dparams_each), dparams, 1e-4)
    y_vmap, (dparams_vmap, dx_vmap) = jax.vmap(jax.vmap(run))(x)
    assert_close((y_vmap, dx_vmap), (y, dx))
    assert_close(jax.tree.map(total, dparams_vmap), dparams, 1e-4)


@every_case
def test_bfloat16_in_bfloat16_out_and_float32_gradients_of_parameters(case: Case) -> None:
    params, x = prepared(case, 2)
    y = jax.jit(case.layer.apply)(params, x)
    half = lambda a: a.astype(jnp.bfloat16) if is_floating(a) else a  # noqa: E731
    of_tokens = not any(map(is_floating, jax.tree.leaves(x)))
    if of_tokens:  # no dtype to go by but that of the parameters
        params = jax.tree.map(half, params)
    x16 = jax.tree.map(half, x)

    @jax.jit
    def run(params: Any, x: Any) -> Any:
        y, cache = case.layer.forward(params, x)
        return y, case.layer.backward(params, cache, some_dy(y))

    y16, (dparams, dx) = run(params, x16)
    for a, b in zip(jax.tree.leaves(y16), jax.tree.leaves(y), strict=True):
        assert a.dtype == (jnp.bfloat16 if is_floating(b) else b.dtype)
        np.testing.assert_allclose(a.astype(b.dtype), b, rtol=0.1, atol=0.1)
    assert all(leaf.dtype == jnp.bfloat16 for leaf in jax.tree.leaves(dx))
    assert jax.tree.map(lambda a: a.dtype, dparams) == jax.tree.map(lambda a: a.dtype, params)


@every_case
def test_an_empty_batch_gives_nothing_and_gradients_of_zero(case: Case) -> None:
    params, x = prepared(case, 0)
    run = jax.jit(lambda params, x: (case.layer.apply(params, x), gradients(case.layer, params, x)))
    y, (dparams, dx) = run(params, x)
    assert all(leaf.shape[0] == 0 for leaf in jax.tree.leaves(y))
    assert all((leaf == 0).all() for leaf in jax.tree.leaves(dparams))
    assert [d.shape for d in jax.tree.leaves(dx)] == [
        a.shape for a in jax.tree.leaves(x) if is_floating(a)
    ]


@every_case
def test_one_step_is_enough_and_none_is_refused(case: Case, x64: None) -> None:
    params, x = prepared(case, 2, steps=1, dtype=np.float64)
    by_hand, by_jax = both_gradients(case.layer, params, x)
    assert_close(by_hand, by_jax, 1e-12)
    none = case.inputs((2,), 0, np.random.default_rng(1))
    try:
        y = case.layer.apply(params, none)
    except LayerError as error:
        assert "expected a sequence of at least one step" in str(error)  # noqa: PT017
    else:  # what works step by step
        assert all(leaf.shape[1] == 0 for leaf in jax.tree.leaves(y))


@every_case
def test_the_number_of_examples_may_be_open_in_an_export(case: Case) -> None:
    params, x = prepared(case, 3)
    (batch,) = export.symbolic_shape("batch")
    shapes = jax.tree.map(lambda a: jax.ShapeDtypeStruct((batch, *a.shape[1:]), a.dtype), x)

    def leaves(*x_leaves: Any) -> list[Any]:
        return jax.tree.leaves(case.layer.apply(params, jax.tree.unflatten(structure, x_leaves)))

    structure = jax.tree.structure(x)
    exported = export.export(jax.jit(leaves))(*jax.tree.leaves(shapes))
    assert_close(exported.call(*jax.tree.leaves(x)), jax.jit(leaves)(*jax.tree.leaves(x)))


@every_case
def test_init_needs_shapes_only_and_params_are_saved(case: Case, tmp_path: Any) -> None:
    _, x = prepared(case, 2)
    shapes = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), x)
    params = case.layer.init(KEY, shapes)
    assert_close(params, case.layer.init(KEY, x), 0)
    jaxnn.save(tmp_path / "params.safetensors", params)
    assert_close(jaxnn.load(tmp_path / "params.safetensors", params)[0], params, 0)
    table = jaxnn.summary(case.layer, x)
    assert table.parameters == sum(leaf.size for leaf in jax.tree.leaves(params))
    assert all(row.path in str(table) for row in table.rows)


@every_case
def test_hand_makes_jax_grad_use_the_rule(case: Case) -> None:
    params, x = prepared(case, 2)
    doubled = dataclasses.replace(
        case.layer,
        backward=lambda *args: jax.tree.map(lambda g: 2 * g, case.layer.backward(*args)),
    )

    def cost(apply: Any) -> Any:
        def total(params: Any) -> jax.Array:
            y = jax.tree.leaves(apply(params, x))
            return sum((jnp.sum(jnp.sin(leaf)) for leaf in y if is_floating(leaf)), jnp.zeros(()))

        return jax.jit(jax.grad(total))(params)

    by_jax = cost(case.layer.apply)
    assert_close(cost(jaxnn.hand(doubled)), jax.tree.map(lambda g: 2 * g, by_jax))


@pytest.mark.parametrize("name", ["rnn, masked", "lstm, state", "gru, masked"])
def test_sums_of_many_examples_are_made_step_by_step(name: str, x64: None) -> None:
    """Where that is faster on a CPU."""
    params, x = prepared(CASES[name], 16, dtype=np.float64)
    assert recurrence._by_step_pays(jnp.ones((T, 16, N_IN)), params)
    by_hand, by_jax = both_gradients(CASES[name].layer, params, x)
    assert_close(by_hand, by_jax, 1e-12)


# ---- padding

masked_cases = pytest.mark.parametrize(
    "case",
    [pytest.param(case, id=name) for name, case in CASES.items() if "masked" in name],
)


def change_padding(x: Any, to_float: float, to_token: int) -> Any:
    """Other values where the mask is False."""

    def change(part: Any) -> Any:
        if not isinstance(part, Masked):
            return part
        other = to_float if is_floating(part.values) else to_token
        there = zero(jnp.ones_like(part.values), part.mask) == 1
        return Masked(jnp.where(there, part.values, other), part.mask)

    return jax.tree.map(change, x, is_leaf=lambda part: isinstance(part, Masked))


def pad_further(x: Any, steps: int) -> Any:
    def pad(part: Any) -> Any:
        if not isinstance(part, Masked):  # a state, or who may look at whom
            more = [(0, 0)] * (part.ndim - 2) + [(0, steps)] * 2
            return part if is_floating(part) else jnp.pad(part, more, constant_values=True)
        axis = part.mask.ndim - 1
        around = lambda a: [(0, steps if i == axis else 0) for i in range(a.ndim)]  # noqa: E731
        values = jnp.pad(part.values, around(part.values), constant_values=5)
        return Masked(values, jnp.pad(part.mask, around(part.mask)))

    return jax.tree.map(pad, x, is_leaf=lambda part: isinstance(part, Masked))


def without_padding(x: Any, steps: int) -> Any:
    """``Masked`` parts without so many last steps, in outputs and gradients."""
    return jax.tree.map(
        lambda part: (
            jax.tree.map(lambda a: a[:, :-steps], part) if isinstance(part, Masked) else part
        ),
        x,
        is_leaf=lambda part: isinstance(part, Masked),
    )


@masked_cases
def test_padding_changes_nothing_and_has_gradient_zero(case: Case) -> None:
    params, x = prepared(case, 3)
    run = jax.jit(lambda x: (case.layer.apply(params, x), gradients(case.layer, params, x)))
    y, (dparams, dx) = run(x)
    spoilt_y, spoilt = run(change_padding(x, np.nan, -1))
    if case is not CASES["residual, masked"]:  # its output at padding is its input
        assert_close(spoilt_y, y, 0)
    assert_close(spoilt[0], dparams, 0)
    assert_close(spoilt[1], dx, 0) if case is not CASES["residual, masked"] else None
    for part, d in zip(*(tree if isinstance(tree, tuple) else (tree,) for tree in (x, dx)),
                       strict=False):  # fmt: skip
        if isinstance(part, Masked) and d.values is not None:
            np.testing.assert_array_equal(np.asarray(d.values)[~np.asarray(part.mask)], 0)


@masked_cases
def test_a_batch_padded_further_gives_the_same_numbers(case: Case) -> None:
    params, x = prepared(case, 3)
    run = jax.jit(lambda x: (case.layer.apply(params, x), gradients(case.layer, params, x)))
    y, (dparams, dx) = run(x)
    y_more, (dparams_more, dx_more) = run(pad_further(x, 3))
    assert_close(without_padding((y_more, dx_more), 3), (y, dx), 1e-6)
    assert_close(dparams_more, dparams, 1e-6)


def test_a_reversed_sequence_begins_at_its_last_valid_step() -> None:
    x = jaxnn.padded(jnp.arange(1.0, 9.0).reshape(2, 4, 1), jnp.array([3, 4]))
    y = jaxnn.reverse.apply((), x)
    assert y.values[..., 0].tolist() == [[3, 2, 1, 0], [8, 7, 6, 5]]
    assert y.mask.tolist() == x.mask.tolist()
    holes = Masked(x.values, jnp.array([[False, True, False, True], [True, False, True, True]]))
    assert jaxnn.reverse.apply((), holes).values[..., 0].tolist() == [[0, 4, 0, 2], [8, 0, 7, 5]]


@pytest.mark.parametrize("layer", [jaxnn.rnn(2), jaxnn.lstm(2), jaxnn.gru(2)])
def test_a_padded_batch_is_its_sequences_one_by_one(layer: Layer) -> None:
    net = jaxnn.serial(jaxnn.bidirectional(layer, layer), jaxnn.last)
    params, x = prepared(Case(net, floats), 3)
    lengths = [4, 1, 2]
    y = net.apply(params, jaxnn.padded(x, jnp.array(lengths)))
    alone = [net.apply(params, x[i, :length]) for i, length in enumerate(lengths)]
    assert_close(y, jnp.stack(alone), 1e-6)


def test_mean_and_maximum_are_over_valid_steps_only() -> None:
    x = Masked(-jnp.arange(1.0, 9.0).reshape(2, 4, 1),
               jnp.array([[False, True, False, True], [False] * 4]))  # fmt: skip
    assert jaxnn.mean.apply((), x).tolist() == [[-3], [0]]
    assert jaxnn.max_over_time.apply((), x).tolist() == [[-2], [0]]
    assert jaxnn.last.apply((), x).tolist() == [[-4], [0]]


# ---- steps


STEPS = [(jaxnn.rnn(2), jaxnn.rnn_step), (jaxnn.lstm(2), jaxnn.lstm_step),
         (jaxnn.gru(2), jaxnn.gru_step)]  # fmt: skip


@pytest.mark.parametrize(("layer", "step"), STEPS)
def test_steps_one_by_one_give_what_the_layer_gives(layer: Layer, step: Any, x64: None) -> None:
    params, x = prepared(Case(layer, floats), 2, dtype=np.float64)
    ys, state = [], None
    for t in range(T):
        y, state = step(params, x[:, t], state)
        ys.append(y)
    assert_close(jnp.stack(ys, axis=1), layer.apply(params, x), 1e-13)
    more = layer.apply(params, (x, state))  # the layer goes on from the state of a step
    assert_close(step(params, x[:, 0], state)[0], more[:, 0], 1e-13)


def test_attention_step_by_step_gives_what_the_layer_gives(x64: None) -> None:
    layer = jaxnn.attention(3, causal=True)
    params, x = prepared(Case(layer, floats), 2, dtype=np.float64)
    step = jax.jit(functools.partial(jaxnn.attention_step, heads=3))
    ys, state = [], jaxnn.key_value_cache(T, x[:, 0])
    for t in range(T):
        y, state = step(params, x[:, t], state)
        ys.append(y)
    assert_close(jnp.stack(ys, axis=1), layer.apply(params, x), 1e-13)
    assert np.isnan(step(params, x[:, 0], state)[0]).all()  # no place is left
    with pytest.raises(LayerError, match="attention_step: the state has room for 4 steps"):
        jaxnn.attention_step(params, x[:, 0], state, heads=3)
    with pytest.raises(
        LayerError, match=r"attention_step: expected a state with keys \(length, 3\), got"
    ):
        jaxnn.attention_step(params, x[0, 0], state, heads=3)


# ---- attention


@pytest.mark.parametrize("name", ["attention, masked", "attention, memory, mask, masked"])
@pytest.mark.parametrize("causal", [False, True])
def test_attention_in_blocks_is_attention_at_once(
    name: str, causal: bool, x64: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if causal and "memory" in name:
        return
    case = CASES[name]._replace(layer=jaxnn.attention(3, causal=causal))
    params, x = prepared(case, 2, steps=5, dtype=np.float64)
    run = lambda x: (case.layer.apply(params, x), gradients(case.layer, params, x))  # noqa: E731
    at_once = jax.jit(run)(x)
    monkeypatch.setattr(dot_product, "BLOCK", 2)
    assert_close(jax.jit(lambda x: run(x))(x), at_once, 1e-13)


def test_what_attention_remembers_grows_with_the_steps_and_not_with_their_square() -> None:
    layer = jaxnn.attention(2)
    params, _ = prepared(Case(layer, floats_of(4)), 1)

    def remembered(steps: int) -> int:
        x = jax.ShapeDtypeStruct((1, steps, 4), jnp.float32)
        cache = jax.eval_shape(lambda x: layer.forward(params, x)[1], x)
        return sum(leaf.size for leaf in jax.tree.leaves(cache))

    assert remembered(4096) == 4 * remembered(1024)


def test_a_step_that_may_look_at_nothing_gives_0_and_has_gradient_0() -> None:
    layer = jaxnn.attention(1)
    params, x = prepared(Case(layer, floats), 2)
    pairs = jnp.ones((T, T), bool).at[1].set(False)
    y, cache = layer.forward(params, (x, pairs))
    np.testing.assert_array_equal(y[:, 1], 0)
    assert (np.asarray(y[:, 2]) != 0).all()
    dparams, (dx, _) = layer.backward(params, cache, jnp.zeros_like(y).at[:, 1].set(1.0))
    assert all((leaf == 0).all() for leaf in jax.tree.leaves((dparams, dx)))


def test_scores_of_large_numbers_do_not_overflow() -> None:
    layer = jaxnn.attention(1)
    params, x = prepared(Case(layer, floats), 2)
    y, (dparams, dx) = layer.apply(params, 1e4 * x), gradients(layer, params, 1e4 * x)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((y, dparams, dx)))


# ---- losses


@pytest.mark.parametrize(
    ("loss", "width"),
    [
        (jaxnn.softmax_cross_entropy, 3),
        (jaxnn.mean_squared_error, 3),
        (jaxnn.binary_cross_entropy, 1),
    ],
)
def test_a_masked_loss_is_the_loss_of_the_valid_steps(
    loss: jaxnn.Loss, width: int, x64: None
) -> None:
    draw = np.random.default_rng(1)
    z, there = draw.standard_normal((2, T, width)), mask((2,), T, draw)
    y: Any = draw.integers(0, 3, (2, T)) if width == 3 else draw.random((2, T, 1))
    if loss is jaxnn.mean_squared_error:
        y = draw.standard_normal(z.shape)
    expected, dz = loss(z[there], y[there]), loss.gradient(jnp.asarray(z[there]), y[there])
    spoilt = np.where(there.reshape(2, T, *(1,) * (y.ndim - 2)), y, -1)
    z[~there] = np.nan
    of_valid = jaxnn.masked_loss(loss)
    assert of_valid is jaxnn.masked_loss(loss)
    z_array = jnp.asarray(z)
    for output, targets in [(Masked(z_array, there), spoilt), (z_array, Masked(spoilt, there))]:
        np.testing.assert_allclose(of_valid(output, targets), expected, rtol=1e-14)
        gradient = of_valid.gradient(output, targets)
        values = gradient.values if isinstance(output, Masked) else gradient
        np.testing.assert_allclose(values[there], dz, rtol=1e-13, atol=1e-16)
        np.testing.assert_array_equal(values[~there], 0)
        by_jax = jax.grad(lambda v, to=targets: of_valid(Masked(v, there), to))(z_array)
        np.testing.assert_allclose(by_jax, values, rtol=1e-13, atol=1e-16)


def test_a_masked_loss_without_steps_or_masks() -> None:
    loss = jaxnn.masked_loss(jaxnn.mean_squared_error)
    z = Masked(jnp.ones((2, 3, 1)), jnp.zeros((2, 3), bool))
    assert np.isnan(loss(z, jnp.zeros((2, 3, 1))))
    np.testing.assert_array_equal(loss.gradient(z, jnp.zeros((2, 3, 1))).values, 0)
    both = Masked(jnp.zeros((2, 3, 1)), jnp.ones((2, 3), bool).at[0].set(False))
    assert loss(Masked(z.values, ~z.mask), both) == 1
    with pytest.raises(LayerError, match=r"masked_loss\(mean_squared_error\): expected Masked"):
        loss(z.values, z.values)
    with pytest.raises(LayerError, match=r"expected output and targets with the steps \(2, 3\)"):
        loss(z, jnp.zeros((2, 4, 1)))


def test_training_on_words_of_different_lengths() -> None:
    """Which token comes last: a network of every part learns it."""
    import optax

    draw = np.random.default_rng(1)
    tokens, lengths = draw.integers(0, 3, (64, 5)), draw.integers(1, 6, 64)
    x = jaxnn.padded(tokens, lengths)
    y = tokens[np.arange(64), lengths - 1]
    net = jaxnn.serial(
        jaxnn.embedding(3, 8),
        jaxnn.sinusoidal_positions,
        jaxnn.residual(jaxnn.attention(2)),
        jaxnn.gru(8),
        jaxnn.last,
        jaxnn.dense(3),
    )
    cost_and_grads = jaxnn.value_and_grad(net, jaxnn.softmax_cross_entropy)
    optimizer = optax.adam(0.02)

    @jax.jit
    def train(params: Any) -> Any:
        def step(carry: Any, _: Any) -> Any:
            params, state = carry
            cost, grads = cost_and_grads(params, x, y)
            updates, state = optimizer.update(grads, state, params)
            return (optax.apply_updates(params, updates), state), cost

        (params, _), costs = jax.lax.scan(step, (params, optimizer.init(params)), length=60)
        return costs, net.apply(params, x)

    costs, z = train(net.init(KEY, x))
    assert costs[-1] < 0.1 * costs[0]
    assert (np.argmax(z, axis=-1) == y).mean() > 0.95


# ---- tokens


def test_tokens_that_do_not_exist_are_refused_or_become_nan() -> None:
    layer = jaxnn.embedding(3, 2)
    params = {"E": jnp.arange(6.0).reshape(3, 2)}
    for wrong in (3, -1, 2**31 - 1):
        x = jnp.array([1, wrong])
        with pytest.raises(
            LayerError, match=rf"embedding\(3, 2\): expected tokens from 0 to 2, got {wrong}"
        ):
            layer.apply(params, x)
        y, cache = jax.jit(layer.forward)(params, x)
        np.testing.assert_array_equal(y, [[2, 3], [np.nan, np.nan]])
        dparams, _ = layer.backward(params, cache, jnp.ones((2, 2)))
        assert dparams["E"].tolist() == [[0, 0], [1, 1], [0, 0]]
    for dtype in (np.uint8, np.int8, np.uint32):
        assert layer.apply(params, np.array([2], dtype)).tolist() == [[4, 5]]
    with pytest.raises(LayerError, match="expected tokens of an integer dtype, got float32"):
        layer.apply(params, jnp.ones(2))


# ---- errors


@pytest.mark.parametrize(
    ("layer", "x", "message"),
    [
        (jaxnn.lstm(2), np.ones(3), r"lstm\(2\): expected one array \(..., T, n\), got \(3,\)"),
        (jaxnn.gru(2), np.ones((4, 5)), r"gru\(2\): expected input \(..., 3\), got \(4, 5\)"),
        (jaxnn.rnn(2), np.ones((4, 3), int), r"rnn\(2\): expected input of a floating dtype, got"),
        (jaxnn.rnn(2), (np.ones((4, 3)), np.ones(3)), r"rnn\(2\): expected a state \(2,\), got"),
        (jaxnn.lstm(2), (np.ones((4, 3)), np.ones(2)), r"lstm\(2\): expected a state \(h, c\)"),
        (jaxnn.rnn(2), (np.ones((4, 3)), (np.ones(2),)), r"rnn\(2\): expected a state \(2,\), got"),
        (jaxnn.rnn(2), (np.ones((4, 3)),) * 3, r"rnn\(2\): expected an input x or \(x, state\)"),
        (jaxnn.rnn(2), Masked(np.ones((4, 3)), np.ones(4)), "expected a mask of dtype bool"),
        (jaxnn.last, Masked(np.ones((4, 3)), np.ones(3, bool)), "last: expected a mask of the"),
        (jaxnn.last, Masked(np.ones((4, 3)), np.ones((4, 3), bool)), r"last: expected a mask \(4,"),
        (jaxnn.last, np.ones((0, 3)), "last: expected a sequence of at least one step"),
        (jaxnn.dense(2), Masked(np.ones((4, 3)), np.ones(3, bool)), r"dense\(2\): expected a mask"),
        (jaxnn.attention(3), np.ones((4, 5)), r"attention\(3\): expected features that 3 heads"),
        (jaxnn.attention(3), (np.ones((4, 3)), np.ones((4, 5))), "attention.*, memory: expected"),
        (jaxnn.attention(3), (np.ones((4, 3)), np.ones((2, 4, 3))), "expected a memory with the"),
        (jaxnn.attention(3), (np.ones((4, 3)), np.ones(4, bool)), r"expected a mask \(4, 4\)"),
        (jaxnn.attention(3), (np.ones((4, 3)),) * 3, r"expected an input x, \(x, memory\)"),
        (
            jaxnn.attention(3, causal=True),
            (np.ones((4, 3)),) * 2,
            "causal attention takes no memory",
        ),
        (jaxnn.learned_positions(4), np.ones((5, 3)), "expected a sequence of at most 4 steps"),
        (jaxnn.conv1d(2, 5, padding="VALID"), np.ones((4, 3)), r"conv1d\(2\): expected a seq"),
        (
            jaxnn.conv1d(2, stride=2),
            Masked(np.ones((4, 3)), np.ones(4, bool)),
            "Masked input needs stride 1",
        ),
        (jaxnn.max_pool(2), Masked(np.ones((4, 3)), np.ones(4, bool)), r"max_pool: .* Masked of"),
    ],
)
def test_what_does_not_fit_is_named(layer: Layer, x: Any, message: str) -> None:
    like = np.ones((4, 3), np.float32)
    params = layer.init(KEY, like) if layer.name != "max_pool" else ()
    with pytest.raises(LayerError, match=message):
        layer.apply(params, x)


def test_lengths_are_checked() -> None:
    x = jnp.ones((2, 3, 1))
    for wrong in (0, 4, -1):
        with pytest.raises(LayerError, match=f"padded: expected lengths from 1 to 3, got {wrong}"):
            jaxnn.padded(x, jnp.array([1, wrong]))
    with pytest.raises(LayerError, match=r"padded: expected lengths of the batch axes of values"):
        jaxnn.padded(x, jnp.array([1, 1, 1]))
    with pytest.raises(LayerError, match="padded: expected lengths of an integer dtype"):
        jaxnn.padded(x, jnp.array([1.0, 1.0]))
