"""Multi-head attention."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.nn import initializers

from jaxnn.layer import (
    Array,
    Key,
    Layer,
    LayerError,
    Shaped,
    Static,
    Tree,
    constructor,
    expect,
    expect_input,
    expect_params,
    sum_dtype,
)
from jaxnn.layers.dot_product import Allowed, Weights, attend, attend_backward
from jaxnn.padding import join_gradient, join_mask, split_steps, values_of, zero

Initializer = initializers.Initializer


@constructor
def attention(
    heads: int,
    *,
    causal: bool = False,
    W_init: Initializer = initializers.glorot_uniform(),  # noqa: B008 - a constant function
) -> Layer:
    """The output of each step is a mean of the values of all steps, weighted by query and key.

    The n features form heads of d = n / heads features; each head has its own q, k, v::

        forward    q = x W_qᵀ + b_q,   k = m W_kᵀ,   v = m W_vᵀ + b_v
                   o = softmax(q kᵀ / √d) v                         in each head
                   y = o W_oᵀ + b_o
        backward   do = dy W_o,  (dq, dk, dv) as in ``jaxnn.layers.dot_product``
                   dx = dq W_q,   dm = dk W_k + dv W_v
                   dW = (gradient of the product)ᵀ (its input),   db = its sum

    m is the memory: x itself, or the second part of a pair.  A step whose mask allows no step of
    the memory has output 0 and gradient 0.  k has no bias: it would add the same number to all
    scores of one q, which softmax cancels.

    Args:
        heads: number of heads; divides n.
        causal: whether a step attends only to itself and to the steps before it.
        W_init: an initializer of ``jax.nn.initializers`` for (n_in, n), which is transposed.

    Returns:
        A layer (..., T, n) → (..., T, n) with params ``W_q``, ``W_o`` (n, n), ``W_k``, ``W_v``
        (n, n_memory), and ``b_q``, ``b_v``, ``b_o`` (n,), float32, or float64 when
        JAX's x64 is on.  The input is one of

        * ``x``, which attends to itself;
        * ``(x, memory)`` with a memory (..., S, n_memory);
        * ``(x, mask)`` or ``(x, memory, mask)`` with a mask (..., T, S) or (T, S) of dtype bool,
          True where a step of x attends to a step of the memory.

        x and memory may be ``Masked``: no step attends to padding.  Products of q and k are in
        float32 at least.

    Raises:
        LayerError: when the heads do not divide n, the input is none of these, or causal
            attention has a memory.

    Source: Vaswani et al. 2017, "Attention is all you need", arXiv:1706.03762.

    Example:
        >>> import jax, jax.numpy as jnp, jaxnn
        >>> layer, x = jaxnn.attention(2), jnp.ones((5, 7, 4))
        >>> params = layer.init(jax.random.key(0), x)
        >>> layer.apply(params, x).shape, layer.apply(params, (x, jnp.ones((5, 9, 4)))).shape
        ((5, 7, 4), (5, 7, 4))
    """
    name = f"attention({heads})"
    if heads < 1:
        raise LayerError(f"{name}: expected at least one head")

    def init(key: Key, x: Shaped) -> dict[str, Array]:
        inputs = _read(name, heads, causal, x)
        n, n_memory = inputs.x.shape[-1], inputs.memory.shape[-1]
        dtype, params = jnp.zeros(()).dtype, {}
        for what, k in zip("qkvo", jax.random.split(key, 4), strict=True):
            width = n_memory if what in "kv" else n
            params[f"W_{what}"] = W_init(k, (width, n), dtype).T
            if what != "k":
                params[f"b_{what}"] = jnp.zeros(n, dtype)
        return params

    def forward(params: dict[str, Array], x: Tree, key: Key | None = None) -> tuple[Tree, _Cache]:
        x, x_mask, memory, memory_mask, pairs, own = _read(name, heads, causal, x)
        check_params(name, params, x, memory)
        xs = _rows(zero(x, x_mask), 2)
        if own:
            ms, (q, k, v) = None, project(params, "qkv", xs)
        else:
            ms = _rows(zero(memory, memory_mask), 2).astype(x.dtype)
            (q,), (k, v) = project(params, "q", xs), project(params, "kv", ms)
        q, k, v = (to_heads(a, heads) for a in (q, k, v))
        keys = None if memory_mask is None else _rows(memory_mask, 1)
        pairs = None if pairs is None else _rows(pairs, 2)
        o, weights = attend(q, k, v, Allowed(keys, pairs, causal))
        (y,) = project(params, "o", from_heads(o, x.dtype))
        valid = x_mask  # valid steps that attend to at least one step
        if keys is not None or pairs is not None:
            some = jnp.isfinite(weights.log_sums[:, 0]).reshape(x.shape[:-1])
            valid = some if x_mask is None else some & x_mask
        cache = _Cache(
            xs=xs,
            ms=ms,
            q=q,
            k=k,
            v=v,
            o=o,
            weights=weights,
            keys=keys,
            pairs=pairs,
            x_mask=x_mask,
            memory_mask=memory_mask,
            valid=valid,
            memory_dtype=Static(memory.dtype),
        )
        return join_mask(zero(y.reshape(x.shape), valid), x_mask), cache

    def backward(params: dict[str, Array], cache: _Cache, dy: Tree) -> tuple[Any, Tree]:
        xs, ms, q, k, v, o, weights = cache[:7]
        dy = zero(values_of(dy), cache.valid)
        dys = _rows(dy, 2)
        of_o, do = project_backward(params, "o", from_heads(o, dy.dtype), [dys])
        do = to_heads(do, heads)
        dqkv = attend_backward(q, k, v, o, weights, do, Allowed(cache.keys, cache.pairs, causal))
        dq, dk, dv = (from_heads(d, dy.dtype) for d in dqkv)
        if ms is None:
            of_qkv, dx = project_backward(params, "qkv", xs, [dq, dk, dv])
            parts = (_input_gradient(dx, dy, cache.x_mask),)
        else:
            of_q, dx = project_backward(params, "q", xs, [dq])
            of_kv, dm = project_backward(params, "kv", ms, [dk, dv])
            of_qkv = {**of_q, **of_kv}
            dm = _input_gradient(dm.astype(cache.memory_dtype.value), dy, cache.memory_mask)
            parts = (_input_gradient(dx, dy, cache.x_mask), dm)
        if cache.pairs is not None:
            parts = (*parts, None)
        return {**of_qkv, **of_o}, parts if len(parts) > 1 else parts[0]

    return Layer(name, init, forward, backward)


class _Input(NamedTuple):
    x: Any
    x_mask: Any
    memory: Any
    memory_mask: Any
    pairs: Any  # (..., T, S)
    own: bool  # whether the memory is x itself


class _Cache(NamedTuple):
    xs: Array  # (N, T, n)
    ms: Array | None  # (N, S, n_memory); None for x itself
    q: Array
    k: Array
    v: Array
    o: Array
    weights: Weights
    keys: Array | None
    pairs: Array | None
    x_mask: Array | None
    memory_mask: Array | None
    valid: Array | None
    memory_dtype: Static


def _read(name: str, heads: int, causal: bool, x: Tree) -> _Input:
    """The parts of the input, checked."""
    parts: list[Any] = list(x) if isinstance(x, (tuple, list)) else [x]
    expected = "an input x, (x, memory), (x, mask) or (x, memory, mask)"
    pairs = None
    if len(parts) > 1 and getattr(parts[-1], "dtype", None) == np.bool_:
        *parts, pairs = parts
    expect(1 <= len(parts) <= 2, name, expected, x)
    steps, x_mask = split_steps(name, parts[0])
    expect_input(name, steps, "T", "n")
    expect(steps.shape[-1] % heads == 0, name, f"features that {heads} heads divide", steps)
    memory, memory_mask = steps, x_mask
    if len(parts) == 2:
        if causal:
            raise LayerError(
                f"{name}: causal attention takes no memory; remove the memory, or use causal=False"
            )
        memory, memory_mask = split_steps(f"{name}, memory", parts[1])
        fits = memory.shape[:-2] == steps.shape[:-2]
        expect(fits, name, f"a memory with the batch axes {tuple(steps.shape[:-2])}", memory)
        expect_input(f"{name}, memory", memory, "S", "n_memory")
    if pairs is not None:
        shape = (steps.shape[-2], memory.shape[-2])
        fits = pairs.shape in (shape, (*steps.shape[:-2], *shape))
        expect(fits, name, f"a mask {shape}, with the batch axes of x or without", pairs)
    return _Input(steps, x_mask, memory, memory_mask, pairs, len(parts) == 1)


def _rows(a: Array, axes: int) -> Array:
    """Merge all but the last ``axes`` axes."""
    return a.reshape(-1, *a.shape[a.ndim - axes :])


def _input_gradient(dx: Array, dy: Array, mask: Array | None) -> Any:
    dx = dx.reshape(*dy.shape[:-2], *dx.shape[1:])
    return join_gradient(zero(dx, mask), mask)


# ---- shared with the steps


def check_params(name: str, params: dict[str, Array], x: Shaped, memory: Shaped) -> None:
    """Raise a LayerError unless the params fit the widths of x and memory."""
    W_q, W_k, *_ = expect_params(name, params, "W_q", "W_k", "W_v", "W_o", "b_q", "b_v", "b_o")
    expect_input(name, x, W_q.shape[1])
    expect_input(name if memory is x else f"{name}, memory", memory, W_k.shape[1])


def project(params: dict[str, Array], names: str, x: Array) -> list[Array]:
    """x Wᵀ + b for several W, as one matrix product; k has no b."""
    W = _stack([params[f"W_{what}"] for what in names]).astype(x.dtype)
    zs = jnp.split(x @ W.T, len(names), axis=-1)
    biases = {what: params[f"b_{what}"].astype(x.dtype) for what in names if what != "k"}
    return [
        z + jnp.broadcast_to(biases[what], z.shape) if what in biases else z
        for what, z in zip(names, zs, strict=True)
    ]


def project_backward(
    params: dict[str, Array], names: str, x: Array, dzs: list[Array]
) -> tuple[dict[str, Array], Array]:
    """The gradients of the W and b, and dx."""
    W, dz = _stack([params[f"W_{what}"] for what in names]), jnp.concatenate(dzs, axis=-1)
    rows_dz, rows_x = _rows(dz, 1), _rows(x, 1)
    # Sums over examples are in the dtype of the parameters.
    dW = jnp.matmul(rows_dz.T, rows_x, preferred_element_type=W.dtype)
    grads = {f"W_{what}": d for what, d in zip(names, jnp.split(dW, len(names)), strict=True)}
    for what, d in zip(names, dzs, strict=True):
        if what != "k":
            b = f"b_{what}"
            grads[b] = jnp.sum(_rows(d, 1), axis=0, dtype=params[b].dtype)
    return grads, dz @ W.astype(dz.dtype)


def to_heads(a: Array, heads: int) -> Array:
    """(N, T, n) → (N, heads, T, n / heads), in float32 at least."""
    a = a.reshape(*a.shape[:2], heads, a.shape[-1] // heads).swapaxes(1, 2)
    return a.astype(sum_dtype(a.dtype))


def from_heads(a: Array, dtype: jnp.dtype) -> Array:
    """The inverse of ``to_heads``."""
    a = a.swapaxes(1, 2)
    return a.reshape(*a.shape[:2], a.shape[2] * a.shape[3]).astype(dtype)


def _stack(parts: list[Array]) -> Array:
    return parts[0] if len(parts) == 1 else jnp.concatenate(parts)
