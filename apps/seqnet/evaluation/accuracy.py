"""Accuracy with its interval, and the cost of a letter of names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from catnet.errors import UserError
from catnet.evaluation.metrics import wilson
from catnet.terminal import one_line
from seqnet.data.examples import Examples
from seqnet.models import names
from seqnet.models.model import Model


class Accuracy(NamedTuple):
    """How many answers are right; prints as a share with its 95% Wilson interval.

    Example:
        >>> print(Accuracy(40, 50))
        80.0% (67.0–88.8%, 40 of 50)
    """

    right: int
    count: int

    @classmethod
    def of(cls, answers: np.ndarray, labels: np.ndarray) -> Accuracy:
        """The accuracy of answers (n,) to examples with labels (n,).

        Example:
            >>> Accuracy.of(np.array([0, 1, 1]), np.array([0, 1, 0]))
            Accuracy(right=2, count=3)
        """
        return cls(int((answers == labels).sum()), len(labels))

    def __str__(self) -> str:
        low, high = wilson(self.right, self.count)
        share = self.right / self.count
        return f"{share:.1%} ({100 * low:.1f}–{high:.1%}, {self.right} of {self.count})"

    def __add__(self, other: object) -> Accuracy:
        """The accuracy on the examples of both."""
        if not isinstance(other, Accuracy):
            return NotImplemented
        return Accuracy(self.right + other.right, self.count + other.count)


def measure(model: Model, data: Examples) -> Accuracy:
    """The accuracy of a classifier on labelled examples.

    Raises:
        UserError: the examples have a class that the model does not have.
    """
    missing = sorted(set(data.classes) - set(model.classes))
    if missing:
        known = one_line(", ".join(model.classes))
        raise UserError(f"the model has no class {one_line(missing[0])!r}, it has {known}")
    answers = model.probabilities(data.items).argmax(axis=-1)
    expected = np.array([model.classes.index(name) for name in data.classes])[data.labels]
    return Accuracy.of(answers, expected)


def cost_of_a_letter(model: Model, data: Sequence[str]) -> float:
    """The mean negative log-likelihood, in nats, of the letters and ends of names."""
    from seqnet.training.names import LOSS

    x, targets = model.encode(data)
    return float(LOSS(model.apply(x), targets))


def bigram_cost(train: Sequence[str], test: Sequence[str]) -> float:
    """The same of the table of bigrams, with a 1 added to each count.

    Example:
        >>> round(bigram_cost(["ab"], ["ab"]), 4)  # log (4 / 2), three times
        0.6931
    """
    described = {"letters": sorted(set("".join([*train, *test])))}
    counts = np.ones((len(described["letters"]) + 1,) * 2)

    def bigrams(data: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        x, targets = names.encode(described, data)
        mask = np.asarray(x.mask)
        return np.asarray(x.values)[mask], targets[mask]

    np.add.at(counts, bigrams(train), 1)
    costs = -np.log(counts / counts.sum(axis=1, keepdims=True))
    return float(costs[bigrams(test)].mean())
