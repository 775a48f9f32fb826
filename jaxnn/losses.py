"""Losses: the cost of a network's output and its gradient dZ, side by side.

Networks end in logits Z.  The loss contains the sigmoid or the softmax, so that dZ = A − Y is
exact and finite for all logits.  Costs are computed in float32 at least.

Infinite logits have the cost and the gradient of the limit; equal ones are equally probable.  A
class with the logit −∞ is masked: it adds 0 to the cost if its target is 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from jaxnn.layer import Array, Tree, sum_dtype


@dataclass(frozen=True)
class Loss:
    """A function ``(z, y) -> cost`` with its derivative.

    Attributes:
        name: its name in error messages and gradient checks.
        value: ``(z, y) -> cost``, a scalar.
        gradient: ``(z, y) -> dz``, of the shape and dtype of z; written by hand.

    Raises:
        TypeError: when z is not of a floating dtype.
        ValueError: when the shape of y does not fit that of z.

    Example:
        >>> import jax.numpy as jnp, jaxnn
        >>> z, y = jnp.zeros((4, 1)), jnp.ones((4, 1))
        >>> f"{jaxnn.binary_cross_entropy(z, y):.4f}"
        '0.6931'
        >>> jaxnn.binary_cross_entropy.gradient(z, y)[0].tolist()
        [-0.125]
    """

    name: str
    value: Callable[[Tree, Any], Array]
    gradient: Callable[[Tree, Any], Any]

    def __call__(self, z: Tree, y: Any) -> Array:
        return self.value(z, y)

    def __repr__(self) -> str:
        return self.name


def _elementwise(
    name: str, value: Callable[[Array, Array], Array], gradient: Callable[[Array, Array], Array]
) -> Loss:
    """A loss that is the mean, over examples and outputs, of a function of z and y."""

    def mean_value(z: Array, y: Array) -> Array:
        return jnp.mean(value(*_same_shape(name, z, y)))

    def mean_gradient(z: Array, y: Array) -> Array:
        return (gradient(*_same_shape(name, z, y)) / z.size).astype(z.dtype)

    return Loss(name, mean_value, mean_gradient)


#: The logistic cost of the lecture, the mean of −y log a − (1 − y) log(1 − a) with a = σ(z); for
#: one number, dz = a − y.  It is accurate for all z, as −log a = softplus(−z) and
#: −log(1 − a) = softplus(z).
binary_cross_entropy = _elementwise(
    "binary_cross_entropy",
    lambda z, y: _weigh(y, jax.nn.softplus(-z)) + _weigh(1 - y, jax.nn.softplus(z)),
    lambda z, y: jax.nn.sigmoid(z) - y,
)

#: The mean of (z − y)²; for one number, dz = 2 (z − y).
mean_squared_error = _elementwise(
    "mean_squared_error",
    lambda z, y: (z - y) ** 2,
    lambda z, y: 2 * (z - y),
)


def _softmax_value(z: Array, y: Array) -> Array:
    z, y = _distribution(z, y)
    below = _subtract_largest(z)
    log_sum = jnp.log(jnp.sum(jnp.exp(below), axis=-1, keepdims=True))
    return jnp.mean(jnp.sum(_weigh(y, log_sum - below), axis=-1))


def _softmax_gradient(z: Array, y: Array) -> Array:
    z32, p = _distribution(z, y)
    powers = jnp.exp(_subtract_largest(z32))
    a = powers / jnp.sum(powers, axis=-1, keepdims=True)
    total = jnp.sum(p, axis=-1, keepdims=True)
    examples = max(z.size // z.shape[-1], 1)
    return ((a * total - p) / examples).astype(z.dtype)


#: For z (..., classes), a = softmax(z) and a distribution y over the classes, the mean over all
#: examples of −Σ y log a = Σ y (log Σ eᶻ − z); for one example, dz = a − y.  y may also be the
#: index of the class, (...) of an integer dtype.
softmax_cross_entropy = Loss("softmax_cross_entropy", _softmax_value, _softmax_gradient)


def _weigh(weight: Array, cost: Array) -> Array:
    """weight · cost, with 0 · ∞ = 0: the limit for a class of weight 0."""
    return weight * jnp.where((weight == 0) & (cost == jnp.inf), 0.0, cost)


def _subtract_largest(z: Array) -> Array:
    """z minus the largest number of its last axis: the exponentials are then finite."""
    return _difference(z, jax.lax.stop_gradient(jnp.max(z, axis=-1, keepdims=True)))


@jax.custom_jvp
def _difference(z: Array, largest: Array) -> Array:
    """z − largest, with ∞ − ∞ = 0: the limit of equal numbers that grow."""
    return jnp.where(z == largest, 0.0, z - largest)


@_difference.defjvp
def _difference_jvp(at: tuple[Array, Array], d: tuple[Array, Array]) -> tuple[Array, Array]:
    return _difference(*at), jnp.subtract(*d)


def _same_shape(name: str, z: Array, y: Array) -> tuple[Array, Array]:
    z, y = _logits(name, z), jnp.asarray(y)
    if y.shape != z.shape:
        raise ValueError(
            f"{name}: expected targets of the output's shape {z.shape}, got {y.shape}"
            + ("; reshape them to y[:, None]" if (*y.shape, 1) == z.shape else "")
        )
    dtype = sum_dtype(z.dtype)
    return z.astype(dtype), y.astype(dtype)


def _distribution(z: Array, y: Array) -> tuple[Array, Array]:
    """Logits, and targets as distributions: NaN for a class index that does not exist."""
    z, y = _logits("softmax_cross_entropy", z), jnp.asarray(y)
    if y.shape == z.shape:
        return _same_shape("softmax_cross_entropy", z, y)
    if y.shape != z.shape[:-1] or not jnp.issubdtype(y.dtype, jnp.integer):
        raise ValueError(
            f"softmax_cross_entropy: expected targets {z.shape}, or class indices of an integer "
            f"dtype and shape {z.shape[:-1]}, got {y.dtype} {y.shape}"
        )
    classes, dtype = z.shape[-1], sum_dtype(z.dtype)
    y = y[..., None]
    exists = jnp.broadcast_to((y >= 0) & (y < classes), z.shape)
    one_hot = jnp.broadcast_to(y, z.shape) == jax.lax.broadcasted_iota(y.dtype, z.shape, z.ndim - 1)
    return z.astype(dtype), jnp.where(exists, one_hot.astype(dtype), jnp.nan)


def _logits(name: str, z: Array) -> Array:
    z = jnp.asarray(z)
    if not jnp.issubdtype(z.dtype, jnp.floating):
        raise TypeError(
            f"{name}: expected outputs of a floating dtype, got {z.dtype}; convert them first: "
            "z.astype(jnp.float32)"
        )
    return z
