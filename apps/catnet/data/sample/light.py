"""Add light to an image, and round it to bytes."""

from __future__ import annotations

import math

import numpy as np

from catnet.data.sample.dice import Dice
from catnet.data.sample.raster import SIZE

STEP = 6  # every sixth of the 256 values of a channel is used, so that PNG files are small


def shade(canvas: np.ndarray, dice: Dice) -> None:
    """Add random light: its strength, colour and direction, a shadow, and dark corners."""
    x = (np.arange(SIZE) + 0.5)[None, :] / SIZE - 0.5
    y = (np.arange(SIZE) + 0.5)[:, None] / SIZE - 0.5
    angle, fall = dice.between(0, 2 * math.pi), dice.between(0, 0.5)
    light = 1 + fall * (math.cos(angle) * x + math.sin(angle) * y)
    light = light * (1 - dice.between(0, 0.7) * (x * x + y * y))
    if dice.chance(0.25):  # the edge of a shadow
        angle, offset = dice.between(0, 2 * math.pi), dice.between(0.1, 0.4)
        edge = (math.cos(angle) * x + math.sin(angle) * y - offset) * SIZE / 4
        light = light * (1 - dice.between(0.15, 0.35) * np.clip(0.5 + edge, 0, 1))
    warm = dice.between(-0.08, 0.08)
    cast = np.array([1 + warm, 1 + dice.between(-0.03, 0.03), 1 - warm])
    canvas *= (light * dice.between(0.75, 1.15))[..., None] * cast


def to_uint8(canvas: np.ndarray) -> np.ndarray:
    """Round colours in 0 … 1 to multiples of STEP: (SIZE, SIZE, 3) uint8.

    The thresholds between steps are not round numbers, so that the rounding errors of different
    machines do not change the result.
    """
    top = 255 // STEP
    return (np.floor(np.clip(canvas, 0, 1) * top + 0.50317) * STEP).astype(np.uint8)
