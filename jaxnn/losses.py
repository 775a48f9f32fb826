"""Losses: the cost of a network's output and its gradient dZ, side by side.

Networks end in logits Z; the loss owns the sigmoid or softmax, so that dZ = A − Y is
exact and finite whatever the logits are.  Costs are computed in float32 at least.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from jaxnn.layer import Array


@dataclass(frozen=True)
class Loss:
    """A function ``(z, y) -> cost`` that carries its derivative.

    Attributes:
        name: what error messages and gradient checks call it.
        value: ``(z, y) -> cost``, a scalar.
        gradient: ``(z, y) -> dz``, of the shape and dtype of z; written by hand.

    Example:
        >>> import jax.numpy as jnp, jaxnn
        >>> z, y = jnp.zeros((4, 1)), jnp.ones((4, 1))
        >>> f"{jaxnn.binary_cross_entropy(z, y):.4f}"
        '0.6931'
        >>> jaxnn.binary_cross_entropy.gradient(z, y)[0].tolist()
        [-0.125]
    """

    name: str
    value: Callable[[Array, Any], Array]
    gradient: Callable[[Array, Any], Array]

    def __call__(self, z: Array, y: Any) -> Array:
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


# The logistic cost of the lecture, a = σ(z):  −y log a − (1 − y) log(1 − a) = log(1 + eᶻ) − z y
# dz = a − y.  Written with softplus it is finite for every z, and its JAX gradient at z = 0,
# where a network of zeros starts, is right too.
binary_cross_entropy = _elementwise(
    "binary_cross_entropy",
    lambda z, y: jax.nn.softplus(z) - z * y,
    lambda z, y: jax.nn.sigmoid(z) - y,
)

# (z − y)²,  dz = 2 (z − y)
mean_squared_error = _elementwise(
    "mean_squared_error",
    lambda z, y: (z - y) ** 2,
    lambda z, y: 2 * (z - y),
)


# For z of shape (..., classes), a = softmax(z), and y a distribution over the classes:
# −Σ y log a = log Σ eᶻ − Σ y z,  dz = a − y,  averaged over the examples
def _softmax_value(z: Array, y: Array) -> Array:
    z, y = _distribution(z, y)
    return jnp.mean(jnp.sum(y * -jax.nn.log_softmax(z), axis=-1))


def _softmax_gradient(z: Array, y: Array) -> Array:
    z32, p = _distribution(z, y)
    total = jnp.sum(p, axis=-1, keepdims=True)
    examples = max(z.size // z.shape[-1], 1)
    return ((jax.nn.softmax(z32) * total - p) / examples).astype(z.dtype)


softmax_cross_entropy = Loss("softmax_cross_entropy", _softmax_value, _softmax_gradient)


def _same_shape(name: str, z: Array, y: Array) -> tuple[Array, Array]:
    z, y = jnp.asarray(z), jnp.asarray(y)
    if y.shape != z.shape:
        raise ValueError(
            f"{name}: expected targets of the output's shape {z.shape}, got {y.shape}"
            + ("; reshape them to y[:, None]" if (*y.shape, 1) == z.shape else "")
        )
    dtype = _cost_dtype(z)
    return z.astype(dtype), y.astype(dtype)


def _distribution(z: Array, y: Array) -> tuple[Array, Array]:
    """Logits and targets as distributions; a class index that does not exist becomes NaN."""
    z, y = jnp.asarray(z), jnp.asarray(y)
    if y.shape == z.shape:
        return _same_shape("softmax_cross_entropy", z, y)
    if y.shape != z.shape[:-1] or not jnp.issubdtype(y.dtype, jnp.integer):
        raise ValueError(
            f"softmax_cross_entropy: expected targets {z.shape}, or class indices of an integer "
            f"dtype and shape {z.shape[:-1]}, got {y.dtype} {y.shape}"
        )
    classes, dtype = z.shape[-1], _cost_dtype(z)
    y = y[..., None]
    exists = jnp.broadcast_to((y >= 0) & (y < classes), z.shape)
    one_hot = jnp.broadcast_to(y, z.shape) == jax.lax.broadcasted_iota(y.dtype, z.shape, z.ndim - 1)
    return z.astype(dtype), jnp.where(exists, one_hot.astype(dtype), jnp.nan)


def _cost_dtype(z: Array) -> jnp.dtype:
    return jnp.promote_types(z.dtype, jnp.float32)
