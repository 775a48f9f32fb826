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
    """A chapter: its title, its settings, and whether it is about pictures."""

    title: str
    settings: dict[str, Setting]
    uses_images: bool = False


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
        "Applications and scale",
        {
            "examples": Setting(500, 10, 10_000),
            "steps": Setting(500, 1, 100_000),
            "seed": SEED,
        },
    ),
}


def run(name: str, settings: Settings) -> Chapter:
    """Compute a chapter."""
    module = importlib.import_module(f"{__name__}.{name}")
    return module.run(settings)
