"""The result of every reader."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from catnet.errors import UserError
from catnet.terminal import one_line

Report: TypeAlias = Callable[[str], object]


class Examples(NamedTuple):
    """Labelled texts or sounds.

    Attributes:
        items: n texts, or n sounds (samples,) float32 at ``wav.RATE``.
        labels: (n,) int32, index into ``classes``.
        classes: the names of the classes, sorted.
        groups: n names: the speaker of a sound, else empty.
    """

    items: list[Any]
    labels: np.ndarray
    classes: tuple[str, ...]
    groups: list[str]

    def take(self, which: np.ndarray) -> Examples:
        """The examples with some indices, or where a mask (n,) is True."""
        rows = np.arange(len(self.items))[which]
        items, groups = ([part[i] for i in rows] for part in (self.items, self.groups))
        return Examples(items, self.labels[rows], self.classes, groups)


class Data(NamedTuple):
    """What DATA of the command line contains.

    Attributes:
        kind: "text", "speech" or "names": the kind of the model for it.
        train: the training part, or everything; of names a list of them.
        test: the test part, if DATA itself has one.
    """

    kind: str
    train: Any
    test: Examples | None = None


def examples(
    path: object, items: Sequence[Any], labels: Sequence[str], groups: Sequence[str] | None = None
) -> Examples:
    """Make examples from the names of their classes.

    Raises:
        UserError: there are fewer than two classes.

    Example:
        >>> examples("a.csv", ["good", "bad", "fine"], ["yes", "no", "yes"]).labels.tolist()
        [1, 0, 1]
    """
    classes = tuple(sorted(set(labels)))
    if len(classes) < 2:
        got = f"only {one_line(classes[0])!r}" if classes else "no example"
        raise UserError(f"{path}: expected examples of at least two classes, got {got}")
    index = {name: i for i, name in enumerate(classes)}
    numbers = np.array([index[label] for label in labels], np.int32)
    return Examples(list(items), numbers, classes, list(groups or [""] * len(items)))


def split(data: Examples, share: float = 0.1, seed: int = 0) -> tuple[Examples, Examples]:
    """Split off a random share of each class, at least one example, as the test part.

    Raises:
        UserError: a class has one example only.

    Example:
        >>> train, test = split(examples("a.csv", list("abcdef"), ["x", "y"] * 3))
        >>> len(train.items), test.labels.tolist()
        (4, [0, 1])
    """
    draw = np.random.default_rng(seed)
    is_test = np.zeros(len(data.items), bool)
    for label, name in enumerate(data.classes):
        rows = np.flatnonzero(data.labels == label)
        if len(rows) < 2:
            raise UserError(f"class {one_line(name)!r} has one example only; add more to train on")
        is_test[draw.permutation(rows)[: max(1, round(share * len(rows)))]] = True
    return data.take(~is_test), data.take(is_test)


def folds(labels: np.ndarray, count: int, seed: int = 0) -> np.ndarray:
    """A fold (n,) from 0 to count − 1 for each example, with equal shares of each class.

    Example:
        >>> np.bincount(folds(np.array([0, 1] * 10), 5)).tolist()
        [4, 4, 4, 4, 4]
    """
    draw = np.random.default_rng(seed)
    fold = np.zeros(len(labels), int)
    for label in np.unique(labels):
        rows = draw.permutation(np.flatnonzero(labels == label))
        fold[rows] = np.arange(len(rows)) % count
    return fold
