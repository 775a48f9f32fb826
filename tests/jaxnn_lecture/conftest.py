"""The chapters with small settings and few pictures, and a browser to look at them."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
import pytest
from headless import Page, chromium

from catnet.data import sample
from catnet.data.dataset import Dataset
from catnet.models import registry
from catnet.models.classifier import Classifier
from jaxnn_lecture import chapters
from jaxnn_lecture.chapter import Chapter, Settings
from jaxnn_lecture.chapters import (
    applications,
    digits,
    housing,
    scale,
    speech,
    transfer,
    translation,
)

SMALL = {
    "picture": {"steps": 5},
    "gradients": {"examples": 8},
    "activations": {"steps": 300},
    "initialization": {"steps": 300},
    "depth": {"steps": 300, "units": 4},
    "applications": {"examples": 20, "steps": 10},
    "scale": {"examples": 20, "steps": 10},
    "digits": {"examples": 20, "steps": 10},
    "speech": {"recordings": 4, "steps": 5},
    "translation": {"examples": 50, "steps": 10},
    "sentiment": {"examples": 50, "steps": 10},
    "transfer": {"repetitions": 2, "steps": 10},
    "cats": {"steps": 40, "sweep_steps": 20, "units": 2},
}


def draw_part(seeds: range) -> Dataset:
    """A cat and another figure for each seed."""
    kinds = [kind for seed in seeds for kind in ("cat", sample.KINDS[1 + seed % 8])]
    images = np.stack([sample.draw(kind, seeds[i // 2]) for i, kind in enumerate(kinds)])
    labels = np.array([int(kind == "cat") for kind in kinds], np.int32)
    names = [f"{kind}-{i}.png" for i, kind in enumerate(kinds)]
    return Dataset(images, labels, names, ("non-cat", "cat"))


@functools.cache
def load_images() -> tuple[Dataset, Dataset, str]:
    return draw_part(range(12)), draw_part(range(400, 406)), "drawn for a test"


def run_chapter(name: str, **changes: Any) -> Chapter:
    """Compute a chapter with its defaults, the small settings, and changes."""
    defaults = {key: one.default for key, one in chapters.CHAPTERS[name].settings.items()}
    return chapters.run(name, Settings({**defaults, **SMALL.get(name, {}), **changes}, load_images))


def small_classifier() -> Classifier:
    """A photo network with few channels, not trained."""
    described = {"model": "photo", "widths": [4, 6], "blocks": [1, 1], "classes": 2, "cats": [1]}
    net = registry.build(described)
    images = jax.ShapeDtypeStruct((1, 64, 64, 3), "float32")
    shapes = jax.eval_shape(lambda: net.init(jax.random.key(0), images))
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda s: rng.normal(0, 0.2, s.shape).astype("float32"), shapes)
    return Classifier(described, params, ("non-cat", "cat"), "small", "not trained")


@pytest.fixture(scope="module", params=chapters.CHAPTERS)
def chapter(request: pytest.FixtureRequest) -> Iterator[Chapter]:
    """Every chapter, with small settings, compiled without most optimizations."""
    jax.config.update("jax_disable_most_optimizations", True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Classifier, "load", small_classifier)
        patch.setattr(applications, "TASKS", applications.TASKS[1:2])
        few_houses = [part[:6] for part in housing.read_houses()]
        patch.setattr(housing, "read_houses", lambda: few_houses)
        patch.setattr(scale, "SIZES", (50, 100))
        patch.setattr(speech, "WIDTH", 4)
        patch.setattr(transfer, "SIZES", (5, 10))
        for module in (digits, translation):
            patch.setattr(module, "TESTS", 30)
        yield run_chapter(request.param)
    jax.config.update("jax_disable_most_optimizations", False)


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A page in Chromium; tests are skipped where there is none."""
    with chromium(tmp_path_factory.mktemp("chromium")) as page:
        yield page
