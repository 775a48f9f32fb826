"""From all steps of a sequence to one vector, and the steps in reverse."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jax import lax

from jaxnn.combinators.parallel import Merge, parallel
from jaxnn.combinators.serial import serial
from jaxnn.layer import (
    Array,
    Key,
    Layer,
    Static,
    Tree,
    constant,
    constructor,
    expect_input,
    no_params,
)
from jaxnn.padding import join_gradient, join_mask, over, split_steps, values_of, zero

Cache = tuple[Any, Any, Static]  # what to pick, the mask, the number of steps


def _steps(name: str, x: Tree) -> tuple[Array, Array | None]:
    values, mask = split_steps(name, x)
    expect_input(name, values, "T", "n")
    return zero(values, mask), mask


# ---- one step


def _last(params: tuple[()], x: Tree, key: Key | None = None) -> tuple[Array, Cache]:
    values, mask = _steps("last", x)
    steps = Static(values.shape[-2])
    if mask is None:
        return values[..., -1, :], (None, None, steps)
    number = lax.broadcasted_iota(jnp.int32, mask.shape, mask.ndim - 1)
    at = jnp.max(jnp.where(mask, number, -1), axis=-1, keepdims=True)
    chosen = number == jnp.broadcast_to(at, mask.shape)  # none where there is no valid step
    return _chosen(values, chosen), (chosen, mask, steps)


def _last_backward(params: tuple[()], cache: Cache, dy: Array) -> tuple[tuple[()], Tree]:
    chosen, mask, steps = cache
    if chosen is None:
        around = [(0, 0, 0)] * (dy.ndim - 1) + [(steps.value - 1, 0, 0), (0, 0, 0)]
        return (), lax.pad(dy[..., None, :], jnp.zeros((), dy.dtype), around)
    return (), join_gradient(zero(_every_step(dy, steps), chosen), mask)


#: The last step, (..., T, n) → (..., n): y = x_T, or the last valid step of a ``Masked`` input; 0
#: if there is none.  Backward: dx is dy at this step, 0 elsewhere.
last = constant(__name__, Layer("last", no_params, _last, _last_backward))


# ---- all steps


def _mean(params: tuple[()], x: Tree, key: Key | None = None) -> tuple[Array, Cache]:
    values, mask = _steps("mean", x)
    steps = Static(values.shape[-2])
    sums = jnp.sum(values, axis=-2)
    count = None if mask is None else jnp.sum(mask, axis=-1).astype(values.dtype)
    return _divided(sums, count, steps), (count, mask, steps)


def _mean_backward(params: tuple[()], cache: Cache, dy: Array) -> tuple[tuple[()], Tree]:
    count, mask, steps = cache
    dx = _every_step(_divided(dy, count, steps), steps)
    return (), join_gradient(zero(dx, mask), mask)


#: The mean of the T valid steps, (..., T, n) → (..., n): y = Σ_t x_t / T; 0 if there is none.
#: Backward: dx_t = dy / T at each valid step.
mean = constant(__name__, Layer("mean", no_params, _mean, _mean_backward))


def _max(params: tuple[()], x: Tree, key: Key | None = None) -> tuple[Array, Cache]:
    values, mask = _steps("max_over_time", x)
    low = values if mask is None else jnp.where(over(mask, values), values, -jnp.inf)
    at = jnp.argmax(low, axis=-2)  # the first of equal ones
    y = jnp.take_along_axis(values, at[..., None, :], axis=-2)[..., 0, :]
    return y, (at, mask, Static(values.shape[-2]))


def _max_backward(params: tuple[()], cache: Cache, dy: Array) -> tuple[tuple[()], Tree]:
    at, mask, steps = cache
    shape = (*at.shape[:-1], steps.value, at.shape[-1])
    number = lax.broadcasted_iota(at.dtype, shape, len(shape) - 2)
    dx = zero(_every_step(dy, steps), number == _every_step(at, steps))
    return (), join_gradient(zero(dx, mask), mask)


#: The largest of the valid steps, (..., T, n) → (..., n): y = max_t x_t; 0 if there is none.
#: Backward: dx is dy at the first of the largest, 0 elsewhere.  Source: Collobert et al. 2011,
#: "Natural language processing (almost) from scratch".
max_over_time = constant(__name__, Layer("max_over_time", no_params, _max, _max_backward))


# ---- in reverse


def _reverse(params: tuple[()], x: Tree, key: Key | None = None) -> tuple[Tree, Any]:
    values, mask = _steps("reverse", x)
    if mask is None:
        return jnp.flip(values, axis=-2), None
    return join_mask(zero(_permuted(values, mask), mask), mask), mask


def _reverse_backward(params: tuple[()], mask: Any, dy: Tree) -> tuple[tuple[()], Tree]:
    if mask is None:
        return (), jnp.flip(dy, axis=-2)
    dx = zero(_permuted(zero(values_of(dy), mask), mask), mask)
    return (), join_gradient(dx, mask)


#: The steps in reverse order, (..., T, n) → (..., T, n): y_t = x_{T+1−t}.  In a ``Masked`` input
#: the valid steps are reversed, and padding stays in its place.  Backward is the same map.
reverse = constant(__name__, Layer("reverse", no_params, _reverse, _reverse_backward))


@constructor
def bidirectional(forward: Layer, backward: Layer, *, merge: Merge = "concat") -> Layer:
    """One layer over the steps in order and one over the steps in reverse, side by side.

    ::

        y = [forward(x), reverse(backward(reverse(x)))]

    Args:
        forward: a layer (..., T, n_in) → (..., T, n).
        backward: another one; the same layer has params of its own here.
        merge: ``"concat"`` along the last axis, ``"sum"`` or ``"tuple"``.

    Returns:
        ``parallel(forward, serial(reverse, backward, reverse))`` with params
        ``(params_forward, ((), params_backward, ()))``.  The input may be ``Masked``; the
        second layer then begins at the last valid step.

    Source: Schuster and Paliwal 1997, "Bidirectional recurrent neural networks".

    Example:
        >>> import jax, jax.numpy as jnp, jaxnn
        >>> layer = jaxnn.bidirectional(jaxnn.lstm(3), jaxnn.lstm(3))
        >>> x = jnp.ones((2, 5, 4))
        >>> layer.apply(layer.init(jax.random.key(0), x), x).shape
        (2, 5, 6)
    """
    return parallel(forward, serial(reverse, backward, reverse), merge=merge)


def _permuted(values: Array, mask: Array) -> Array:
    """The k-th valid step and the k-th from the end change places."""
    first = jnp.argsort(~mask, axis=-1, stable=True)  # the valid ones first, in order
    rank = jnp.cumsum(mask, axis=-1) - 1
    mirrored = jnp.broadcast_to(rank[..., -1:], rank.shape) - rank
    own = lax.broadcasted_iota(first.dtype, mask.shape, mask.ndim - 1)
    mirrored = jnp.where(mask, mirrored, 0).astype(first.dtype)
    source = jnp.where(mask, jnp.take_along_axis(first, mirrored, axis=-1), own)
    return jnp.take_along_axis(values, source[..., None], axis=-2)


def _chosen(values: Array, chosen: Array) -> Array:
    """The one step of each sequence that is chosen, exactly."""
    return jnp.sum(zero(values, chosen), axis=-2)


def _every_step(y: Array, steps: Static) -> Array:
    """(..., n) → (..., T, n), the same at every step."""
    return jnp.broadcast_to(y[..., None, :], (*y.shape[:-1], steps.value, y.shape[-1]))


def _divided(sums: Array, count: Array | None, steps: Static) -> Array:
    """Sums over the valid steps divided by how many there are."""
    if count is None:
        return sums / steps.value
    some = jnp.maximum(count, 1)  # sums of nothing are 0
    return sums / jnp.broadcast_to(some[..., None], sums.shape)
