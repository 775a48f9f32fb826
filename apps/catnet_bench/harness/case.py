"""What every case gets: its options, and images to work on."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from catnet.data import dataset
from catnet.errors import UserError
from catnet.terminal import log

COURSE = (209, 64, 64, 3)  # the lecture's training images
LARGE = (3000, 2000)  # pixels, width and height of a photo from a camera


class Options(NamedTuple):
    """How a benchmark is run.

    Attributes:
        data: the folder with the course's h5 files; None for a stand-in.
        rounds: number of rounds; the contestants alternate in each.
        quick: small sizes; checks that the benchmark works, not the speed.
        plot: the file for the plot of growth; None for no plot.
        tiny_imagenet: the zip of Tiny ImageNet; None for a stand-in.
    """

    data: Path | None = None
    rounds: int = 5
    quick: bool = False
    plot: Path | None = None
    tiny_imagenet: Path | None = None

    @property
    def least(self) -> float:
        """Seconds that a round of short work lasts at least."""
        return 0.05 if self.quick else 0.5


def course(folder: Path | None) -> tuple[np.ndarray, np.ndarray, str]:
    """The course's training images (209, 64, 64, 3) uint8, labels (209,), and their source.

    Args:
        folder: with the course's h5 files; without it, images of noise with the same shape.

    Raises:
        UserError: the folder does not have the course's training images.
    """
    if folder is None:
        draw = np.random.default_rng(0)
        images = draw.integers(0, 256, COURSE, dtype=np.uint8)
        return images, (draw.random(COURSE[0]) < 0.34).astype(np.int32), "a stand-in of noise"
    part, _ = dataset.load(folder, on_problem=log)
    if part.images.shape != COURSE:
        raise UserError(f"--data {folder}: is not the folder with the course's h5 files")
    return part.images, part.labels, "the course's photos"


def large_photos(folder: Path, count: int, distinct: int, size: tuple[int, int] = LARGE) -> None:
    """Write detailed JPEGs, ``0000.jpg`` and so on: shapes with sensor noise.

    Args:
        folder: an empty one.
        count: number of files.
        distinct: number of different images; the other files are hard links to them.
        size: width and height in pixels.
    """
    for i in range(count):
        path = folder / f"{i:04}.jpg"
        if i < distinct:
            _draw_photo(i, size).save(path, quality=90)
        else:
            os.link(folder / f"{i % distinct:04}.jpg", path)


def _draw_photo(seed: int, size: tuple[int, int]) -> Image.Image:
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (size[1] // 100 + 1, size[0] // 100 + 1, 3), dtype=np.uint8)
    image = Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(image)
    for _ in range(100):
        x, y = random.integers(0, size)
        w, h = random.integers(5, 5 + min(size) // 4, 2)
        colour = tuple(int(c) for c in random.integers(0, 256, 3))
        shape = draw.ellipse if random.random() < 0.5 else draw.rectangle
        shape((int(x), int(y), int(x + w), int(y + h)), fill=colour)
    noise = random.integers(-12, 13, (size[1], size[0], 1), dtype=np.int16)
    return Image.fromarray(np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8))
