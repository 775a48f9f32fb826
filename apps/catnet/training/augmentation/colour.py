"""Random colours of images: one affine map of the channels for each image."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from catnet.training.augmentation.jpeg import GREY, across_channels
from catnet.training.augmentation.strength import Strength, between
from jaxnn.layer import Array


def random_colour(key: Array, x: Array, strength: Strength) -> Array:
    """Change gain, brightness, saturation and contrast of each image at random."""
    u = jax.random.uniform(key, (7, len(x)))

    def around_one(spread: float, u: Array) -> Array:
        return between((1.0 - spread, 1.0 + spread), u)

    gain = around_one(strength.brightness, u[:1]) * around_one(strength.gain, u[1:4])
    saturation = jnp.where(u[4] < strength.grey, 0.0, around_one(strength.saturation, u[5]))
    return recolour(x, gain.T, saturation, around_one(strength.contrast, u[6]))


def recolour(x: Array, gain: Array, saturation: Array, contrast: Array) -> Array:
    """Multiply channels by ``gain`` (n, 3), distances from grey and from the mean grey.

    With y = gain · x and g(y) its luma: ``m + contrast · (g(y) + saturation · (y − g(y)) − m)``,
    m the mean of g(y) over the image; clipped to [0, 1].
    """
    luma = jnp.asarray(GREY, x.dtype)
    mean_grey = (gain * jnp.mean(x, axis=(1, 3))) @ luma
    s = saturation[:, None, None]
    matrix = (
        contrast[:, None, None]
        * (s * jnp.eye(3)[None] + (1.0 - s) * luma[None, None])
        * gain[:, None, :]
    )
    offset = (1.0 - contrast) * mean_grey
    return jnp.clip(across_channels(matrix, x) + offset[:, None, None, None], 0.0, 1.0)
