"""The files of a trained model in its run folder, the same for every network.

Beside ``config.json`` and ``state.safetensors`` of ``run_folder``, and ``learnt.npy`` of ``seen``:

* ``model.safetensors``: the model
* ``metrics.csv``, ``curves.png``: costs and accuracies by step; see ``curves``
* ``evaluation.json``: the metrics on the test part
* ``answers.csv``: the answer for every test image
* ``confusion.png``, ``mistakes.png``: the answers as figures
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from catnet.data.dataset import Dataset, get_whole
from catnet.data.duplicates import hash_pixels
from catnet.errors import UserError
from catnet.evaluation import plots
from catnet.evaluation.evaluate import match_labels
from catnet.evaluation.report import Evaluation, choose_answers, evaluate
from catnet.evaluation.temperature import calibrate_on
from catnet.models.classifier import Classifier
from catnet.terminal import log
from catnet.training.curves import FILE as METRICS
from catnet.training.curves import Curves, Rule
from catnet.training.run_folder import write_json
from jaxnn.files import write_atomically

MODEL, EVALUATION, ANSWERS = "model.safetensors", "evaluation.json", "answers.csv"
CURVES, CONFUSION, MISTAKES = "curves.png", "confusion.png", "mistakes.png"
FILES = (MODEL, METRICS, CURVES, EVALUATION, ANSWERS, CONFUSION, MISTAKES)


class Tested(NamedTuple):
    """The test images of a run, and the answers of its model.

    Attributes:
        labels: (n,) of the model's classes.
        probabilities: (n, classes).
        names: of the images.
        content: (n,) uint64, hashes of their pixels.
        take: an index → the image, (H, W, 3) uint8.
    """

    labels: np.ndarray
    probabilities: np.ndarray
    names: Sequence[str]
    content: np.ndarray
    take: Callable[[int], np.ndarray]


class Answer(NamedTuple):
    """A row of ``answers.csv``; ``image`` is the hash of the pixels."""

    image: str
    name: str
    truth: str
    answer: str
    probability: str


def calibrate_and_write(
    folder: Path,
    classifier: Classifier,
    curves: Curves,
    rule: Rule,
    measured: Dataset,
    test_part: Dataset,
    title: str,
) -> Evaluation:
    """Calibrate a trained model, and write its files.

    The temperature and the limit of sure answers are fitted on the part that was measured in
    training: the validation part, or where there is none, the test part.  They change no label.

    Args:
        folder: of the run.
        classifier: the trained model.
        curves: of its training.
        rule: which weights became the model.
        measured: the part that was measured.
        test_part: the test images.
        title: of the curves.

    Returns:
        The evaluation on the test part.
    """
    labels = match_labels(classifier, measured)
    classifier = calibrate_on(classifier, measured.images, labels, f"{curves.part} part", log)
    classifier.save(folder / MODEL)
    tested = Tested(
        match_labels(classifier, test_part),
        classifier.probabilities(test_part.images),
        test_part.names,
        hash_pixels(get_whole(test_part)),
        test_part.images.__getitem__,
    )
    return write(folder, classifier, curves, rule, tested, title)


def write(
    folder: Path,
    classifier: Classifier,
    curves: Curves,
    rule: Rule,
    tested: Tested,
    title: str,
    more: Mapping[str, Any] = MappingProxyType({}),
) -> Evaluation:
    """Write the files beside a calibrated model, each atomically.

    Args:
        more: other entries of ``evaluation.json``.

    Returns:
        The evaluation on the test images.
    """
    classes = classifier.classes
    result = evaluate(
        tested.labels, tested.probabilities, tested.names, classes, classifier.threshold
    )
    curves.write(folder)
    write_json(folder / EVALUATION, {**result.as_json(), **more})
    _write_answers(folder / ANSWERS, result, tested)
    if curves.costs:
        kept = rule.best(curves.measures) if rule.selects else None
        plots.learning_curves(folder / CURVES, curves, title, kept)
    plots.confusion_matrix(folder / CONFUSION, result.confusion, classes)
    index = {name: i for i, name in enumerate(tested.names)}
    shown = [mistake.name for mistake in result.mistakes[: plots.SHOWN]]
    plots.mistakes(folder / MISTAKES, {name: tested.take(index[name]) for name in shown}, result)
    return result


def _write_answers(path: Path, result: Evaluation, tested: Tested) -> None:
    file = io.StringIO()
    rows = csv.writer(file, lineterminator="\n")
    rows.writerow(Answer._fields)
    for i, answer in enumerate(choose_answers(tested.probabilities, result.threshold)):
        p = tested.probabilities[i, answer]
        truth = result.classes[tested.labels[i]]
        image = f"{tested.content[i]:016x}"
        rows.writerow(Answer(image, tested.names[i], truth, result.classes[answer], f"{p:.6f}"))
    write_atomically(path, file.getvalue().encode("utf-8", "surrogateescape"))


def read_answers(folder: Path) -> list[Answer]:
    """Read ``answers.csv`` of a run.

    Raises:
        UserError: it is missing, or was changed.
    """
    path = folder / ANSWERS
    try:
        text = path.read_text(encoding="utf-8", errors="surrogateescape")
        head, *rows = csv.reader(io.StringIO(text, newline=""))
        if tuple(head) != Answer._fields:
            raise ValueError
        return [Answer(*row) for row in rows]
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; train the run to its end first") from None
    except (ValueError, TypeError, csv.Error):
        raise UserError(f"{path}: is not a file of this catnet; start a new run") from None
