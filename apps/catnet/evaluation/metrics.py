"""Metrics: accuracy with its interval, AUC, calibration error, and the worst mistakes.

Labels are 0 or 1; probabilities and scores are those of class 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from catnet.errors import UserError
from catnet.terminal import one_line

LISTED = 10  # mistakes in a printed evaluation


def wilson(successes: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """The Wilson confidence interval of a proportion.

    With p = successes / n::

        (p + z²/2n ± z √(p(1 − p)/n + z²/4n²)) / (1 + z²/n)

    Args:
        successes: from 0 to ``n``.
        n: at least 1.
        z: the normal quantile of the confidence level; 1.96 for 95%.

    Source:
        E. B. Wilson, "Probable inference, the law of succession, and statistical inference",
        Journal of the American Statistical Association 22 (1927).

    Example:
        >>> [round(end, 4) for end in wilson(40, 50)]
        [0.6696, 0.8876]
    """
    if not 0 <= successes <= n or n < 1:
        raise ValueError(f"expected 0 <= successes <= n and n >= 1, got {successes} of {n}")
    p = successes / n
    centre = p + z**2 / (2 * n)
    half = z * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    below = 1 + z**2 / n
    return max(0.0, (centre - half) / below), min(1.0, (centre + half) / below)


def confusion(labels: ArrayLike, predicted: ArrayLike) -> np.ndarray:
    """The confusion matrix (2, 2): row the truth, column the prediction.

    Example:
        >>> confusion([0, 0, 1, 1, 1], [0, 1, 1, 1, 0]).tolist()
        [[1, 1], [1, 2]]
    """
    counts = np.zeros((2, 2), int)
    np.add.at(counts, (np.asarray(labels, int), np.asarray(predicted, int)), 1)
    return counts


def balanced_accuracy(labels: ArrayLike, predicted: ArrayLike) -> float:
    """The mean of both classes' accuracies; NaN when there is only one class.

    ½ (right of class 0 / all of class 0 + right of class 1 / all of class 1).  A constant answer
    has ½, whatever the class balance.

    Source:
        K. H. Brodersen et al., "The balanced accuracy and its posterior distribution",
        International Conference on Pattern Recognition (2010).

    Example:
        >>> balanced_accuracy([0, 1, 1, 1, 1], [1, 1, 1, 1, 1])
        0.5
    """
    counts = confusion(labels, predicted)
    of_class = counts.sum(axis=1)
    return float(np.mean(counts.diagonal() / of_class)) if of_class.all() else math.nan


def auc(labels: ArrayLike, scores: ArrayLike) -> float:
    """The area under the ROC curve; NaN when there is only one class.

    The share of pairs, one example of each class, in which the example of class 1 has the higher
    score; a tie counts ½.  It is (R − n₁(n₁ + 1)/2) / (n₀ n₁), with R the sum of the ranks of
    the n₁ examples of class 1; ties have the mean of their ranks.

    Source:
        J. A. Hanley, B. J. McNeil, "The meaning and use of the area under a receiver operating
        characteristic (ROC) curve", Radiology 143 (1982).

    Example:
        >>> auc([0, 0, 1, 1], [0.1, 0.4, 0.4, 0.8])
        0.875
    """
    positive = np.asarray(labels) == 1
    _, which, counts = np.unique(np.asarray(scores), return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[which]
    n_1 = int(positive.sum())
    n_0 = len(positive) - n_1
    if not n_0 or not n_1:
        return math.nan
    return float((ranks[positive].sum() - n_1 * (n_1 + 1) / 2) / (n_0 * n_1))


def calibration_error(labels: ArrayLike, probabilities: ArrayLike, bins: int = 15) -> float:
    """The expected calibration error: the mean distance of probabilities from frequencies.

    Examples are sorted into ``bins`` equal intervals of their probability.  The error is the mean
    over all examples of \\|share of class 1 − mean probability\\| in the example's bin.

    Source:
        M. P. Naeini, G. F. Cooper, M. Hauskrecht, "Obtaining well calibrated probabilities using
        Bayesian binning", AAAI (2015).

    Example:
        Of four answers of 75%, three are of class 1; of two answers of 10%, one is:

        >>> round(calibration_error([1, 1, 1, 0, 1, 0], [0.75] * 4 + [0.1] * 2), 4)
        0.1333
    """
    p = np.asarray(probabilities, float)
    which = np.minimum((p * bins).astype(int), bins - 1)
    # |Σ label − Σ p| of a bin is its count times |share − mean probability|.
    gaps = np.bincount(which, np.asarray(labels, float) - p, minlength=bins)
    return float(np.abs(gaps).sum() / len(p))


class Mistake(NamedTuple):
    """A wrong answer.

    Attributes:
        name: of the example.
        truth: the name of its class.
        p_cat: the probability of class 1 in the answer.
    """

    name: str
    truth: str
    p_cat: float


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The result of ``evaluate``; prints as a table.

    Attributes:
        examples: their number.
        accuracy: the share of right answers.
        interval: the 95% Wilson interval of the accuracy.
        balanced_accuracy: see the function.
        auc: see the function.
        majority: the more frequent class of these examples, and its share: the accuracy of
            always answering it.
        confusion: (2, 2) counts, row the truth, column the answer.
        calibration_error: see the function.
        threshold: the answer is class 1 from this probability on.
        classes: the names of class 0 and class 1.
        mistakes: every wrong answer, the most confident ones first.
    """

    examples: int
    accuracy: float
    interval: tuple[float, float]
    balanced_accuracy: float
    auc: float
    majority: tuple[str, float]
    confusion: np.ndarray
    calibration_error: float
    threshold: float
    classes: tuple[str, str]
    mistakes: list[Mistake]

    def __str__(self) -> str:
        low, high = self.interval
        always, share = self.majority
        rows = [
            ("accuracy", _percent(self.accuracy)),
            ("balanced accuracy", _percent(self.balanced_accuracy)),
            (f'always saying "{one_line(always)}"', _percent(share)),
            ("AUC", "undefined" if math.isnan(self.auc) else f"{self.auc:.3f}"),
            ("calibration error", f"{self.calibration_error:.3f}"),
        ]
        width = max(len(label) for label, _ in rows)
        lines = [f"{label:{width}}  {value:>6}" for label, value in rows]
        lines[0] += f"  (95% interval {100 * low:.1f}–{high:.1%}, {self.examples} examples)"
        return "\n".join([*lines, "", *self._confusion_lines(), "", *self._mistake_lines()])

    def _confusion_lines(self) -> list[str]:
        names = [one_line(name) for name in self.classes]
        says = [f"says {name}" for name in names]
        first = max(len(name) for name in names) + len("is ")
        cells = [
            [f"{count:{len(head)}}" for count, head in zip(row, says, strict=True)]
            for row in self.confusion
        ]
        return ["  ".join([" " * first, *says])] + [
            "  ".join([f"{'is ' + name:{first}}", *row])
            for name, row in zip(names, cells, strict=True)
        ]

    def _mistake_lines(self) -> list[str]:
        if not self.mistakes:
            return ["no mistakes"]
        count = len(self.mistakes)
        heading = f"the worst {LISTED} of {count} mistakes" if count > LISTED else "the mistakes"
        width = max(len(one_line(name)) for name in self.classes)
        return [f"{heading}, with the probability of {one_line(self.classes[1])}:"] + [
            f"{p_cat:6.1%}  is {one_line(truth):{width}}  {one_line(name)}"
            for name, truth, p_cat in self.mistakes[:LISTED]
        ]

    def as_json(self) -> dict[str, Any]:
        """A dict for JSON, with null for undefined values."""
        return {
            **{key: _or_none(value) for key, value in vars(self).items()},
            "interval": list(self.interval),
            "majority": {"label": self.majority[0], "share": self.majority[1]},
            "confusion": self.confusion.tolist(),
            "classes": list(self.classes),
            "mistakes": [mistake._asdict() for mistake in self.mistakes],
        }


