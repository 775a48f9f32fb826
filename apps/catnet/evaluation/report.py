"""The evaluation of answers against the truth: the metrics, the tables and the worst mistakes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from catnet.errors import UserError
from catnet.evaluation.confusion import (
    ClassScore,
    confusion,
    format_confusion,
    format_scores,
    score_classes,
)
from catnet.evaluation.metrics import (
    auc,
    balanced_accuracy,
    calibration_error,
    top_accuracy,
    wilson,
)
from catnet.evaluation.tables import format_interval
from catnet.terminal import one_line, shorten

LISTED = 10  # mistakes in a printed evaluation
TOP = 5  # the top-5 accuracy is that of models with more classes


class Mistake(NamedTuple):
    """A wrong answer.

    Attributes:
        name: of the example.
        truth: the name of its class.
        answer: the name of the class that the model answers.
        probability: of the answer.
    """

    name: str
    truth: str
    answer: str
    probability: float


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The result of ``evaluate``; prints as a table.

    Attributes:
        examples: their number.
        accuracy: the share of right answers.
        interval: the 95% Wilson interval of the accuracy.
        balanced_accuracy: see the function.
        top_5: see ``top_accuracy``; None for at most 5 classes.
        auc: see the function; NaN for more than two classes.
        majority: the more frequent class of these examples, and its share: the accuracy of
            always answering it.
        confusion: (classes, classes) counts, row the truth, column the answer.
        per_class: precision and recall of each class.
        calibration_error: see the function.
        threshold: of the model; see ``Classifier``.
        classes: the names of the classes.
        mistakes: every wrong answer, the most confident ones first.
    """

    examples: int
    accuracy: float
    interval: tuple[float, float]
    balanced_accuracy: float
    top_5: float | None
    auc: float
    majority: tuple[str, float]
    confusion: np.ndarray
    per_class: list[ClassScore]
    calibration_error: float
    threshold: float
    classes: tuple[str, ...]
    mistakes: list[Mistake]

    def __str__(self) -> str:
        always, share = self.majority
        rows = [
            ("accuracy", _percent(self.accuracy)),
            ("balanced accuracy", _percent(self.balanced_accuracy)),
            (f'always saying "{one_line(always)}"', _percent(share)),
        ]
        if self.top_5 is not None:
            rows.insert(1, ("top-5 accuracy", _percent(self.top_5)))
        if len(self.classes) == 2:
            rows.append(("AUC", "undefined" if math.isnan(self.auc) else f"{self.auc:.3f}"))
        rows.append(("calibration error", f"{self.calibration_error:.3f}"))
        width = max(len(label) for label, _ in rows)
        lines = [f"{label:{width}}  {value:>6}" for label, value in rows]
        lines[0] += f"  (95% interval {format_interval(self.interval)}, {self.examples} examples)"
        blocks = [
            lines,
            format_confusion(self.confusion, self.classes),
            format_scores(self.per_class),
            self._mistake_lines(),
        ]
        return "\n\n".join("\n".join(block) for block in blocks if block)

    def _mistake_lines(self) -> list[str]:
        if not self.mistakes:
            return ["no mistakes"]
        count, worst = len(self.mistakes), self.mistakes[:LISTED]
        heading = f"the worst {LISTED} of {count} mistakes" if count > LISTED else "the mistakes"
        says = max(len(shorten(mistake.answer)) for mistake in worst)
        width = max(len(shorten(mistake.truth)) for mistake in worst)
        return [f"{heading}:"] + [
            f"{shorten(answer):{says}} {probability:6.1%}  is {shorten(truth):{width}}"
            f"  {one_line(name)}"
            for name, truth, answer, probability in worst
        ]

    def as_json(self) -> dict[str, Any]:
        """A dict for JSON, with null for undefined values."""
        return {
            **{key: _or_none(value) for key, value in vars(self).items()},
            "interval": list(self.interval),
            "majority": {"label": self.majority[0], "share": self.majority[1]},
            "confusion": self.confusion.tolist(),
            "per_class": [
                {key: _or_none(value) for key, value in score._asdict().items()}
                for score in self.per_class
            ],
            "classes": list(self.classes),
            "mistakes": [mistake._asdict() for mistake in self.mistakes],
        }


