"""The coats of cats, dogs and rabbits, and the colours of things."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from catnet.data.sample.dice import Dice
from catnet.data.sample.raster import Colour, Fill, Texture, mix

BLACK: Colour = (0.12, 0.11, 0.12)
WHITE: Colour = (0.95, 0.93, 0.89)
PINK: Colour = (0.90, 0.62, 0.60)
GINGER: Colour = (0.90, 0.58, 0.28)
CREAM: Colour = (0.92, 0.82, 0.66)
BROWN: Colour = (0.36, 0.25, 0.17)
LIGHT_FURS = (WHITE, CREAM, GINGER, (0.74, 0.75, 0.79), (0.82, 0.68, 0.52))
DARK_FURS = (BLACK, BROWN, (0.27, 0.31, 0.38), (0.30, 0.29, 0.31), (0.50, 0.27, 0.13))


class Coat(NamedTuple):
    """The colours or textures of the parts of an animal."""

    body: Fill
    head: Fill
    points: Fill  # ears, feet and tail
    light: Fill  # muzzle, chest and belly
    line: Colour  # closed eyes, mouths, the gaps between toes


def choose_fur(dice: Dice, light: bool) -> Colour:
    """Choose a light or dark colour of fur."""
    furs = LIGHT_FURS if light else DARK_FURS
    return mix(dice.choose(furs), dice.choose(furs), dice.between(0, 0.3))


def make_stripes(base: Colour, dark: Colour, dice: Dice) -> Texture:
    """Make the stripes of a tabby: wavy bands across the body."""
    pace, phase, bend = dice.between(14, 20), dice.between(0, 6), dice.between(1, 3)
    low, high = np.array(base), np.array(dark)

    def fill(u: np.ndarray, v: np.ndarray) -> np.ndarray:
        wave = np.sin(pace * u + bend * np.sin(4 * v + phase) + phase)
        return low + np.clip(2 * wave - 0.4, 0, 1)[..., None] * (high - low)

    return fill


def make_patches(colours: tuple[Colour, ...], dice: Dice) -> Texture:
    """Make big patches with soft edges, one colour over the other."""
    waves = [
        (dice.between(0, 2 * math.pi), dice.between(3, 5), dice.between(0, 6)) for _ in colours[1:]
    ]

    def fill(u: np.ndarray, v: np.ndarray) -> np.ndarray:
        result = np.broadcast_to(np.array(colours[0]), (*u.shape, 3))
        for (angle, pace, phase), colour in zip(waves, colours[1:], strict=True):
            along = pace * (math.cos(angle) * u + math.sin(angle) * v) + phase
            across = pace * (math.cos(angle) * v - math.sin(angle) * u) - phase
            alpha = np.clip(5 * (np.sin(along) + np.sin(across)) - 1, 0, 1)[..., None]
            result = result + alpha * (np.array(colour) - result)
        return result

    return fill


def choose_coat(dice: Dice, light: bool) -> Coat:
    """Choose a light or dark coat: plain, tabby, tuxedo, calico, or Siamese."""
    base, other = choose_fur(dice, light), choose_fur(dice, light)
    line = mix(base, BLACK, 0.7) if light else mix(base, WHITE, 0.4)
    pale = mix(base, WHITE, dice.between(0.1, 0.35))
    kind = dice.choose(("plain", "plain", "tabby", "tabby", "patched", "marked"))
    if kind == "tabby":
        bands = make_stripes(base, mix(base, BLACK if light else WHITE, 0.3), dice)
        return Coat(bands, bands, base, pale, line)
    if kind == "patched":  # calico when light, tortoiseshell when dark
        texture = make_patches((base, GINGER if light else BROWN, other), dice)
        return Coat(texture, texture, other, pale, line)
    if kind == "marked" and light:  # Siamese
        points = mix(BROWN, BLACK, dice.between(0, 0.6))
        return Coat(CREAM, CREAM, points, mix(points, CREAM, 0.3), BLACK)
    if kind == "marked":  # tuxedo
        return Coat(base, base, base, WHITE, line)
    return Coat(base, base, base, pale, line)


def choose_tint(dice: Dice, light: bool) -> Colour:
    """Choose a light or dark colour for a thing: of fur with probability 0.6, else of paint."""
    if dice.chance(0.6):
        return choose_fur(dice, light)
    paints = (0.75, 0.25, 0.22), (0.25, 0.42, 0.68), (0.85, 0.70, 0.25), (0.35, 0.55, 0.35)
    return mix(dice.choose(paints), WHITE if light else BLACK, dice.between(0.35, 0.6))
