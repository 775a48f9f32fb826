"""Attention one step at a time, with the keys and values of all steps before in memory."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jax import lax

from jaxnn.layer import Array, LayerError, expect, expect_input, is_concrete
from jaxnn.layers.attention import check_params, from_heads, project, to_heads
from jaxnn.layers.dot_product import Allowed, attend


class KeysAndValues(NamedTuple):
    """The keys and values of the steps so far, in arrays of a fixed length.

    Attributes:
        keys: (..., length, n); the steps after the first ``count`` are not used.
        values: the same.
        count: how many steps there were.
    """

    keys: Array
    values: Array
    count: Array


def key_value_cache(length: int, x: Array) -> KeysAndValues:
    """The state of ``attention_step`` before the first step.

    Args:
        length: how many steps there will be at most.
        x: the first input (..., n), or its shape and dtype.

    Example:
        >>> import jax.numpy as jnp, jaxnn
        >>> jaxnn.key_value_cache(10, jnp.ones((2, 4))).keys.shape
        (2, 10, 4)
    """
    if length < 1:
        raise LayerError(f"key_value_cache: expected a length of at least 1, got {length}")
    expect_input("key_value_cache", x, "n")
    nothing = jnp.zeros((*x.shape[:-1], length, x.shape[-1]), x.dtype)
    return KeysAndValues(nothing, nothing, jnp.zeros((), jnp.int32))


def attention_step(
    params: dict[str, Array], x: Array, state: KeysAndValues, *, heads: int
) -> tuple[Array, KeysAndValues]:
    """One step of ``attention(heads, causal=True)``.

    Args:
        params: of the layer.
        x: the input of this step, (..., n).
        state: from ``key_value_cache`` or from the step before.
        heads: as the layer has them.

    Returns:
        The output of this step, (..., n), and the state with its key and value.

    Raises:
        LayerError: when the shapes do not fit, or the state is full.  Inside ``jax.jit``, where
            the count is unknown, the output of a step beyond the length is NaN.

    Example:
        >>> import jax, jax.numpy as jnp, jaxnn
        >>> x = jnp.ones((3, 4))
        >>> layer = jaxnn.attention(2, causal=True)
        >>> params = layer.init(jax.random.key(0), x)
        >>> state = jaxnn.key_value_cache(3, x[0])
        >>> y, state = jaxnn.attention_step(params, x[0], state, heads=2)
        >>> y.shape, int(state.count)
        ((4,), 1)
    """
    name = "attention_step"
    expect_input(name, x, "n")
    check_params(name, params, x, x)
    n, length = x.shape[-1], state.keys.shape[-2]
    fits = state.keys.shape == state.values.shape == (*x.shape[:-1], length, n)
    expected = ", ".join(map(str, (*x.shape[:-1], "length", n)))
    expect(fits, name, f"a state with keys ({expected})", state.keys)
    expect(n % heads == 0, name, f"features that {heads} heads divide", x)
    if is_concrete(state.count) and state.count >= length:
        raise LayerError(f"{name}: the state has room for {length} steps; begin with a longer one")
    q, k, v = (part[..., None, :] for part in project(params, "qkv", x))

    def write(old: Array, new: Array) -> Array:
        return lax.dynamic_update_slice_in_dim(
            old, new.astype(old.dtype), state.count, old.ndim - 2
        )

    keys, values = write(state.keys, k), write(state.values, v)
    q, k, v = (to_heads(a.reshape(-1, *a.shape[-2:]), heads) for a in (q, keys, values))
    seen = jnp.broadcast_to(jnp.arange(length) <= state.count, (q.shape[0], length))
    o, _ = attend(q, k, v, Allowed(seen, None, False))
    (y,) = project(params, "o", from_heads(o, x.dtype).reshape(x.shape))
    y = jnp.where(state.count < length, y, jnp.nan)
    return y, KeysAndValues(keys, values, state.count + 1)
