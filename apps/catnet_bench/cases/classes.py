"""Case 10: many classes from one file: ``catnet train`` against the same network in PyTorch."""

# pyright: reportMissingImports=false
from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from catnet.errors import UserError
from catnet.terminal import log
from catnet.training.photo.config import PhotoConfig
from catnet_bench.harness.case import Options
from catnet_bench.harness.report import Row, cores
from catnet_bench.harness.worker import Contestant, race_from_start

STEPS = 1000
VIEWS = (96,)  # both networks answer by the whole image and its mirror image


class Budget(NamedTuple):
    """What both contestants get.

    Attributes:
        data: a zip or a folder of images by class.
        cache: folder for the decoded images.
        config: network, batch size and steps.
    """

    data: Path
    cache: Path
    config: PhotoConfig


def rows(options: Options) -> list[Row]:
    """The same number of batches of the same images for the same network."""
    from catnet.data import cache as caches
    from catnet.images.geometry import WHOLE
    from catnet.training.photo.run import GEOMETRY

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = options.tiny_imagenet or draw_classes(folder / "drawn")
        small = options.quick or not options.tiny_imagenet
        config = PhotoConfig(steps=16, batch_size=16) if small else PhotoConfig(steps=STEPS)
        for geometry in (GEOMETRY, WHOLE):  # decoded before the time starts; wrong data end here
            cache = caches.build([data], folder / "cache", None, True, geometry)
            if len(cache.classes) < 3:
                raise UserError(f"--tiny-imagenet {data}: is not the zip of Tiny ImageNet")
        return compare(Budget(data, folder / "cache", config))


def compare(budget: Budget) -> list[Row]:
    """The row of a budget."""
    each = {
        "jaxnn": Contestant(by_catnet, (budget,)),
        "PyTorch": Contestant(by_torch, (budget,), "torch"),
    }
    timed = race_from_start(each, 1)
    config, [mine, *other] = budget.config, timed.values.values()
    what = f"{config.steps} batches of {config.batch_size}, {mine.classes} classes"
    note = f"{mine}" + "".join(f"; PyTorch {its}" for its in other)
    ours, theirs = timed.work["jaxnn"], timed.work.get("PyTorch", ())
    return [Row(what, "s", ours, "PyTorch" if theirs else "", theirs, note=note)]


class Score(NamedTuple):
    """The accuracy on the test part."""

    right: int
    examples: int
    classes: int

    def __str__(self) -> str:
        return f"{self.right / self.examples:.1%} of {self.examples:,} test images right"


def by_catnet(budget: Budget) -> Callable[[], Score]:
    """What ``catnet train DATA --model photo --all-classes`` does after decoding."""
    from catnet.data import cache as caches
    from catnet.data.split import TEST, split
    from catnet.models.classifier import Classifier
    from catnet.training.photo.run import GEOMETRY, run

    data, place = str(budget.data), str(budget.cache)
    cache = caches.build([data], place, None, True, GEOMETRY)

    def work() -> Score:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name) / "run"
            run(
                [data],
                lambda images: budget.config,
                folder,
                cache_in=place,
                all_classes=True,
                resume=False,
                every=1e9,
                log=log,
            )
            model = Classifier.load(folder)
        described = {**model.architecture, "test_time_augmentation": list(VIEWS)}
        described.pop("first_view")
        model = dataclasses.replace(model, architecture=described)
        test = np.flatnonzero(split(cache.table) == TEST)
        answers = model.logits(cache.take(test)).argmax(axis=1)
        right = int(np.sum(answers == cache.table.labels[test]))
        return Score(right, len(test), len(cache.classes))

    return work


def by_torch(budget: Budget) -> Callable[[], Score]:
    """The same network and images in PyTorch: AdamW, one cycle, random crops and mirror images."""
    import torch

    from catnet.data import cache as caches
    from catnet.data.split import TEST, TRAIN, split
    from catnet_bench.peers import torch_classes

    torch.set_num_threads(cores())
    cache = caches.build([str(budget.data)], str(budget.cache), None, True)
    parts, config = split(cache.table), budget.config
    train, test = (np.flatnonzero(parts == part) for part in (TRAIN, TEST))

    def work() -> Score:
        net = torch_classes.train(
            cache.take(train),
            cache.table.labels[train],
            (config.widths, config.blocks, len(cache.classes)),
            config.steps,
            config.batch_size,
        )
        answers = torch_classes.answer(net, cache.take(test))
        right = int(np.sum(answers == cache.table.labels[test]))
        return Score(right, len(test), len(cache.classes))

    return work


def draw_classes(folder: Path, classes: int = 3, each: int = 60) -> Path:
    """A stand-in without ``--tiny-imagenet``: a class is a colour in noise."""
    draw = np.random.default_rng(0)
    for c in range(classes):
        (folder / f"class-{c}").mkdir(parents=True)
        colour = draw.integers(0, 128, 3)
        for i in range(each):
            image = (colour + draw.integers(0, 128, (64, 64, 3))).astype(np.uint8)
            Image.fromarray(image).save(folder / f"class-{c}" / f"{i}.png")
    return folder
