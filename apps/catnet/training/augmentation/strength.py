"""The strength of an augmentation: ranges of uniform samples, and shares of the images."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import jax.numpy as jnp

from jaxnn.layer import Array

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


def between(bounds: Range, u: Array) -> Array:
    """u from [0, 1], mapped linearly to the bounds."""
    return bounds[0] + (bounds[1] - bounds[0]) * u


def between_logs(bounds: Range, u: Array) -> Array:
    """u from [0, 1], mapped to the bounds on the log scale."""
    return jnp.exp(between((math.log(bounds[0]), math.log(bounds[1])), u))
