"""Real reviews, where their folder is given: rt-polarity and the Stanford Sentiment Treebank."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from jaxnn_lecture.chapter import Claim, Figure, Settings
from jaxnn_lecture.html import table
from seqnet.evaluation.accuracy import Accuracy
from seqnet.evaluation.scores import measure_polarity, measure_treebank


class Texts(NamedTuple):
    """A data set of texts.

    Attributes:
        folder: its name inside the folder of ``--sequences``.
        title: what is measured.
        goal: the share that is to be right.
        published: the figure of a convolutional network with random word vectors.
        measure: the folder and the number of folds → the accuracy.
    """

    folder: str
    title: str
    goal: float
    published: float
    measure: Callable[[Path, int], Accuracy]


ALL = (
    Texts("rt-polarity", "rt-polarity, every sentence by a model of the other folds",
          0.76, 0.761, measure_polarity),
    Texts("sst", "Stanford Sentiment Treebank, two classes, test.txt", 0.82, 0.827,
          lambda folder, folds: measure_treebank(folder)[0]),
)  # fmt: skip


def describe_real_texts(settings: Settings) -> str:
    """A sentence about what is given."""
    given = [one.folder for one in ALL if settings.find_data(one.folder)]
    if given:
        return f"The last claim is about real reviews: {' and '.join(given)}."
    return "No real reviews are given (--sequences)."


def measure_real_texts(settings: Settings) -> tuple[Claim, ...]:
    """The claim about the data sets that are given; no claim where there is none."""
    rows, words, reached = [], [], []
    for one in ALL:
        if folder := settings.find_data(one.folder):
            accuracy = one.measure(folder, settings["folds"])
            rows.append([one.title, str(accuracy), f"{one.goal:.0%}", f"{one.published:.1%}"])
            words.append(f"{one.folder} {accuracy}")
            reached.append(accuracy.right >= one.goal * accuracy.count)
    if not rows:
        return ()
    header = ["real data", "right (95% interval)", "goal", "CNN-rand"]
    return (
        Claim(
            "The same kinds of layers read real reviews: positive or negative.",
            "seqnet, n-grams and a bidirectional recurrent network of jaxnn alone: "
            + "; ".join(words)
            + ". CNN-rand is a convolutional network of Kim (2014).",
            all(reached),
            figures=(
                Figure(
                    "Right answers to sentences that the model has not learnt from.",
                    (table("Real reviews", header, rows),),
                ),
            ),
        ),
    )
