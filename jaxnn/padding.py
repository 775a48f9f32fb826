"""Sequences of different lengths in one array: values, and a mask of the valid steps."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxnn.layer import (
    Array,
    Cache,
    Children,
    Key,
    Layer,
    LayerError,
    Params,
    Shaped,
    Tree,
    describe,
    expect,
    is_concrete,
)

AnyLayer = TypeVar("AnyLayer", bound=Layer)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Masked:
    """Sequences with padding, which no layer uses.

    Padding changes no output and has gradient exactly 0; in the output of a layer it is 0.  In a
    gradient, ``mask`` is None, as for every leaf that is not of a floating dtype.

    Attributes:
        values: (..., T, n), or tokens (..., T).
        mask: (..., T) of dtype bool, True at valid steps.

    Example:
        >>> import jax.numpy as jnp, jaxnn
        >>> x = jaxnn.Masked(jnp.ones((2, 3, 4)), jnp.array([[True, True, False], [True] * 3]))
        >>> jaxnn.last.apply((), x).shape
        (2, 4)
    """

    values: Any
    mask: Any


def padded(values: ArrayLike, lengths: ArrayLike) -> Masked:
    """Sequences with padding after their last steps, from the number of steps of each.

    Args:
        values: (..., T, n) or tokens (..., T).
        lengths: (...) of an integer dtype, each from 1 to T.

    Returns:
        ``Masked`` with the mask (..., T), True at the first steps.

    Raises:
        LayerError: when a length is 0, negative or greater than T, or the shapes do not fit.
            Inside ``jax.jit``, where the lengths are unknown, such a length masks all steps
            or none.

    Example:
        >>> import jax.numpy as jnp, jaxnn
        >>> jaxnn.padded(jnp.ones((2, 3, 1)), jnp.array([3, 1])).mask.tolist()
        [[True, True, True], [True, False, False]]
    """
    values, lengths = jnp.asarray(values), jnp.asarray(lengths)
    fits = values.ndim > lengths.ndim and values.shape[: lengths.ndim] == lengths.shape
    expect(fits, "padded", f"lengths of the batch axes of values {describe(values)}", lengths)
    if not jnp.issubdtype(lengths.dtype, jnp.integer):
        raise LayerError(f"padded: expected lengths of an integer dtype, got {lengths.dtype}")
    steps = values.shape[lengths.ndim]
    if is_concrete(lengths):
        wrong = np.asarray(lengths)
        wrong = wrong[(wrong < 1) | (wrong > steps)]
        if wrong.size:
            raise LayerError(f"padded: expected lengths from 1 to {steps}, got {wrong[0]}")
    shape = (*lengths.shape, steps)
    number = jax.lax.broadcasted_iota(lengths.dtype, shape, len(shape) - 1)
    return Masked(values, number < jnp.broadcast_to(lengths[..., None], shape))


def masked(layer: AnyLayer) -> AnyLayer:
    """A layer that works step by step, for ``Masked`` input too.

    With m the mask::

        forward    y  = m layer(m x)
        backward   dx = m backward(m dy)

    The layers of this package that look at one step at a time (dense, activations, norms of
    the last axis, dropout, embedding) are so already; this is for layers of one's own.

    Args:
        layer: (..., n_in) → (..., n_out), each step without the others; or a combinator of
            such layers.

    Returns:
        The same layer, which also takes ``Masked`` values and gives ``Masked`` values.

    Raises:
        LayerError: when the mask does not fit the values.

    Example:
        >>> import jax.numpy as jnp, jaxnn
        >>> double = jaxnn.masked(jaxnn.Layer(
        ...     "double", lambda key, x: (), lambda params, x, key=None: (2 * x, ()),
        ...     lambda params, cache, dy: ((), 2 * dy)))
        >>> x = jaxnn.Masked(jnp.array([1.0, jnp.nan]), jnp.array([True, False]))
        >>> double.apply((), x).values.tolist()
        [2.0, 0.0]
    """
    name = layer.name

    def init(key: Key, x: Shaped) -> Params:
        return layer.init(key, split_mask(name, x)[0])

    def forward(params: Params, x: Tree, key: Key | None = None) -> tuple[Tree, Cache]:
        if not isinstance(x, Masked):
            return layer.forward(params, x, key)
        values, mask = split_mask(name, x)
        y, cache = layer.forward(params, zero(values, mask), key)
        fits = hasattr(y, "shape") and y.shape[: mask.ndim] == mask.shape
        expect(fits, name, f"an output with the steps of the mask {describe(mask)}", y)
        return Masked(zero(y, mask), mask), _MaskedCache(cache, mask)

    def backward(params: Params, cache: Cache, dy: Tree) -> tuple[Params, Tree]:
        if not isinstance(cache, _MaskedCache):
            return layer.backward(params, cache, dy)
        dparams, dx = layer.backward(params, cache.cache, zero(dy.values, cache.mask))
        return dparams, Masked(None if dx is None else zero(dx, cache.mask), None)

    children = layer.children
    if children is not None:
        rebuild = children.rebuild
        children = Children(children.layers, lambda *layers: masked(rebuild(*layers)))
    return dataclasses.replace(
        layer, init=init, forward=forward, backward=backward, children=children
    )


class _MaskedCache(NamedTuple):
    cache: Cache
    mask: Array


def split_mask(layer: str, x: Any) -> tuple[Any, Any]:
    """Values and mask; the mask of an array is None.

    Raises:
        LayerError: when the mask is not of dtype bool, or not of the first axes of the values.
    """
    if not isinstance(x, Masked):
        return x, None
    values, mask = x.values, x.mask
    if not (hasattr(values, "shape") and hasattr(mask, "shape")):
        raise LayerError(f"{layer}: expected Masked of two arrays, got {describe((values, mask))}")
    fits = mask.ndim >= 1 and values.shape[: mask.ndim] == mask.shape
    expect(fits, layer, f"a mask of the first axes of the values {describe(values)}", mask)
    if mask.dtype != bool:
        raise LayerError(f"{layer}: expected a mask of dtype bool, got {mask.dtype}")
    return values, mask


def split_steps(layer: str, x: Any) -> tuple[Any, Any]:
    """``split_mask`` for (..., T, n), where the mask has all axes but the last.

    Raises:
        LayerError: the same, or when the input has no time axis or no step.
    """
    values, mask = split_mask(layer, x)
    fits = hasattr(values, "shape") and len(values.shape) >= 2
    expect(fits, layer, "one array (..., T, n)", values)
    expect(values.shape[-2] != 0, layer, "a sequence of at least one step", values)
    if mask is not None:
        expect(mask.ndim == values.ndim - 1, layer, f"a mask {values.shape[:-1]}", mask)
    return values, mask


def join_mask(values: Any, mask: Any) -> Any:
    """The values, ``Masked`` where there is a mask: the way back from ``split_mask``."""
    return values if mask is None else Masked(values, mask)


def join_gradient(dvalues: Any, mask: Any) -> Any:
    """The gradient of an input that was ``Masked`` where there is a mask."""
    return dvalues if mask is None else Masked(dvalues, None)


def values_of(x: Any) -> Any:
    """The values, or the gradient of the values, of what may be ``Masked``."""
    return x.values if isinstance(x, Masked) else x


def zero(values: Array, mask: Array | None) -> Array:
    """The values with 0 (or token 0) where the mask is False: NaN in the padding is gone too."""
    if mask is None:
        return values
    return jnp.where(over(mask, values), values, jnp.zeros_like(values))


def over(mask: Array, values: Array) -> Array:
    """The mask with the shape of the values, whose first axes it has."""
    shape = (*mask.shape, *(1,) * (values.ndim - mask.ndim))
    return jnp.broadcast_to(mask.reshape(shape), values.shape)
