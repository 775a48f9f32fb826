"""Windows over images: sums in 16 bits, windows of many pixels, and arguments that are refused."""

from __future__ import annotations

import itertools
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

import jaxnn
from jaxnn import Layer, LayerError
from jaxnn.kernels.conv.forms import FORMS
from jaxnn.kernels.geometry import Geometry

pytestmark = pytest.mark.usefixtures("compiled_quickly")
NO_PADS = ((0, 0), (0, 0))
EXACT = {jnp.bfloat16: 2.0**-8, jnp.float16: 2.0**-11}  # one rounding to the nearest number
both_dtypes = pytest.mark.parametrize("dtype", EXACT, ids=["bfloat16", "float16"])


def windows(x: np.ndarray, k, s=(1, 1), pads=NO_PADS, fill: float = 0.0) -> np.ndarray:
    """What every window sees of x (N, H, W, C), in float64: (N, H', W', C, h, w)."""
    padded = np.pad(np.asarray(x, np.float64), ((0, 0), *pads, (0, 0)), constant_values=fill)
    return sliding_window_view(padded, k, (1, 2))[:, :: s[0], :: s[1]]


def gradients(layer: Layer, params: Any, x: np.ndarray, dy: np.ndarray, dtype: Any):
    """y, dparams and dx as NumPy's float64; x and dy are exact in the dtype."""

    @jax.jit
    def both(params, x, dy):
        y, cache = layer.forward(params, x)
        return y, *layer.backward(params, cache, dy)

    y, dparams, dx = both(params, jnp.asarray(x, dtype), jnp.asarray(dy, dtype))
    assert y.dtype == dx.dtype == dtype
    return jax.tree.map(lambda a: np.asarray(a, np.float64), (y, dparams, dx))


def outputs(layer: Layer, params: Any, x: np.ndarray) -> tuple[int, ...]:
    return jax.eval_shape(layer.apply, params, jnp.zeros(x.shape)).shape


# Kernels of every form on a CPU: window, stride, input channels, output channels, groups.
CONVOLUTIONS = {
    "depthwise": ((3, 3), (1, 1), 4, 4, 4),
    "depthwise, of many places": ((17, 17), (1, 1), 2, 2, 2),
    "grouped": ((3, 3), (1, 1), 4, 6, 2),
    "winograd": ((3, 3), (1, 1), 16, 16, 1),
    "blocks": ((4, 4), (2, 2), 3, 5, 1),
    "patches": ((3, 2), (1, 1), 16, 3, 1),
    "xla": ((5, 5), (1, 1), 3, 4, 1),
}


