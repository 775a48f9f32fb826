"""Small folders of images to train on, and a model of them: cats are red, the others blue."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from catnet import Classifier


def write(folder: Path, count: int, parts: dict[str, int] | None = None, seed: int = 0) -> Path:
    """``count`` images a class in ``cat/`` and ``non-cat/``; or in those of several parts."""
    rng = np.random.default_rng(seed)
    for part, n in (parts or {".": count}).items():
        for name, colour in (("cat", (250, 60, 60)), ("non-cat", (60, 60, 250))):
            place = folder / part / name
            place.mkdir(parents=True)
            for i in range(n):
                pixels = rng.integers(0, colour, (16, 16, 3)).astype(np.uint8)
                big = np.repeat(np.repeat(pixels, 4, axis=0), 4, axis=1)
                Image.fromarray(big).save(place / f"{i}.png")
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a run folder with its bytes, besides the empty one that is its lock."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != ".lock"}


def save_model(path: Path, band: tuple[float, float] = (0.5, 0.5)) -> str:
    """Write a model whose logit is 6 for red, 0 for grey and -3 for blue; return its path."""
    described = {"model": "logistic", "hidden": [], "activation": "relu"}
    weights = np.tile(np.array([6, -3, -3], np.float32) / 4096, 64 * 64)[None]
    params = ((), {"W": weights, "b": np.zeros(1, np.float32)})
    classes = ("non-cat", "cat")
    made = Classifier(described, params, classes, "red", "made for a test", confidence_band=band)
    made.save(path)
    return str(path)
