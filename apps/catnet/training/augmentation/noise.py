"""Random noise."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp

from catnet.training.augmentation.strength import Strength
from jaxnn.layer import Array


def random_noise(key: Array, x: Array, strength: Strength) -> Array:
    """Add noise of a random standard deviation to each image, at most ``strength.noise``.

    The noise of an image is a random mixture of a few patterns, the same for the batch: one matrix
    product.  Random numbers for every pixel would cost more than all the rest of ``augment``.
    """
    pattern_key, mixture_key = jax.random.split(key)
    bound = math.sqrt(3.0)  # uniform on ±√3 has unit variance; a sum of several is near normal
    patterns = jax.random.uniform(pattern_key, (8, x[0].size), minval=-bound, maxval=bound)
    deviation, mixture = jnp.split(jax.random.uniform(mixture_key, (len(x), 9)), [1], axis=1)
    mixture -= 0.5
    mixture *= strength.noise * deviation / jnp.linalg.norm(mixture, axis=1, keepdims=True)
    return jnp.clip(x + (mixture @ patterns).reshape(x.shape), 0.0, 1.0)