def evaluate(
    labels: ArrayLike,
    probabilities: ArrayLike,
    names: Sequence[str],
    classes: tuple[str, str],
    threshold: float = 0.5,
) -> Evaluation:
    """Evaluate answers against the truth.

    Args:
        labels: (n,) the truth, 0 or 1.
        probabilities: (n,) of class 1, in [0, 1].
        names: n names of the examples, for the list of mistakes.
        classes: the names of class 0 and class 1.
        threshold: the answer is class 1 from this probability on.

    Raises:
        UserError: there are no examples, or a probability is outside of [0, 1] or NaN.
        ValueError: a label is not 0 or 1, or the arguments differ in length.

    Example:
        >>> print(evaluate([0, 0, 1, 1, 1], [0.1, 0.7, 0.8, 0.9, 0.2],
        ...                ["a.png", "b.png", "c.png", "d.png", "e.png"], ("non-cat", "cat")))
        accuracy              60.0%  (95% interval 23.1–88.2%, 5 examples)
        balanced accuracy     58.3%
        always saying "cat"   60.0%
        AUC                   0.833
        calibration error     0.380
        <BLANKLINE>
                    says non-cat  says cat
        is non-cat             1         1
        is cat                 1         2
        <BLANKLINE>
        the mistakes, with the probability of cat:
         20.0%  is cat      e.png
         70.0%  is non-cat  b.png
    """
    truth, p = np.asarray(labels), np.asarray(probabilities, float)
    if not truth.shape == p.shape == (len(names),):
        got = f"{truth.shape}, {p.shape} and {len(names)}"
        raise ValueError(f"expected one label, probability and name each, got {got}")
    if not np.isin(truth, (0, 1)).all():
        raise ValueError("expected labels of 0 and 1")
    if not len(truth):
        raise UserError("there are no examples to evaluate on")
    bad = ~((p >= 0) & (p <= 1))
    if bad.any():
        i = int(np.argmax(bad))
        raise UserError(
            f"the model's answer for {one_line(names[i])} is {p[i]}, not a probability; "
            "train it again, with a smaller learning rate"
        )
    truth = truth.astype(int)
    predicted = (p >= threshold).astype(int)
    right = predicted == truth
    of_class = np.bincount(truth, minlength=2)
    majority = int(np.argmax(of_class))
    worst = sorted(np.flatnonzero(~right).tolist(), key=lambda i: -abs(p[i] - truth[i]))
    return Evaluation(
        examples=len(truth),
        accuracy=float(np.mean(right)),
        interval=wilson(int(right.sum()), len(truth)),
        balanced_accuracy=balanced_accuracy(truth, predicted),
        auc=auc(truth, p),
        majority=(classes[majority], float(of_class[majority] / len(truth))),
        confusion=confusion(truth, predicted),
        calibration_error=calibration_error(truth, p),
        threshold=float(threshold),
        classes=classes,
        mistakes=[Mistake(names[i], classes[truth[i]], float(p[i])) for i in worst],
    )


def _percent(share: float) -> str:
    return "undefined" if math.isnan(share) else f"{share:.1%}"


def _or_none(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value
