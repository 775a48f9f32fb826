"""Scaled dot-product attention and its derivative, in blocks of queries.

For queries q (T, d), keys k (S, d) and values v (S, d) of one head::

    forward    s = q kᵀ / √d,  −∞ where a query may not attend
               L = log Σ_s e^s,   P = e^(s − L),   o = P v
    backward   D = Σ dO ∘ O  (a number a query),   P = e^(s − L) again
               dV = Pᵀ dO,   dS = P ∘ (dO Vᵀ − D) / √d,   dQ = dS K,   dK = dSᵀ Q

The cache has L only, not the T × S numbers of P.  The backward pass computes P again, for one block
of queries at a time, so that memory grows with T, not with T².  If there is only one block, its P
is cached.  A query that may attend to no key has L = ∞; then P = 0, o = 0, and the gradient is 0.

Source: Vaswani et al. 2017, arXiv:1706.03762; backward: Dao et al. 2022, arXiv:2205.14135.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import lax

from jaxnn.layer import Array

BLOCK = 64  # queries at a time


class Allowed(NamedTuple):
    """Which query may attend to which key; None for all.

    Attributes:
        keys: (N, S), True where there is a key.
        pairs: (N or 1, T, S), True where a query may attend to a key.
        causal: whether a query may not attend to the keys after it.
    """

    keys: Array | None
    pairs: Array | None
    causal: bool


class Weights(NamedTuple):
    """The cache for the backward pass besides q, k, v and o."""

    log_sums: Array  # L, (N, heads, T)
    P: Array | None  # of a single block


def attend(q: Array, k: Array, v: Array, allowed: Allowed) -> tuple[Array, Weights]:
    """o (N, heads, T, d) of q (N, heads, T, d), k and v (N, heads, S, d)."""

    def of_block(i: Array | int, q: Array, pairs: Array | None) -> tuple[Array, Array, Array]:
        s = _scores(i, q, k, pairs, allowed)
        highest = lax.stop_gradient(jnp.max(s, axis=-1, keepdims=True))
        highest = jnp.where(highest > -jnp.inf, highest, 0)
        e = jnp.exp(s - _along_keys(highest, s))
        total = jnp.sum(e, axis=-1, keepdims=True)
        some = total > 0
        total = jnp.where(some, total, 1)
        P = e / _along_keys(total, e)
        log_sums = jnp.where(some, highest + jnp.log(total), jnp.inf)[..., 0]
        return P @ v, log_sums, P

    if q.shape[2] <= BLOCK:
        o, log_sums, P = of_block(0, q, allowed.pairs)
        return o, Weights(log_sums, P)
    blocks = _blocks(q), _pair_blocks(allowed.pairs)

    def step(_: None, block: Any) -> tuple[None, tuple[Array, Array]]:
        return None, of_block(*block)[:2]

    _, (o, log_sums) = lax.scan(step, None, (jnp.arange(len(blocks[0])), *blocks))
    return _unblock(o, q), Weights(_unblock(log_sums, q), None)


def attend_backward(
    q: Array, k: Array, v: Array, o: Array, weights: Weights, do: Array, allowed: Allowed
) -> tuple[Array, Array, Array]:
    """(dq, dk, dv) of ``attend``."""
    D = jnp.sum(do * o, axis=-1)

    def of_block(P: Array, q: Array, do: Array, D: Array) -> tuple[Array, Array, Array]:
        dP = do @ v.swapaxes(-1, -2)
        dS = P * (dP - _along_keys(D[..., None], dP)) * q.shape[-1] ** -0.5
        return dS @ k, dS.swapaxes(-1, -2) @ q, P.swapaxes(-1, -2) @ do

    if weights.P is not None:
        return of_block(weights.P, q, do, D)

    def step(
        total: tuple[Array, Array], at: tuple[Array, ...]
    ) -> tuple[tuple[Array, Array], Array]:
        i, q, do, D, L, pairs = at
        s = _scores(i, q, k, pairs, allowed)
        dq, dk, dv = of_block(jnp.exp(s - _along_keys(L[..., None], s)), q, do, D)
        return (total[0] + dk, total[1] + dv), dq

    log_sums = _blocks(weights.log_sums, jnp.inf)  # P = 0 in what fills the last block
    blocks = _blocks(q), _blocks(do), _blocks(D), log_sums, _pair_blocks(allowed.pairs)
    start = jnp.zeros_like(k), jnp.zeros_like(v)
    at: Any = (jnp.arange(len(log_sums)), *blocks)
    (dk, dv), dq = lax.scan(step, start, at)
    return _unblock(dq, q), dk, dv


def _scores(i: Array | int, q: Array, k: Array, pairs: Array | None, allowed: Allowed) -> Array:
    """s of the i-th block of queries."""
    s = (q @ k.swapaxes(-1, -2)) * q.shape[-1] ** -0.5
    for mask in (pairs, None if allowed.keys is None else allowed.keys[:, None]):
        if mask is not None:
            s = jnp.where(jnp.broadcast_to(mask[:, None], s.shape), s, -jnp.inf)
    if allowed.causal:
        query = i * BLOCK + lax.broadcasted_iota(jnp.int32, s.shape[-2:], 0)
        key = lax.broadcasted_iota(jnp.int32, s.shape[-2:], 1)
        s = jnp.where(jnp.broadcast_to(key <= query, s.shape), s, -jnp.inf)
    return s


def _along_keys(a: Array, s: Array) -> Array:
    return jnp.broadcast_to(a, s.shape)


def _blocks(a: Array, fill: float = 0.0) -> Array:
    """(N, heads, T, …) → (blocks, N, heads, BLOCK, …)."""
    around = [(0, -a.shape[2] % BLOCK if axis == 2 else 0) for axis in range(a.ndim)]
    a = jnp.pad(a, around, constant_values=fill)
    return jnp.moveaxis(a.reshape(*a.shape[:2], -1, BLOCK, *a.shape[3:]), 2, 0)


def _pair_blocks(pairs: Array | None) -> Array | None:
    """(N, T, S) → (blocks, N, BLOCK, S)."""
    return None if pairs is None else _blocks(pairs[:, None], False)[:, :, 0]


def _unblock(blocks: Array, q: Array) -> Array:
    """The inverse of ``_blocks``."""
    a = jnp.moveaxis(blocks, 0, 2)
    return a.reshape(*a.shape[:2], -1, *a.shape[4:])[:, :, : q.shape[2]]