def evaluate(
    labels: ArrayLike,
    probabilities: ArrayLike,
    names: Sequence[str],
    classes: Sequence[str],
    threshold: float = 0.5,
) -> Evaluation:
    """Evaluate answers against the truth.

    Args:
        labels: (n,) the truth, the index of a class.
        probabilities: (n, classes) in [0, 1]; of two classes, also (n,) those of class 1.
        names: n names of the examples, for the list of mistakes.
        classes: the names of the classes.
        threshold: of two classes, the answer is class 1 from its probability of this on; of more,
            it has no effect: an unsure answer counts like any other.

    Raises:
        UserError: there are no examples, or a probability is outside of [0, 1] or NaN.
        ValueError: a label is not an index of a class, or the arguments differ in length.

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
                 precision  recall  examples
        non-cat      50.0%   50.0%         2
        cat          66.7%   66.7%         3
        <BLANKLINE>
        the mistakes:
        non-cat  80.0%  is cat      e.png
        cat      70.0%  is non-cat  b.png
    """
    truth, p = np.asarray(labels), np.asarray(probabilities, float)
    if p.ndim == 1 and len(classes) == 2:
        p = np.stack([1 - p, p], axis=1)
    if not (truth.shape == (len(names),) and p.shape == (len(names), len(classes))):
        got = f"{truth.shape}, {np.shape(probabilities)} and {len(names)}"
        raise ValueError(f"expected one label, probability and name each, got {got}")
    if not np.isin(truth, np.arange(len(classes))).all():
        raise ValueError(f"expected labels from 0 to {len(classes) - 1}")
    if not len(truth):
        raise UserError("there are no examples to evaluate on")
    bad = ~((p >= 0) & (p <= 1)).all(axis=1)
    if bad.any():
        i = int(np.argmax(bad))
        raise UserError(
            f"the model's answer for {one_line(names[i])} is {p[i, -1]}, not a probability; "
            "train it again, with a smaller learning rate"
        )
    truth = truth.astype(int)
    two = len(classes) == 2
    answers = choose_answers(p, threshold)
    right = answers == truth
    of_answer = p[np.arange(len(p)), answers]
    of_class = np.bincount(truth, minlength=len(classes))
    majority = int(np.argmax(of_class))
    worst = sorted(np.flatnonzero(~right).tolist(), key=lambda i: -of_answer[i])
    counts = confusion(truth, answers, len(classes))
    return Evaluation(
        examples=len(truth),
        accuracy=float(np.mean(right)),
        interval=wilson(int(right.sum()), len(truth)),
        balanced_accuracy=balanced_accuracy(truth, answers),
        top_5=top_accuracy(truth, p, TOP) if len(classes) > TOP else None,
        auc=auc(truth, p[:, 1]) if two else math.nan,
        majority=(classes[majority], float(of_class[majority] / len(truth))),
        confusion=counts,
        per_class=score_classes(counts, classes),
        calibration_error=calibration_error(truth if two else right, p[:, 1] if two else of_answer),
        threshold=float(threshold),
        classes=tuple(classes),
        mistakes=[
            Mistake(names[i], classes[int(truth[i])], classes[int(answers[i])], float(of_answer[i]))
            for i in worst
        ],
    )


def choose_answers(probabilities: np.ndarray, threshold: float) -> np.ndarray:
    """The answers (n,) of probabilities (n, classes); ``threshold`` as in ``evaluate``."""
    if probabilities.shape[1] == 2:
        return (probabilities[:, 1] >= threshold).astype(int)
    return np.argmax(probabilities, axis=1)


def _percent(share: float) -> str:
    return "undefined" if math.isnan(share) else f"{share:.1%}"


def _or_none(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value
