"""Random changes that leave a cat a cat: training images made new at every step, in jitted JAX.

``augment`` is for training, ``prepare`` for everything else, ``mix`` blends images together
with their targets.  Between them images are stored row by row, float32 ``(n, H, 3, W)`` in
[0, 1]: so a resize is two matrix products an image, and colour needs no small ones.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp

from catnet.models.registry import SIZE
from catnet.training.jpeg import GREY, across_channels, recompress

Array: TypeAlias = jax.Array
Range: TypeAlias = tuple[float, float]


@dataclass(frozen=True)
class Strength:
    """How far ``augment`` may go; a range is drawn from uniformly, a share is of the images.

    Attributes:
        area: of a crop, as a fraction of the image.
        aspect: of a crop, width over height; drawn uniformly on the log scale.
        softness: width of the resize kernel, 1 = linear interpolation, more blurs, less
            is blocky; drawn uniformly on the log scale.
        sharpen: at most how much of a kernel twice as wide is taken away.
        brightness: each image is multiplied by one factor within 1 ± brightness.
        contrast: its distance from its mean grey, by one within 1 ± contrast.
        saturation: its distance from grey, by one within 1 ± saturation.
        gain: each of its channels, by one within 1 ± gain.
        grey: share turned grey.
        noise: largest standard deviation of the noise, in units of the full range.
        recompress: share that goes through the quantisation of JPEG again.
        quality: of that, from 1 to 100 as in libjpeg.
        erase: share of which a rectangle is painted over.
        erase_area: of the rectangle, as a fraction of the image.
    """

    area: Range = (0.35, 1.0)
    aspect: Range = (3 / 4, 4 / 3)
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
    area=(0.7, 1.0),
    aspect=(7 / 8, 8 / 7),
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
def augment(key: Array, images: Array, strength: Strength = FULL) -> Array:
    """Every image cropped, flipped, recoloured, and some re-compressed or partly erased.

    Args:
        key: the randomness.
        images: uint8 ``(n, S, S, 3)``, in random order (``recompress`` takes neighbours).
        strength: how far to go; a new one compiles anew.

    Returns:
        float32 ``(n, 64, 64, 3)`` in [0, 1].

    Example:
        The same key, the same images::

            >>> import jax, numpy as np
            >>> from catnet.training.augment import LIGHT, augment
            >>> images = np.full((2, 80, 80, 3), 100, np.uint8)
            >>> augment(jax.random.key(0), images, LIGHT).shape
            (2, 64, 64, 3)
    """
    crop_key, colour_key, noise_key, recompress_key, erase_key = jax.random.split(key, 5)
    x = random_crop(crop_key, to_rows(images), strength)
    x = random_colour(colour_key, x, strength)
    x = random_noise(noise_key, x, strength)
    x = random_recompress(recompress_key, x, strength)
    return from_rows(random_erase(erase_key, x, strength))


@jax.jit
def prepare(images: Array) -> Array:
    """Images as the network sees them outside training: whole, at its size, nothing random.

    Args:
        images: uint8 ``(n, S, S, 3)``; with S = 64, as the decoder gives them, only the
            scale changes, and other sizes are resized by antialiased linear interpolation.

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
    """Blend a share of the images with the one before, and their targets in proportion.

    Mixup (Zhang et al. 2018) is ``λ x + (1 − λ) x′``; cutmix (Yun et al. 2019) pastes a
    rectangle of x′ that covers 1 − λ of x.  λ is uniform on [0, 1].

    Args:
        key: the randomness.
        images: ``(n, H, W, 3)``, in random order.
        targets: a tree of floating arrays ``(n, ...)``: probabilities, weights.
        mixup: share of the images that mixup takes.
        cutmix: share that cutmix takes; the two together at most 1.

    Returns:
        ``images`` and ``targets`` blended.
    """
    n, height, width, _ = images.shape
    which, lam, *corner = jax.random.uniform(key, (4, n))
    box = rectangles(corner, 1.0 - lam, jnp.ones(n), height, width)  # (n, H, W)
    cut = (which >= mixup) & (which < mixup + cutmix)
    blend = jnp.where(which < mixup, lam, 1.0)  # how much each pixel keeps of x
    keep = jnp.where(cut[:, None, None] & box, 0.0, blend[:, None, None])
    share = jnp.where(cut, 1.0 - jnp.mean(box, axis=(1, 2)), blend)

    def other(value: Array) -> Array:
        return jnp.roll(value, 1, axis=0)

    def blended(value: Array, keep: Array) -> Array:
        return keep * value + (1.0 - keep) * other(value)

    return blended(images, keep[..., None]), jax.tree.map(
        lambda target: blended(target, share.reshape(n, *[1] * (target.ndim - 1))), targets
    )


def to_rows(images: Array) -> Array:
    """uint8 ``(n, H, W, 3)`` to float32 ``(n, H, 3, W)`` in [0, 1]."""
    return jnp.asarray(images).swapaxes(2, 3).astype(jnp.float32) / 255.0


def from_rows(x: Array) -> Array:
    """``(n, H, 3, W)`` to ``(n, H, W, 3)``."""
    return _settled(x).swapaxes(2, 3)


def _settled(x: Array) -> Array:
    """x itself, computed to the end before anything is made of it.

    XLA for CPUs fuses whatever it can into a concatenation or a transposition, where nothing
    is vectorized: the whole of ``augment`` then takes three times as long.  It drops an
    ``optimization_barrier`` first; across a branch it does not fuse.
    """
    return jax.lax.cond(jnp.isnan(x.ravel()[0]), jnp.zeros_like, lambda x: x, x)


