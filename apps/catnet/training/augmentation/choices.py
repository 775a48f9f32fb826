"""The augmentations of ``--augment``, by name: from none to that of the photo network."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from catnet.training.augmentation.augment import augment, prepare
from catnet.training.augmentation.strength import FULL, LIGHT


def none(key: jax.Array, images: jax.Array) -> jax.Array:
    """Images uint8 (n, H, W, 3) as float32 (n, 64, 64, 3) in [0, 1], as in prediction."""
    return prepare(images)


def mirror(key: jax.Array, images: jax.Array) -> jax.Array:
    """Half of the images, chosen at random, are mirrored."""
    x = prepare(images)
    flip = jax.random.bernoulli(key, 0.5, (len(x), 1, 1, 1))
    return jnp.where(flip, x[:, :, ::-1], x)


def light(key: jax.Array, images: jax.Array) -> jax.Array:
    """Small changes of crop, colour, sharpness and noise; half of the images are mirrored."""
    return augment(key, images, LIGHT)


def full(key: jax.Array, images: jax.Array) -> jax.Array:
    """Large changes; a part of some images is erased."""
    return augment(key, images, FULL)


#: The functions (key, images) → images, by the names of ``registry.AUGMENTATIONS``.
FUNCTIONS: dict[str, Callable[[jax.Array, jax.Array], jax.Array]] = {
    function.__name__: function for function in (none, mirror, light, full)
}
