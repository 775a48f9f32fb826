"""Drawn stand-ins for the data of the lecture's applications."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

SIDE, ADS = 12, 12
TAGS = {
    "plus": ".#. ### .#.", "cross": "#.# .#. #.#", "ring": "### #.# ###", "tee": "### .#. .#.",
    "corner": "#.. #.. ###", "steps": "#.. ##. .##", "bar": "... ### ...", "pole": ".#. .#. .#.",
}  # fmt: skip

Data: TypeAlias = tuple[Any, Any]  # x and y


def draw_clicks(n: int, rng: np.random.Generator) -> Data:
    """Age and hour (n, 2), from −1 to 1, and the number of the advertisement (n,); a click or not.

    The law: advertisement k is for the age of 20 + 5 k years.  A user clicks whose age differs by
    less than 10 years, or 20 years in the evening, from 20 to 24 o'clock.
    """
    ad, age, hour = rng.integers(0, ADS, n), rng.uniform(15, 80, n), rng.uniform(0, 24, n)
    click = np.abs(age - (20 + 5 * ad)) < np.where(hour >= 20, 20, 10)
    features = np.stack([(age - 47.5) / 32.5, (hour - 12) / 12], axis=1).astype(np.float32)
    return (features, ad.astype(np.int32)), click[:, None].astype(np.float32)


def draw_tags(n: int, rng: np.random.Generator) -> Data:
    """Pictures with noise and one of ``TAGS`` somewhere; its number (n,)."""
    shapes = np.array([[[c == "#" for c in row] for row in tag.split()] for tag in TAGS.values()])
    x, y = rng.normal(0, 0.25, (n, SIDE, SIDE, 1)), rng.integers(0, len(TAGS), n)
    for image, label, (i, j) in zip(x, y, rng.integers(0, SIDE - 2, (n, 2)), strict=True):
        image[i : i + 3, j : j + 3, 0] += shapes[label]
    return x.astype(np.float32), y.astype(np.int32)


def draw_signs(n: int, rng: np.random.Generator, columns: Sequence[int] = range(SIDE - 2)) -> Data:
    """Pictures with noise and an upright (0) or a slanting (1) cross that starts in ``columns``."""
    plus = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]])
    times = np.array([[1, 0, 1], [0, 1, 0], [1, 0, 1]])
    x, y = rng.normal(0, 0.25, (n, SIDE, SIDE, 1)), rng.integers(0, 2, (n, 1))
    places = zip(rng.integers(0, SIDE - 2, n), rng.choice(columns, n), strict=True)
    for image, label, (i, j) in zip(x, y[:, 0], places, strict=True):
        image[i : i + 3, j : j + 3, 0] += times if label else plus
    return x.astype(np.float32), y.astype(np.float32)


def draw_cars(n: int, rng: np.random.Generator) -> Data:
    """A picture with a car somewhere, and its distance by radar; its place on the road."""
    columns, distance = rng.integers(1, SIDE - 1, n), rng.uniform(0.2, 1, (n, 1))
    image = rng.normal(0, 0.1, (n, SIDE, SIDE, 1))
    image[np.arange(n), SIDE // 2, columns] += 2
    angle = (columns[:, None] - (SIDE - 1) / 2) / SIDE * 2
    y = np.concatenate([distance * angle, distance], axis=1)
    return (image.astype(np.float32), distance.astype(np.float32)), y.astype(np.float32)
