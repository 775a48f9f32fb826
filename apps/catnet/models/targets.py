"""Labels as targets of a loss, and the loss of a network: sigmoid for two classes, else softmax."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn import Loss, binary_cross_entropy, softmax_cross_entropy
from jaxnn.layer import Array


def make_targets(labels: np.ndarray, classes: int, weights: np.ndarray | None = None) -> np.ndarray:
    """Make the targets of ``choose_loss`` from labels.

    Args:
        labels: (n,) integers below ``classes``.
        classes: the number of classes.
        weights: (classes,) the weight of each class in the cost; None for equal weights.

    Returns:
        Two classes: (n, 1) float32, 1 for class 1; weighted, (n, 2): [w (1 − y), w y].  More
        classes: (n,) int32; weighted, (n, classes): w at the class of the example, else 0.

    Example:
        >>> make_targets(np.array([0, 1]), 2).tolist()
        [[0.0], [1.0]]
        >>> make_targets(np.array([2, 0]), 3, np.array([2.0, 1.0, 0.5])).tolist()
        [[0.0, 0.0, 0.5], [2.0, 0.0, 0.0]]
    """
    if weights is not None:
        one_hot = labels[:, None] == np.arange(classes)
        return (one_hot * weights).astype(np.float32)
    return labels.astype(np.float32)[:, None] if classes == 2 else labels.astype(np.int32)


def choose_loss(classes: int, weighted: bool = False) -> Loss:
    """Choose the loss of logits (n, 1) for two classes, or (n, classes) for more.

    The loss of two classes is the lecture's logistic cost; of more, the softmax cross-entropy.
    """
    if classes == 2:
        return weighted_binary_cross_entropy if weighted else binary_cross_entropy
    return softmax_cross_entropy  # its targets may have any sum, so the weight of an example


def _value(z: Array, y: Any) -> Array:
    return jnp.mean(y[:, 1:] * jax.nn.softplus(-z) + y[:, :1] * jax.nn.softplus(z))


def _gradient(z: Array, y: Any) -> Array:
    return (((y[:, :1] + y[:, 1:]) * jax.nn.sigmoid(z) - y[:, 1:]) / z.size).astype(z.dtype)


#: The logistic cost with a weight for each example: for z (n, 1) and y (n, 2) = [w (1 − t), w t],
#: the mean of −w (t log a + (1 − t) log(1 − a)) with a = σ(z); for one example, dz = w (a − t).
weighted_binary_cross_entropy = Loss("weighted_binary_cross_entropy", _value, _gradient)
