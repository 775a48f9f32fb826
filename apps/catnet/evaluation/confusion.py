"""The confusion matrix, precision and recall of each class, and their tables."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from catnet.terminal import shorten

NAMED_COLUMNS = 4  # classes whose columns of the printed matrix have names
COLUMNS = 12  # classes of the largest printed matrix; of more, the most confused pairs
ROWS = 20  # classes of the longest printed table; of more, the worst
WORST = 10  # rows of a table of the worst


class ClassScore(NamedTuple):
    """The scores of one class.

    Attributes:
        name: of the class.
        precision: the share of right answers among the answers of this class; NaN without any.
        recall: the share of right answers among the examples of this class; NaN without any.
        examples: the number of examples of this class.
    """

    name: str
    precision: float
    recall: float
    examples: int


class Confusion(NamedTuple):
    """A kind of mistake: ``count`` examples of class ``truth`` that are answered ``answer``."""

    truth: str
    answer: str
    count: int


def confusion(labels: ArrayLike, predicted: ArrayLike, classes: int = 2) -> np.ndarray:
    """The confusion matrix (classes, classes): row the truth, column the prediction.

    Example:
        >>> confusion([0, 0, 1, 1, 1], [0, 1, 1, 1, 0]).tolist()
        [[1, 1], [1, 2]]
    """
    counts = np.zeros((classes, classes), int)
    np.add.at(counts, (np.asarray(labels, int), np.asarray(predicted, int)), 1)
    return counts


def score_classes(counts: np.ndarray, classes: Sequence[str]) -> list[ClassScore]:
    """Compute precision and recall of each class from a confusion matrix.

    Example:
        >>> score_classes(np.array([[1, 1], [0, 2]]), ("dog", "cat"))[1]
        ClassScore(name='cat', precision=0.6666666666666666, recall=1.0, examples=2)
    """
    right, answers, examples = counts.diagonal(), counts.sum(axis=0), counts.sum(axis=1)
    return [
        ClassScore(name, _ratio(right[i], answers[i]), _ratio(right[i], examples[i]), int(n))
        for i, (name, n) in enumerate(zip(classes, examples, strict=True))
    ]


def find_confusions(counts: np.ndarray, classes: Sequence[str]) -> list[Confusion]:
    """List the kinds of mistakes, the most frequent first."""
    mistakes = counts - np.diag(counts.diagonal())
    order = np.argsort(-mistakes, axis=None, kind="stable")[: np.count_nonzero(mistakes)]
    pairs = (divmod(place, len(classes)) for place in order.tolist())
    return [Confusion(classes[int(i)], classes[int(j)], int(mistakes[i, j])) for i, j in pairs]


def format_confusion(counts: np.ndarray, classes: Sequence[str]) -> list[str]:
    """Format a confusion matrix as lines; with many classes, its most frequent mistakes.

    Example:
        >>> print(*format_confusion(np.array([[1, 1], [1, 2]]), ("non-cat", "cat")), sep="\\n")
                    says non-cat  says cat
        is non-cat             1         1
        is cat                 1         2
    """
    if len(classes) > COLUMNS:
        return _format_confusions(find_confusions(counts, classes))
    names = [shorten(name) for name in classes]
    if len(classes) <= NAMED_COLUMNS:
        rows, heads = [f"is {name}" for name in names], [f"says {name}" for name in names]
    else:
        digits = len(str(len(names)))
        rows = [f"{i:{digits}} is {name}" for i, name in enumerate(names, start=1)]
        heads = [f"{f'says {i}' if i == 1 else i:>5}" for i in range(1, len(names) + 1)]
    first = max(map(len, rows))
    widths = [
        max(len(head), len(str(column.max()))) for head, column in zip(heads, counts.T, strict=True)
    ]
    lines = [[" " * first, *(f"{h:>{w}}" for h, w in zip(heads, widths, strict=True))]]
    for row, cells in zip(rows, counts, strict=True):
        lines.append([f"{row:{first}}", *(f"{n:{w}}" for n, w in zip(cells, widths, strict=True))])
    return ["  ".join(line) for line in lines]


def _format_confusions(confusions: Sequence[Confusion]) -> list[str]:
    if not confusions:
        return []
    chosen = confusions[:WORST]
    width = max(len(shorten(each.truth)) for each in chosen)
    lines = [
        f"{each.count:6}  is {shorten(each.truth):{width}}  says {shorten(each.answer)}"
        for each in chosen
    ]
    return ["the most frequent confusions:", *lines]


def format_scores(scores: Sequence[ClassScore]) -> list[str]:
    """Format the scores of classes as a table; of many classes, those of the lowest recall.

    Example:
        >>> print(*format_scores([ClassScore("cat", 2 / 3, 1.0, 2)]), sep="\\n")
             precision  recall  examples
        cat      66.7%  100.0%         2
    """
    title = []
    if len(scores) > ROWS:
        present = [each for each in scores if each.examples]
        scores = sorted(present, key=lambda each: each.recall)[:WORST]
        title = [f"the {len(scores)} classes of the lowest recall:"]
    width = max(len(shorten(each.name)) for each in scores)
    lines = [f"{' ' * width}  precision  recall  examples"]
    for name, precision, recall, examples in scores:
        cells = f"{percent(precision):>9}  {percent(recall):>6}  {examples:8}"
        lines.append(f"{shorten(name):{width}}  {cells}")
    return [*title, *lines]


def percent(share: float) -> str:
    """Format a share; a dash for NaN."""
    return "–" if math.isnan(share) else f"{share:.1%}"


def _ratio(part: int, whole: int) -> float:
    return float(part / whole) if whole else math.nan
