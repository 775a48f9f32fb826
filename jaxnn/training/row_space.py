"""Gradient descent on the first dense layer in the row space of the examples.

With fewer examples than inputs, the row space of X has few dimensions, and the gradient of the
first layer, dW = dZᵀ X, lies in it.  Factor X = R Qᵀ, where Q (n, r) has orthonormal columns and
r ≤ examples.  The projection of W is W' = W Q::

    Z   = X Wᵀ     = R W'ᵀ
    dW' = dW Q     = dZᵀ R

Descent on W' with the examples R is therefore descent on W with the examples X: it has the same
costs and the same gradients in all other layers.  209 images of 12288 numbers become 209 rows of
209 numbers.

The orthogonal part of W, W − W Q Qᵀ, has no effect on Z and has gradient 0.  Weight decay and
momentum scale all of it by the same factor: at each step it is c times its initial value.  c
starts at 1 and gets the same updates as a weight with gradient 0.  The lift back to W is::

    W = c W_start + (W' − c W_start Q) Qᵀ

This is exact for updates that are linear in the gradients: plain descent, momentum and weight
decay.  It is not exact for optimizers that treat each weight by itself, such as Adam, because Q
rotates the weights.  ``jaxnn.fit``, which takes any optimizer, therefore does not use it.
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
    """Parameters projected to the row space of the examples.

    Attributes:
        params: the params of the network, with W' = W Q instead of W.
        across: (1, 1), the factor c of the orthogonal part of W.
    """

    params: Params
    across: Array | np.ndarray


class RowSpace(NamedTuple):
    """An orthonormal basis of the row space of the examples, and the examples in it.

    Attributes:
        place: the indices that lead to the params of the first dense layer.
        Q: matrices whose product (n, r) has orthonormal columns; float64, unless JAX traces the
            examples.
        x: the examples in the coordinates of the basis, R, as input of the same network.
    """

    place: tuple[int, ...]
    Q: tuple[Array | np.ndarray, ...]
    x: Array | np.ndarray

    def project(self, params: Params) -> Projected:
        """Replace W by its projection W' = W Q."""

        def project_W(layer: Params) -> Params:
            W = _host(layer["W"])
            return {**layer, "W": _times(W, self.Q).astype(W.dtype)}

        return Projected(_update_at(self.place, params, project_W), np.ones((1, 1), self.x.dtype))

    def lift(self, projected: Projected, start: Params) -> Params:
        """Replace W' by W, after a descent from the params ``start``."""
        params, across = projected
        W = _host(across) * _host(_get(self.place, start)["W"])
        change = _host(_get(self.place, params)["W"]) - _times(W, self.Q)
        W += _times(change, [factor.T for factor in reversed(self.Q)]).astype(W.dtype)
        return _update_at(self.place, params, lambda layer: {**layer, "W": jax.device_put(W)})


def row_space(net: Layer, x: Examples) -> RowSpace:
    """Factor the examples of a network to get their row space.

    Args:
        net: the network; its first layer is dense, or ``flatten`` followed by a dense layer.
        x: (m, n) examples, or (m, H, W, C) if the network flattens them.

    Raises:
        ValueError: when descent in the row space would not be exact; says why.

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
    """Why descent in the row space of the examples would not be exact; None if it is exact."""
    if not isinstance(x, (jax.Array, np.ndarray)):
        return "the examples are not one array"
    first = _first(net)[1]
    if not isinstance(first, Dense):
        return f"the first layer is {first.name}, not dense"
    if x.ndim not in (2, 4):
        return f"examples of shape {x.shape[1:]} are not rows or images"
    if x.dtype.itemsize < 4:
        return f"{x.dtype} is not precise enough for a projection"
    return None


def is_worthwhile(net: Layer, x: Examples, steps: int) -> bool:
    """Whether descent in the row space is exact and faster for that many steps.

    The factorization takes less time than as many steps as there are examples.
    """
    return (
        explain_refusal(net, x) is None and 2 * len(x) <= math.prod(x.shape[1:]) and steps >= len(x)
    )


def _factors(X: Any) -> tuple[tuple[Any, ...], Any]:
    """(factors of Q, R) of X = R Qᵀ."""
    if isinstance(X, Tracer):
        Q, R = jnp.linalg.qr(X.T)
        return (Q,), R.T
    fast = X.dtype == np.float32 and len(X) <= X.shape[1] and 0 < np.abs(X).max() < np.inf
    if not fast:
        Q, R = np.linalg.qr(X.T.astype(np.float64))
        return (Q,), R.T
    # X Xᵀ = U S² Uᵀ gives R = U S and Q = Xᵀ U / S, several times faster than the QR decomposition.
    # It halves the number of exact digits, so it is used for float32 only, and computed in float64.
    # Directions that come from rounding alone are left out.  Q itself is never multiplied out,
    # which would take as long as all the rest: W Q = (W Xᵀ) (U / S).
    X = X.astype(np.float64)
    squares, U = np.linalg.eigh(X @ X.T)
    significant = squares > squares[-1] * len(X) * np.finfo(np.float64).eps
    S, U = np.sqrt(squares[significant]), U[:, significant]
    return (X.T, U / S), U * S


def _times(W: Any, matrices: Sequence[Any]) -> Any:
    return functools.reduce(operator.matmul, matrices, W)


def _host(a: Any) -> Any:
    """A NumPy array, unless JAX traces it: JAX would compile a program for each small operation."""
    return a if isinstance(a, Tracer) else np.asarray(a)


def _first(net: Layer) -> tuple[tuple[int, ...], Layer]:
    """(place, layer) of the first layer after ``flatten``; the place leads to its params."""
    if not isinstance(net, Serial):
        return (), net
    index = 1 if net.layers[0] is flatten and len(net.layers) > 1 else 0
    place, layer = _first(net.layers[index])
    return (index, *place), layer


def _get(place: tuple[int, ...], params: Params) -> Params:
    for index in place:
        params = params[index]
    return params


def _update_at(
    place: tuple[int, ...], params: Params, change: Callable[[Params], Params]
) -> Params:
    if not place:
        return change(params)
    first, *rest = place
    children = list(params)
    children[first] = _update_at(tuple(rest), children[first], change)
    return children if isinstance(params, list) else tuple(children)
