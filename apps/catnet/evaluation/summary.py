"""Tables of several evaluations, one row each: of sources, and of the folders of a source."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from catnet.evaluation.confusion import percent
from catnet.evaluation.metrics import wilson
from catnet.evaluation.report import Evaluation
from catnet.evaluation.tables import format_interval, format_table
from catnet.terminal import shorten


class FolderScore(NamedTuple):
    """The right answers for the images of one folder.

    Attributes:
        folder: the path of the folder, from the first folder that the images do not share.
        right: the number of right answers.
        examples: the number of images.
    """

    folder: str
    right: int
    examples: int


def score_folders(names: Sequence[str], evaluation: Evaluation) -> list[FolderScore]:
    """Count the right answers in every folder, the worst folder first.

    Args:
        names: of the examples, paths with ``/``, each once.
        evaluation: of these examples.

    Example:
        >>> from catnet.evaluation.report import evaluate
        >>> names = ["cat/a.png", "dog/pug/b.png", "dog/pug/c.png"]
        >>> result = evaluate([1, 0, 0], [0.9, 0.8, 0.1], names, ("dog", "cat"))
        >>> score_folders(names, result)[0]
        FolderScore(folder='dog/pug', right=1, examples=2)
    """
    wrong = {mistake.name for mistake in evaluation.mistakes}
    places = [name.split("/")[:-1] for name in names]
    depth = max(min(map(len, places)) - 1, 0)
    shared = next((i for i in range(depth) if len({place[i] for place in places}) > 1), depth)
    folders = ["/".join(place[shared:]) for place in places]
    counts = Counter(folders)
    right = Counter(f for f, name in zip(folders, names, strict=True) if name not in wrong)
    scores = [FolderScore(folder, right[folder], n) for folder, n in sorted(counts.items())]
    return sorted(scores, key=lambda score: score.right / score.examples)


def format_folders(scores: Sequence[FolderScore]) -> list[str]:
    """Format the scores of folders as a table, with 95% Wilson intervals.

    Example:
        >>> print(*format_folders([FolderScore("dog/pug", 1, 2)]), sep="\\n")
        folder    right  95% interval  examples
        dog/pug   50.0%     9.5–90.5%         2
    """
    rows = [
        (shorten(folder or ".", 40), percent(right / n), format_interval(wilson(right, n)), str(n))
        for folder, right, n in scores
    ]
    return format_table([("folder", "right", "95% interval", "examples"), *rows], align=">")


def format_evaluations(results: Mapping[str, Evaluation]) -> list[str]:
    """Format evaluations as a table, the lowest balanced accuracy first.

    Args:
        results: evaluations by the name of their data.
    """
    worst = sorted(results.items(), key=lambda item: _nan_last(item[1].balanced_accuracy))
    rows = [
        (
            shorten(name, 40),
            percent(each.accuracy),
            format_interval(each.interval),
            percent(each.balanced_accuracy),
            f"{each.auc:.3f}".replace("nan", "–"),
            f"{each.calibration_error:.3f}",
            str(each.examples),
        )
        for name, each in worst
    ]
    heads = ("data", "accuracy", "95% interval", "balanced", "AUC", "calibration error", "examples")
    return format_table([heads, *rows], align=">")


def _nan_last(value: float) -> float:
    return math.inf if math.isnan(value) else value
