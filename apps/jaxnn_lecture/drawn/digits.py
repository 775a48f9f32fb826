"""Handwritten digits that a program draws: lines through given points, with variations."""

from __future__ import annotations

import numpy as np

SIDE = 16


def _arc(x: float, y: float, wide: float, tall: float, start: float, end: float) -> list:
    """Points of an ellipse between two angles, in turns, clockwise from the right."""
    angles = 2 * np.pi * np.linspace(start, end, 9)
    return [(x + wide * np.cos(a), y + tall * np.sin(a)) for a in angles]


# The lines of each digit, in a square from −1 to 1, y downwards.
STROKES: tuple[list, ...] = (
    [_arc(0, 0, 0.6, 1, 0, 1)],
    [[(-0.4, -0.6), (0.1, -1), (0.1, 1)]],
    [[*_arc(0, -0.5, 0.55, 0.5, 0.5, 1.1), (-0.6, 1), (0.6, 1)]],
    [[*_arc(0, -0.5, 0.5, 0.5, 0.6, 1.25), *_arc(0, 0.5, 0.6, 0.5, 0.75, 1.4)]],
    [[(0.3, 1), (0.3, -1), (-0.6, 0.4), (0.7, 0.4)]],
    [[(0.55, -1), (-0.45, -1), (-0.5, -0.1), *_arc(0, 0.4, 0.6, 0.6, 0.7, 1.4)]],
    [[(0.4, -1), *_arc(0, 0.4, 0.55, 0.6, 0.6, 1.6)]],
    [[(-0.6, -1), (0.6, -1), (-0.1, 1)]],
    [_arc(0, -0.5, 0.45, 0.5, 0.25, 1.25), _arc(0, 0.5, 0.6, 0.5, 0.75, 1.75)],
    [[*_arc(0, -0.4, 0.55, 0.6, 0, 1), (0.3, 1)]],
)  # fmt: skip


def draw_digits(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Images (count, SIDE, SIDE, 1) uint8, and their digits (count,) int32."""
    labels = rng.integers(0, 10, count).astype(np.int32)
    images = np.stack([_draw(int(label), rng) for label in labels])
    return images[..., None], labels


def _draw(digit: int, rng: np.random.Generator) -> np.ndarray:
    """A digit turned, sheared, scaled, moved, with unsteady lines and noise."""
    turn, shear = rng.normal(0, 0.15), rng.normal(0, 0.2)
    matrix = np.array([[np.cos(turn), shear - np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    matrix *= rng.uniform(0.6, 0.85, 2)
    shift, width = rng.uniform(-0.2, 0.2, 2), rng.uniform(0.09, 0.16)
    y, x = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
    pixels = np.stack([x, y], axis=-1).reshape(-1, 1, 2)
    nearest = np.full(SIDE * SIDE, np.inf)
    for stroke in STROKES[digit]:
        points = np.array(stroke) + rng.normal(0, 0.05, (len(stroke), 2))
        points = points @ matrix.T + shift
        start, along = points[:-1], np.diff(points, axis=0)
        length = np.maximum((along**2).sum(axis=-1), 1e-9)
        share = np.clip(((pixels - start) * along).sum(axis=-1) / length, 0, 1)
        gaps = np.linalg.norm(pixels - start - share[..., None] * along, axis=-1)
        nearest = np.minimum(nearest, gaps.min(axis=1))
    ink = 1 / (1 + np.exp((nearest - width) / 0.04))
    noisy = 255 * ink.reshape(SIDE, SIDE) + rng.normal(0, 25, (SIDE, SIDE))
    return np.clip(noisy, 0, 255).astype(np.uint8)
