"""Chapter 12: spoken words: features, a recurrent network, and a speaker who was never heard."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

import numpy as np

import jaxnn
from catnet.terminal import log, one_line
from jaxnn import dense, serial
from jaxnn_lecture.chapter import Chapter, Claim, Figure, Settings
from jaxnn_lecture.chapters import CHAPTERS
from jaxnn_lecture.drawn.tones import draw_sounds
from jaxnn_lecture.html import table
from jaxnn_lecture.mathml import plain
from jaxnn_lecture.pictures import picture
from jaxnn_lecture.plots import bar_plot
from jaxnn_lecture.training import output, take, train
from seqnet.data.examples import Examples
from seqnet.data.wav import read_sounds
from seqnet.evaluation.accuracy import Accuracy, measure
from seqnet.features import spectrogram
from seqnet.models import speech as network
from seqnet.training import speech as training

GOAL = 0.93
WIDTH = 16  # of the network for made words
TESTS = 3  # recordings of each made word and speaker that are the test part
SHOWN = 4  # spectrograms


class Sounds(NamedTuple):
    """Recordings: all of them, and which (n,) are the test part."""

    data: Examples
    is_test: np.ndarray
    real: bool


class Recognize(Protocol):
    """Train on some recordings, (n,) bool, and measure on the others."""

    def __call__(self, is_test: np.ndarray) -> Accuracy: ...


def load(settings: Settings) -> Sounds:
    """The spoken digits of ``--sequences``, or words that a program makes."""
    folder = settings.find_data("fsdd")
    if folder is None:
        data, numbers = draw_sounds(settings["recordings"], settings["seed"])
        return Sounds(data, numbers < TESTS, real=False)
    known, test = read_sounds(folder, lambda line: log(one_line(f"left out: {line}")))
    if test is None:
        return Sounds(known, np.arange(len(known.items)) % 10 == 0, real=True)
    labels = np.concatenate([known.labels, test.labels])
    data = Examples(known.items + test.items, labels, known.classes, known.groups + test.groups)
    return Sounds(data, np.arange(len(labels)) >= len(known.items), real=True)


def run(settings: Settings) -> Chapter:
    """The claims about features, the order of sounds, and new speakers."""
    sounds = load(settings)
    data = sounds.data
    x = spectrogram.encode(data.items)
    if sounds.real:
        recognize, source = _with_seqnet(data), "Spoken digits, recorded by people (fsdd)."
    else:
        recognize = _with_small_network(x, data.labels, len(data.classes), settings)
        source = (
            "No recordings are given (--sequences); a program makes the words: two vowels, each "
            "word also with its vowels in the other order, by five speakers who differ in pitch, "
            "throat and speed."
        )
    usual = recognize(sounds.is_test)
    return Chapter(
        "speech",
        CHAPTERS["speech"].title,
        f"{source} {len(data.items)} recordings of {len(data.classes)} words.",
        (
            _recognizes(usual, x, sounds),
            _order_matters(usual, x, sounds, settings),
            _new_speakers(usual, recognize, data),
        ),
    )


def _with_seqnet(data: Examples) -> Recognize:
    """seqnet's training, with augmentation."""

    def recognize(is_test: np.ndarray) -> Accuracy:
        return measure(training.train(data.take(~is_test)), data.take(is_test))

    return recognize


def _with_small_network(x: Any, labels: np.ndarray, classes: int, settings: Settings) -> Recognize:
    """The same network, narrower and without augmentation; all trainings are one program."""
    net = network.build({"classes": range(classes), "width": WIDTH})

    def recognize(is_test: np.ndarray) -> Accuracy:
        rows = np.resize(np.flatnonzero(~is_test), len(labels))
        params = train(
            net, jaxnn.softmax_cross_entropy, take(x, rows), labels[rows],
            steps=settings["steps"], seed=settings["seed"],
        )  # fmt: skip
        answers = np.asarray(output(net, params, x)).argmax(axis=-1)
        return Accuracy(int((answers == labels)[is_test].sum()), int(is_test.sum()))

    return recognize


def _recognizes(usual: Accuracy, x: Any, sounds: Sounds) -> Claim:
    data = sounds.data
    part = "the official test part" if sounds.real else "recordings that were not for training"
    return Claim(
        "Speech is a sequence: features of each moment go into a recurrent network.",
        f"Right on {part}: {usual}, with the 95% interval. The features are {spectrogram.BANDS} "
        f"bands of frequency (log-mel), every {1000 * spectrogram.HOP // 8000} ms. The "
        f"goal is {GOAL:.0%}.",
        usual.right >= GOAL * usual.count,
        figures=(
            Figure(
                "What the network gets: time from left to right, high frequencies above.",
                tuple(_spectrograms(x, data)),
                small=True,
            ),
        ),
    )


def _spectrograms(x: Any, data: Examples) -> Iterator[str]:
    for label in range(min(SHOWN, len(data.classes))):
        i = int(np.flatnonzero(data.labels == label)[0])
        bands = np.asarray(x.values)[i][np.asarray(x.mask)[i]].T[::-1]
        grey = 255 * (1 - np.clip((bands + 1) / 4, 0, 1))
        name = plain(data.classes[label])
        yield picture(f"Spectrogram of the word {name}", grey, name)


def _order_matters(usual: Accuracy, x: Any, sounds: Sounds, settings: Settings) -> Claim:
    data, is_test = sounds.data, sounds.is_test
    net = serial(jaxnn.mean, dense(len(data.classes)))
    rows = np.flatnonzero(~is_test)
    params = train(
        net, jaxnn.softmax_cross_entropy, take(x, rows), data.labels[rows],
        steps=2 * settings["steps"], seed=settings["seed"],
    )  # fmt: skip
    answers = np.asarray(output(net, params, x)).argmax(axis=-1)
    mean = Accuracy(int((answers == data.labels)[is_test].sum()), int(is_test.sum()))
    bars = {"recurrent": usual, "mean": mean}
    figure = bar_plot(
        "Right answers to the same recordings",
        "; ".join(f"{name}: {accuracy}" for name, accuracy in bars.items()),
        list(bars),
        [round(100 * accuracy.right / accuracy.count, 1) for accuracy in bars.values()],
        "%",
    )
    return Claim(
        "The order of the sounds matters: their mean over time is not enough.",
        f"A linear classifier of the features' mean over time has {mean} right, the recurrent "
        f"network {usual}.",
        mean.right < usual.right,
        figures=(Figure("The mean over time does not know what came first.", (figure,)),),
    )


def _new_speakers(usual: Accuracy, recognize: Recognize, data: Examples) -> Claim:
    groups, total, rows = np.array(data.groups), Accuracy(0, 0), []
    for speaker in sorted(set(data.groups)):
        accuracy = recognize(groups == speaker)
        total += accuracy
        rows.append([plain(speaker), str(accuracy)])
    rows.append(["all", str(total)])
    return Claim(
        "The honest score of speech is on speakers whom the network has never heard: it is lower.",
        f"Each speaker is answered by a network that has learnt from the others only: {total}, "
        f"beside {usual} where it knows the voices.",
        total.right * usual.count < usual.right * total.count,
        figures=(
            Figure(
                "Leave one speaker out.",
                (table("Right answers by speaker", ["speaker", "right (95% interval)"], rows),),
            ),
        ),
    )
