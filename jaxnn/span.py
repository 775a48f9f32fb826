"""Gradient descent on the first dense layer, in the few coordinates where it happens.

With fewer examples than inputs, the rows of X span a small part of the input space, and the
gradient of the first layer, dW = dZᵀ X, never leaves it.  Factor X = R Qᵀ with orthonormal
columns in Q (n, r), r ≤ examples.  Then, with W' = W Q,

    Z   = X Wᵀ     = R W'ᵀ
    dW' = dW Q     = dZᵀ R

so descent on W' with the examples R is descent on W with the examples X: the same costs, the
same gradients of all that follows.  At the end W = W_start + (W' − W'_start) Qᵀ; the part of
W_start that is orthogonal to all examples was never touched.  209 pictures of 12288 numbers
become 209 rows of 209.

This is exact for updates that are sums of gradients (gradient descent).  It is not for those
that treat every weight by itself, such as Adam: they do not commute with a rotation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp

from jaxnn.combinators import serial
from jaxnn.dense import Dense
from jaxnn.flatten import flatten
from jaxnn.layer import Array, Layer, Params


class Span(NamedTuple):
    """The coordinates of examples in their own span.

    Attributes:
        place: where in the params the first dense layer stands.
        Q: (n, r), orthonormal columns.
        x: the examples in these coordinates, for the same network.
    """

    place: tuple[int, ...]
    Q: Array
    x: Array

    def enter(self, params: Params) -> Params:
        """The params with W' = W Q in place of W."""
        return _at(self.place, params, lambda layer: {**layer, "W": layer["W"] @ self.Q})

    def leave(self, params: Params, start: Params) -> Params:
        """The params with W back, after a descent that began at ``start``."""
        W_start = _get(self.place, start)["W"]
        W_moved = _get(self.place, params)["W"] - W_start @ self.Q
        return _at(self.place, params, lambda layer: {**layer, "W": W_start + W_moved @ self.Q.T})


def span(net: Layer, x: Array, steps: int) -> Span | None:
    """The span of the examples, if a descent of so many steps gains from it; else None.

    Args:
        net: the network; it has to start with a dense layer, after ``flatten`` or not.
        x: (m, n) examples, or (m, H, W, C) where the network flattens them.
        steps: of the descent.

    Example:
        >>> import jax.numpy as jnp, jaxnn
        >>> from jaxnn.span import span
        >>> x = jnp.eye(3, 8)
        >>> span(jaxnn.serial(jaxnn.dense(2), jaxnn.tanh), x, steps=100).x.shape
        (3, 3)
        >>> span(jaxnn.serial(jaxnn.dropout(0.1), jaxnn.dense(2)), x, steps=100) is None
        True
    """
    place = _first_dense(net)
    if place is None or x.ndim not in (2, 4) or x.dtype.itemsize < 4:
        return None
    rows = x.reshape(len(x), -1)
    examples, inputs = rows.shape
    # The factorisation costs about as much as one step for every example.
    if 2 * examples > inputs or steps < examples:
        return None
    Q, R = jnp.linalg.qr(rows.T)
    x = R.T if x.ndim == 2 else R.T[:, None, None, :]
    return Span(place, Q, x)


def _first_dense(net: Layer) -> tuple[int, ...] | None:
    """Where the params of the layer that sees the examples stand, if it is a dense one."""
    if isinstance(net, Dense):
        return ()
    if net.rebuild is serial:
        first = 1 if net.layers[0] is flatten and len(net.layers) > 1 else 0
        below = _first_dense(net.layers[first])
        return None if below is None else (first, *below)
    return None


def _get(place: tuple[int, ...], params: Params) -> Params:
    for index in place:
        params = params[index]
    return params


def _at(place: tuple[int, ...], params: Params, change: Callable[[Params], Params]) -> Params:
    if not place:
        return change(params)
    first, *rest = place
    return tuple(
        _at(tuple(rest), child, change) if i == first else child for i, child in enumerate(params)
    )
