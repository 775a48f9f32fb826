"""The curves of a training: the cost of every step, and the accuracies after some of them."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from catnet.errors import UserError
from jaxnn.files import write_atomically

FILE = "metrics.csv"
VALIDATION, TEST = "validation", "test"  # the parts that are measured beside the training part
COLUMNS = ("cost", "accuracy", "auc")  # of such a part


class Measure(NamedTuple):
    """The measures of the weights after a step.

    Attributes:
        step: the number of updates done.
        training_accuracy: of at most 1,000 training images, as they are in prediction.
        cost: the mean cross-entropy of the other part, without class weights.
        accuracy: of the other part.
        auc: of the other part; NaN for more than two classes, or where a class is absent.
    """

    step: int
    training_accuracy: float
    cost: float
    accuracy: float
    auc: float


@dataclass
class Curves:
    """The curves of one training; ``metrics.csv`` has them.

    Attributes:
        part: the part that is measured beside the training part.  The best weights on the part
            "validation" become the model.  The part "test" decides nothing.
        costs: the cost before every update.
        measures: in the order of their steps.
    """

    part: str
    costs: list[float] = field(default_factory=list)
    measures: list[Measure] = field(default_factory=list)

    def write(self, folder: Path) -> None:
        """Write ``metrics.csv``: a row for each step; what was not measured is empty."""
        at = {measure.step: measure[1:] for measure in self.measures}
        steps = [*range(len(self.costs)), *(step for step in at if step >= len(self.costs))]
        file = io.StringIO()
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["step", "cost", "training_accuracy", *_columns(self.part)])
        for step in steps:
            cost = self.costs[step] if step < len(self.costs) else math.nan
            values = (cost, *at.get(step, [math.nan] * 4))
            rows.writerow([step, *("" if math.isnan(value) else repr(value) for value in values)])
        write_atomically(folder / FILE, file.getvalue().encode())

    @classmethod
    def read(cls, folder: Path) -> Curves:
        """Read the file that ``write`` wrote.

        Raises:
            UserError: it is missing, or was changed.
        """
        path = folder / FILE
        try:
            head, *rows = csv.reader(io.StringIO(path.read_text(encoding="utf-8")))
            part = next(part for part in (VALIDATION, TEST) if head[3:] == _columns(part))
            curves = cls(part)
            for row in rows:
                step, cost, *values = (float(value or "nan") for value in row)
                if row[1]:
                    curves.costs.append(cost)
                if row[2]:
                    curves.measures.append(Measure(int(step), *values))
        except OSError as error:
            raise UserError(f"{path}: {error.strerror}; train the run to its end first") from None
        except (ValueError, TypeError, StopIteration):
            raise UserError(f"{path}: is not a file of this catnet; start a new run") from None
        return curves

    def keep(self, last: int) -> None:
        """Drop what came after a step: its cost is the last one kept."""
        self.costs = self.costs[: last + 1]
        self.measures = [measure for measure in self.measures if measure.step <= last]


def _columns(part: str) -> list[str]:
    return [f"{part}_{name}" for name in COLUMNS]


class Rule(NamedTuple):
    """Which weights become the model, and when a training ends before its last step.

    Attributes:
        selects: whether the weights of the best measure become the model; else the last ones.
        patience: the training ends when so many steps have brought no better measure; None for
            all steps.
        since: patience counts from this step on.
        by_cost: whether the lowest cost is the best; else the highest AUC (of more than two
            classes: the highest accuracy).
    """

    selects: bool = False
    patience: int | None = None
    since: int = 0
    by_cost: bool = True

    def best(self, measures: Sequence[Measure]) -> Measure | None:
        """The best measure, the first of equal ones; None where none is a number."""
        usable = [measure for measure in measures if not math.isnan(self._value(measure))]
        return max(usable, key=self._value, default=None)

    def is_over(self, measures: Sequence[Measure]) -> bool:
        """Whether patience is at its end."""
        if self.patience is None or not measures:
            return False
        best = self.best(measures)
        start = max(best.step if best else 0, self.since)
        return measures[-1].step - start >= self.patience

    def _value(self, measure: Measure) -> float:
        if self.by_cost:
            return -measure.cost
        return measure.accuracy if math.isnan(measure.auc) else measure.auc


def is_due(before: int, step: int, every: int, last: int) -> bool:
    """Whether a measure is due after a chunk of steps: at every ``every`` steps, and the last."""
    return step // every > before // every or step == last


def as_json(measures: Sequence[Measure]) -> list[list[Any]]:
    """The measures in a form for the metadata of a checkpoint."""
    return [[value if math.isfinite(value) else None for value in measure] for measure in measures]


def from_json(rows: Sequence[Sequence[Any]]) -> list[Measure]:
    """The measures that ``as_json`` described."""
    return [
        Measure(row[0], *(math.nan if value is None else value for value in row[1:]))
        for row in rows
    ]
