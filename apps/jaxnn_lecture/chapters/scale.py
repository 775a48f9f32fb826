"""Chapter 10: shared weights, and how scale drives progress."""

from __future__ import annotations

from typing import Any

import numpy as np

import jaxnn
from jaxnn import Layer, dense, relu, serial
from jaxnn_lecture.chapter import Chapter, Claim, Figure, Settings
from jaxnn_lecture.chapters import CHAPTERS
from jaxnn_lecture.drawn.applications import SIDE, draw_signs
from jaxnn_lecture.pictures import picture
from jaxnn_lecture.scores import find_first_enough, plot_by_size
from jaxnn_lecture.training import score, train

TESTS = 1000  # new examples that a network is judged by
SIZES = (50, 100, 200, 500, 1000, 2000)  # examples of the last claims
WIDTHS = (1, 4, 32)  # hidden units of their networks
CONV = serial(jaxnn.conv(8), relu, jaxnn.max_pool(SIDE), jaxnn.flatten, dense(1))
DENSE = serial(jaxnn.flatten, dense(8), relu, dense(1))
BINARY = jaxnn.binary_cross_entropy


def run(settings: Settings) -> Chapter:
    """The claims about shared weights and about the amount of data."""
    return Chapter(
        "scale",
        CHAPTERS["scale"].title,
        "Pictures with a small cross, upright or slanting, that a program draws.",
        (_weights_are_shared(settings), _scale(settings), _structure(settings)),
    )


def _weights_are_shared(settings: Settings) -> Claim:
    """Train where the crosses are in the left half, test where they are in the right half."""
    rng = np.random.default_rng([settings["seed"], 100])
    left = draw_signs(4 * settings["examples"], rng, range(SIDE // 2 - 2))
    right = draw_signs(TESTS, rng, range(SIDE // 2, SIDE - 2))
    new = draw_signs(TESTS, rng, range(SIDE // 2 - 2))
    results = []
    for net in (CONV, DENSE):
        params = _train(net, *left, settings)
        results.append([score(net, BINARY, params, *part) for part in (new, right)])
    (conv_left, conv_right), (dense_left, dense_right) = results
    panels = [
        picture(
            f"An example with the cross in the {name} half",
            np.clip(255 * (x[0, :, :, 0] + 0.5) / 2, 0, 255),
            name,
        )
        for name, (x, _) in (("left: trained", left), ("right: never seen", right))
    ]
    return Claim(
        "A convolution uses the same weights everywhere: what it has learnt in one place it knows "
        "in all.",
        f"Trained on pictures with the cross in the left half only: the convolutional network is "
        f"right about {conv_left:.1%} of new ones like them and {conv_right:.1%} of "
        f"those with the cross in the right half; the dense one about {dense_left:.1%} and "
        f"{dense_right:.1%}.",
        conv_right > 0.9 and dense_right < conv_right - 0.1,
        figures=(Figure("An upright or a slanting cross?", (*panels,), small=True),),
    )


def _scale(settings: Settings) -> Claim:
    scores = {
        f"{width} hidden unit{'s' * (width > 1)}": _score_by_size(
            serial(jaxnn.flatten, dense(width), relu, dense(1)), settings
        )
        for width in WIDTHS
    }
    small, _, large = scores.values()
    return Claim(
        "Scale drives progress: with few data all networks are alike, with many the large ones "
        "win.",
        f"Dense networks. With {SIZES[0]} examples the smallest has {small[0]:.1%} right and the "
        f"largest {large[0]:.1%}; with {SIZES[-1]:,} examples {small[-1]:.1%} and {large[-1]:.1%}.",
        large[-1] - small[-1] > large[0] - small[0] and large[-1] > large[0],
        figures=(_draw("three sizes of network", scores),),
    )


def _structure(settings: Settings) -> Claim:
    scores = {"convolutional": _score_by_size(CONV, settings)}
    scores["dense"] = _score_by_size(DENSE, settings)
    conv, plain = scores.values()
    enough = find_first_enough(SIZES, conv, plain[-1])
    reached = f"with {enough:,} examples" if enough else "with none of these numbers"
    return Claim(
        "What is built into a network it need not learn: shared weights save examples.",
        f"With {SIZES[-1]:,} examples the dense network has {plain[-1]:.1%} of new pictures right. "
        f"The convolutional one has as many right {reached}.",
        enough is not None and enough < SIZES[-1],
        figures=(_draw("both kinds of network", scores),),
    )


def _score_by_size(net: Layer, settings: Settings) -> list[float]:
    """The share of new pictures that a network has right, by the number of its examples."""
    rng = np.random.default_rng([settings["seed"], 200])
    x, y = draw_signs(max(SIZES), rng)
    new = draw_signs(TESTS, rng)
    shares = []
    for m in SIZES:
        chosen = np.arange(max(SIZES)) % m  # the same m examples again: one compiled program
        params = _train(net, x[chosen], y[chosen], settings)
        shares.append(score(net, BINARY, params, *new))
    return shares


def _draw(which: str, scores: dict[str, list[float]]) -> Figure:
    title = f"Right answers by the number of examples, for {which}"
    figure = plot_by_size(title, SIZES, scores, "new pictures")
    return Figure("Each dot is a network; m is on a logarithmic scale.", (figure,))


def _train(net: Layer, x: Any, y: Any, settings: Settings) -> Any:
    return train(net, BINARY, x, y, steps=settings["steps"], seed=settings["seed"])
