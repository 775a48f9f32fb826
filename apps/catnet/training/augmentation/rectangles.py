"""Random rectangles: erased in an image, or pasted from another one."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from catnet.training.augmentation.strength import Strength, between, between_logs
from jaxnn.layer import Array


def random_erase(key: Array, x: Array, strength: Strength) -> Array:
    """Erase a rectangle in a share of the images: it gets one random colour."""
    if strength.erase == 0:
        return x
    n, height, _, width = x.shape
    u = jax.random.uniform(key, (8, n))
    area, aspect = between(strength.erase_area, u[0]), between_logs((0.5, 2.0), u[1])
    box = rectangles((u[2], u[3]), area, aspect, height, width)
    box &= (u[4] < strength.erase)[:, None, None]
    return jnp.where(box[:, :, None], u[5:].T[:, None, :, None], x)


def rectangles(
    corner: Sequence[Array], area: Array, aspect: Array, height: int, width: int
) -> Array:
    """Masks of one rectangle per image, bool ``(n, height, width)``.

    ``corner`` has the vertical and the horizontal place from 0 to 1, ``(n,)`` each.
    """
    tall = jnp.minimum(jnp.sqrt(area / aspect), 1.0)
    wide = jnp.minimum(jnp.sqrt(area * aspect), 1.0)

    def inside(start: Array, length: Array, size: int) -> Array:
        place = ((jnp.arange(size) + 0.5) / size)[None]
        return (place >= start[:, None]) & (place < (start + length)[:, None])

    rows = inside(corner[0] * (1.0 - tall), tall, height)
    columns = inside(corner[1] * (1.0 - wide), wide, width)
    return rows[:, :, None] & columns[:, None, :]