def test_every_form_is_among_the_convolutions() -> None:
    def form(k, s, n_in, n_out, groups):
        geometry = Geometry(s, NO_PADS, groups)
        return next(
            i for i, f in enumerate(FORMS) if f.applies((*k, n_in // groups, n_out), geometry)
        )

    assert {form(*case) for case in CONVOLUTIONS.values()} == set(range(len(FORMS)))


def by_numpy(x, W, b, dy, s, groups):
    """y, dW, db and dx of a convolution without padding, by the formulas."""
    *k, c, n_out = W.shape
    n, p, q, _ = dy.shape
    patches = windows(x, k, s).reshape(n, p, q, groups, c, *k)
    W, dy = W.reshape(*k, c, groups, -1), dy.reshape(n, p, q, groups, -1)
    y = np.einsum("npqgcij,ijcgo->npqgo", patches, W).reshape(n, p, q, n_out) + b
    dW = np.einsum("npqgcij,npqgo->ijcgo", patches, dy).reshape(*k, c, n_out)
    dseen, dx = np.einsum("npqgo,ijcgo->npqgcij", dy, W), np.zeros(x.shape)
    for i, j in np.ndindex(*k):
        window_places = dx[:, i : i + s[0] * p : s[0], j : j + s[1] * q : s[1]]
        window_places += dseen[..., i, j].reshape(n, p, q, groups * c)
    return y, dW, dy.sum((0, 1, 2)).ravel(), dx


def of_a_form(name: str, batch: int, values, weights, dvalues):
    """A convolution of that form, its parameters, x and dy, of numbers drawn from few."""
    k, s, n_in, n_out, groups = CONVOLUTIONS[name]
    layer = jaxnn.conv(n_out, k, s, NO_PADS, groups)
    draw = np.random.default_rng(0)
    x = draw.choice(values, (batch, 19, 20, n_in))
    W, b = draw.choice(weights, (*k, n_in // groups, n_out)), draw.choice(weights, n_out)
    params = {"W": jnp.asarray(W, jnp.float32), "b": jnp.asarray(b, jnp.float32)}
    dy = draw.choice(dvalues, outputs(layer, params, x))
    return layer, params, x, dy, by_numpy(x, W, b, dy, s, groups)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("name", CONVOLUTIONS)
@both_dtypes
def test_convolutions_of_16_bits_round_once(name: str, batch: int, dtype) -> None:
    case = of_a_form(name, batch, [1.0, 2.0, -1.0, 3.0], [1.0, 0.5, 2.0], [1.0, 2.0, -0.5, 4.0])
    layer, params, x, dy, (y, dW, db, dx) = case
    result_y, dparams, result_dx = gradients(layer, params, x, dy, dtype)
    np.testing.assert_allclose(result_y, y, rtol=EXACT[dtype], atol=1e-4)
    np.testing.assert_allclose(result_dx, dx, rtol=EXACT[dtype], atol=1e-4)
    np.testing.assert_allclose(dparams["W"], dW, rtol=1e-5, atol=1e-3)
    np.testing.assert_allclose(dparams["b"], db, rtol=1e-6)


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolutions_of_float16_do_not_overflow_on_the_way(name: str) -> None:
    """60000 − 60000 + …: already sums of two such numbers are more than float16 has."""
    case = of_a_form(name, 2, [6e4, -6e4], [1.0], [6e4, -6e4])
    layer, params, x, dy, (y, dW, db, dx) = case
    result_y, dparams, result_dx = gradients(layer, params, x, dy, jnp.float16)
    for result, exact in ((result_y, y), (result_dx, dx)):
        known = np.abs(exact) < 65000
        assert known.any()
        np.testing.assert_allclose(result[known], exact[known], rtol=1e-3, atol=2)
    np.testing.assert_allclose(dparams["W"], dW, rtol=1e-5, atol=1e-6 * np.abs(dW).max())
    np.testing.assert_allclose(dparams["b"], db, rtol=1e-5)


LARGE = [(17, 1), (20, 3), ((5, 40), (1, 2)), (2, 2), (3, 1)]


def pooled(layer: Layer, x: np.ndarray, dy_of, dtype):
    dy = dy_of(outputs(layer, (), x))
    y, _, dx = gradients(layer, (), x, dy, dtype)
    return dy, y, dx


@pytest.mark.parametrize(("window", "stride"), LARGE, ids=str)
@both_dtypes
def test_means_of_16_bits_round_once(window, stride, dtype) -> None:
    k, s = np.broadcast_to(window, 2), np.broadcast_to(stride, 2)
    x = np.random.default_rng(0).choice([255.0, 254.0, 1.0], (2, 44, 45, 2))
    layer = jaxnn.average_pool(window, stride)
    draw = np.random.default_rng(1)
    dy, y, dx = pooled(layer, x, lambda shape: draw.choice([1.0, 200.0], shape), dtype)
    expected = windows(x, k, s).mean((4, 5))
    np.testing.assert_allclose(y, expected, rtol=EXACT[dtype])
    expected = np.zeros(x.shape)
    for p, q in np.ndindex(*dy.shape[1:3]):
        i, j = p * s[0], q * s[1]
        expected[:, i : i + k[0], j : j + k[1]] += dy[:, p : p + 1, q : q + 1] / (k[0] * k[1])
    np.testing.assert_allclose(dx, expected, rtol=EXACT[dtype], atol=1e-7)


@pytest.mark.parametrize(("window", "stride"), LARGE, ids=str)
@pytest.mark.parametrize("pads", [NO_PADS, ((1, 1), (0, 1))], ids=["unpadded", "padded"])
@both_dtypes
def test_what_the_largest_pixels_are_given_is_summed_in_float32(
    window, stride, pads, dtype
) -> None:
    """Few different numbers, so that many windows have several largest pixels."""
    k, s = np.broadcast_to(window, 2), np.broadcast_to(stride, 2)
    x = np.random.default_rng(0).integers(0, 3, (2, 42, 43, 2)).astype(float)
    x[:, 20, 22] = 3
    layer = jaxnn.max_pool(window, stride, pads)
    draw = np.random.default_rng(1)
    dy, y, dx = pooled(layer, x, lambda shape: draw.choice([1.0, 150.0, -100.0], shape), dtype)
    patches = windows(x, k, s, pads, -np.inf)
    np.testing.assert_array_equal(y, patches.max((4, 5)))
    first = patches.reshape(*dy.shape, -1).argmax(-1)
    expected = np.zeros(np.add(x.shape, (0, sum(pads[0]), sum(pads[1]), 0)))
    for n, p, q, c in np.ndindex(*dy.shape):
        i, j = np.unravel_index(first[n, p, q, c], k)
        expected[n, p * s[0] + i, q * s[1] + j, c] += dy[n, p, q, c]
    (above, _), (left, _) = pads
    expected = expected[:, above : above + 42, left : left + 43]
    np.testing.assert_allclose(dx, expected, rtol=EXACT[dtype], atol=1e-6)


def test_global_means_of_float16_do_not_overflow() -> None:
    """255 on 320×320 pixels; there are more pixels than float16 has numbers for."""
    x, dy = np.full((1, 320, 320, 1), 255.0), np.full((1, 1), 60000.0)
    y, _, dx = gradients(jaxnn.global_average_pool, (), x, dy, jnp.float16)
    assert y == 255
    np.testing.assert_allclose(dx, 60000 / 320**2, rtol=EXACT[jnp.float16])


def test_parameters_of_16_bits_get_sums_of_32_bits() -> None:
    """Also those of standardized filters, whose squares are too small for float16."""
    layer = jaxnn.conv(16, standardize=True)
    draw = np.random.default_rng(0)
    x, W = draw.normal(size=(2, 9, 9, 16)), draw.normal(scale=1e-3, size=(3, 3, 16, 16))
    half = {"W": jnp.asarray(W, jnp.float16), "b": jnp.zeros(16, jnp.float16)}
    full = jax.tree.map(lambda p: p.astype(jnp.float32), half)
    dy = np.ones((2, 9, 9, 16))
    y, dparams, _ = gradients(layer, half, x, dy, jnp.float32)
    y_full, dparams_full, _ = gradients(layer, full, x, dy, jnp.float32)
    np.testing.assert_allclose(y, y_full, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(dparams["b"], dparams_full["b"])
    size = np.abs(dparams_full["W"]).max()
    np.testing.assert_allclose(dparams["W"] / size, dparams_full["W"] / size, atol=1e-3)


@pytest.mark.parametrize(
    "layer",
    [
        jaxnn.max_pool(32, 1),
        jaxnn.max_pool(33, 7, "SAME"),
        jaxnn.average_pool(32, 1),
        jaxnn.average_pool(32),
        jaxnn.conv(2, 32, groups=2),
    ],
    ids=repr,
)
def test_programs_of_large_windows_are_short(layer: Layer) -> None:
    """Their length, and so the time to compile, does not grow with the number of places."""
    x = jax.ShapeDtypeStruct((2, 40, 40, 2), jnp.float32)
    params = jax.eval_shape(layer.init, jax.random.key(0), x)

    def both(params, x):
        y, cache = layer.forward(params, x)
        return layer.backward(params, cache, y)

    assert len(str(jax.make_jaxpr(both)(params, x)).splitlines()) < 500


def test_max_pool_refuses_windows_of_nothing_but_padding_and_no_others() -> None:
    """Every small geometry, against what NumPy's windows see."""
    for k, s, lo, hi, size in itertools.product(
        (1, 2, 3), (1, 2, 3, 4), range(4), range(4), (1, 4)
    ):
        if size + lo + hi < k:
            continue
        pads = ((0, 0), (lo, hi))
        x = jax.ShapeDtypeStruct((1, 1, size, 1), jnp.float32)
        layer = jaxnn.max_pool((1, k), (1, s), pads)
        patches = windows(np.ones((1, 1, size, 1)), (1, k), (1, s), pads, -np.inf)
        if np.isfinite(patches.max((4, 5))).all():
            assert jax.eval_shape(layer.apply, (), x).shape == patches.shape[:4]
        else:
            with pytest.raises(LayerError, match=r"max_pool: .*pad by less than the window"):
                jax.eval_shape(layer.apply, (), x)


@pytest.mark.parametrize(("k", "s"), [*itertools.product([1, 2, 3, 4], [1, 2, 3, 5])])
def test_same_padding_is_never_refused(k: int, s: int) -> None:
    for size in (1, 2, 5, 6):
        x = jax.ShapeDtypeStruct((1, size, size, 1), jnp.float32)
        n = -(-size // s)
        assert jax.eval_shape(jaxnn.max_pool(k, s, "SAME").apply, (), x).shape == (1, n, n, 1)


def test_a_convolution_of_padding_alone_is_the_bias() -> None:
    layer = jaxnn.conv(1, 2, 2, ((2, 2), (2, 2)))
    params = {"W": jnp.ones((2, 2, 1, 1)), "b": jnp.full(1, 7.0)}
    y = layer.apply(params, jnp.ones((2, 2, 1)))[..., 0]
    np.testing.assert_array_equal(y, [[7, 7, 7], [7, 11, 7], [7, 7, 7]])


WRONG_SIZES = [0, -1, 2.0, True, None, "3", (2,), (2, 2, 2), (2, 0), (2, 1.5), np.float32(2)]
WRONG_PADS = [
    "same", 1, 1.5, None, (1, 1), ((1, 1),), ((1, 1), (1,)), ((1, 1), (1, -1)),
    ((1, 1), (1, 0.5)), ((1, 1), (True, 1)), ((1, 1), (1, 1), (1, 1)),
]  # fmt: skip
WRONG_COUNTS = [0, -2, 1.0, True, None, "4", (4,), np.float64(4)]


@pytest.mark.parametrize(
    ("make", "argument", "value"),
    [
        *((make, argument, value)
          for make in (lambda **a: jaxnn.conv(4, **a), jaxnn.max_pool, jaxnn.average_pool)
          for argument in ("window", "stride")
          for value in WRONG_SIZES
          if not (value is None and argument == "stride")),
        *((make, "padding", value)
          for make in (lambda **a: jaxnn.conv(4, **a), jaxnn.max_pool)
          for value in WRONG_PADS),
        *((lambda **a: jaxnn.conv(4, **a), "groups", value) for value in [*WRONG_COUNTS, 3]),
        *((jaxnn.conv, "n_out", value) for value in WRONG_COUNTS),
        *((jaxnn.space_to_depth, "block", value) for value in WRONG_COUNTS),
    ],
)  # fmt: skip
def test_wrong_arguments_are_refused_in_one_line_that_names_them(make, argument, value) -> None:
    with pytest.raises(LayerError) as error:
        make(**{argument: value})
    assert argument in str(error.value)
    assert repr(value) in str(error.value)
    assert "\n" not in str(error.value)


def test_integers_of_numpy_are_integers() -> None:
    two: Any = np.int64(2)
    one: Any = np.uint8(1)
    x = jnp.ones((4, 4, 2))
    for layer in (
        jaxnn.conv(two, two, two, cast(Any, np.ones((2, 2), int)), two),
        jaxnn.max_pool(two, (two, one), cast(Any, [[one, one], [0, 0]])),
        jaxnn.average_pool(cast(Any, np.array([2, 2])), two),
        jaxnn.space_to_depth(two),
    ):
        params = jax.eval_shape(layer.init, jax.random.key(0), x)
        y, cache = jax.eval_shape(layer.forward, params, x)
        assert jax.eval_shape(layer.backward, params, cache, y)[1].shape == x.shape


def test_images_without_pixels_are_refused_where_they_have_no_mean() -> None:
    for layer in (jaxnn.global_average_pool, jaxnn.max_pool(1), jaxnn.average_pool(1)):
        with pytest.raises(LayerError, match=layer.name):
            layer.apply((), jnp.ones((2, 0, 3, 1)))


def test_the_kernel_and_the_bias_of_a_convolution_have_keys_of_their_own() -> None:
    normal = jax.nn.initializers.normal(1.0)
    layer = jaxnn.conv(4, W_init=normal, b_init=normal)
    with jax.debug_key_reuse(True):
        params = layer.init(jax.random.key(0), jnp.ones((8, 8, 3)))
    assert not np.isin(params["b"], params["W"]).any()
