"""Small folders of images of many classes: each class is a shape of its own colour."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

NAMES = ("ant", "bee", "cat", "dog", "emu", "fox", "gnu", "hen", "ibis", "jay")
COLOURS = (
    *((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (255, 0, 255)),
    *((0, 255, 255), (255, 255, 255), (120, 60, 0), (0, 90, 90), (110, 0, 160)),
)


def draw(label: int, rng: np.random.Generator) -> np.ndarray:
    """A rectangle or a disc at a random place, on a dark ground with noise, (32, 32, 3) uint8."""
    y, x = np.mgrid[:32, :32]
    (cy, cx), r = rng.uniform(10, 22, 2), rng.uniform(7, 10)
    round_ = np.hypot(y - cy, x - cx) < r
    square = np.maximum(abs(y - cy), abs(x - cx)) < r
    image = rng.integers(0, 60, (32, 32, 3))
    image[(round_, square)[label % 2]] = COLOURS[label]
    return image.astype(np.uint8)


def write(
    folder: Path, counts: Sequence[int], parts: Sequence[str] = (".",), seed: int = 0
) -> Path:
    """Write ``counts[label]`` images of the first classes of ``NAMES``, into each of some parts."""
    rng = np.random.default_rng(seed)
    for part in parts:
        for label, count in enumerate(counts):
            for i in range(count):
                place = folder / part / NAMES[label]
                place.mkdir(parents=True, exist_ok=True)
                Image.fromarray(draw(label, rng)).save(place / f"{i}.png")
    return folder