# --- crop, flip, resize, blur: two matrix products -------------------------------------------


def random_crop(key: Array, x: Array, strength: Strength) -> Array:
    """A random part of each image, perhaps mirrored, at the network's size."""
    n = len(x)
    u = jax.random.uniform(key, (7, n))  # in one call: each takes XLA half a second to compile
    area = _between(strength.area, u[0])
    aspect = _between_logs(strength.aspect, u[1])
    height = jnp.minimum(jnp.sqrt(area / aspect), 1.0)
    width = jnp.minimum(jnp.sqrt(area * aspect), 1.0)
    top, left = u[2] * (1.0 - height), u[3] * (1.0 - width)
    flip = u[4] < 0.5
    columns = (jnp.where(flip, left + width, left), jnp.where(flip, -width, width))
    softness = _between_logs(strength.softness, u[5])
    sharpen = strength.sharpen * u[6]
    # Without the barrier XLA draws the numbers anew for every weight: four times the work.
    drawn = ((top, height), columns, softness, sharpen)
    return resize(x, *jax.lax.optimization_barrier(drawn))


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
        rows: where the crop begins and how far it goes, ``(n,)`` each, as fractions of S.
        columns: likewise; a negative width mirrors.
        softness: ``(n,)``, width of the kernel; 1 = linear interpolation.
        sharpen: ``(n,)``, how much of a kernel twice as wide is taken away; 0 = nothing.

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
    """The matrices of a resize, ``(n, 64, size)``: each row a kernel around a sample's place.

    Sample i lies at ``c = size · (start + (i + ½)/64 · length)``; pixel j, with its centre at
    j + ½, has weight ``max(0, 1 − |c − j − ½| / w)``, rows scaled to sum 1.  The half-width is
    ``w = softness · max(1, scale)`` for ``scale = size · |length| / 64`` pixels a sample: wide
    enough not to alias when shrinking.  Pillow's ``BILINEAR`` is softness 1.  Sharpening by s
    makes of the kernels k and K, the second twice as wide, ``(1 + s) k − s K``.
    """
    place = ((jnp.arange(SIZE) + 0.5) / SIZE)[None]
    centres = size * (start[:, None] + place * length[:, None])
    half_width = softness * jnp.maximum(1.0, size * jnp.abs(length) / SIZE)
    distance = jnp.abs(centres[:, :, None] - (jnp.arange(size) + 0.5)[None, None])
    distance /= half_width[:, None, None]

    def triangle(width: float) -> Array:
        weights = jnp.maximum(0.0, 1.0 - distance / width)
        return weights / jnp.sum(weights, axis=-1, keepdims=True)

    narrow, sharpen = triangle(1.0), sharpen[:, None, None]
    return narrow + sharpen * (narrow - triangle(2.0))


# --- colour: one affine map an image --------------------------------------------------------


def random_colour(key: Array, x: Array, strength: Strength) -> Array:
    """Gain, brightness, saturation and contrast of each image, drawn at random."""
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
    """Noise of a standard deviation drawn for each image, at most ``strength.noise``.

    An image's noise is a random mixture of a few patterns that the batch shares: one matrix
    product, where fresh numbers for every pixel would cost more than all the rest together.
    """
    pattern_key, mixture_key = jax.random.split(key)
    bound = math.sqrt(3.0)  # uniform on ±√3 has unit variance; a sum of several is near normal
    patterns = jax.random.uniform(pattern_key, (8, x[0].size), minval=-bound, maxval=bound)
    deviation, mixture = jnp.split(jax.random.uniform(mixture_key, (len(x), 9)), [1], axis=1)
    mixture -= 0.5
    mixture *= strength.noise * deviation / jnp.linalg.norm(mixture, axis=1, keepdims=True)
    return jnp.clip(x + (mixture @ patterns).reshape(x.shape), 0.0, 1.0)


def random_recompress(key: Array, x: Array, strength: Strength) -> Array:
    """Re-compress the first images of the batch, the block grid at a random place."""
    count = round(strength.recompress * len(x))
    if count == 0:
        return x
    u = jax.random.uniform(key, (count + 2,))
    quality = _between(strength.quality, u[2:])
    # One place for the batch: a place for each image would cost more than the rest of it.
    down, right = (8 * u[:2]).astype(jnp.int32)
    part = jnp.roll(x[:count], (down, right), (1, 3))
    part = jnp.roll(recompress(part, quality), (-down, -right), (1, 3))
    return _settled(jnp.concatenate([part, x[count:]]))


# --- rectangles ------------------------------------------------------------------------------


def random_erase(key: Array, x: Array, strength: Strength) -> Array:
    """Paint a rectangle of one random colour over a share of the images."""
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
    """One rectangle an image, wholly inside: a mask, bool ``(n, height, width)``.

    ``corner`` says how far down and right it lies, from 0 to 1, ``(n,)`` each.
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
    """u from 0 to 1, stretched to lie between the bounds."""
    return bounds[0] + (bounds[1] - bounds[0]) * u


def _between_logs(bounds: Range, u: Array) -> Array:
    """The same on the log scale."""
    return jnp.exp(_between((math.log(bounds[0]), math.log(bounds[1])), u))
