"""Muon: descent along the orthogonalized momentum of each matrix (Jordan et al. 2024)."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxnn.layer import Array

# One step of the iteration is σ → aσ + bσ³ + cσ⁵ for every singular value (Jordan's numbers).
A, B, C = 3.4445, -4.7750, 2.0315
ITERATIONS = 5
MOMENTUM = 0.95
# The root mean square of an update, which suits a learning rate of Adam (arXiv:2502.16982).
RMS = 0.2


def muon(learning_rate: optax.Schedule, weight_decay: float) -> optax.GradientTransformation:
    """Muon for kernels and matrices, Adam for the vectors.

    ::

        M ← 0.95 M + G
        W ← W − α (0.2 √max(n_in, n_out) · orthogonalize(0.95 M + G) + λ W)

    Args:
        learning_rate: α at each step.
        weight_decay: λ, of kernels and matrices.
    """
    matrices = optax.chain(
        optax.trace(MOMENTUM, nesterov=True),
        optax.stateless(lambda updates, _: jax.tree.map(_orthogonalize_leaf, updates)),
        optax.add_decayed_weights(weight_decay),
        optax.scale_by_learning_rate(learning_rate),
    )

    def choose(params: Any) -> Any:
        return jax.tree.map(lambda leaf: "muon" if leaf.ndim > 1 else "adam", params)

    return optax.partition(
        {"muon": matrices, "adam": optax.adam(learning_rate, nesterov=True)}, choose
    )


def _orthogonalize_leaf(G: Array) -> Array:
    """A kernel (h, w, n_in, n_out) is the matrix (h·w·n_in, n_out)."""
    if G.ndim == 2:
        return RMS * math.sqrt(max(G.shape)) * orthogonalize(G)
    X = G.reshape(-1, G.shape[-1])
    return (RMS * math.sqrt(max(X.shape)) * orthogonalize(X)).reshape(G.shape)


def orthogonalize(X: Array) -> Array:
    """Move all singular values of a matrix near 1, by a Newton-Schulz iteration.

    The iteration is ``X ← (a I + b XXᵀ + c (XXᵀ)²) X``.  All its factors are polynomials of the
    first G = XXᵀ, so they commute, and only square matrices of the shorter side are multiplied::

        Q = a I + b G + c G²,   P ← Q P,   G ← Q G Q,   five times;   then P X

    Args:
        X: (m, n).

    Returns:
        (m, n); singular values of at least 0.01 of the Frobenius norm become 0.6 to 1.3.

    Example:
        >>> import jax.numpy as jnp
        >>> X = orthogonalize(jnp.array([[3.0, 0.0], [0.0, -0.1]]))
        >>> jnp.sign(X).tolist(), bool((abs(jnp.diag(X)) > 0.6).all())
        ([[1.0, 0.0], [0.0, -1.0]], True)
    """
    if X.shape[0] > X.shape[1]:
        return orthogonalize(X.T).T
    X = X / (jnp.linalg.norm(X) + 1e-8)
    identity = jnp.eye(len(X), dtype=X.dtype)
    G, P = X @ X.T, identity
    for _ in range(ITERATIONS):
        Q = A * identity + B * G + C * (G @ G)
        P, G = Q @ P, Q @ G @ Q
    return P @ X
