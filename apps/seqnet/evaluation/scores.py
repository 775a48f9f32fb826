"""The measured experiments: each trains on one of the known data sets and measures once."""

from __future__ import annotations

import functools
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


def measure_polarity(folder: Path, count: int = FOLDS) -> Accuracy:
    """The accuracy on rt-polarity, by cross-validation with ``count`` folds."""
    return cross_validate(texts.read_polarity(folder), count)


def measure_treebank(folder: Path) -> tuple[Accuracy, Accuracy]:
    """The accuracy on the test and the dev sentences of SST, of one model of the training ones."""
    train, dev, test = texts.read_treebank(folder)
    model = text.train(train)
    return measure(model, test), measure(model, dev)


def read_all_sounds(folder: Path) -> tuple[Examples, np.ndarray | None]:
    """The recordings of a folder, and which (n,) are the official test part, where it has one."""
    train, test = read_sounds(folder, _report)
    if test is None:
        return train, None
    labels = np.concatenate([train.labels, test.labels])
    data = Examples(train.items + test.items, labels, train.classes, train.groups + test.groups)
    return data, np.arange(len(labels)) >= len(train.items)


def measure_speech(data: Examples, is_test: np.ndarray) -> Accuracy:
    """The accuracy on some recordings, (n,) bool, by a model of the others."""
    return measure(speech.train(data.take(~is_test)), data.take(is_test))


def measure_speakers(
    data: Examples, recognize: Callable[[np.ndarray], Accuracy]
) -> Iterator[tuple[str, Accuracy]]:
    """Each speaker, answered by a model that was trained on all others.

    Args:
        data: recordings, with their speakers as groups.
        recognize: trains without some recordings, (n,) bool, and measures on them.
    """
    groups = np.array(data.groups)
    for speaker in sorted(set(data.groups)):
        yield speaker, recognize(groups == speaker)


def _polarity(folder: Path) -> Iterator[str]:
    yield str(measure_polarity(folder))


def _treebank(folder: Path) -> Iterator[str]:
    test, dev = measure_treebank(folder)
    yield f"{test}; dev.txt {dev}"


def _digits(folder: Path) -> Iterator[str]:
    data, is_test = read_all_sounds(folder)
    if is_test is not None:
        yield str(measure_speech(data, is_test))


def _speakers(folder: Path) -> Iterator[str]:
    total = Accuracy(0, 0)
    data, _ = read_all_sounds(folder)
    for speaker, accuracy in measure_speakers(data, functools.partial(measure_speech, data)):
        total += accuracy
        yield f"{speaker} {accuracy}"
    yield f"all {total}"


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
