"""A run on images in memory: its folder, its training and its scores.

Photo trainings, whose images are in a cache on disk, have ``catnet.training.photo.run``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from catnet.data.dataset import Dataset, get_whole
from catnet.data.duplicates import hash_pixels
from catnet.evaluation import plots
from catnet.evaluation.report import Evaluation
from catnet.models.classifier import Classifier
from catnet.training import checkpoints, results, run_folder, seen
from catnet.training.checkpoints import Checkpoint
from catnet.training.class_weights import weigh_classes
from catnet.training.descent import Outcome
from catnet.training.measuring import divide, make_rule, refuse_batch_size


class Images(NamedTuple):
    """The images of a run, and where they are from.

    Attributes:
        train: to train on.
        test: to evaluate on.
        source: where they are from, in words.
        data: their path, for a resumed run; None for the drawn sample.
        all_classes: how they were loaded, for a resumed run.
    """

    train: Dataset
    test: Dataset
    source: str
    data: str | None = None
    all_classes: bool = False


class Training(NamedTuple):
    """What a run trains.

    Attributes:
        config: the settings, a dataclass.
        train: (images to train on, (images that are measured beside, their part), checkpoint) →
            the architecture, and the outcome.
        title: of the figures.
        described: more for ``config.json``.
        parent: the file or run folder of the model that the training starts from.
        parent_name: of that model.
        weights: of that model; the training depends on them as on the data.
        batch_size: refused where there are fewer images; None for a size that adapts.
    """

    config: Any
    train: Callable[[Dataset, tuple[Dataset, str], Checkpoint], tuple[dict[str, Any], Outcome]]
    title: str
    described: dict[str, Any]
    parent: Path | None = None
    parent_name: str = ""
    weights: Sequence[np.ndarray] = ()
    batch_size: int | None = None


def run(
    folder: Path, training: Training, images: Images, *, resume: bool, every: float
) -> tuple[Outcome, Evaluation]:
    """Train and fill the run folder; see ``catnet.training.results`` for its files.

    Args:
        folder: a new folder; with ``resume``, the folder of an earlier run.
        training: what is trained.
        images: what it is trained on.
        resume: continue from the checkpoint in the folder.
        every: seconds between two checkpoints.

    Returns:
        The outcome, and the evaluation on the test part.

    Raises:
        UserError: the data do not fit; or the training diverged, after its last good parameters
            are written.
        Stopped: Ctrl-C was pressed, after the parameters so far are written.
    """
    plots.check()
    config, train_part, test_part = training.config, images.train, images.test
    arrays = (train_part.images, train_part.labels, test_part.images, test_part.labels)
    content = run_folder.digest(*arrays, train_part.classes, *training.weights)
    learnt = hash_pixels(get_whole(train_part))
    train_part, measured, part = divide(train_part, test_part, config.validation)
    refuse_batch_size(training.batch_size, len(train_part.labels))
    weigh_classes(config.class_weights, train_part.classes, train_part.labels)  # refuse wrong ones
    if resume:
        data = images.data or "the drawn sample"
        data = f"{data} or the model {training.parent}" if training.parent else data
        run_folder.refuse_other_data(folder, data, content)
    else:
        described = {
            **asdict(config),
            **training.described,
            "data": images.data,
            "source": images.source,
            "content": content,
            "all_classes": images.all_classes,
            "classes": list(train_part.classes),
            "train_examples": len(train_part.labels),
            "validation_examples": len(measured.labels) if config.validation else 0,
            "test_examples": len(test_part.labels),
        }
        run_folder.create(folder, described)
    with run_folder.lock(folder):
        checkpoints.extend(folder, config.steps, config.extended_at)
        if not (folder / seen.FILE).exists():  # before training: the parent may be gone after it
            seen.write(folder, learnt, training.parent)
        with Checkpoint(folder, every) as checkpoint:
            architecture, outcome = training.train(train_part, (measured, part), checkpoint)
        origin = f", from {training.parent_name}" if training.parent_name else ""
        classifier = Classifier(
            architecture=architecture,
            params=outcome.params,
            classes=train_part.classes,
            name=folder.resolve().name,
            about=f"trained on {len(train_part.labels)} images {images.source}{origin}",
        )
        result = results.calibrate_and_write(
            folder,
            classifier,
            outcome.curves,
            make_rule(config),
            measured,
            test_part,
            training.title,
        )
        if outcome.stopped:
            raise outcome.stopped
        checkpoints.finish(folder)
    return outcome, result
