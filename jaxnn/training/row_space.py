"""Gradient descent on the first dense layer, in the few coordinates where it happens.

With fewer examples than inputs, the rows of X span a small part of the input space, and the
gradient of the first layer, dW = dZᵀ X, never leaves it.  Factor X = R Qᵀ with orthonormal
columns in Q (n, r), r ≤ examples.  Then, with W' = W Q,

    Z   = X Wᵀ     = R W'ᵀ
    dW' = dW Q     = dZᵀ R

so descent on W' with the examples R is descent on W with the examples X: the same costs, the
same gradients of all that follows.  209 images of 12288 numbers become 209 rows of 209.

What W has across the row space, W − W Q Qᵀ, no example sees and no gradient changes.  Weight decay
and momentum do, all of it alike: at any step it is a number c times what it was at the start,
and c takes the same updates as a weight without a gradient that starts at 1.  So at the end

    W = c W_start + (W' − c W_start Q) Qᵀ

This is exact for updates that are linear in the gradients: plain descent, momentum, weight
decay.  It is not for those that treat every weight by itself, such as Adam: a rotation of the
weights changes them.  ``jaxnn.fit``, which takes any optimizer, therefore never does it.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from jaxnn.combinators.serial import Serial
from jaxnn.layer import Array, Layer, Params
from jaxnn.layers.dense import Dense
from jaxnn.layers.flatten import flatten
from jaxnn.training.examples import Examples


class Projected(NamedTuple):
    """Parameters in the row space of the examples.

    Attributes:
        params: the network's, with W' = W Q in place of W.
        across: (1, 1), the c above.
    """

    params: Params
    across: Array | np.ndarray


class RowSpace(NamedTuple):
    """The coordinates of examples in their row space.

    Attributes:
        place: where in the params the first dense layer stands.
        Q: matrices whose product (n, r) has orthonormal columns; float64, if the examples are
            not being traced.
        x: the examples in these coordinates, for the same network.
    """

    place: tuple[int, ...]
    Q: tuple[Array | np.ndarray, ...]
    x: Array | np.ndarray

    def project(self, params: Params) -> Projected:
        """The params with W' = W Q in place of W."""

        def turned(layer: Params) -> Params:
            W = _host(layer["W"])
            return {**layer, "W": _times(W, self.Q).astype(W.dtype)}

        return Projected(_at(self.place, params, turned), np.ones((1, 1), self.x.dtype))

    def lift(self, inside: Projected, start: Params) -> Params:
        """The params with W back, after a descent that began at ``start``."""
        params, across = inside
        W = _host(across) * _host(_get(self.place, start)["W"])
        moved = _host(_get(self.place, params)["W"]) - _times(W, self.Q)
        W += _times(moved, [factor.T for factor in reversed(self.Q)]).astype(W.dtype)
        return _at(self.place, params, lambda layer: {**layer, "W": jax.device_put(W)})


def row_space(net: Layer, x: Examples) -> RowSpace:
    """The row space of the examples of a network.

    Args:
        net: the network; it has to start with a dense layer, after ``flatten`` or not.
        x: (m, n) examples, or (m, H, W, C) where the network flattens them.

    Raises:
        ValueError: descent there would not be the same; says why.

    Example:
        >>> import jax.numpy as jnp, jaxnn
        >>> from jaxnn.training.row_space import row_space
        >>> x = jnp.eye(3, 8)
        >>> row_space(jaxnn.serial(jaxnn.dense(2), jaxnn.tanh), x).x.shape
        (3, 3)
        >>> row_space(jaxnn.serial(jaxnn.tanh, jaxnn.dense(2)), x)
        Traceback (most recent call last):
        ValueError: no descent in the row space of the examples: the first layer is tanh, not dense
    """
    if reason := explain_refusal(net, x):
        raise ValueError(f"no descent in the row space of the examples: {reason}")
    X = _host(x).reshape(len(x), -1)
    Q, R = _factors(X)
    R = R.astype(x.dtype)
    return RowSpace(_first(net)[0], Q, R if x.ndim == 2 else R[:, None, None, :])


def explain_refusal(net: Layer, x: Examples) -> str | None:
    """Why descent in the row space of the examples would not be the same; None if it is."""
    if not isinstance(x, (jax.Array, np.ndarray)):
        return "the examples are not one array"
    first = _first(net)[1]
    if not isinstance(first, Dense):
        return f"the first layer is {first.name}, not dense"
    if x.ndim not in (2, 4):
        return f"examples of shape {x.shape[1:]} are not rows or images"
    if x.dtype.itemsize < 4:
        return f"{x.dtype} is too coarse to turn them in"
    return None


def is_worthwhile(net: Layer, x: Examples, steps: int) -> bool:
    """Whether a descent of so many steps gains by going through the row space.

    The factorisation costs less than one step for every example.
    """
    return (
        explain_refusal(net, x) is None and 2 * len(x) <= math.prod(x.shape[1:]) and steps >= len(x)
    )


def _factors(X: Any) -> tuple[tuple[Any, ...], Any]:
    """Q, as matrices that are to be multiplied, and R of X = R Qᵀ."""
    if isinstance(X, Tracer):
        Q, R = jnp.linalg.qr(X.T)
        return (Q,), R.T
    quick = X.dtype == np.float32 and len(X) <= X.shape[1] and 0 < np.abs(X).max() < np.inf
    if not quick:
        Q, R = np.linalg.qr(X.T.astype(np.float64))
        return (Q,), R.T
    # From XXᵀ = U S² Uᵀ, with R = U S and Q = Xᵀ U / S: several times as fast.  It halves the
    # digits, so it is for float32, in float64.  Directions that only rounding has are left out.
    # Q would take as long as all the rest, and W Q is as well (W Xᵀ) (U / S).
    X = X.astype(np.float64)
    squares, U = np.linalg.eigh(X @ X.T)
    there = squares > squares[-1] * len(X) * np.finfo(np.float64).eps
    S, U = np.sqrt(squares[there]), U[:, there]
    return (X.T, U / S), U * S


def _times(W: Any, matrices: Sequence[Any]) -> Any:
    return functools.reduce(operator.matmul, matrices, W)


def _host(a: Any) -> Any:
    """For NumPy, if it is not being traced: JAX would compile a program for every small step."""
    return a if isinstance(a, Tracer) else np.asarray(a)


def _first(net: Layer) -> tuple[tuple[int, ...], Layer]:
    """The layer that sees the examples, flattened or not, and where its params stand."""
    if not isinstance(net, Serial):
        return (), net
    index = 1 if net.layers[0] is flatten and len(net.layers) > 1 else 0
    place, layer = _first(net.layers[index])
    return (index, *place), layer


def _get(place: tuple[int, ...], params: Params) -> Params:
    for index in place:
        params = params[index]
    return params


def _at(place: tuple[int, ...], params: Params, change: Callable[[Params], Params]) -> Params:
    if not place:
        return change(params)
    first, *rest = place
    children = list(params)
    children[first] = _at(tuple(rest), children[first], change)
    return children if isinstance(params, list) else tuple(children)
