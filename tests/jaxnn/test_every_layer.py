"""Properties that every layer has; each test runs over the whole list in layers.py."""

from __future__ import annotations

import dataclasses

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest
from layers import LAYERS, OF_OTHER_INPUTS, Case
from numpy.typing import DTypeLike

import jaxnn
from jaxnn import Layer, LayerError
from jaxnn.inspection.traversal import walk
from jaxnn.losses import Loss

pytestmark = pytest.mark.usefixtures("compiled_quickly")
every_layer = pytest.mark.parametrize("case", LAYERS.values(), ids=LAYERS.keys())


def prepared(case: Case, *batch: int, dtype: DTypeLike = np.float32):
    """Parameters that are nowhere zero, and an input; NumPy's, which compiles nothing."""
    draw = np.random.default_rng(1)
    x = draw.standard_normal((*batch, *case.shape)).astype(dtype)
    like = jax.eval_shape(case.layer.init, jax.random.key(0), jax.ShapeDtypeStruct(x.shape, dtype))
    params = jax.tree.map(lambda p: (0.5 * draw.standard_normal(p.shape)).astype(p.dtype), like)
    return jax.tree.map(jnp.asarray, (params, x))


def draw_every_size(shape: tuple[int, ...], draw: np.random.Generator) -> np.ndarray:
    """Numbers of every size between 1e-12 and 1e12, side by side."""
    return draw.choice([-1, 1], shape) * 10.0 ** draw.uniform(-12, 12, shape)


zero_loss = Loss("zero", lambda z, y: 0.0 * jnp.sum(z), lambda z, y: 0 * z)  # its row says nothing


def assert_close(actual, expected, tolerance: float = 1e-5) -> None:
    assert jax.tree.structure(actual) == jax.tree.structure(expected)
    for a, b in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


@every_layer
def test_backward_by_hand_equals_jax_and_differences(case: Case, compiled_once: None) -> None:
    params, x = prepared(case, 2)
    y = jnp.ones(jax.eval_shape(case.layer.apply, params, x).shape)
    check = jaxnn.check_gradients(case.layer, params, x, y, jaxnn.mean_squared_error)
    assert check.ok, str(check)
    # The same programs, where numbers of every size meet.
    draw = np.random.default_rng(3)
    x = draw_every_size(x.shape, draw)
    params = jax.tree.map(lambda p: draw_every_size(p.shape, draw), params)
    check = jaxnn.check_gradients(case.layer, params, x, y, zero_loss)
    assert check.ok, str(check)


@every_layer
def test_one_example_a_stack_and_vmap_agree(case: Case) -> None:
    params, x = prepared(case, 2, 3)
    apply = jax.jit(case.layer.apply)
    stacked = apply(params, x)
    each = [[apply(params, example) for example in row] for row in x]
    assert_close(stacked, jnp.array(each))
    assert_close(stacked, jax.vmap(jax.vmap(apply, (None, 0)), (None, 0))(params, x))


@every_layer
def test_backward_of_one_example_and_under_vmap_add_up_to_the_stack(case: Case) -> None:
    params, x = prepared(case, 3)

    @jax.jit
    def gradients(x):
        y, cache = case.layer.forward(params, x)
        return case.layer.backward(params, cache, jnp.cos(y))

    dparams, dx = gradients(x)
    each = [gradients(example) for example in x]
    assert_close(dparams, jax.tree.map(lambda *g: sum(g), *[dp for dp, _ in each]), 1e-4)
    assert_close(dx, jnp.array([d for _, d in each]), 1e-4)
    assert_close(
        (dparams, dx),
        jax.tree.map(
            lambda g, like: g.sum(0) if g.shape != like.shape else g,
            jax.vmap(gradients)(x),
            (dparams, dx),
        ),
        1e-4,
    )


@every_layer
def test_jit_with_all_optimizations_changes_nothing(case: Case) -> None:
    params, x = prepared(case, 2)
    key = jax.random.key(3)
    y, cache = case.layer.forward(params, x, key)
    gradients = case.layer.backward(params, cache, jnp.ones_like(y))
    jax.config.update("jax_disable_most_optimizations", False)
    y_jit, cache_jit = jax.jit(case.layer.forward)(params, x, key)
    assert_close(y_jit, y)
    assert_close(jax.jit(case.layer.backward)(params, cache_jit, jnp.ones_like(y)), gradients)


