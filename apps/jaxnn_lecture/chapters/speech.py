"""Chapter 12: spoken words: features, a recurrent network, and a speaker who was never heard."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

import numpy as np

import jaxnn
from jaxnn import dense, serial
from jaxnn_lecture.chapter import Chapter, Claim, Figure, Settings
from jaxnn_lecture.chapters import CHAPTERS
from jaxnn_lecture.drawn.tones import draw_sounds
from jaxnn_lecture.html import table
from jaxnn_lecture.mathml import plain
from jaxnn_lecture.pictures import picture
from jaxnn_lecture.scores import accuracy_bars
from jaxnn_lecture.training import output, take, train
from seqnet.data.examples import Examples
from seqnet.data.wav import RATE
from seqnet.evaluation.accuracy import Accuracy
from seqnet.evaluation.scores import measure_speakers, measure_speech, read_all_sounds
from seqnet.features import spectrogram
from seqnet.models import speech as network

GOAL = 0.93
WIDTH = 16  # of the network for made words
TESTS = 3  # recordings of each made word and speaker that are the test part
SHOWN = 4  # spectrograms


class Sounds(NamedTuple):
    """Recordings: all of them, and which (n,) are the test part, also in words."""

    data: Examples
    is_test: np.ndarray
    part: str
    real: bool


class Recognize(Protocol):
    """Train on some recordings, (n,) bool, and measure on the others."""

    def __call__(self, is_test: np.ndarray) -> Accuracy: ...


def load(settings: Settings) -> Sounds:
    """The spoken digits of ``--sequences``, or words that a program makes."""
    folder = settings.find_data("fsdd")
    if folder is None:
        data, numbers = draw_sounds(settings["recordings"], settings["seed"])
        part = "recordings that were not for training"
        return Sounds(data, numbers < TESTS, part, real=False)
    data, is_test = read_all_sounds(folder)
    if is_test is not None:
        return Sounds(data, is_test, "the official test part", real=True)
    return Sounds(data, np.arange(len(data.items)) % 10 == 0, "every tenth recording", real=True)


def run(settings: Settings) -> Chapter:
    """The claims about features, the order of sounds, and new speakers."""
    sounds = load(settings)
    data = sounds.data
    x = spectrogram.encode(data.items)
    if sounds.real:
        recognize = functools.partial(measure_speech, data)  # seqnet's, with augmentation
        source = "Spoken digits, recorded by people (fsdd)."
    else:
        recognize = _with_small_network(x, data.labels, len(data.classes), settings)
        source = (
            "No recordings are given (--sequences); a program makes the words: two vowels, each "
            "word also with its vowels in the other order, by five speakers who differ in pitch, "
            "throat and speed."
        )
    usual = recognize(sounds.is_test)
    claims = [_recognizes(usual, x, sounds), _order_matters(usual, x, sounds, settings)]
    if len(set(data.groups)) > 1:  # class folders do not name the speakers
        claims.append(_new_speakers(usual, recognize, data))
    return Chapter(
        "speech",
        CHAPTERS["speech"].title,
        f"{source} {len(data.items)} recordings of {len(data.classes)} words.",
        tuple(claims),
    )


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
        return Accuracy.of(answers[is_test], labels[is_test])

    return recognize


def _recognizes(usual: Accuracy, x: Any, sounds: Sounds) -> Claim:
    goal = f" The goal is {GOAL:.0%}." if sounds.real else ""
    return Claim(
        "Speech is a sequence: features of each moment go into a recurrent network.",
        f"Right on {sounds.part}: {usual}, with the 95% interval. The features are "
        f"{spectrogram.BANDS} bands of frequency (log-mel), every "
        f"{1000 * spectrogram.HOP // RATE} ms.{goal}",
        usual.right >= GOAL * usual.count,
        figures=(
            Figure(
                "What the network gets: time from left to right, high frequencies above.",
                tuple(_spectrograms(x, sounds.data)),
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
    mean = Accuracy.of(answers[is_test], data.labels[is_test])
    scores = {"recurrent": usual, "mean": mean}
    figure = accuracy_bars("Right answers to the same recordings", scores)
    return Claim(
        "The order of the sounds matters: their mean over time is not enough.",
        f"A linear classifier of the features' mean over time has {mean} right, the recurrent "
        f"network {usual}.",
        mean.right < usual.right,
        figures=(Figure("The mean over time does not know what came first.", (figure,)),),
    )


def _new_speakers(usual: Accuracy, recognize: Recognize, data: Examples) -> Claim:
    total, rows = Accuracy(0, 0), []
    for speaker, accuracy in measure_speakers(data, recognize):
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
