"""Where numbers get rough: nothing but zeros or 255s, logits of 1e4, denormals, one example."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from layers import LAYERS, Case

import jaxnn

pytestmark = pytest.mark.usefixtures("compiled_quickly")
PATTERN = np.array([1.0, -1.0, -1.0, 1.0, -1.0], np.float32)
FILLS = {
    "all 0": 0 * PATTERN,
    "all 255": 255 + 0 * PATTERN,
    "±1e4": 1e4 * PATTERN,
    "denormal": np.float32(1e-40) * PATTERN,
}
every_layer = pytest.mark.parametrize("case", LAYERS.values(), ids=LAYERS.keys())
every_fill = pytest.mark.parametrize("fill", FILLS.values(), ids=FILLS.keys())
both_dtypes = pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])


def filled(shape: tuple[int, ...], fill: np.ndarray) -> np.ndarray:
    return np.resize(fill, shape)


def assert_finite(tree) -> None:
    for leaf in jax.tree.leaves(tree):
        assert np.isfinite(np.asarray(leaf, np.float64)).all()


def assert_close_where_finite(result, expected, dtype) -> None:
    """What is computed in bfloat16 is close for its size, not entry by entry."""
    for a, b in zip(jax.tree.leaves(result), jax.tree.leaves(expected), strict=True):
        a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
        known = np.isfinite(b)
        size = np.abs(b[known]).max(initial=0) + 1e-30
        tolerance = 1e-5 if dtype == jnp.float32 else 0.05
        np.testing.assert_allclose(a[known] / size, b[known] / size, atol=tolerance)


# Where these are saturated, their gradients are small differences of equal numbers: in few digits
# both rules give little but rounding.  ``test_sequences.py`` compares them in float64.
ONLY_ROUNDING = ("rnn", "attention")


@every_layer
@both_dtypes
def test_layers_and_their_rules_are_finite_and_right(case: Case, dtype) -> None:
    """The batch is one example; dy is finite and so has everything else to be."""
    shape = (1, *case.shape)
    params = case.layer.init(jax.random.key(0), jnp.zeros(shape))

    @jax.jit
    def gradients(params, x, key):
        y, cache = case.layer.forward(params, x, key)
        dy = jnp.cos(jnp.arange(y.size)).reshape(y.shape).astype(y.dtype)
        _, by_jax = jax.vjp(lambda params, x: case.layer.apply(params, x, key), params, x)
        return y, case.layer.backward(params, cache, dy), by_jax(dy)

    for fill in FILLS.values():
        x = jnp.asarray(filled(shape, fill), dtype)
        y, by_hand, by_jax = gradients(params, x, jax.random.key(1))
        assert_finite((y, by_hand))
        if not case.layer.name.startswith(ONLY_ROUNDING):
            assert_close_where_finite(by_hand, by_jax, dtype)


def has_weights(case: Case) -> bool:
    x = jax.ShapeDtypeStruct((1, *case.shape), jnp.float32)
    return bool(jax.tree.leaves(jax.eval_shape(case.layer.init, jax.random.key(0), x)))


@pytest.mark.parametrize("name", [name for name, case in LAYERS.items() if has_weights(case)])
def test_layers_of_weights_that_are_all_alike_are_finite(name: str) -> None:
    """Standardized filters have then nothing left but their mean, which is taken off."""
    case = LAYERS[name]
    x = jnp.asarray(filled((1, *case.shape), FILLS["±1e4"]))
    params = case.layer.init(jax.random.key(0), x)

    @jax.jit
    def gradients(params, x):
        y, cache = case.layer.forward(params, x)
        return y, case.layer.backward(params, cache, jnp.ones_like(y))

    for weight in (0.0, 1e-40):
        assert_finite(gradients(jax.tree.map(lambda p: jnp.full_like(p, weight), params), x))  # noqa: B023


LOSSES = {
    "binary_cross_entropy": lambda classes: classes,
    "softmax_cross_entropy": lambda classes: classes,
    "softmax_cross_entropy, indices": lambda classes: classes.argmax(-1),
    "mean_squared_error": lambda classes: classes,
}


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("examples", [1, 5])
@both_dtypes
def test_losses_of_one_class_and_their_rules_are_finite_and_right(
    name: str, examples: int, dtype
) -> None:
    loss = getattr(jaxnn, name.split(",")[0])
    both = jax.jit(lambda z, y: (loss(z, y), loss.gradient(z, y), jax.grad(loss)(z, y)))
    for fill in FILLS.values():
        z = jnp.asarray(filled((examples, 3), fill), dtype)
        for of_class in range(3):
            y = LOSSES[name](jnp.zeros((examples, 3)).at[:, of_class].set(1))
            cost, by_hand, by_jax = both(z, y)
            assert_finite((cost, by_hand))
            assert_close_where_finite(by_hand, by_jax, dtype)
            assert cost >= 0


DENSE = jaxnn.serial(jaxnn.flatten, jaxnn.dense(4), jaxnn.relu, jaxnn.dense(1))
IMAGE = jaxnn.serial(
    jaxnn.conv(4, standardize=True), jaxnn.gelu, jaxnn.max_pool(), jaxnn.group_norm(2),
    jaxnn.residual(jaxnn.rms_norm(), jaxnn.dense(4)), jaxnn.dropout(0.5),
    jaxnn.global_average_pool, jaxnn.dense(1),
)  # fmt: skip
NETWORKS = {"dense": DENSE, "image": IMAGE}


@functools.cache
def trained(network: str, examples: int, dtype, how: str):
    """A training of three steps as a function of x and y alone, so that it compiles once."""
    net, loss, key = NETWORKS[network], jaxnn.binary_cross_entropy, jax.random.key(1)
    start = net.init(jax.random.key(0), jnp.zeros((4, 4, 3)))
    if how == "fit":
        return lambda x, y: jaxnn.fit(
            net, loss, start, x, y, optimizer=optax.adam(0.01), batch_size=examples, steps=3,
            key=key,
        )  # fmt: skip
    return lambda x, y: jaxnn.gradient_descent(
        net,
        loss,
        start,
        x,
        y,
        learning_rate=0.01,
        steps=3,
        in_row_space=how == "row space",
        key=key,
    )


@pytest.mark.parametrize(
    ("network", "examples", "dtype", "how"),
    [
        ("dense", 1, jnp.float32, "descent"),
        ("dense", 3, jnp.float32, "row space"),
        ("dense", 3, jnp.bfloat16, "fit"),
        ("image", 1, jnp.float32, "fit"),
        ("image", 3, jnp.bfloat16, "descent"),
    ],
)
@every_fill
@pytest.mark.parametrize("label", [0.0, 1.0])
def test_trainings_on_one_class_stay_finite(network, examples, dtype, how, fill, label) -> None:
    x = jnp.asarray(filled((examples, 4, 4, 3), fill), dtype)
    params, costs = trained(network, examples, dtype, how)(x, np.full((examples, 1), label))
    assert_finite((params, costs))
    assert costs.shape == (3,)


def test_no_examples_are_refused() -> None:
    x, y = np.zeros((0, 2), np.float32), np.zeros((0, 1), np.float32)
    net = jaxnn.dense(1)
    start = net.init(jax.random.key(0), x)
    loss = jaxnn.binary_cross_entropy
    with pytest.raises(ValueError, match="expected at least one example"):
        jaxnn.gradient_descent(net, loss, start, x, y, learning_rate=0.1, steps=2)
    with pytest.raises(ValueError, match="batch_size 1 is more than the 0 examples"):
        jaxnn.fit(
            net, loss, start, x, y, optimizer=optax.sgd(0.1), batch_size=1, steps=2,
            key=jax.random.key(0),
        )  # fmt: skip
