"""A run of ``catnet train --model photo``: image cache, run folder, training, scores."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from catnet.compile_cache import make_cache_folder
from catnet.data import cache as caches
from catnet.data.cache import Cache
from catnet.data.split import PARTS, TEST
from catnet.data.textures import add_textures
from catnet.errors import UserError
from catnet.evaluation.report import Evaluation
from catnet.images.geometry import Geometry
from catnet.models.classifier import Classifier
from catnet.progress import Pace, format_bar, measure_pace
from catnet.terminal import format_exactly, show_live, shows_live
from catnet.training import checkpoints, results, run_folder, seen, soft_labels
from catnet.training.checkpoints import Checkpoint
from catnet.training.photo.classes import Classes
from catnet.training.photo.config import PhotoConfig
from catnet.training.photo.division import divide
from catnet.training.photo.scores import Answers, Log, answer, calibrate_classifier, checks
from catnet.training.photo.state import initialize
from catnet.training.photo.train import make_rule, train
from catnet.training.soft_labels import SoftLabels

GEOMETRY = Geometry(96, 1.15)  # chosen on sources that no training had seen
TEST_TIME_AUGMENTATION = (96, 58)  # sides of the middles; chosen on validation parts
FIRST_VIEW = (80, 3.0)  # a side and a doubt; at the same accuracy, most images are seen once
EVERY = 30.0  # seconds between two checkpoints, of about 20 MB


def run(
    sources: Sequence[str],
    configure: Callable[[int], PhotoConfig],
    folder: Path,
    *,
    cache_in: str | None,
    all_classes: bool,
    resume: bool,
    every: float,
    log: Log,
) -> dict[str, Evaluation]:
    """Train on sources, or resume a run; see ``catnet.training.results`` for its files.

    In ``evaluation.json``, ``sources`` has the evaluation of each source, and ``validation`` the
    scores of each validation; the rest is of the test parts of all sources together.

    Args:
        sources: zips, folders or h5 files.
        configure: number of images → settings.
        folder: a new folder; with ``resume``, the folder of an earlier run.
        cache_in: folder for decoded images.
        all_classes: whether Tiny ImageNet has its 200 classes; else it has cat and non-cat.
        resume: continue from the checkpoint in the folder.
        every: seconds between two checkpoints.
        log: called with each line of progress.

    Returns:
        The evaluation on the test part of every source, by name of the source.

    Raises:
        UserError: the data, the settings or the run folder do not fit.
    """
    if not sources:
        raise UserError("--model photo needs DATA: zips, folders or h5 files of photographs")
    place = Path(cache_in or make_cache_folder()).absolute()
    cache = caches.build(sources, place, _log_tenths(log), all_classes, GEOMETRY)
    config = configure(len(cache))
    # Textures are made of training images, so first the left-out sources leave that part.
    cache = add_textures(leave_out(cache, config.leave_out), config.textures)
    for line in cache.skipped:
        log(f"left out: {line}")
    for line in cache.notes:
        log(line)
    division = divide(config, cache)
    soft = _load_soft_labels(config.soft_labels, cache) if config.soft_labels else None
    classes = Classes.of(cache, soft)
    if soft is not None:
        log(f"soft labels of {np.isin(cache.table.content, soft.content).sum()} images")
    columns = (getattr(cache.table, name) for name in HASHED)
    content = run_folder.digest(
        cache.sources, cache.strata, cache.fine_names, cache.fine_cats, *columns, *(soft or ())
    )
    step = 0
    if resume:
        run_folder.refuse_other_data(folder, ", ".join(sources), content)
        step = checkpoints.read_progress(folder)["step"]
    # Once there is a checkpoint, the model of --from is not needed, and may be gone.
    source = dataclasses.replace(config, from_model="") if step else config
    state = initialize(source, classes)
    if not resume:
        described = {
            "model": "photo",
            **asdict(config),
            "data": [str(Path(source).absolute()) for source in sources],
            "cache": str(place),
            "all_classes": all_classes,
            "source": f"from {', '.join(cache.sources)}",
            "content": content,
            "classes": list(cache.classes),
            **{
                f"{name}_examples": int(np.sum(division.parts == part))
                for part, name in enumerate(PARTS)
            },
        }
        run_folder.create(folder, described)
    log(f"{len(cache)} images from {', '.join(cache.sources)}; the run is in {folder}")
    with run_folder.lock(folder):
        checkpoints.extend(folder, config.steps, config.extended_at)
        if not (folder / seen.FILE).exists():  # before training: the parent may be gone after it
            learnt = cache.table.content[division.parts != TEST]
            seen.write(folder, learnt, Path(config.from_model) if config.from_model else None)
        with Checkpoint(folder, every) as checkpoint:
            outcome = train(config, cache, classes, division, state, checkpoint, log)
        classifier = _classifier(config, cache, classes, outcome.params, folder.resolve().name)
        classifier = calibrate_classifier(classifier, cache, log)
        classifier.save(folder / results.MODEL)
        classifier = Classifier.load(folder)
        answers = answer(classifier, cache, log)
        evaluations = {name: its.evaluate(classifier) for name, its in answers.items()}
        more = {
            "sources": {name: result.as_json() for name, result in evaluations.items()},
            "validation": outcome.validations,
            **checks(classifier, cache),
        }
        tested = _join(answers, cache)
        title = f"photo, learning rate {format_exactly(config.learning_rate)}"
        rule = make_rule(config)
        results.write(folder, classifier, outcome.curves, rule, tested, title, more)
        if outcome.stopped:
            raise outcome.stopped
        checkpoints.finish(folder)
    return evaluations


def _load_soft_labels(file: str, cache: Cache) -> SoftLabels:
    """Read the soft labels of a cache.

    Raises:
        UserError: they cannot be read, or are of other images or classes.
    """
    if len(cache.classes) > 2:
        raise UserError("--soft-labels: is for two classes, with cats among those of the teacher")
    soft = soft_labels.load(file)
    if not np.isin(cache.table.content, soft.content).any():
        raise UserError(f"--soft-labels {file}: has none of these images; write it from this DATA")
    return soft


def leave_out(cache: Cache, names: Sequence[str]) -> Cache:
    """The cache with all images of some sources in the test part.

    Raises:
        UserError: there is no such source.
    """
    for name in names:
        if name not in cache.sources:
            raise UserError(f"--leave-out {name}: the sources are {', '.join(cache.sources)}")
    left = np.isin(cache.table.sources, [cache.sources.index(name) for name in names])
    table = dataclasses.replace(cache.table, held_out=cache.table.held_out | left)
    return dataclasses.replace(cache, table=table)


# The columns that a training depends on; ``content`` is a hash of every image's pixels.
HASHED = ("content", "labels", "fine", "sources", "strata", "held_out")


def _classifier(
    config: PhotoConfig, cache: Cache, classes: Classes, params: Any, name: str
) -> Classifier:
    """The classifier of some weights, rounded to float16: half the size."""
    half = jax.tree.map(lambda leaf: leaf.astype(jnp.float16), params)
    cats, head = ({"cats": list(classes.cats)}, ((),)) if classes.cats else ({}, ())
    return Classifier(
        architecture={
            "model": "photo",
            "widths": list(config.widths),
            "blocks": list(config.blocks),
            "classes": len(classes.names),
            **cats,
            "geometry": list(GEOMETRY),
            "test_time_augmentation": list(TEST_TIME_AUGMENTATION),
            "first_view": list(FIRST_VIEW),
        },
        params=(*half, *head),
        classes=cache.classes,
        name=name,
        about=f"trained on {', '.join(cache.sources)}",
    )


def _join(answers: dict[str, Answers], cache: Cache) -> results.Tested:
    """The answers of all sources together."""
    indices, labels, p = (
        np.concatenate(column) for column in list(zip(*answers.values(), strict=True))[:3]
    )
    return results.Tested(
        labels,
        p,
        [name for its in answers.values() for name in its.names],
        cache.table.content[indices],
        lambda i: cache.take(indices[i : i + 1])[0],
    )


def _log_tenths(log: Log) -> Callable[[str, int, int], None]:
    """A report of decoding: a bar on a terminal, else a line for every tenth of a source."""
    last: dict[str, Any] = {}
    paces: dict[str, Callable[[int], Pace | None]] = {}

    def progress(source: str, done: int, total: int) -> None:
        pace = paces.setdefault(source, measure_pace(total))
        if shows_live():
            show_live(f"decoding {source}  {format_bar(done, total, 'images', pace(done))}")
        elif last.get(source) != (tenth := done * 10 // max(total, 1)):
            last[source] = tenth
            log(f"decoding {source}: {done} of {total}")

    return progress
