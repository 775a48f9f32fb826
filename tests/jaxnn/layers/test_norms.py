"""Normalizations against their formulas in NumPy's long double, from 1e-30 to 1e26."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnn

pytestmark = pytest.mark.usefixtures("compiled_quickly")
EPSILON = np.longdouble(1e-5)


class Norm(NamedTuple):
    layer: jaxnn.Layer
    shape: tuple[int, ...]
    regions: tuple[int, ...]  # the shape with the groups as an axis
    axes: tuple[int, ...]  # over which means are taken there
    centred: bool = True


NORMS = {
    "layer_norm": Norm(jaxnn.layer_norm(), (4, 8), (4, 8), (1,)),
    "rms_norm": Norm(jaxnn.rms_norm(), (4, 8), (4, 8), (1,), centred=False),
    "group_norm": Norm(jaxnn.group_norm(2), (4, 3, 3, 4), (4, 9, 2, 2), (1, 3)),
}
every_norm = pytest.mark.parametrize("norm", NORMS.values(), ids=NORMS.keys())


def formula(norm: Norm, params: dict, x: np.ndarray, dy: np.ndarray) -> dict[str, np.ndarray]:
    """y and all gradients in long double."""
    x, dy = x.astype(np.longdouble), dy.astype(np.longdouble)
    gamma = np.asarray(params["gamma"], np.longdouble)

    def mean(t):
        grouped = t.reshape(norm.regions)
        means = grouped.mean(axis=norm.axes, keepdims=True)
        return np.broadcast_to(means, norm.regions).reshape(norm.shape)

    z = x - mean(x) if norm.centred else x
    r = 1 / np.sqrt(mean(z * z) + EPSILON)
    x_hat, g, examples = r * z, gamma * dy, tuple(range(x.ndim - 1))
    y = gamma * x_hat + np.asarray(params.get("beta", 0), np.longdouble)
    dx = r * (g - (mean(g) if norm.centred else 0) - x_hat * mean(g * x_hat))
    return {"y": y, "dx": dx, "gamma": (dy * x_hat).sum(examples), "beta": dy.sum(examples)}


@every_norm
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-6), ("bfloat16", 1e-2)])
def test_right_for_inputs_of_every_size(norm: Norm, dtype: str, tolerance: float) -> None:
    """One example of the batch has size 1, so that no example decides for another."""
    draw = np.random.default_rng(0)
    numbers, dy = draw.standard_normal((2, *norm.shape))
    params = {"gamma": draw.standard_normal(norm.shape[-1])}
    if norm.centred:
        params["beta"] = draw.standard_normal(norm.shape[-1])
    params = {name: jnp.asarray(value, jnp.float32) for name, value in params.items()}
    dy = jnp.asarray(dy, dtype)

    @jax.jit
    def both(x):
        y, cache = norm.layer.forward(params, x)
        dparams, dx = norm.layer.backward(params, cache, dy)
        return {"y": y, "dx": dx, **dparams}

    for size in (1e-30, 1e-18, 1e-9, 1.0, 1e9, 1e13, 1e16, 1e18, 1e19, 1e22, 1e26):
        scaled = numbers * size
        scaled[0] = numbers[0]
        x = jnp.asarray(scaled, dtype)
        right = formula(norm, params, *(np.asarray(a, np.float32) for a in (x, dy)))
        for name, result in both(x).items():
            axes = tuple(range(1, right[name].ndim)) or None  # an example at a time
            largest = np.abs(right[name]).max(axis=axes, keepdims=True)
            error = np.abs(np.asarray(result, np.longdouble) - right[name]) / largest
            assert error.max() < tolerance, f"{name} for inputs of size {size:g}"


@every_norm
def test_float16_inputs_are_summed_in_float32(norm: Norm) -> None:
    """Their squares, and the sum of the numbers, are more than float16 can hold."""
    x = np.linspace(3e4, 6e4, np.prod(norm.shape)).reshape(norm.shape).astype(np.float16)
    gamma = jnp.ones(norm.shape[-1])
    params = {"gamma": gamma, "beta": 0 * gamma} if norm.centred else {"gamma": gamma}
    y, cache = norm.layer.forward(params, jnp.asarray(x))
    dparams, dx = norm.layer.backward(params, cache, jnp.ones_like(y))
    right = formula(norm, params, x, np.ones_like(x))
    assert y.dtype == dx.dtype == jnp.float16
    np.testing.assert_allclose(y, right["y"], rtol=2e-3, atol=2e-3)
    np.testing.assert_allclose(dparams["gamma"], right["gamma"], rtol=1e-3, atol=1e-3)
