"""Draw cats in seven poses, all with the same head: pointed ears, slit eyes, whiskers.

In the frame of the pen, a figure fills about −1 … 1 in both directions; v points down.
"""

from __future__ import annotations

from catnet.data.sample.coats import BLACK, PINK, WHITE, Coat, choose_coat
from catnet.data.sample.dice import Dice
from catnet.data.sample.raster import Colour, Pen, mix, smooth

EYES: tuple[Colour, ...] = (
    (0.55, 0.72, 0.30), (0.88, 0.70, 0.22), (0.80, 0.50, 0.18), (0.45, 0.66, 0.82),
)  # fmt: skip


def draw_ears(head: Pen, fur: Coat, inside: bool) -> None:
    for side in (-1, 1):
        ear = ((side * 0.98, -0.28), (side * 0.86, -1.32), (side * 0.16, -0.72))
        head.polygon(ear, fur.points, rounding=0.05)
        if inside:
            inner = ((side * 0.86, -0.45), (side * 0.80, -1.08), (side * 0.36, -0.70))
            head.polygon(inner, PINK, rim=0, alpha=0.6)


def draw_face(head: Pen, fur: Coat, eye: Colour, asleep: bool) -> None:
    for side in (-1, 1):
        if asleep:
            lid = ((side * 0.22, 0.02), (side * 0.42, 0.12), (side * 0.64, 0.0))
            head.stroke(lid, 0.05, 0.05, fur.line, rim=0)
        else:
            head.ellipse(side * 0.42, -0.04, 0.25, 0.20, BLACK, rim=0)
            head.ellipse(side * 0.42, -0.04, 0.21, 0.16, eye, rim=0)
            head.ellipse(side * 0.42, -0.04, 0.07, 0.16, BLACK, rim=0)
    for side in (-1, 1):
        head.ellipse(side * 0.19, 0.46, 0.26, 0.20, fur.light, rim=0.12)
    head.polygon(((-0.13, 0.24), (0.13, 0.24), (0, 0.37)), PINK, rounding=0.02, rim=0.3)
    mouth = ((-0.22, 0.48), (-0.1, 0.56), (0, 0.48), (0.1, 0.56), (0.22, 0.48))
    head.stroke(mouth, 0.03, 0.03, BLACK, rim=0, alpha=0.7)
    for side in (-1, 1):
        for drop in (-0.06, 0.1):
            whisker = ((side * 0.42, 0.44 + drop / 2), (side * 1.25, 0.38 + 2 * drop))
            head.stroke(whisker, 0.03, 0.015, mix(fur.line, WHITE, 0.4), rim=0, alpha=0.8)


def draw_head(pen: Pen, fur: Coat, dice: Dice, u: float, v: float, size: float, *,
         turn: float = 0.0, away: bool = False, asleep: bool = False) -> None:  # fmt: skip
    """Draw a head with the centre (u, v), from the front, or from behind if ``away``."""
    frame = pen.frame(u, v, size, turn + dice.between(-0.12, 0.12))
    draw_ears(frame, fur, inside=not away)
    frame.ellipse(0, 0, 1.0, 0.84, fur.head, rim=0.15)
    if not away:
        draw_face(frame, fur, dice.choose(EYES), asleep)


def draw_portrait(pen: Pen, fur: Coat, dice: Dice) -> None:
    pen.ellipse(0, 1.25, 0.72, 0.85, fur.body)
    pen.ellipse(0, 1.2, 0.34, 0.6, fur.light, rim=0, alpha=0.7)
    draw_head(pen, fur, dice, 0, 0.1, 0.82)


def draw_sitting(pen: Pen, fur: Coat, dice: Dice) -> None:
    tail = ((0.3, 0.84), (0.75, 0.86), (0.92, 0.55), (0.84, 0.2))
    pen.stroke(smooth(tail), 0.11, 0.08, fur.points)
    pen.ellipse(0, 0.36, 0.44, 0.62, fur.body)
    for side in (-1, 1):
        pen.ellipse(side * 0.34, 0.70, 0.21, 0.27, fur.body)
    pen.ellipse(0, 0.22, 0.22, 0.36, fur.light, rim=0, alpha=0.8)
    for side in (-1, 1):
        pen.stroke(((side * 0.13, 0.3), (side * 0.14, 0.88)), 0.10, 0.10, fur.body)
        pen.ellipse(side * 0.15, 0.93, 0.14, 0.08, fur.points)
    draw_head(pen, fur, dice, dice.between(-0.06, 0.06), -0.42, 0.42)


