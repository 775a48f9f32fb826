"""Draw dogs, rabbits and birds, with the coats and positions of the cats."""

from __future__ import annotations

import math

from catnet.data.sample.coats import BLACK, PINK, WHITE, Coat, choose_coat, choose_tint
from catnet.data.sample.dice import Dice
from catnet.data.sample.raster import Colour, Pen, mix, smooth

ORANGE: Colour = (0.92, 0.60, 0.18)


def draw_eyes(
    head: Pen, u: float, v: float, size: float, iris: Colour = (0.35, 0.22, 0.12)
) -> None:
    """Draw two round dark eyes with a highlight."""
    for side in (-1, 1):
        head.ellipse(side * u, v, size, size, BLACK, rim=0)
        head.ellipse(side * u, v, size * 0.75, size * 0.75, iris, rim=0)
        head.ellipse(side * u - size / 3, v - size / 3, size / 3, size / 3, WHITE, rim=0)


def draw_dog_head(pen: Pen, fur: Coat, dice: Dice, u: float, v: float, size: float) -> None:
    """Draw a head with hanging ears, a long muzzle and a big nose."""
    head = pen.frame(u, v, size, dice.between(-0.12, 0.12))
    head.ellipse(0, -0.12, 0.82, 0.86, fur.head, rim=0.15)
    droop = dice.between(0.5, 0.8)
    for side in (-1, 1):
        head.stroke(((side * 0.68, -0.55), (side * 1.0, droop)), 0.20, 0.30, fur.points)
    draw_eyes(head, 0.34, -0.18, 0.14)
    head.ellipse(0, 0.50, 0.46, 0.52, fur.light, rim=0.2)
    if dice.chance(0.5):
        head.stroke(((0.02, 0.82), (0.04, 1.12)), 0.15, 0.15, (0.88, 0.42, 0.45))
    head.stroke(((-0.26, 0.66), (0, 0.76), (0.26, 0.66)), 0.04, 0.04, BLACK, rim=0, alpha=0.8)
    head.ellipse(0, 0.24, 0.22, 0.16, BLACK, rim=0)


def draw_dog_profile(pen: Pen, fur: Coat, u: float, v: float, size: float) -> None:
    """Draw the head from the side, facing left."""
    head = pen.frame(u, v, size)
    head.stroke(((-0.2, 0.15), (-0.95, 0.30)), 0.42, 0.26, fur.light)
    head.ellipse(0, 0, 0.72, 0.62, fur.head, rim=0.15)
    head.ellipse(-1.14, 0.16, 0.17, 0.15, BLACK, rim=0)
    head.ellipse(-0.32, -0.14, 0.13, 0.13, BLACK, rim=0)
    head.stroke(((0.28, -0.42), (0.42, 0.45)), 0.20, 0.28, fur.points)


def draw_dog_portrait(pen: Pen, fur: Coat, dice: Dice) -> None:
    pen.ellipse(0, 1.25, 0.74, 0.85, fur.body)
    draw_dog_head(pen, fur, dice, 0, -0.05, 0.80)


def draw_dog_sitting(pen: Pen, fur: Coat, dice: Dice) -> None:
    pen.stroke(smooth(((0.3, 0.84), (0.78, 0.80), (0.92, 0.42))), 0.10, 0.06, fur.points)
    pen.ellipse(0, 0.36, 0.42, 0.62, fur.body)
    for side in (-1, 1):
        pen.ellipse(side * 0.36, 0.72, 0.20, 0.25, fur.body)
    pen.ellipse(0, 0.22, 0.22, 0.36, fur.light, rim=0, alpha=0.8)
    for side in (-1, 1):
        pen.stroke(((side * 0.14, 0.3), (side * 0.16, 0.88)), 0.11, 0.11, fur.body)
        pen.ellipse(side * 0.17, 0.93, 0.15, 0.09, fur.points)
    draw_dog_head(pen, fur, dice, dice.between(-0.06, 0.06), -0.46, 0.44)


def draw_dog_standing(pen: Pen, fur: Coat, dice: Dice) -> None:
    swing = dice.between(-0.12, 0.12)
    pen.stroke(smooth(((0.62, -0.05), (0.90, -0.22), (0.94, -0.55))), 0.09, 0.05, fur.points)
    for u, step in ((-0.3, -swing), (0.46, swing), (-0.44, swing), (0.6, -swing)):
        pen.stroke(((u, 0.2), (u + step, 0.90)), 0.13, 0.09, fur.body)
    pen.stroke(((-0.40, 0.08), (0.50, 0.10)), 0.30, 0.25, fur.body)
    pen.stroke(((-0.44, 0.0), (-0.56, -0.32)), 0.22, 0.20, fur.body)
    draw_dog_profile(pen, fur, -0.58, -0.44, 0.36)


