"""The layout of images during an augmentation: float32 ``(n, H, 3, W)`` in [0, 1].

In this layout a resize is two matrix products an image.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jaxnn.layer import Array


def to_rows(images: Array) -> Array:
    """uint8 ``(n, H, W, 3)`` to float32 ``(n, H, 3, W)`` in [0, 1]."""
    return jnp.asarray(images).swapaxes(2, 3).astype(jnp.float32) / 255.0


def from_rows(x: Array) -> Array:
    """``(n, H, 3, W)`` to ``(n, H, W, 3)``."""
    return materialize(x).swapaxes(2, 3)


def materialize(x: Array) -> Array:
    """Return x, which XLA computes completely before any use of it.

    XLA for CPUs (jax 0.10.2) fuses operations into a concatenation or a transposition, where
    nothing is vectorized: ``augment`` then takes three times as long (``python -m catnet_bench
    photo``).  It removes an ``optimization_barrier`` before that; it does not fuse across a branch.
    """
    return jax.lax.cond(jnp.isnan(x.ravel()[0]), jnp.zeros_like, lambda x: x, x)