def draw_upright(pen: Pen, fur: Coat, dice: Dice) -> None:
    """Draw a sitting cat from the side."""
    tail = ((0.45, 0.86), (0.85, 0.88), (1.0, 0.62))
    pen.stroke(smooth(tail), 0.10, 0.07, fur.points)
    pen.stroke(((-0.22, -0.1), (0.18, 0.55)), 0.26, 0.40, fur.body)
    pen.ellipse(0.28, 0.66, 0.34, 0.30, fur.body)
    pen.stroke(((-0.28, 0.1), (-0.34, 0.88)), 0.12, 0.09, fur.body)
    pen.ellipse(-0.40, 0.93, 0.15, 0.08, fur.points)
    pen.ellipse(0.16, 0.93, 0.24, 0.08, fur.points)
    draw_head(pen, fur, dice, -0.34, -0.44, 0.38)


def draw_walking(pen: Pen, fur: Coat, dice: Dice) -> None:
    swing = dice.between(-0.16, 0.16)
    tail = ((0.62, -0.02), (0.9, -0.22), (0.88, -0.62), (1.02, -0.85))
    pen.stroke(smooth(tail), 0.10, 0.06, fur.points)
    for u, step in ((-0.34, -swing), (0.48, swing), (-0.5, swing), (0.62, -swing)):
        pen.stroke(((u, 0.2), (u + step, 0.88)), 0.13, 0.085, fur.body)
        pen.ellipse(u + step - 0.04, 0.93, 0.13, 0.07, fur.points)
    pen.stroke(((-0.42, 0.12), (0.52, 0.10)), 0.28, 0.29, fur.body)
    draw_head(pen, fur, dice, -0.64, -0.26, 0.36)


def draw_lying(pen: Pen, fur: Coat, dice: Dice) -> None:
    tail = ((0.7, 0.72), (0.98, 0.62), (0.85, 0.86), (0.4, 0.92))
    pen.ellipse(0.22, 0.48, 0.74, 0.44, fur.body)
    pen.ellipse(0.62, 0.60, 0.34, 0.32, fur.body)
    pen.stroke(smooth(tail), 0.10, 0.08, fur.points)
    for drop in (0.78, 0.88):
        pen.stroke(((-0.2, drop - 0.06), (-0.8, drop)), 0.10, 0.09, fur.body)
        pen.ellipse(-0.86, drop, 0.11, 0.08, fur.points)
    draw_head(pen, fur, dice, -0.42, 0.06, 0.42)


def draw_behind(pen: Pen, fur: Coat, dice: Dice) -> None:
    pen.ellipse(0, 0.34, 0.46, 0.62, fur.body)
    for side in (-1, 1):
        pen.ellipse(side * 0.24, 0.72, 0.30, 0.26, fur.body)
    draw_head(pen, fur, dice, 0, -0.42, 0.42, away=True)
    tail = ((0.05, 0.8), (0.5, 0.98), (0.86, 0.8), (0.82, 0.45))
    pen.stroke(smooth(tail), 0.11, 0.08, fur.points)


def draw_curled(pen: Pen, fur: Coat, dice: Dice) -> None:
    """Draw a sleeping cat with its tail around its nose."""
    pen.ellipse(0.06, 0.38, 0.86, 0.56, fur.body)
    pen.ellipse(0.45, 0.44, 0.42, 0.40, fur.body)
    draw_head(pen, fur, dice, -0.42, 0.36, 0.42, turn=-0.35, asleep=True)
    tail = ((0.84, 0.5), (0.62, 0.86), (0.1, 0.98), (-0.4, 0.9))
    pen.stroke(smooth(tail), 0.12, 0.09, fur.points)


POSES = (
    draw_portrait,
    draw_sitting,
    draw_upright,
    draw_walking,
    draw_lying,
    draw_behind,
    draw_curled,
)


def draw_cat(pen: Pen, dice: Dice, light: bool) -> None:
    dice.choose(POSES)(pen, choose_coat(dice, light), dice)