@every_layer
def test_hand_makes_jax_grad_use_the_rule(case: Case) -> None:
    params, x = prepared(case, 2)
    doubled = dataclasses.replace(
        case.layer,
        backward=lambda *args: jax.tree.map(lambda g: 2 * g, case.layer.backward(*args)),
    )

    def cost(apply):
        total = lambda params, x: jnp.sum(jnp.sin(apply(params, x)))  # noqa: E731
        return jax.jit(jax.grad(total, argnums=(0, 1)))

    by_jax = cost(case.layer.apply)(params, x)
    assert_close(cost(jaxnn.hand(case.layer))(params, x), by_jax)
    assert_close(cost(jaxnn.hand(doubled))(params, x), jax.tree.map(lambda g: 2 * g, by_jax))


@every_layer
def test_bfloat16_in_bfloat16_out_and_float32_gradients_of_parameters(case: Case) -> None:
    params, x = prepared(case, 4)

    @jax.jit
    def run(params, x):
        y, cache = case.layer.forward(params, x)
        return y, case.layer.backward(params, cache, jnp.ones_like(y))

    y = jax.jit(case.layer.apply)(params, x)
    y16, (dparams, dx) = run(params, x.astype(jnp.bfloat16))
    assert y16.dtype == jnp.bfloat16
    np.testing.assert_allclose(y16.astype(jnp.float32), y, rtol=0.1, atol=0.1)
    assert dx.dtype == jnp.bfloat16
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(dparams))


@every_layer
def test_float64_where_x64_is_on(case: Case, x64: None) -> None:
    def run(params, x):
        y, cache = case.layer.forward(params, x)
        return y, case.layer.backward(params, cache, jnp.ones_like(y))

    params, x = prepared(case, 2, dtype=np.float64)
    y, gradients = jax.eval_shape(run, params, x)
    assert all(leaf.dtype == jnp.float64 for leaf in jax.tree.leaves((params, y, gradients)))


@every_layer
@pytest.mark.parametrize("batch", [(0,), (2, 0)], ids=str)
def test_no_examples_give_no_answers_and_gradients_of_zero(case: Case, batch) -> None:
    params, x = prepared(case, *batch)
    like = jax.eval_shape(case.layer.apply, params, jnp.zeros((1, *case.shape)))

    @jax.jit
    def gradients(params, x):
        y, cache = case.layer.forward(params, x)
        return y, case.layer.backward(params, cache, y)

    y, (dparams, dx) = gradients(params, x)
    assert y.shape == (*batch, *like.shape[1:])
    assert dx.shape == x.shape
    assert_close(dparams, jax.tree.map(jnp.zeros_like, params), 0)


@every_layer
def test_a_program_for_batches_of_any_size_can_be_exported(case: Case) -> None:
    params, x = prepared(case, 2, 3)

    @jax.jit
    def gradients(params, x):
        y, cache = case.layer.forward(params, x)
        return y, case.layer.backward(params, cache, jnp.cos(y))

    (size,) = jax.export.symbolic_shape("size")
    of_any_size = jax.ShapeDtypeStruct((2, size, *case.shape), x.dtype)
    exported = jax.export.export(gradients)(params, of_any_size)
    (y1, (dparams1, dx1)), (y2, (dparams2, dx2)) = (
        exported.call(params, part) for part in (x[:, :1], x[:, 1:])
    )
    result = jnp.hstack([y1, y2]), jax.tree.map(jnp.add, dparams1, dparams2), jnp.hstack([dx1, dx2])
    y, (dparams, dx) = gradients(params, x)
    assert_close(result, (y, dparams, dx), 1e-4)


@every_layer
def test_init_needs_the_shape_only(case: Case) -> None:
    x = jnp.ones((2, *case.shape))
    key = jax.random.key(5)
    from_shape = case.layer.init(key, jax.ShapeDtypeStruct(x.shape, x.dtype))
    assert_close(from_shape, case.layer.init(key, x), 0)
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(from_shape))


