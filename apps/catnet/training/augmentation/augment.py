"""Change the images of a batch at random for training, or prepare them for prediction.

The steps between have images as ``(n, H, 3, W)``; see :mod:`catnet.training.augmentation.rows`.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp

from catnet.images.size import SIZE
from catnet.training.augmentation.colour import random_colour
from catnet.training.augmentation.crop import random_crop, resize
from catnet.training.augmentation.jpeg import random_recompress
from catnet.training.augmentation.noise import random_noise
from catnet.training.augmentation.rectangles import random_erase
from catnet.training.augmentation.rows import from_rows, to_rows
from catnet.training.augmentation.strength import FULL, Strength
from jaxnn.layer import Array


@partial(jax.jit, static_argnames="strength")
def augment(
    key: Array, images: Array, strength: Strength = FULL, scenes: Array | None = None
) -> Array:
    """Crop, flip and recolour every image; compress some again, and erase a part of some.

    Args:
        key: of ``jax.random``.
        images: uint8 ``(n, S, S, 3)``, in random order: ``random_recompress`` takes the first.
        strength: static: another value compiles another program.
        scenes: bool ``(n,)``, the images that may surround a smaller one: no object of interest is
            in them; None for no image.

    Returns:
        float32 ``(n, 64, 64, 3)`` in [0, 1].

    Example:
        The result depends on the key alone::

            >>> import jax, numpy as np
            >>> from catnet.training.augmentation.augment import augment
            >>> from catnet.training.augmentation.strength import LIGHT
            >>> images = np.full((2, 80, 80, 3), 100, np.uint8)
            >>> augment(jax.random.key(0), images, LIGHT).shape
            (2, 64, 64, 3)
    """
    crop_key, colour_key, noise_key, recompress_key, erase_key = jax.random.split(key, 5)
    x = random_crop(crop_key, to_rows(images), strength, scenes)
    x = random_colour(colour_key, x, strength)
    x = random_noise(noise_key, x, strength)
    x = random_recompress(recompress_key, x, strength)
    return from_rows(random_erase(erase_key, x, strength))


@jax.jit
def prepare(images: Array) -> Array:
    """Prepare images for validation and prediction: whole, at the network's size.

    Args:
        images: uint8 ``(n, S, S, 3)``; images of S = 64, the decoder's size, are only
            divided by 255; others are resized by antialiased linear interpolation.

    Returns:
        float32 ``(n, 64, 64, 3)`` in [0, 1].
    """
    if images.shape[1:3] == (SIZE, SIZE):
        return images.astype(jnp.float32) / 255.0
    zero, one = jnp.zeros(len(images)), jnp.ones(len(images))
    return from_rows(resize(to_rows(images), (zero, one), (zero, one), one, zero))
