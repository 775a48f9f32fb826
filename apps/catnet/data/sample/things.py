"""Draw flowers, houses, cars, fruit and patterns, with the colours and positions of the cats."""

from __future__ import annotations

import math

import numpy as np

from catnet.data.sample.coats import BLACK, WHITE, choose_tint, make_patches, make_stripes
from catnet.data.sample.dice import Dice
from catnet.data.sample.raster import Colour, Pen, mix, smooth

GREEN: Colour = (0.30, 0.50, 0.25)
GLASS: Colour = (0.70, 0.82, 0.88)


def draw_flower(pen: Pen, dice: Dice, light: bool) -> None:
    petal, heart = choose_tint(dice, light), choose_tint(dice, light)
    count, length = int(dice.between(5, 11)), dice.between(0.5, 0.62)
    v = -0.3 if dice.chance(0.6) else 0.1  # on a stem, or close up
    size = 0.95 if v < 0 else 1.35
    pen.stroke(smooth(((0, v), (0.12, 0.5), (0, 1.4))), 0.06, 0.07, GREEN)
    for side in (-1, 1):
        pen.ellipse(side * 0.28, 0.78, 0.32, 0.12, GREEN, angle=-side * 0.5)
    head = pen.frame(0, v, size, dice.between(0, 1))
    for i in range(count):
        angle = 2 * math.pi * i / count
        u, w = 0.40 * math.cos(angle), 0.40 * math.sin(angle)
        head.ellipse(u, w, length / 1.5, 0.95 / count + 0.06, petal, angle=angle)
    head.ellipse(0, 0, 0.22, 0.22, heart)


def draw_house(pen: Pen, dice: Dice, light: bool) -> None:
    wall, roof, door = choose_tint(dice, light), choose_tint(dice, light), choose_tint(dice, light)
    wide, eaves = dice.between(0.6, 0.85), dice.between(-0.3, 0.0)
    ridge = eaves - dice.between(0.5, 0.7)
    if dice.chance(0.6):
        pen.box(wide * 0.35, ridge - 0.05, 0.2, 0.5, mix(roof, BLACK, 0.3))
    pen.box(-wide, eaves, 2 * wide, 0.98 - eaves, wall)
    if dice.chance(0.5):
        gable = ((-wide - 0.15, eaves + 0.04), (0, ridge), (wide + 0.15, eaves + 0.04))
    else:
        slope = wide - 0.25
        gable = ((-wide - 0.15, eaves + 0.04), (-slope, ridge), (slope, ridge),
                 (wide + 0.15, eaves + 0.04))  # fmt: skip
    pen.polygon(gable, roof)
    shift = dice.between(-0.15, 0.15)
    pen.box(shift - 0.14, 0.44, 0.28, 0.54, door)
    for u in (-0.62 * wide, 0.62 * wide):
        pen.box(u - 0.17, 0.12, 0.34, 0.32, mix(wall, BLACK, 0.5))
        pen.box(u - 0.13, 0.16, 0.26, 0.24, GLASS)
        pen.box(u - 0.015, 0.16, 0.03, 0.24, mix(wall, BLACK, 0.5))


def draw_car(pen: Pen, dice: Dice, light: bool) -> None:
    paint, tall = choose_tint(dice, light), dice.between(-0.32, -0.18)
    cabin = ((-0.62, 0.18), (-0.38, tall), (0.34, tall), (0.66, 0.18))
    pen.polygon(cabin, paint, rounding=0.06)
    for left, right in ((-0.36, -0.04), (0.06, 0.36)):
        lean = 0.16 if right < 0 else -0.16
        near, far = (left - lean / 2, right) if right < 0 else (left, right - lean / 2)
        glass = ((near, 0.16), (left + 0.02, tall + 0.06), (right - 0.02, tall + 0.06), (far, 0.16))
        pen.polygon(glass, GLASS, rim=0.1)
    hull = ((-0.96, 0.24), (-0.6, 0.14), (0.7, 0.14), (0.96, 0.26), (0.98, 0.56), (-0.98, 0.56))
    pen.polygon(hull, paint, rounding=0.06)
    pen.ellipse(-0.92, 0.34, 0.07, 0.08, (0.98, 0.92, 0.65), rim=0)
    pen.ellipse(0.97, 0.34, 0.05, 0.08, (0.80, 0.20, 0.18), rim=0)
    for u in (-0.54, 0.56):
        pen.ellipse(u, 0.60, 0.24, 0.24, BLACK)
        pen.ellipse(u, 0.60, 0.11, 0.11, (0.72, 0.73, 0.75))


