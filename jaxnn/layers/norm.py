"""Normalizations without batch statistics: a network stays a function of its parameters.

In float32 they are right for inputs up to 1e26, whose squares would be inf; sums are taken in
float32 at least.
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
from jaxnn.layers.masked import masked
from jaxnn.sharding import data_parallel


@constructor
def layer_norm(*, epsilon: float = 1e-5) -> Layer:
    """The last axis brought to mean 0 and variance 1, then scaled and shifted.

    Means are taken over the last axis::

        forward    r = 1 / √(mean((x − mean x)²) + ε)
                   x̂ = r (x − mean x),   y = γ x̂ + β
        backward   dγ = Σ dy x̂,  dβ = Σ dy         over all but the last axis
                   dx̂ = γ dy
                   dx = r (dx̂ − mean(dx̂) − x̂ mean(dx̂ x̂))

    Args:
        epsilon: ε, which keeps a constant input from dividing by zero.

    Returns:
        A layer (..., n) → (..., n) with params ``{"gamma": (n,), "beta": (n,)}``, at first
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
    return masked(_norm("layer_norm", ("n",), _over_last_axis, epsilon, centred=True))


@constructor
def rms_norm(*, epsilon: float = 1e-5) -> Layer:
    """The last axis brought to mean square 1, then scaled.

    Layer normalization without the mean; means are taken over the last axis::

        forward    r = 1 / √(mean(x²) + ε),   x̂ = r x,   y = γ x̂
        backward   dγ = Σ dy x̂                      over all but the last axis
                   dx̂ = γ dy,   dx = r (dx̂ − x̂ mean(dx̂ x̂))

    Args:
        epsilon: ε, which keeps an input of zeros from dividing by zero.

    Returns:
        A layer (..., n) → (..., n) with params ``{"gamma": (n,)}``, at first ones; float32,
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
    return masked(_norm("rms_norm", ("n",), _over_last_axis, epsilon, centred=False))


@constructor
def group_norm(groups: int, *, epsilon: float = 1e-5) -> Layer:
    """Each group of channels of an image brought to mean 0 and variance 1, then scaled.

    The C channels are cut into equal groups; the formulas are those of ``layer_norm`` with
    means over the pixels and the channels of a group, γ and β one number a channel::

        forward    x̂ = r (x − mean x),   y = γ x̂ + β
        backward   dγ = Σ dy x̂,  dβ = Σ dy         over examples and pixels
                   dx = r (γ dy − mean(γ dy) − x̂ mean(γ dy x̂))

    Args:
        groups: into how many groups the channels are cut; 1 takes all channels together, as
            many as channels is instance normalization.
        epsilon: ε, which keeps a constant input from dividing by zero.

    Returns:
        A layer (..., H, W, C) → (..., H, W, C) with params ``{"gamma": (C,), "beta": (C,)}``,
        at first ones and zeros; float32, or float64 when JAX's x64 is on.

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

    def over_groups(x: Array) -> _Region:
        expect(x.shape[-1] % groups == 0, name, f"channels that {groups} groups divide", x)
        pixels, channels = x.shape[-3] * x.shape[-2], x.shape[-1]

        def mean(sums: Array, weights: Array | None = None) -> Array:
            weighted = sums if weights is None else sums * _along_last(weights, sums)
            grouped = weighted.reshape(*sums.shape[:-1], groups, channels // groups)
            means = jnp.mean(grouped, axis=-1, keepdims=True) / pixels
            return jnp.broadcast_to(means, grouped.shape).reshape(sums.shape)

        # Pixels first: sums along them are fast, those within a pixel are not.
        return _Region(lambda t: jnp.sum(t, axis=(-3, -2), keepdims=True), mean)

    return _norm(name, ("H", "W", "C"), over_groups, epsilon, centred=True)


class _Region(NamedTuple):
    """What is normalized together: ``mean(total(t), w)`` is the mean of w t, or of t, over it."""

    total: Callable[[Array], Array]  # the first sums, of which every channel has its own
    mean: Callable[..., Array]  # from sums, and (C,), to means that broadcast


def _over_last_axis(x: Array) -> _Region:
    def mean(sums: Array, weights: Array | None = None) -> Array:
        if weights is None:  # becomes one loop with what is done to x before
            return jnp.mean(sums, axis=-1, keepdims=True)
        return _product(sums, weights[:, None] / x.shape[-1], 1)

    return _Region(lambda t: t, mean)


def _norm(
    name: str,
    axes: tuple[str, ...],
    region: Callable[[Array], _Region],
    epsilon: float,
    *,
    centred: bool,
) -> Layer:
    """A normalization from the region over which it takes its means."""
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
        mu = mean(total(x.astype(sum_dtype(x.dtype)))) if centred else None
        z = _centred(x, mu)
        scale = _scale(epsilon, z.dtype)
        small = scale * z
        r = scale * lax.rsqrt(mean(total(small * small)) + scale**2 * epsilon)
        y = z * (r * _along_last(gamma, r))
        for b in beta:
            y = y + _along_last(b, r)
        return y.astype(x.dtype), (x, mu, r)

    def backward(
        params: dict[str, Array], cache: tuple[Array, Array | None, Array], dy: Array
    ) -> tuple[dict[str, Array], Array]:
        x, mu, r = cache
        total, mean = region(x)
        z, dy = _centred(x, mu), dy.astype(r.dtype)
        gamma = params["gamma"].astype(r.dtype)
        # Every product has a factor r for each factor z: powers of r alone may be 0.
        along, dy_total = r * total(dy * z), total(dy)
        dx = r * _along_last(gamma, dy) * dy - (r * z) * (r * mean(along, gamma))
        if centred:
            dx = dx - r * mean(dy_total, gamma)
        sums = (along, dy_total) if centred else (along,)
        dparams = {
            key: _over_examples(s).astype(params[key].dtype)
            for key, s in zip(names, sums, strict=True)
        }
        return dparams, dx.astype(x.dtype)

    return data_parallel(Layer(name, init, forward, backward), axes_in=len(axes))


def _centred(x: Array, mu: Array | None) -> Array:
    z = x.astype(sum_dtype(x.dtype))
    return z if mu is None else z - mu


def _scale(epsilon: float, dtype: DTypeLike) -> float:
    """A power of 2 with which the squares of large numbers are finite: 2⁻³¹ for 1e-5 in float32.

    It is as small as ε s² allows, of which ``jax.grad`` takes the power −3/2.
    """
    smallest = 16 * float(jnp.finfo(dtype).tiny) ** (2 / 3)
    return 2.0 ** min(0, math.ceil(math.log2(smallest / epsilon) / 2)) if epsilon > 0 else 1.0


def _over_examples(sums: Array) -> Array:
    """Their sum over all but the last axis."""
    return _product(jnp.ones(sums.shape[:-1], sums.dtype), sums, sums.ndim - 1)


def _product(a: Array, b: Array, axes: int) -> Array:
    """Sums as products with a vector, which XLA makes faster on a CPU than reductions."""
    return jnp.tensordot(a, b, axes, precision=lax.Precision.HIGHEST)


def _along_last(p: Array, like: Array) -> Array:
    return p.astype(like.dtype).reshape((1,) * (like.ndim - 1) + p.shape)
