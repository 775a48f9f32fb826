"""The measured experiments: each trains on one of the known data sets and measures once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from catnet.terminal import log, one_line
from seqnet.data import text as texts
from seqnet.data.examples import Examples, folds
from seqnet.data.wav import read_sounds
from seqnet.evaluation.accuracy import Accuracy, bigram_cost, cost_of_a_letter, measure
from seqnet.training import names, speech, text

FOLDS = 10


class Experiment(NamedTuple):
    """An experiment of ``seqnet scores``.

    Attributes:
        title: what is measured.
        folder: of the data set, inside the folder of all.
        measure: the folder → results, one a line.
        others: the figures of others for the same data.
    """

    title: str
    folder: str
    measure: Callable[[Path], Iterator[str]]
    others: str


def _report(line: str) -> None:
    log(one_line(f"left out: {line}"))


def cross_validate(data: Examples, count: int = FOLDS) -> Accuracy:
    """The accuracy over all folds, each answered by a model that was trained on the others."""
    fold = folds(data.labels, count)
    total = Accuracy(0, 0)
    for i in range(count):
        total += measure(text.train(data.take(fold != i)), data.take(fold == i))
    return total


def _polarity(folder: Path) -> Iterator[str]:
    yield str(cross_validate(texts.read_polarity(folder)))


def _treebank(folder: Path) -> Iterator[str]:
    train, dev, test = texts.read_treebank(folder)
    model = text.train(train)
    yield f"{measure(model, test)}; dev.txt {measure(model, dev)}"


def _digits(folder: Path) -> Iterator[str]:
    train, test = read_sounds(folder, _report)
    if test is not None:
        yield str(measure(speech.train(train), test))


def _speakers(folder: Path) -> Iterator[str]:
    """Each speaker, answered by a model that was trained on all others."""
    total = Accuracy(0, 0)
    train, test = read_sounds(folder, _report)
    data = train if test is None else _together(train, test)
    for speaker in sorted(set(data.groups)):
        is_test = np.array(data.groups) == speaker
        accuracy = measure(speech.train(data.take(~is_test)), data.take(is_test))
        total += accuracy
        yield f"{speaker} {accuracy}"
    yield f"all {total}"


def _together(a: Examples, b: Examples) -> Examples:
    labels = np.concatenate([a.labels, b.labels])
    return Examples(a.items + b.items, labels, a.classes, a.groups + b.groups)


def _names(folder: Path) -> Iterator[str]:
    train, test = names.split(texts.read_names(folder / "names.txt"))
    model = names.train(train)
    cost = cost_of_a_letter(model, test)
    yield f"{cost:.4f} nats a letter, bigrams {bigram_cost(train, test):.4f}"


EXPERIMENTS = {
    "rt-polarity": Experiment(
        "rt-polarity, 10-fold cross-validation", "rt-polarity", _polarity,
        "CNN-rand 76.1% (Kim 2014), naive Bayes 78.9%",
    ),
    "sst": Experiment(
        "SST, two classes, test sentences", "sst", _treebank,
        "CNN-rand 82.7% (Kim 2014), naive Bayes 82.5%",
    ),
    "digits": Experiment(
        "spoken digits, recordings 0 to 4 of six speakers", "fsdd", _digits,
        "logistic regression 89%",
    ),
    "speakers": Experiment(
        "spoken digits, each speaker by a model of the others", "fsdd", _speakers,
        "logistic regression from 29% to 86%",
    ),
    "names": Experiment(
        "names, a tenth held out", "names", _names, "bigrams 2.4540 on the names they count"
    ),
}  # fmt: skip
