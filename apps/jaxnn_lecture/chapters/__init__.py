"""The chapters of the page and their settings; one file for each, imported when it is run."""

from __future__ import annotations

import importlib
from typing import NamedTuple

from jaxnn_lecture.chapter import Chapter, Settings


class Setting(NamedTuple):
    """A number of a chapter that ``--set`` changes.

    Attributes:
        default: a whole number where only whole ones are allowed.
        low, high: the ends of its range, both included.
    """

    default: float
    low: float
    high: float


class Entry(NamedTuple):
    """A chapter: its title, its settings, and its data.

    Attributes:
        uses_images: whether it is about the pictures of ``--data``.
        sequences: the folders of ``--sequences`` that it uses.
    """

    title: str
    settings: dict[str, Setting]
    uses_images: bool = False
    sequences: tuple[str, ...] = ()


SEED = Setting(1, 0, 2**32 - 1)

CHAPTERS = {
    "picture": Entry(
        "A picture as numbers",
        {
            "example": Setting(0, 0, 10**6),
            "examples": Setting(8, 2, 64),
            "learning_rate": Setting(0.002, 1e-9, 1e3),
            "steps": Setting(50, 1, 10_000),
        },
        uses_images=True,
    ),
    "logistic": Entry(
        "Logistic regression is one neuron",
        {
            "examples": Setting(40, 4, 1000),
            "learning_rate": Setting(1.0, 1e-9, 1e3),
            "steps": Setting(60, 2, 10_000),
            "seed": SEED,
        },
    ),
    "gradients": Entry(
        "The same gradient three ways",
        {"examples": Setting(100, 1, 1000), "seed": SEED},
        uses_images=True,
    ),
    "activations": Entry(
        "Activations",
        {
            "learning_rate": Setting(0.5, 1e-9, 1e3),
            "steps": Setting(2000, 1, 100_000),
            "layers": Setting(10, 3, 100),
            "seed": SEED,
        },
    ),
    "hidden": Entry(
        "One hidden layer, every number shown",
        {
            "learning_rate": Setting(0.5, 1e-9, 1e3),
            "steps": Setting(500, 1, 100_000),
            "seed": SEED,
        },
    ),
    "initialization": Entry(
        "Initialization",
        {
            "learning_rate": Setting(1.0, 1e-9, 1e3),
            "steps": Setting(1000, 1, 100_000),
            "layers": Setting(10, 2, 100),
            "seed": SEED,
        },
    ),
    "depth": Entry(
        "Depth and width",
        {
            "learning_rate": Setting(1.2, 1e-9, 1e3),
            "steps": Setting(5000, 1, 100_000),
            "units": Setting(5, 1, 100),
            "seed": SEED,
        },
    ),
    "cats": Entry(
        "The cat classifier",
        {
            "learning_rate": Setting(0.002, 1e-9, 1e3),
            "steps": Setting(3000, 1, 100_000),
            "sweep_steps": Setting(1000, 1, 100_000),
            "units": Setting(4, 1, 48),
            "seed": SEED,
        },
        uses_images=True,
    ),
    "applications": Entry(
        "Applications: which network for which data",
        {
            "examples": Setting(500, 10, 10_000),
            "steps": Setting(500, 1, 100_000),
            "seed": SEED,
        },
    ),
    "scale": Entry(
        "Shared weights and scale",
        {
            "examples": Setting(500, 10, 10_000),
            "steps": Setting(500, 1, 100_000),
            "seed": SEED,
        },
    ),
    "digits": Entry(
        "Handwritten digits",
        {
            "examples": Setting(1500, 10, 8000),
            "steps": Setting(250, 1, 100_000),
            "seed": SEED,
        },
        sequences=("mnist",),
    ),
    "speech": Entry(
        "Speech: a spoken word is a sequence",
        {
            "recordings": Setting(8, 4, 100),
            "steps": Setting(200, 1, 100_000),
            "seed": SEED,
        },
        sequences=("fsdd",),
    ),
    "translation": Entry(
        "Translation: attention and its alignment",
        {
            "examples": Setting(3000, 10, 9000),
            "steps": Setting(400, 1, 100_000),
            "seed": SEED,
        },
    ),
    "sentiment": Entry(
        "Stars of a review",
        {
            "examples": Setting(3000, 10, 100_000),
            "steps": Setting(400, 1, 100_000),
            "folds": Setting(10, 2, 10),
            "seed": SEED,
        },
        sequences=("rt-polarity", "sst"),
    ),
    "transfer": Entry(
        "Transfer learning with few examples",
        {
            "repetitions": Setting(5, 2, 50),
            "steps": Setting(200, 1, 100_000),
            "seed": SEED,
        },
        uses_images=True,
    ),
}


def run(name: str, settings: Settings) -> Chapter:
    """Compute a chapter."""
    module = importlib.import_module(f"{__name__}.{name}")
    return module.run(settings)
