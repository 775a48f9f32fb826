"""Chapter 9: the lecture's table of applications, a network for each kind of data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import jaxnn
from jaxnn import Layer, Loss, dense, embedding, relu, serial
from jaxnn_lecture.chapter import Chapter, Claim, Figure, Settings
from jaxnn_lecture.chapters import CHAPTERS
from jaxnn_lecture.chapters.cars import BOTH_INPUTS, IMAGE_ONLY, SQUARED, exchange_inputs
from jaxnn_lecture.chapters.housing import Houses, compare_outputs, measure_houses
from jaxnn_lecture.drawn.applications import (
    ADS,
    SIDE,
    TAGS,
    WORDS,
    Data,
    draw_cars,
    draw_clicks,
    draw_sentences,
    draw_sounds,
    draw_tags,
)
from jaxnn_lecture.html import table
from jaxnn_lecture.plots import bar_plot
from jaxnn_lecture.training import count_params, score, train

TESTS = 1000  # new examples that a network is judged by

Draw = Callable[[int, np.random.Generator], Data]


class Task(NamedTuple):
    """A row of the lecture's table, with data that a program draws.

    Attributes:
        kind: of the network, in the lecture's words.
        draw: ``(n, rng) -> (x, y)``.
        net: the network of this kind.
        other: a network of another kind, in words.
        plain: that network.
        view: the input of that network, from x.
    """

    source: str
    target: str
    application: str
    kind: str
    draw: Draw
    net: Layer
    other: str
    plain: Layer
    loss: Loss
    view: Callable[[Any], Any] = lambda x: x


def run(settings: Settings) -> Chapter:
    """The claims about kinds of data, about prices, and about two inputs."""
    houses = measure_houses()
    return Chapter(
        "applications",
        CHAPTERS["applications"].title,
        "The lecture's table of applications, small: the prices are 47 published ones, the data of "
        "the other rows are drawn by a program. Speech, translation and reviews have chapters of "
        "their own.",
        (_kinds(houses, settings), compare_outputs(houses), exchange_inputs(settings)),
    )


def _flat(x: np.ndarray) -> np.ndarray:
    return x.reshape(len(x), -1)


BINARY, SOFTMAX = jaxnn.binary_cross_entropy, jaxnn.softmax_cross_entropy
CLICKS = jaxnn.each(jaxnn.identity, embedding(ADS, 8), merge="concat")
SEEN = serial(jaxnn.conv(16), relu, jaxnn.max_pool(SIDE), jaxnn.flatten, dense(len(TAGS)))

TASKS = (
    Task(
        "user, ad", "click?", "advertising", "standard",
        draw_clicks, serial(CLICKS, dense(32), relu, dense(1)),
        "one neuron", jaxnn.each(dense(1), embedding(ADS, 1), merge="sum"), BINARY,
    ),
    Task(
        "image", f"1 of {len(TAGS)} objects", "photo tagging", "convolutional", draw_tags, SEEN,
        "dense", serial(jaxnn.flatten, dense(32), relu, dense(len(TAGS))), SOFTMAX,
    ),
    Task(
        "audio", "what was said", "speech", "recurrent",
        draw_sounds, serial(jaxnn.gru(8), jaxnn.last, dense(1)), "dense",
        serial(dense(8), relu, dense(1)), BINARY, _flat,
    ),
    Task(
        "sentence", "sentence", "translation", "recurrent",
        draw_sentences, serial(jaxnn.gru(24), dense(WORDS)), "word by word",
        serial(dense(24), relu, dense(WORDS)), SOFTMAX,
    ),
    Task(
        "image, radar", "place of cars", "driving", "hybrid", draw_cars,
        BOTH_INPUTS, "image only", IMAGE_ONLY, SQUARED, lambda x: x[0],
    ),
)  # fmt: skip


def _kinds(houses: Houses, settings: Settings) -> Claim:
    rows = [["home features", "price", "real estate", "standard", f"{houses.parameters}"]]
    labels = ["home features: standard", "sigmoid output"]
    scores = [houses.linear, houses.sigmoid]
    chosen = {"steps": settings["steps"], "seed": settings["seed"]}
    for number, task in enumerate(TASKS):
        rng = np.random.default_rng([settings["seed"], number])
        x, y = task.draw(settings["examples"], rng)
        x_test, y_test = task.draw(TESTS, rng)
        params = train(task.net, task.loss, x, y, **chosen)
        plain = train(task.plain, task.loss, task.view(x), y, **chosen)
        count = f"{count_params(params):,}"
        rows.append([task.source, task.target, task.application, task.kind, count])
        labels += [f"{task.source}: {task.kind}", task.other]
        scores += [
            score(task.net, params, x_test, y_test),
            score(task.plain, plain, task.view(x_test), y_test),
        ]
    ahead = sum(a > b for a, b in zip(scores[::2], scores[1::2], strict=True))
    figure = bar_plot(
        f"Scores of the {len(rows)} networks, and of networks of another kind",
        "; ".join(f"{label}: {s:.1%}" for label, s in zip(labels, scores, strict=True)),
        labels,
        [round(100 * max(s, 0), 1) for s in scores],
        "%",
    )
    header = ["x", "y", "application", "network", "parameters"]
    return Claim(
        "The kind of data decides the network: standard ones for tables, convolutional ones for "
        "images, recurrent ones for sequences, hybrid ones for mixtures.",
        f"{ahead} of {len(rows)} are ahead of another kind. The score is the share of right "
        "answers; for prices and places, which are numbers, the share of their variance that is "
        "explained (0 where less than none is). Each house is priced by a network that has learnt "
        f"from the 46 others; the other rows have {settings['examples']} examples each, "
        f"{settings['steps']} steps, and {TESTS:,} new examples for the score. A user clicks whose "
        "age is within 10 years of that of the ad, in the evening within 20.",
        ahead == len(rows),
        figures=(
            Figure("Each network, and below it one of another kind.", (figure,)),
            Figure(
                "The lecture's table, with the parameters of the network of each row.",
                (table("x → y, and which network", header, rows),),
            ),
        ),
    )