def draw_fruit(pen: Pen, dice: Dice, light: bool) -> None:
    skin = choose_tint(dice, light)
    gleam, wood = mix(skin, WHITE, 0.6), (0.35, 0.25, 0.15)
    kind = dice.choose(("apple", "pear", "banana", "cherries", "orange"))
    if kind == "banana":
        pen.polygon(
            smooth(
                (
                    (-0.9, -0.4),
                    (-0.7, 0.2),
                    (0, 0.75),
                    (0.8, 0.35),
                    (0.95, -0.35),
                    (0.5, 0.05),
                    (0, 0.15),
                    (-0.5, -0.05),
                )
            ),
            skin,
            rounding=0.06,
        )
        pen.stroke(((-0.85, -0.3), (-0.92, -0.52)), 0.07, 0.08, wood)
        return
    if kind == "cherries":
        for u in (-0.42, 0.42):
            pen.stroke(((u, 0.4), (u / 2, -0.3), (0.1, -0.85)), 0.04, 0.05, wood)
            pen.ellipse(u, 0.48, 0.40, 0.40, skin)
            pen.ellipse(u - 0.12, 0.34, 0.09, 0.08, gleam, rim=0, alpha=0.8)
        pen.ellipse(0.4, -0.82, 0.34, 0.14, GREEN, angle=0.2)
        return
    pen.stroke(((0, -0.5), (0.08, -0.95)), 0.05, 0.06, wood)
    pen.ellipse(0.32, -0.80, 0.26, 0.11, GREEN, angle=-0.4)
    if kind == "pear":
        pen.ellipse(0, -0.25, 0.38, 0.50, skin, rim=0)
        pen.ellipse(0, 0.35, 0.62, 0.58, skin)
    elif kind == "apple":
        for u in (-0.26, 0.26):
            pen.ellipse(u, 0.16, 0.52, 0.70, skin, rim=0.15)
    else:
        pen.ellipse(0, 0.16, 0.74, 0.72, skin)
    pen.ellipse(-0.26, -0.02, 0.14, 0.18, gleam, rim=0, alpha=0.8)


def draw_pattern(pen: Pen, dice: Dice, light: bool) -> None:
    """Draw a cat's coat without a cat, or a pattern of dots, triangles, rings or checks."""
    kind = dice.choose(("coat", "dots", "triangles", "rings", "checks"))
    ground, first, second = (
        choose_tint(dice, not light),
        choose_tint(dice, light),
        choose_tint(dice, light),
    )
    low, high = np.array(ground), np.array(first)
    if kind == "coat":
        make = make_stripes(ground, first, dice)
        pen.everywhere(make if dice.chance(0.5) else make_patches((ground, first, second), dice))
        return
    pen.everywhere(lambda u, v: np.broadcast_to(low, (*u.shape, 3)))
    if kind == "rings":
        for radius in (1.5, 1.2, 0.9, 0.6, 0.3):
            pen.ellipse(0, 0, radius, radius, first, rim=0.1)
            pen.ellipse(0, 0, radius - 0.15, radius - 0.15, ground, rim=0)
        return
    if kind == "checks":

        def board(u: np.ndarray, v: np.ndarray) -> np.ndarray:
            return low + np.clip(8 * np.sin(6 * u) * np.sin(6 * v), 0, 1)[..., None] * (high - low)

        pen.everywhere(board)
        return
    for i in range(-2, 3):
        for j in range(-2, 3):
            u, v = 0.62 * i + 0.31 * (j % 2), 0.62 * j
            colour = first if (i + j) % 2 else second
            if kind == "dots":
                pen.ellipse(u, v, 0.22, 0.22, colour, rim=0.1)
            else:
                pen.polygon(((u - 0.25, v + 0.2), (u, v - 0.26), (u + 0.25, v + 0.2)), colour)
