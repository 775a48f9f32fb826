"""Chapter 11: handwritten digits by three kinds of network."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

import jaxnn
from catnet.errors import UserError
from catnet.evaluation.confusion import confusion
from jaxnn import Layer, dense, relu, serial
from jaxnn_lecture.chapter import Chapter, Claim, Figure, Settings
from jaxnn_lecture.chapters import CHAPTERS
from jaxnn_lecture.drawn.digits import draw_digits
from jaxnn_lecture.idx import read_digits
from jaxnn_lecture.pictures import picture
from jaxnn_lecture.plots import heat_map
from jaxnn_lecture.scores import accuracy_bars, list_scores
from jaxnn_lecture.training import output, train
from seqnet.evaluation.accuracy import Accuracy

TESTS = 1000
SHOWN = 8  # mistakes

NETS: dict[str, Layer] = {
    "softmax": serial(jaxnn.flatten, dense(10)),
    "one hidden layer": serial(jaxnn.flatten, dense(32), relu, dense(10)),
    "convolutional": serial(
        jaxnn.conv(8), relu, jaxnn.max_pool(2), jaxnn.conv(16), relu, jaxnn.max_pool(2),
        jaxnn.flatten, dense(10),
    ),
}  # fmt: skip


class Part(NamedTuple):
    """Images (n, side, side, 1) uint8, and their digits (n,) int32."""

    images: np.ndarray
    digits: np.ndarray


def load(settings: Settings) -> tuple[Part, Part, str]:
    """The training part, the test part, and their source in words.

    Raises:
        UserError: the folder has too few images for a test part, or a file is damaged; one line.
    """
    rng = np.random.default_rng(settings["seed"])
    count = settings["examples"]
    folder = settings.find_data("mnist")
    if folder is None:
        return (
            Part(*draw_digits(count, rng)),
            Part(*draw_digits(TESTS, rng)),
            "No real digits are given (--sequences); a program draws them, each turned, sheared, "
            "scaled and moved, with unsteady lines and noise.",
        )
    images, digits = read_digits(folder)
    if len(digits) <= TESTS:
        raise UserError(
            f"{folder}: has {len(digits)} images; give more than {TESTS}, the number of the test"
        )
    order = rng.permutation(len(digits))
    test, known = order[:TESTS], order[TESTS : TESTS + count]
    return (
        Part(images[known], digits[known]),
        Part(images[test], digits[test]),
        "Digits that people wrote (MNIST).",
    )


def run(settings: Settings) -> Chapter:
    """The claims about kinds of network, neighbouring pixels, and mistakes."""
    known, test, source = load(settings)
    answers = {name: answer(net, known, test, settings) for name, net in NETS.items()}
    return Chapter(
        "digits",
        CHAPTERS["digits"].title,
        f"{source} {len(known.digits):,} for training, {len(test.digits):,} others for the score.",
        (
            _compare(answers, test),
            _shuffle(answers, known, test, settings),
            _confuse(answers["convolutional"], test),
        ),
    )


def answer(net: Layer, known: Part, test: Part, settings: Settings) -> np.ndarray:
    """Train, and answer the test part: (n,) digits."""
    x, x_test = (part.images.astype(np.float32) / 255 for part in (known, test))
    params: Any = train(
        net, jaxnn.softmax_cross_entropy, x, known.digits,
        steps=settings["steps"], seed=settings["seed"],
    )  # fmt: skip
    return np.asarray(output(net, params, x_test)).argmax(axis=-1)


def _compare(answers: dict[str, np.ndarray], test: Part) -> Claim:
    scores = {name: Accuracy.of(found, test.digits) for name, found in answers.items()}
    figure = accuracy_bars("Right answers to new digits", scores)
    softmax, hidden, conv = (score.right for score in scores.values())
    return Claim(
        "Many classes need a softmax; a hidden layer helps, and a convolution helps more.",
        f"Right answers with their 95% intervals: {list_scores(scores)}.",
        softmax < hidden < conv,
        formulas=(r"a_i = \frac{\exp(z_i)}{\sum_j \exp(z_j)}",),
        figures=(Figure("Three networks, trained on the same digits.", (figure,)),),
    )


def _shuffle(answers: dict[str, np.ndarray], known: Part, test: Part, settings: Settings) -> Claim:
    """Put the pixels of all images into one other order."""
    rng = np.random.default_rng([settings["seed"], 1])
    order = rng.permutation(known.images[0].size)

    def mix(part: Part) -> Part:
        flat = part.images.reshape(len(part.images), -1)[:, order]
        return part._replace(images=flat.reshape(part.images.shape))

    names = ("one hidden layer", "convolutional")
    again = {name: answer(NETS[name], mix(known), mix(test), settings) for name in names}
    before, after = (
        [Accuracy.of(found[name], test.digits) for name in names] for found in (answers, again)
    )
    (hidden, conv), (hidden_mixed, conv_mixed) = before, after
    panels = [
        picture(f"A digit with its pixels {name}", part.images[0, :, :, 0], name)
        for name, part in (("in order", test), ("mixed", mix(test)))
    ]
    return Claim(
        "A convolution uses that neighbouring pixels belong together; a dense layer does not know "
        "which are neighbours.",
        "With the pixels of all images in the same random order, the convolutional network falls "
        f"from {conv} to {conv_mixed}; the dense one has {hidden} and {hidden_mixed}.",
        conv.right - conv_mixed.right > abs(hidden.right - hidden_mixed.right),
        figures=(Figure("The same digit for a dense network.", (*panels,), small=True),),
    )


def _confuse(answers: np.ndarray, test: Part) -> Claim:
    counts = confusion(test.digits, answers, classes=10)
    wrong = np.flatnonzero(answers != test.digits)
    pairs = counts.copy()
    np.fill_diagonal(pairs, 0)
    most = np.unravel_index(int(pairs.argmax()), pairs.shape)
    names = [str(digit) for digit in range(10)]
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure = heat_map(
        "Digits and the answers of the convolutional network",
        "; ".join(f"{i}: {counts[i, i]} of {counts[i].sum()} right" for i in range(10)),
        shares,
        names,
        names,
        "digit",
        "answer",
        [[str(count) if count else "" for count in row] for row in counts],
    )
    panels = [
        picture(f"Mistake {i + 1}", test.images[k, :, :, 0], f"{test.digits[k]} as {answers[k]}")
        for i, k in enumerate(wrong[:SHOWN])
    ]
    if len(wrong):
        often = f"most often {most[0]} as {most[1]} ({pairs[most]} times)"
    else:
        often = "so none can be shown"
    mistakes = (Figure("Mistakes: the digit, and the answer.", (*panels,), small=True),)
    return Claim(
        "Mistakes are not spread evenly: digits that look alike are confused.",
        f"The convolutional network makes {len(wrong)} mistakes, {often}. Spread evenly over the "
        f"90 pairs, a pair would have {len(wrong) / 90:.1f}.",
        bool(pairs.max() >= 2 and pairs.max() > 3 * len(wrong) / 90),
        figures=(
            Figure("Digits from above, answers from left to right.", (figure,)),
            *(mistakes if panels else ()),
        ),
    )
