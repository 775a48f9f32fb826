"""Normalizations of each example by itself, without statistics of the batch.

Sums are in float32 at least.  In float32 the layers are accurate for inputs up to 1e26, although
the square of such an input is infinite.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jax.typing import DTypeLike

from jaxnn.layer import (
    Array,
    Key,
    Layer,
    LayerError,
    Shaped,
    constructor,
    expect,
    expect_input,
    expect_params,
    sum_dtype,
)
from jaxnn.padding import masked
from jaxnn.sharding import data_parallel


@constructor
def layer_norm(*, epsilon: float = 1e-5) -> Layer:
    """Normalize the last axis to mean 0 and variance 1, then scale and shift it.

    Means are over the last axis::

        forward    r = 1 / √(mean((x − mean x)²) + ε)
                   x̂ = r (x − mean x),   y = γ x̂ + β
        backward   dγ = Σ dy x̂,  dβ = Σ dy         over all but the last axis
                   dx̂ = γ dy
                   dx = r (dx̂ − mean(dx̂) − x̂ mean(dx̂ x̂))

    Args:
        epsilon: ε, which prevents a division by zero for a constant input.

    Returns:
        A layer (..., n) → (..., n) with params ``{"gamma": (n,), "beta": (n,)}``, initially
        ones and zeros; float32, or float64 when JAX's x64 is on.

    Raises:
        LayerError: when the input is not (..., n) of a floating dtype.

    Source: Ba et al. 2016, "Layer normalization", arXiv:1607.06450.

    Example:
        >>> import jax, jax.numpy as jnp, jaxnn
        >>> layer = jaxnn.layer_norm()
        >>> x = jnp.array([1.0, 3.0, 3.0, 1.0])
        >>> layer.apply(layer.init(jax.random.key(0), x), x).round(3).tolist()
        [-1.0, 1.0, 1.0, -1.0]
    """
    return masked(_norm("layer_norm", ("n",), _last_axis, epsilon, centred=True))


@constructor
def rms_norm(*, epsilon: float = 1e-5) -> Layer:
    """Normalize the last axis to mean square 1, then scale it.

    Layer normalization without subtracting the mean; means are over the last axis::

        forward    r = 1 / √(mean(x²) + ε),   x̂ = r x,   y = γ x̂
        backward   dγ = Σ dy x̂                      over all but the last axis
                   dx̂ = γ dy,   dx = r (dx̂ − x̂ mean(dx̂ x̂))

    Args:
        epsilon: ε, which prevents a division by zero for an input of zeros.

    Returns:
        A layer (..., n) → (..., n) with params ``{"gamma": (n,)}``, initially ones; float32,
        or float64 when JAX's x64 is on.

    Raises:
        LayerError: when the input is not (..., n) of a floating dtype.

    Source: Zhang and Sennrich 2019, "Root mean square layer normalization", arXiv:1910.07467.

    Example:
        >>> import jax, jax.numpy as jnp, jaxnn
        >>> layer = jaxnn.rms_norm()
        >>> x = jnp.array([2.0, -2.0, 2.0])
        >>> layer.apply(layer.init(jax.random.key(0), x), x).round(3).tolist()
        [1.0, -1.0, 1.0]
    """
    return masked(_norm("rms_norm", ("n",), _last_axis, epsilon, centred=False))


@constructor
def group_norm(groups: int, *, epsilon: float = 1e-5) -> Layer:
    """Normalize each group of channels of an image to mean 0 and variance 1, then scale and shift.

    The C channels form equal groups.  The formulas are those of ``layer_norm``, with means over
    the pixels and the channels of a group; γ and β have one number for each channel::

        forward    x̂ = r (x − mean x),   y = γ x̂ + β
        backward   dγ = Σ dy x̂,  dβ = Σ dy         over examples and pixels
                   dx = r (γ dy − mean(γ dy) − x̂ mean(γ dy x̂))

    Args:
        groups: the number of groups.  1 normalizes all channels together; one group for each
            channel is instance normalization.
        epsilon: ε, which prevents a division by zero for a constant input.

    Returns:
        A layer (..., H, W, C) → (..., H, W, C) with params ``{"gamma": (C,), "beta": (C,)}``,
        initially ones and zeros; float32, or float64 when JAX's x64 is on.

    Raises:
        LayerError: when the input is not (..., H, W, C) of a floating dtype, or the groups
            do not divide C.

    Source: Wu and He 2018, "Group normalization", arXiv:1803.08494.

    Example:
        >>> import jax, jax.numpy as jnp, jaxnn
        >>> layer = jaxnn.group_norm(1)
        >>> x = jnp.array([1.0, 3.0, 3.0, 1.0]).reshape(2, 2, 1)
        >>> layer.apply(layer.init(jax.random.key(0), x), x).round(3).ravel().tolist()
        [-1.0, 1.0, 1.0, -1.0]
    """
    name = f"group_norm({groups})"
    if groups < 1:
        raise LayerError(f"{name}: expected at least one group")

    def region(x: Array) -> _Region:
        expect(x.shape[-1] % groups == 0, name, f"channels that {groups} groups divide", x)
        pixels, channels = x.shape[-3] * x.shape[-2], x.shape[-1]

        def mean(sums: Array, weights: Array | None = None) -> Array:
            weighted = sums if weights is None else sums * _along_last(weights, sums)
            by_group = weighted.reshape(*sums.shape[:-1], groups, channels // groups)
            means = jnp.mean(by_group, axis=-1, keepdims=True) / pixels
            return jnp.broadcast_to(means, by_group.shape).reshape(sums.shape)

        # First the sum over pixels, then the mean over channels: XLA's CPU backend (jax 0.10.2)
        # is fast at the first and slow at sums within a pixel (``python -m catnet_bench rules``).
        return _Region(lambda t: jnp.sum(t, axis=(-3, -2), keepdims=True), mean)

    return _norm(name, ("H", "W", "C"), region, epsilon, centred=True)


class _Region(NamedTuple):
    """The numbers that one mean is taken over.

    A mean has two steps, because γ and β need the sums of the first one:

    Attributes:
        total: ``t -> sums``: the sums of t over the pixels, one for each channel; t itself where
            there are no pixels.
        mean: ``(total(t), w=None) -> mean(w t)``, or mean(t) without w, of an axis that
            broadcasts to t.
    """

    total: Callable[[Array], Array]
    mean: Callable[..., Array]


def _last_axis(x: Array) -> _Region:
    def mean(t: Array, weights: Array | None = None) -> Array:
        if weights is None:  # XLA (jax 0.10.2) fuses this with what computes t
            return jnp.mean(t, axis=-1, keepdims=True)
        return _product(t, weights[:, None] / x.shape[-1], 1)

    return _Region(lambda t: t, mean)


def _norm(
    name: str,
    axes: tuple[str, ...],
    region: Callable[[Array], _Region],
    epsilon: float,
    *,
    centred: bool,
) -> Layer:
    """A normalization with means over a region; without mean x and β unless ``centred``."""
    names = ("gamma", "beta") if centred else ("gamma",)

    def init(key: Key, x: Shaped) -> dict[str, Array]:
        expect_input(name, x, *axes)
        gamma = jnp.ones(x.shape[-1])
        return {"gamma": gamma, "beta": jnp.zeros_like(gamma)} if centred else {"gamma": gamma}

    def forward(
        params: dict[str, Array], x: Array, key: Key | None = None
    ) -> tuple[Array, tuple[Array, Array | None, Array]]:
        gamma, *beta = expect_params(name, params, *names)
        expect_input(name, x, *axes[:-1], len(gamma))
        total, mean = region(x)
        # z = x − mean x
        mean_x = mean(total(x.astype(sum_dtype(x.dtype)))) if centred else None
        z = _subtract_mean(x, mean_x)
        # r = 1 / √(mean z² + ε), where (s z)² is finite for large z, with a power of two s
        s = _scale(epsilon, z.dtype)
        s_z = s * z
        r = s * lax.rsqrt(mean(total(s_z * s_z)) + s**2 * epsilon)
        # y = γ x̂ + β, with x̂ = r z
        y = z * (r * _along_last(gamma, r))
        for b in beta:
            y = y + _along_last(b, r)
        return y.astype(x.dtype), (x, mean_x, r)

    def backward(
        params: dict[str, Array], cache: tuple[Array, Array | None, Array], dy: Array
    ) -> tuple[dict[str, Array], Array]:
        x, mean_x, r = cache
        total, mean = region(x)
        z, dy = _subtract_mean(x, mean_x), dy.astype(r.dtype)
        gamma = params["gamma"].astype(r.dtype)
        # The sums of dy x̂ and of dy for each example.  x̂ is r z, and each product below has as
        # many factors r as z: r² alone could be 0, and z² infinite.
        dy_x_hat, dy_sum = r * total(dy * z), total(dy)
        # dγ = Σ dy x̂,  dβ = Σ dy
        grads = {"gamma": dy_x_hat, "beta": dy_sum}
        # dx = r (γ dy − mean(γ dy) − x̂ mean(γ dy x̂))
        dx = r * _along_last(gamma, dy) * dy - (r * z) * (r * mean(dy_x_hat, gamma))
        if centred:
            dx = dx - r * mean(dy_sum, gamma)
        dparams = {n: _sum_examples(grads[n]).astype(params[n].dtype) for n in names}
        return dparams, dx.astype(x.dtype)

    return data_parallel(Layer(name, init, forward, backward), axes_in=len(axes))


def _subtract_mean(x: Array, mean_x: Array | None) -> Array:
    """x − mean x in float32 at least; x alone where the mean is not subtracted."""
    z = x.astype(sum_dtype(x.dtype))
    return z if mean_x is None else z - mean_x


def _scale(epsilon: float, dtype: DTypeLike) -> float:
    """The power of two s with which s² x² is finite for large x: 2⁻³¹ for ε = 1e-5 in float32.

    It is as small as possible: ``jax.grad`` raises ε s² to the power −3/2, which has to be finite.
    """
    smallest = 16 * float(jnp.finfo(dtype).tiny) ** (2 / 3)
    return 2.0 ** min(0, math.ceil(math.log2(smallest / epsilon) / 2)) if epsilon > 0 else 1.0


def _sum_examples(sums: Array) -> Array:
    """The sum over all axes but the last one."""
    return _product(jnp.ones(sums.shape[:-1], sums.dtype), sums, sums.ndim - 1)


def _product(a: Array, b: Array, axes: int) -> Array:
    """A sum as a product with a vector: XLA's CPU backend (jax 0.10.2) is faster at products.

    ``python -m catnet_bench rules`` measures this.
    """
    return jnp.tensordot(a, b, axes, precision=lax.Precision.HIGHEST)


def _along_last(p: Array, like: Array) -> Array:
    """p (n,) in the shape (1, …, 1, n) and the dtype that broadcast with another array."""
    return p.astype(like.dtype).reshape((1,) * (like.ndim - 1) + p.shape)
