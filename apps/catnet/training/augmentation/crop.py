"""Random crops of images, and a resize of two matrix products."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from catnet.images.size import SIZE
from catnet.training.augmentation.strength import Strength, between, between_logs
from jaxnn.layer import Array


def random_crop(key: Array, x: Array, strength: Strength, scenes: Array | None = None) -> Array:
    """Crop a random part of each image, mirror half of them, and resize to the network's size.

    Some images are shrunk instead: the image before surrounds them if it is a scene and not shrunk
    itself, else a frame of one random colour.
    """
    n = len(x)
    u = jax.random.uniform(key, (11, n))  # one call: XLA compiles each for half a second
    aspect = between_logs(strength.aspect, u[1])
    shrunk = u[7] < strength.shrink
    area = jnp.where(shrunk, between_logs(strength.frame, u[0]), between(strength.area, u[0]))
    longest = jnp.where(shrunk, jnp.inf, 1.0)
    height = jnp.minimum(jnp.sqrt(area / aspect), longest)
    width = jnp.minimum(jnp.sqrt(area * aspect), longest)
    top, left = u[2] * (1.0 - height), u[3] * (1.0 - width)  # a frame begins before the image
    flip = u[4] < 0.5
    columns = (jnp.where(flip, left + width, left), jnp.where(flip, -width, width))
    softness = between_logs(strength.softness, u[5])
    sharpen = strength.sharpen * u[6]
    # Without the barrier, XLA (jax 0.10.2) computes the random numbers again for every weight:
    # four times the work (``python -m catnet_bench photo``).
    crops = ((top, height), columns, softness, sharpen)
    rows, columns, softness, sharpen = jax.lax.optimization_barrier(crops)
    inside = _is_inside(*rows)[:, :, None, None] & _is_inside(*columns)[:, None, None, :]
    resized = resize(x, rows, columns, softness, sharpen)
    frame = u[8:].T[:, None, :, None]
    if scenes is not None:
        has_scene = jnp.roll(scenes & ~shrunk, 1)[:, None, None, None]
        frame = jnp.where(has_scene, jnp.roll(resized, 1, axis=0), frame)
    return jnp.where(inside, resized, frame)


def _is_inside(start: Array, length: Array) -> Array:
    """Which samples of a crop lie inside the image, bool ``(n, 64)``."""
    place = start[:, None] + ((jnp.arange(SIZE) + 0.5) / SIZE)[None] * length[:, None]
    return (place >= 0.0) & (place <= 1.0)


def resize(
    x: Array,
    rows: tuple[Array, Array],
    columns: tuple[Array, Array],
    softness: Array,
    sharpen: Array,
) -> Array:
    """Crop and resize images to 64×64 by antialiased linear interpolation.

    Args:
        x: ``(n, S, 3, S)``.
        rows: start and length of the crop, ``(n,)`` each, as fractions of S.
        columns: the same for columns; a negative length mirrors.
        softness: ``(n,)``, width of the kernel; 1 is linear interpolation.
        sharpen: ``(n,)``, weight of the kernel of twice the width that is subtracted.

    Returns:
        ``(n, 64, 3, 64)``, clipped to [0, 1].
    """
    row_weights = resize_weights(*rows, softness, sharpen, x.shape[1])
    column_weights = resize_weights(*columns, softness, sharpen, x.shape[3])
    x = jnp.einsum("nhcw,nxw->nhcx", x, column_weights)
    x = jnp.einsum("nyh,nhcx->nycx", row_weights, x)
    return jnp.clip(x, 0.0, 1.0)


def resize_weights(
    start: Array, length: Array, softness: Array, sharpen: Array, size: int
) -> Array:
    """The matrices of a resize, ``(n, 64, size)``; each row is a kernel around a sample.

    Sample i lies at ``c = size · (start + (i + ½)/64 · length)``; pixel j, with its centre at
    j + ½, has weight ``max(0, 1 − |c − j − ½| / w)``, rows scaled to sum 1; a sample outside of the
    image gets the nearest pixel.  The half-width is
    ``w = softness · max(1, scale)`` for ``scale = size · |length| / 64`` pixels a sample, which
    avoids aliasing when shrinking.  Pillow's ``BILINEAR`` is softness 1.  Sharpening by s gives
    the kernel ``(1 + s) k − s K``, where K is the kernel k at twice the width.
    """
    place = ((jnp.arange(SIZE) + 0.5) / SIZE)[None]
    centres = jnp.clip(size * (start[:, None] + place * length[:, None]), 0.5, size - 0.5)
    half_width = softness * jnp.maximum(1.0, size * jnp.abs(length) / SIZE)
    distance = jnp.abs(centres[:, :, None] - (jnp.arange(size) + 0.5)[None, None])
    distance /= half_width[:, None, None]

    def triangle(width: float) -> Array:
        weights = jnp.maximum(0.0, 1.0 - distance / width)
        return weights / jnp.sum(weights, axis=-1, keepdims=True)

    narrow, sharpen = triangle(1.0), sharpen[:, None, None]
    return narrow + sharpen * (narrow - triangle(2.0))
