"""Draw backgrounds: a room, a meadow, a plain wall, a blanket, a jumble.

Each is light or dark.  Their distribution is the same for every kind of figure, so the background
does not identify the figure.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from catnet.data.sample.coats import BLACK, WHITE
from catnet.data.sample.dice import Dice
from catnet.data.sample.raster import SIZE, Colour, Pen, mix

Background = Callable[[Pen, Dice, bool], None]  # the pen's frame: pixels, (0, 0) at the top left


def choose_wall_colour(dice: Dice, dark: bool) -> Colour:
    """Choose a dark or pale colour of any hue."""
    hues = (
        (0.75, 0.62, 0.48), (0.48, 0.58, 0.70), (0.55, 0.66, 0.50),
        (0.72, 0.52, 0.52), (0.62, 0.60, 0.62), (0.66, 0.56, 0.70),
    )  # fmt: skip
    hue = dice.choose(hues)
    if dark:
        return mix(hue, BLACK, dice.between(0.5, 0.8))
    return mix(hue, WHITE, dice.between(0.3, 0.75))


def draw_gradient(pen: Pen, top: Colour, bottom: Colour) -> None:
    """Draw a vertical gradient between two colours."""
    low, high = np.array(top), np.array(bottom)
    pen.everywhere(lambda u, v: low + (v / SIZE)[..., None] * (high - low))


def draw_plain(pen: Pen, dice: Dice, dark: bool) -> None:
    colour = choose_wall_colour(dice, dark)
    above, below = dice.between(0, 0.2), dice.between(0, 0.2)
    draw_gradient(pen, mix(colour, WHITE, above), mix(colour, BLACK, below))


def draw_room(pen: Pen, dice: Dice, dark: bool) -> None:
    wall, floor = choose_wall_colour(dice, dark), choose_wall_colour(dice, dark)
    horizon = dice.between(36, 50)
    draw_gradient(pen, mix(wall, WHITE, 0.08), mix(wall, BLACK, 0.08))
    pen.box(-2, horizon, SIZE + 4, SIZE, floor)
    pen.box(-2, horizon - 2, SIZE + 4, 2.4, mix(wall, WHITE, 0.4))
    if dice.chance(0.5):  # a window or an image on the wall
        x, y, width, height = (dice.between(*r) for r in ((2, 40), (2, 10), (14, 22), (12, 20)))
        pen.box(x, y, width, height, mix(wall, BLACK, 0.45))
        pen.box(x + 2, y + 2, width - 4, height - 4, choose_wall_colour(dice, dark))
        if dice.chance(0.5):
            pen.box(x + width / 2 - 0.6, y + 1, 1.2, height - 2, mix(wall, BLACK, 0.45))
    if dice.chance(0.5):  # a rug
        x, radius = dice.between(20, 44), dice.between(20, 30)
        pen.ellipse(x, horizon + 14, radius, 9, choose_wall_colour(dice, dark))


def draw_meadow(pen: Pen, dice: Dice, dark: bool) -> None:
    sky: Colour = (0.16, 0.20, 0.34) if dark else (0.60, 0.77, 0.94)
    grass: Colour = (0.14, 0.24, 0.17) if dark else (0.58, 0.74, 0.42)
    if not dark and dice.chance(0.25):
        grass = (0.92, 0.93, 0.95)  # snow
    draw_gradient(pen, sky, mix(sky, WHITE, 0.1 if dark else 0.5))
    for _ in range(2):  # clouds
        x, y = dice.between(0, SIZE), dice.between(4, 20)
        for shift in (-6, 0, 5):
            pen.ellipse(x + shift, y, 6, 3, mix(sky, WHITE, 0.2 if dark else 0.7), rim=0)
    horizon = dice.between(30, 46)
    pen.ellipse(dice.between(0, SIZE), horizon + 12, 50, 18, mix(grass, sky, 0.35), rim=0.1)
    pen.ellipse(dice.between(20, 44), horizon + 46, 90, 46, grass, rim=0.1)
    for _ in range(8):  # tufts
        x, y = dice.between(0, SIZE), dice.between(horizon + 4, SIZE)
        blade = ((x, y), (x + dice.between(-2, 2), y - dice.between(3, 6)))
        pen.stroke(blade, 0.7, 0.3, mix(grass, BLACK, 0.3), rim=0)


def draw_blanket(pen: Pen, dice: Dice, dark: bool) -> None:
    """Draw stripes or checks like a woven cloth."""
    first = choose_wall_colour(dice, dark)
    low, high = np.array(first), np.array(mix(first, WHITE if dark else BLACK, 0.15))
    angle, pace, checks = dice.between(0, math.pi), dice.between(0.4, 0.9), dice.chance(0.5)

    def cloth(u: np.ndarray, v: np.ndarray) -> np.ndarray:
        wave = np.sin(pace * (math.cos(angle) * u + math.sin(angle) * v))
        if checks:
            wave = wave * np.sin(pace * (math.cos(angle) * v - math.sin(angle) * u))
        return low + np.clip(0.5 + 3 * wave, 0, 1)[..., None] * (high - low)

    pen.everywhere(cloth)


def draw_jumble(pen: Pen, dice: Dice, dark: bool) -> None:
    """Draw small shapes with little contrast to the ground."""
    ground = choose_wall_colour(dice, dark)
    draw_gradient(pen, ground, mix(ground, BLACK, 0.15))
    for _ in range(9):
        colour = mix(ground, choose_wall_colour(dice, dark), 0.5)
        x, y, wide, high = (dice.between(*r) for r in ((0, 64), (0, 64), (4, 12), (4, 12)))
        if dice.chance(0.5):
            pen.ellipse(x, y, wide, high, colour, angle=dice.between(0, 3), rim=0.15)
        else:
            pen.box(x - wide, y - high, 2 * wide, 2 * high, colour)


BACKGROUNDS: tuple[Background, ...] = (
    draw_plain,
    draw_room,
    draw_meadow,
    draw_blanket,
    draw_jumble,
)


def draw_background(pen: Pen, dice: Dice, dark: bool) -> None:
    """Draw a random dark or light background on the whole canvas."""
    dice.choose(BACKGROUNDS)(pen, dice, dark)