@every_layer
def test_images_that_are_still_bytes_are_refused(case: Case) -> None:
    params, x = prepared(case, 2)
    with pytest.raises(LayerError, match=r"expected input of a floating dtype, got uint8"):
        case.layer.apply(params, x.astype(jnp.uint8))


@every_layer
def test_summary_counts_every_parameter(case: Case) -> None:
    params, x = prepared(case, 2)
    table = jaxnn.summary(case.layer, x)
    assert table.parameters == sum(leaf.size for leaf in jax.tree.leaves(params))
    assert table.parameters == sum(row.parameters for row in table.rows)
    assert table.rows[-1].output[0] == 2
    assert all(row.path in str(table) for row in table.rows)


@every_layer
def test_save_and_load_give_the_same_tree(case: Case, tmp_path) -> None:
    params, _ = prepared(case, 2)
    jaxnn.save(tmp_path / "params.safetensors", params, {"of": case.layer.name})
    for like in (None, params):
        loaded, metadata = jaxnn.load(tmp_path / "params.safetensors", like)
        assert_close(loaded, params, 0)
        assert metadata == {"of": case.layer.name}


def gradient_names(case: Case) -> list[str]:
    """The names of a leaf layer's parameters, and ``input``."""
    x = jax.ShapeDtypeStruct(case.shape, jnp.float32)
    params = jax.eval_shape(case.layer.init, jax.random.key(0), x)
    return [*(params if isinstance(params, dict) else ()), "input"]


def plant_mistakes(layer: Layer, names: list[str]) -> Layer:
    """The layer with one entry of each of these gradients 0.3% wrong."""

    def spoil(gradient):
        flat = gradient.reshape(-1)
        return flat.at[jnp.argmax(jnp.abs(flat))].multiply(1.003).reshape(gradient.shape)

    def backward(params, cache, dy):
        dparams, dx = layer.backward(params, cache, dy)
        if isinstance(dparams, dict):
            dparams = {k: spoil(g) if k in names else g for k, g in dparams.items()}
        return dparams, spoil(dx) if "input" in names else dx

    return dataclasses.replace(layer, backward=backward)


@pytest.mark.parametrize(
    "case", [pytest.param(c, id=name) for name, c in LAYERS.items() if not c.layer.layers]
)
def test_a_planted_mistake_is_found_in_every_gradient(case: Case) -> None:
    names = gradient_names(case)
    layer = plant_mistakes(case.layer, names)
    params, x = prepared(case, 3)
    y = jnp.ones(jax.eval_shape(layer.apply, params, x).shape)
    check = jaxnn.check_gradients(layer, params, x, y, jaxnn.mean_squared_error)
    wrong = [row.path for row in check.rows if not row.ok]
    assert sorted(wrong) == sorted(f"{layer.name}.{name}" for name in names)


@pytest.mark.parametrize(
    ("name", "leaf"),
    [("dense", "b"), ("conv", "W"), ("layer_norm", "gamma"), ("lstm", "U"), ("gelu", "input")],
)
def test_a_planted_mistake_in_a_network_is_named(name: str, leaf: str) -> None:
    """The layer with the mistake stands in the middle of a network of right ones."""
    case = LAYERS[name]
    net = jaxnn.serial(jaxnn.tanh, plant_mistakes(case.layer, [leaf]), jaxnn.tanh)
    params, x = prepared(Case(net, case.shape), 3)
    y = jnp.ones(jax.eval_shape(net.apply, params, x).shape)
    check = jaxnn.check_gradients(net, params, x, y, jaxnn.mean_squared_error)
    assert not check.ok
    assert check.culprit is not None
    assert check.culprit.path == f"serial[1].{case.layer.name}.{leaf}"
    assert f"wrong: {check.culprit.path}" in str(check)
    assert next(row.path for row in check.rows if not row.ok) == check.culprit.path


def test_the_list_is_complete() -> None:
    """Every layer the package exports, and every combinator, is in the list."""
    in_list = {
        layer.name.split("(")[0] for case in LAYERS.values() for _, layer in walk(case.layer)
    }
    constructors = {
        name
        for name, value in vars(jaxnn).items()
        if isinstance(value, Layer)
        or getattr(value, "__annotations__", {}).get("return") == "Layer"
    }
    assert constructors <= in_list | LAYERS.keys() | OF_OTHER_INPUTS
