"""Chapter 9: the lecture's table of applications, a network for each kind of data."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

import jaxnn
from catnet.images.size import SIZE
from catnet.models.classifier import Classifier
from jaxnn import Layer, Loss, dense, embedding, relu, serial
from jaxnn_lecture.chapter import Chapter, Claim, Figure, Settings
from jaxnn_lecture.chapters import CHAPTERS, sentiment, speech, transfer, translation
from jaxnn_lecture.chapters.cars import BOTH_INPUTS, IMAGE_ONLY, SQUARED, exchange_inputs
from jaxnn_lecture.chapters.digits import NETS
from jaxnn_lecture.chapters.housing import Houses, compare_outputs, measure_houses
from jaxnn_lecture.drawn import digits, tones
from jaxnn_lecture.drawn.applications import (
    ADS,
    SIDE,
    TAGS,
    Data,
    draw_cars,
    draw_clicks,
    draw_tags,
)
from jaxnn_lecture.drawn.reviews import draw_reviews
from jaxnn_lecture.html import table
from jaxnn_lecture.plots import bar_plot
from jaxnn_lecture.training import count_params, score, train
from jaxnn_lecture.trunk import trunk
from seqnet.features import spectrogram, words
from seqnet.models import speech as speech_network

TESTS = 1000  # new examples that a network is judged by

Draw = Callable[[int, np.random.Generator], Data]


class Task(NamedTuple):
    """A row of the lecture's table that is measured here, with data that a program draws.

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
        "the other rows are drawn by a program. Digits, speech, translation and transfer are rows "
        "here, and are measured in chapters of their own.",
        (_kinds(houses, settings), compare_outputs(houses), exchange_inputs(settings)),
    )


@functools.cache
def _vocabulary() -> list[str]:
    """The words of drawn reviews."""
    texts = draw_reviews(1000, np.random.default_rng(0))
    return words.vocabulary((words.tokenize(text) for text, _ in texts), 1, 1000)


def _draw_stars(n: int, rng: np.random.Generator) -> Data:
    return sentiment.encode(draw_reviews(n, rng), _vocabulary())


BINARY, SOFTMAX = jaxnn.binary_cross_entropy, jaxnn.softmax_cross_entropy
CLICKS = jaxnn.each(jaxnn.identity, embedding(ADS, 8), merge="concat")
SEEN = serial(jaxnn.conv(16), relu, jaxnn.max_pool(SIDE), jaxnn.flatten, dense(len(TAGS)))

WORDS = len(_vocabulary()) + 1  # and one for the unknown

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
        "text of a review", "stars", "star ratings", "recurrent",
        _draw_stars, sentiment.recurrent(WORDS), "bag of words", sentiment.bag_of_words(WORDS),
        SOFTMAX,
    ),
    Task(
        "image, radar", "place of cars", "driving", "hybrid", draw_cars,
        BOTH_INPUTS, "image only", IMAGE_ONLY, SQUARED, lambda x: x[0],
    ),
)  # fmt: skip


def _list_others() -> list[list[str]]:
    """The rows that have chapters of their own, with the networks of these chapters."""
    classifier = Classifier.load()
    layers, params = trunk(classifier)
    image = jax.ShapeDtypeStruct((1, SIZE, SIZE, 3), "float32")
    kinds = {"classes": range(len(tones.WORDS)), "width": speech.WIDTH}
    digit = np.zeros((1, digits.SIDE, digits.SIDE, 1), np.float32)
    others = (
        ("image of a digit", "0 to 9", "mail", "convolutional", NETS["convolutional"], digit,
         "digits"),
        ("audio", "the word", "speech", "recurrent", speech_network.build(kinds),
         spectrogram.encode([np.zeros(tones.RATE, np.float32)]), "speech"),
        ("German", "English", "translation", "recurrent, attention", translation.TRANSLATOR,
         translation.encode([1]).x, "translation"),
        ("trained features", "cat?", "photos, few examples", "standard", transfer.HEAD,
         jax.eval_shape(layers.apply, params, image), "transfer"),
    )  # fmt: skip
    rows = []
    for source, target, application, kind, net, x, chapter in others:
        shapes = jax.eval_shape(net.init, jax.random.key(0), x)
        rows.append([source, target, application, kind, f"{count_params(shapes):,}", chapter])
    return rows


def _kinds(houses: Houses, settings: Settings) -> Claim:
    rows = [["home features", "price", "real estate", "standard", f"{houses.parameters}", "here"]]
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
        rows.append([task.source, task.target, task.application, task.kind, count, "here"])
        labels += [f"{task.source}: {task.kind}", task.other]
        scores += [
            score(task.net, task.loss, params, x_test, y_test),
            score(task.plain, task.loss, plain, task.view(x_test), y_test),
        ]
    ahead = sum(a > b for a, b in zip(scores[::2], scores[1::2], strict=True))
    figure = bar_plot(
        f"Scores of {len(rows)} networks, and of networks of another kind",
        "; ".join(f"{label}: {s:.1%}" for label, s in zip(labels, scores, strict=True)),
        labels,
        [round(100 * max(s, 0), 1) for s in scores],
        "%",
    )
    measured = len(rows)
    rows += _list_others()
    header = ["x", "y", "application", "network", "parameters", "measured in"]
    return Claim(
        "The kind of data decides the network: standard ones for tables, convolutional ones for "
        "images, recurrent ones for sequences, hybrid ones for mixtures.",
        f"{ahead} of {measured} are ahead of another kind. The score is the share of right "
        "answers; for prices and places, which are numbers, the share of their variance that is "
        "explained (0 where less than none is). Each house is priced by a network that has learnt "
        f"from the 46 others; the other rows have {settings['examples']} examples each, "
        f"{settings['steps']} steps, and {TESTS:,} new examples for the score. A user clicks whose "
        "age is within 10 years of that of the ad, in the evening within 20.",
        ahead == measured,
        figures=(
            Figure("Each network, and below it one of another kind.", (figure,)),
            Figure(
                "The lecture's table, with the parameters of the network of each row, and the "
                "chapter that measures it.",
                (table("x → y, and which network", header, rows),),
            ),
        ),
    )
