"""Data augmentation in jitted JAX: random crops, colours, noise, compression, mixup, cutmix.

``augment`` is for training, ``prepare`` for validation and prediction; ``mix`` blends images and
their targets.  The functions in between have images as float32 ``(n, H, 3, W)`` in [0, 1]: in
this layout a resize is two matrix products an image.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp

from catnet.images.size import SIZE
from catnet.training.jpeg import GREY, across_channels, recompress

Array: TypeAlias = jax.Array
Range: TypeAlias = tuple[float, float]


@dataclass(frozen=True)
class Strength:
    """The strength of ``augment``: ranges of uniform samples, and shares of the images.

    Attributes:
        area: of a crop, as a fraction of the image.
        shrink: share of the images that become smaller than the frame, at a random place in it.
        frame: area of the frame around them, as a multiple of the image; uniform on the log scale.
        aspect: of a crop, width over height; uniform on the log scale.
        softness: width of the resize kernel: 1 is linear interpolation, more is blurred, less
            is blocky; uniform on the log scale.
        sharpen: largest weight of the kernel of twice the width that is subtracted.
        brightness: each image is multiplied by a factor within 1 ± brightness.
        contrast: its distance from its mean grey, by a factor within 1 ± contrast.
        saturation: its distance from grey, by a factor within 1 ± saturation.
        gain: each of its channels, by a factor within 1 ± gain.
        grey: share of the images that become grey.
        noise: largest standard deviation of the noise, in units of the full range.
        recompress: share of the images that are quantized as in JPEG.
        quality: of this compression, from 1 to 100 as in libjpeg.
        erase: share of the images in which a rectangle is erased.
        erase_area: of the rectangle, as a fraction of the image.
    """

    area: Range = (0.25, 1.0)
    shrink: float = 0.2
    frame: Range = (1.0, 9.0)
    aspect: Range = (1 / 2, 2.0)
    softness: Range = (0.6, 2.0)
    sharpen: float = 0.8
    brightness: float = 0.3
    contrast: float = 0.3
    saturation: float = 0.4
    gain: float = 0.08
    grey: float = 0.08
    noise: float = 0.03
    recompress: float = 0.25
    quality: Range = (30.0, 95.0)
    erase: float = 0.2
    erase_area: Range = (0.02, 0.15)


FULL = Strength()
LIGHT = Strength(
    area=(0.45, 1.0),
    shrink=0.05,
    frame=(1.0, 2.0),
    aspect=(3 / 4, 4 / 3),
    softness=(0.8, 1.4),
    sharpen=0.4,
    brightness=0.15,
    contrast=0.15,
    saturation=0.2,
    gain=0.04,
    grey=0.03,
    noise=0.01,
    recompress=0.125,
    quality=(50.0, 95.0),
    erase=0.0,
)


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
            >>> from catnet.training.augment import LIGHT, augment
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


@partial(jax.jit, static_argnames=("mixup", "cutmix"))
def mix(
    key: Array, images: Array, targets: Any, mixup: float = 0.0, cutmix: float = 0.0
) -> tuple[Array, Any]:
    """Blend a share of the images with the image before, and their targets in proportion.

    Mixup (Zhang et al. 2018) is ``λ x + (1 − λ) x′``; cutmix (Yun et al. 2019) pastes a
    rectangle of x′ that covers 1 − λ of x.  λ is uniform on [0, 1].

    Args:
        key: of ``jax.random``.
        images: ``(n, H, W, 3)``, in random order.
        targets: a tree of floating arrays ``(n, ...)``: probabilities, weights.
        mixup: share of the images for mixup.
        cutmix: share of the images for cutmix; the sum of the two is at most 1.

    Returns:
        ``images`` and ``targets`` blended.
    """
    n, height, width, _ = images.shape
    which, lam, *corner = jax.random.uniform(key, (4, n))
    box = rectangles(corner, 1.0 - lam, jnp.ones(n), height, width)  # (n, H, W)
    cut = (which >= mixup) & (which < mixup + cutmix)
    blend = jnp.where(which < mixup, lam, 1.0)  # weight of x in each pixel
    keep = jnp.where(cut[:, None, None] & box, 0.0, blend[:, None, None])
    share = jnp.where(cut, 1.0 - jnp.mean(box, axis=(1, 2)), blend)

    def blend_with_previous(value: Array, keep: Array) -> Array:
        return keep * value + (1.0 - keep) * jnp.roll(value, 1, axis=0)

    def blend_target(target: Array) -> Array:
        return blend_with_previous(target, share.reshape(n, *[1] * (target.ndim - 1)))

    return blend_with_previous(images, keep[..., None]), jax.tree.map(blend_target, targets)


def to_rows(images: Array) -> Array:
    """uint8 ``(n, H, W, 3)`` to float32 ``(n, H, 3, W)`` in [0, 1]."""
    return jnp.asarray(images).swapaxes(2, 3).astype(jnp.float32) / 255.0


def from_rows(x: Array) -> Array:
    """``(n, H, 3, W)`` to ``(n, H, W, 3)``."""
    return _materialize(x).swapaxes(2, 3)


def _materialize(x: Array) -> Array:
    """Return x, which XLA computes completely before any use of it.

    XLA for CPUs (jax 0.10.2) fuses operations into a concatenation or a transposition, where
    nothing is vectorized: ``augment`` then takes three times as long (``python -m catnet_bench
    photo``).  It removes an ``optimization_barrier`` before that; it does not fuse across a branch.
    """
    return jax.lax.cond(jnp.isnan(x.ravel()[0]), jnp.zeros_like, lambda x: x, x)


# --- crop, flip, resize, blur: two matrix products -------------------------------------------


def random_crop(key: Array, x: Array, strength: Strength, scenes: Array | None = None) -> Array:
    """Crop a random part of each image, mirror half of them, and resize to the network's size.

    Some images are shrunk instead: the image before surrounds them if it is a scene and not shrunk
    itself, else a frame of one random colour.
    """
    n = len(x)
    u = jax.random.uniform(key, (11, n))  # one call: XLA compiles each for half a second
    aspect = _between_logs(strength.aspect, u[1])
    shrunk = u[7] < strength.shrink
    area = jnp.where(shrunk, _between_logs(strength.frame, u[0]), _between(strength.area, u[0]))
    longest = jnp.where(shrunk, jnp.inf, 1.0)
    height = jnp.minimum(jnp.sqrt(area / aspect), longest)
    width = jnp.minimum(jnp.sqrt(area * aspect), longest)
    top, left = u[2] * (1.0 - height), u[3] * (1.0 - width)  # a frame begins before the image
    flip = u[4] < 0.5
    columns = (jnp.where(flip, left + width, left), jnp.where(flip, -width, width))
    softness = _between_logs(strength.softness, u[5])
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


# --- colour: one affine map per image --------------------------------------------------------


def random_colour(key: Array, x: Array, strength: Strength) -> Array:
    """Change gain, brightness, saturation and contrast of each image at random."""
    u = jax.random.uniform(key, (7, len(x)))

    def around_one(spread: float, u: Array) -> Array:
        return _between((1.0 - spread, 1.0 + spread), u)

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


def random_recompress(key: Array, x: Array, strength: Strength) -> Array:
    """Compress the first images of the batch again, with the block grid at a random place."""
    count = round(strength.recompress * len(x))
    if count == 0:
        return x
    u = jax.random.uniform(key, (count + 2,))
    quality = _between(strength.quality, u[2:])
    # One place for the batch: one for each image would cost more than the rest of the function.
    down, right = (8 * u[:2]).astype(jnp.int32)
    part = jnp.roll(x[:count], (down, right), (1, 3))
    part = jnp.roll(recompress(part, quality), (-down, -right), (1, 3))
    return _materialize(jnp.concatenate([part, x[count:]]))


# --- rectangles ------------------------------------------------------------------------------


def random_erase(key: Array, x: Array, strength: Strength) -> Array:
    """Erase a rectangle in a share of the images: it gets one random colour."""
    if strength.erase == 0:
        return x
    n, height, _, width = x.shape
    u = jax.random.uniform(key, (8, n))
    area, aspect = _between(strength.erase_area, u[0]), _between_logs((0.5, 2.0), u[1])
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


def _between(bounds: Range, u: Array) -> Array:
    """u from [0, 1], mapped linearly to the bounds."""
    return bounds[0] + (bounds[1] - bounds[0]) * u


def _between_logs(bounds: Range, u: Array) -> Array:
    """u from [0, 1], mapped to the bounds on the log scale."""
    return jnp.exp(_between((math.log(bounds[0]), math.log(bounds[1])), u))
