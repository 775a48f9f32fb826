"""The embedded sample: drawn images of cats and non-cats.

Every image is a function of its kind and its seed.  Coats, paints, backgrounds and light have the
same distribution for all kinds, and a figure is light on dark with probability ½.  So colour does
not identify cats; only the shape does.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from catnet.data.dataset import Dataset
from catnet.data.sample import animals, things
from catnet.data.sample.backgrounds import draw_background
from catnet.data.sample.cats import draw_cat
from catnet.data.sample.coats import BLACK
from catnet.data.sample.dice import Dice
from catnet.data.sample.light import shade, to_uint8
from catnet.data.sample.raster import SIZE, Pen
from catnet.errors import UserError

_ARTISTS: dict[str, Callable[[Pen, Dice, bool], None]] = {
    "cat": draw_cat,
    "dog": animals.draw_dog,
    "rabbit": animals.draw_rabbit,
    "bird": animals.draw_bird,
    "flower": things.draw_flower,
    "house": things.draw_house,
    "car": things.draw_car,
    "fruit": things.draw_fruit,
    "pattern": things.draw_pattern,
}
KINDS: tuple[str, ...] = tuple(_ARTISTS)

_OTHERS = ("dog", *KINDS[1:])  # dogs, the most similar to cats, occur twice as often
_SEEDS = {"train": range(360), "test": range(360, 522)}  # of the cats and of the non-cats


def draw(kind: str, seed: int) -> np.ndarray:
    """Draw one image; equal arguments give the same image on every machine.

    Args:
        kind: one of ``KINDS``.
        seed: 0 or more.

    Returns:
        (64, 64, 3) uint8.

    Raises:
        UserError: the kind is unknown.

    Example:
        A cat::

            >>> from catnet.data import sample
            >>> sample.draw("cat", seed=3).shape
            (64, 64, 3)
    """
    if kind not in KINDS:
        raise UserError(f"cannot draw {kind!r}: choose one of {', '.join(KINDS)}")
    dice = Dice(KINDS.index(kind), seed)
    light = dice.chance(0.5)  # a light figure on dark ground, or a dark one on light
    canvas = np.empty((SIZE, SIZE, 3))
    draw_background(Pen(canvas), dice, dark=light)
    pen = Pen(
        canvas,
        x=SIZE / 2 + dice.between(-4.5, 4.5),
        y=SIZE / 2 + 1 + dice.between(-4, 4),
        scale=dice.between(23.5, 28),
        angle=dice.between(-0.1, 0.1),
        mirror=dice.chance(0.5),
    )
    if kind != "pattern":  # all other figures have a shadow on the ground
        pen.ellipse(0, 0.98, 0.9, 0.12, BLACK, rim=0, alpha=dice.between(0, 0.4))
    _ARTISTS[kind](pen, dice, light)
    shade(canvas, dice)
    return to_uint8(canvas)


def load() -> tuple[Dataset, Dataset]:
    """Draw the whole sample, which takes a few seconds; no file is read or written.

    Returns:
        The training part (720 images) and the test part (324 images, with other seeds), sorted
        by name.  Half of the images are cats.  The names are paths such as
        ``train/cat/cat-0003.png``, with the seed as the number.
    """
    return _draw_part("train"), _draw_part("test")


def write(folder: str | Path) -> None:
    """Write the sample as an image folder of PNG files: train/cat, train/non-cat, test/….

    Raises:
        UserError: ``folder`` is not empty.
    """
    from PIL import Image

    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(
            f"{folder}: already exists and is not an empty folder; choose another folder"
        )
    for part in _SEEDS:
        dataset = _draw_part(part)
        for image, name in zip(dataset.images, dataset.names, strict=True):
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(path, optimize=True)


def _draw_part(part: str) -> Dataset:
    """Draw the images of ``"train"`` or ``"test"``."""
    all_images = []
    for seed in _SEEDS[part]:
        other = _OTHERS[seed % len(_OTHERS)]
        all_images.append((f"{part}/cat/cat-{seed:04}.png", 1, "cat", seed))
        all_images.append((f"{part}/non-cat/{other}-{seed:04}.png", 0, other, seed))
    names, labels, kinds, seeds = zip(*sorted(all_images), strict=True)
    images = np.stack([*map(draw, kinds, seeds)])
    return Dataset(images, np.array(labels, np.int32), list(names), ("non-cat", "cat"))