def draw_dog_lying(pen: Pen, fur: Coat, dice: Dice) -> None:
    pen.stroke(((0.8, 0.7), (1.0, 0.9)), 0.09, 0.06, fur.points)
    pen.ellipse(0.22, 0.50, 0.72, 0.40, fur.body)
    pen.ellipse(0.62, 0.62, 0.34, 0.30, fur.body)
    pen.stroke(((-0.2, 0.82), (-0.82, 0.88)), 0.12, 0.10, fur.body)
    draw_dog_head(pen, fur, dice, -0.42, 0.08, 0.42)


def draw_dog(pen: Pen, dice: Dice, light: bool) -> None:
    poses = (draw_dog_portrait, draw_dog_sitting, draw_dog_standing, draw_dog_lying)
    dice.choose(poses)(pen, choose_coat(dice, light), dice)


def draw_rabbit(pen: Pen, dice: Dice, light: bool) -> None:
    fur = choose_coat(dice, light)
    close = dice.chance(0.4)
    if close:
        pen.ellipse(0, 1.35, 0.66, 0.75, fur.body)
        head = pen.frame(0, 0.42, 0.62, dice.between(-0.1, 0.1))
    elif dice.chance(0.5):  # from the front
        pen.ellipse(0, 0.52, 0.46, 0.46, fur.body)
        pen.ellipse(0, 0.50, 0.24, 0.30, fur.light, rim=0, alpha=0.8)
        for side in (-1, 1):
            pen.ellipse(side * 0.26, 0.92, 0.20, 0.09, fur.points)
        head = pen.frame(0, -0.08, 0.36, dice.between(-0.1, 0.1))
    else:  # crouching
        pen.ellipse(0.86, 0.60, 0.16, 0.16, WHITE)
        pen.ellipse(0.25, 0.50, 0.62, 0.46, fur.body)
        pen.ellipse(0.44, 0.68, 0.34, 0.28, fur.body)
        pen.ellipse(0.30, 0.93, 0.34, 0.08, fur.points)
        pen.ellipse(-0.36, 0.92, 0.18, 0.08, fur.points)
        head = pen.frame(-0.46, 0.16, 0.38, dice.between(-0.1, 0.1))
    for side in (-1, 1):
        tip = (side * dice.between(0.3, 0.8), -2.15)
        head.stroke(((side * 0.34, -0.6), tip), 0.24, 0.17, fur.points)
        head.stroke(((side * 0.36, -0.8), tip), 0.11, 0.07, PINK, rim=0, alpha=0.8)
    head.ellipse(0, 0, 0.84, 0.82, fur.head, rim=0.15)
    draw_eyes(head, 0.46, -0.10, 0.15)
    head.ellipse(0, 0.42, 0.40, 0.28, fur.light, rim=0.1)
    head.ellipse(0, 0.28, 0.10, 0.07, PINK, rim=0)


def draw_bird(pen: Pen, dice: Dice, light: bool) -> None:
    """Draw a bird on a branch, or in flight."""
    colour, breast = choose_tint(dice, light), choose_tint(dice, light)
    dark = mix(colour, BLACK, 0.4)
    if dice.chance(0.65):
        pen.stroke(((-1.3, 0.86), (1.3, dice.between(0.7, 1.0))), 0.08, 0.06, (0.36, 0.26, 0.18))
        for u in (-0.08, 0.14):
            pen.stroke(((u, 0.5), (u, 0.86)), 0.035, 0.035, ORANGE, rim=0)
        pen.polygon(((0.3, 0.2), (1.05, 0.62), (0.92, 0.80), (0.2, 0.5)), dark)
        pen.polygon(((-0.62, -0.62), (-1.0, -0.46), (-0.6, -0.36)), ORANGE)
        pen.ellipse(0, 0.14, 0.46, 0.56, colour, angle=-0.5)
        pen.ellipse(-0.16, 0.26, 0.26, 0.40, breast, angle=-0.5, rim=0)
        pen.ellipse(0.2, 0.20, 0.24, 0.46, dark, angle=-0.7)
        pen.ellipse(-0.34, -0.46, 0.36, 0.34, colour, rim=0.15)
        pen.ellipse(-0.44, -0.52, 0.08, 0.08, BLACK, rim=0)
        pen.ellipse(-0.47, -0.55, 0.03, 0.03, WHITE, rim=0)
        return
    beat = dice.between(-0.9, -0.5)
    pen.polygon(((0.5, 0.0), (1.1, -0.12), (1.05, 0.25)), dark)
    pen.polygon(((-0.1, 0.0), (0.35, beat - 0.1), (0.45, 0.1)), dark)
    pen.polygon(((-0.82, 0.0), (-1.12, 0.12), (-0.78, 0.16)), ORANGE)
    pen.ellipse(0, 0.1, 0.66, 0.26, colour, angle=math.pi / 40)
    pen.ellipse(-0.62, 0.02, 0.24, 0.23, colour, rim=0.15)
    pen.polygon(((-0.3, 0.05), (0.0, beat), (0.3, beat + 0.1), (0.3, 0.12)), mix(dark, breast, 0.4))
    pen.ellipse(-0.68, -0.02, 0.06, 0.06, BLACK, rim=0)
