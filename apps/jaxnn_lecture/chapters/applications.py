"""Chapter 9: the lecture's table of applications, and how scale drives progress."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
import optax

import jaxnn
from jaxnn import Layer, Loss, dense, relu, serial
from jaxnn_lecture.chapter import Chapter, Claim, Figure, Settings
from jaxnn_lecture.chapters import CHAPTERS
from jaxnn_lecture.chapters.application_data import (
    SIDE,
    WORDS,
    Data,
    draw_cars,
    draw_clicks,
    draw_prices,
    draw_sentences,
    draw_signs,
    draw_sounds,
)
from jaxnn_lecture.html import table
from jaxnn_lecture.pictures import picture
from jaxnn_lecture.plots import Line, bar_plot, line_plot

TESTS = 1000  # new examples that a network is judged by
BATCH = 50
SIZES = (50, 100, 200, 500, 1000, 2000)  # examples of the last claim
WIDTHS = (1, 4, 32)  # hidden units of its networks
OPTIMIZER = optax.adam(0.01)

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
    """The claims about kinds of data and about their amount."""
    return Chapter(
        "applications",
        CHAPTERS["applications"].title,
        "The lecture's table of applications, each with data that a program draws: small stand-ins "
        "of the same kind, not the applications themselves.",
        (_kinds(settings), _weights_are_shared(settings), _scale(settings)),
    )


def _flat(x: np.ndarray) -> np.ndarray:
    return x.reshape(len(x), -1)


def _see() -> Layer:
    return serial(jaxnn.conv(4), relu, jaxnn.max_pool(2), jaxnn.flatten)


CONV = serial(jaxnn.conv(8), relu, jaxnn.max_pool(SIDE), jaxnn.flatten, dense(1))
DENSE = serial(jaxnn.flatten, dense(8), relu, dense(1))
BINARY, SQUARED = jaxnn.binary_cross_entropy, jaxnn.mean_squared_error

TASKS = (
    Task(
        "home features", "price", "real estate", "standard",
        draw_prices, serial(dense(16), relu, dense(1)), "linear", dense(1), SQUARED,
    ),
    Task(
        "ad, user", "click?", "advertising", "standard",
        draw_clicks, serial(dense(16), relu, dense(1)), "linear", dense(1), BINARY,
    ),
    Task(
        "image", "object", "photo tagging", "convolutional",
        draw_signs, CONV, "dense", DENSE, BINARY,
    ),
    Task(
        "audio", "what was said", "speech", "recurrent",
        draw_sounds, serial(jaxnn.gru(8), jaxnn.last, dense(1)), "dense",
        serial(dense(8), relu, dense(1)), BINARY, _flat,
    ),
    Task(
        "sentence", "sentence", "translation", "recurrent",
        draw_sentences, serial(jaxnn.gru(24), dense(WORDS)), "word by word",
        serial(dense(24), relu, dense(WORDS)), jaxnn.softmax_cross_entropy,
    ),
    Task(
        "image, radar", "place of cars", "driving", "hybrid",
        draw_cars,
        serial(jaxnn.each(_see(), jaxnn.identity, merge="concat"), dense(16), relu, dense(2)),
        "image only", serial(_see(), dense(16), relu, dense(2)), SQUARED, lambda x: x[0],
    ),
)  # fmt: skip


def train(net: Layer, loss: Loss, x: Any, y: Any, settings: Settings) -> Any:
    """The params after some steps of Adam."""
    key = jax.random.key(settings["seed"])
    start = net.init(key, x)
    size = min(BATCH, len(y))
    params, _ = jaxnn.fit(
        net, loss, start, x, y,
        optimizer=OPTIMIZER, batch_size=size, steps=settings["steps"], key=key,
        chunk=settings["steps"],
    )  # fmt: skip
    return params


def score(net: Layer, params: Any, x: Any, y: Any) -> float:
    """The share of right answers; of numbers, the share of their variance that is explained."""
    z = np.asarray(jax.jit(net.apply)(params, x))
    if y.dtype.kind == "i":
        return float(np.mean(z.argmax(axis=-1) == y))
    if set(np.unique(y)) <= {0.0, 1.0}:
        return float(np.mean((z > 0) == (y > 0.5)))
    return 1 - float(np.mean((z - y) ** 2) / np.mean((y - y.mean(axis=0)) ** 2))


def _count(params: Any) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(params))


def _kinds(settings: Settings) -> Claim:
    rows, labels, scores, ahead = [], [], [], []
    for number, task in enumerate(TASKS):
        rng = np.random.default_rng([settings["seed"], number])
        x, y = task.draw(settings["examples"], rng)
        x_test, y_test = task.draw(TESTS, rng)
        params = train(task.net, task.loss, x, y, settings)
        plain = train(task.plain, task.loss, task.view(x), y, settings)
        own = score(task.net, params, x_test, y_test)
        other = score(task.plain, plain, task.view(x_test), y_test)
        ahead.append(own > other)
        rows.append([task.source, task.target, task.application, task.kind, f"{_count(params):,}"])
        labels += [f"{task.source}: {task.kind}", task.other]
        scores += [own, other]
    header = ["x", "y", "application", "network", "parameters"]
    figure = bar_plot(
        "Scores of the six networks, and of networks of another kind",
        "; ".join(f"{label}: {s:.1%}" for label, s in zip(labels, scores, strict=True)),
        labels,
        [round(100 * s, 1) for s in scores],
        "%",
    )
    return Claim(
        "The kind of data decides the network: standard ones for tables, convolutional ones for "
        "images, recurrent ones for sequences, hybrid ones for mixtures.",
        f"Trained on {settings['examples']} examples each, for {settings['steps']} steps, and "
        f"judged by {TESTS:,} new ones: {sum(ahead)} of {len(TASKS)} are ahead of the network of "
        "another kind. The score is the share of right answers; for prices and places, which are "
        "numbers, the share of their variance that is explained.",
        all(ahead),
        figures=(
            Figure("Each network, and below it one of another kind.", (figure,)),
            Figure(
                "The lecture's table, with the parameters of the stand-in for each row.",
                (table("x → y, and which network", header, rows),),
            ),
        ),
    )


def _weights_are_shared(settings: Settings) -> Claim:
    """Train where the crosses are in the left half, test where they are in the right half."""
    rng = np.random.default_rng([settings["seed"], 100])
    left = draw_signs(4 * settings["examples"], rng, range(SIDE // 2 - 2))
    right = draw_signs(TESTS, rng, range(SIDE // 2, SIDE - 2))
    new = draw_signs(TESTS, rng, range(SIDE // 2 - 2))
    results = []
    for net in (CONV, DENSE):
        params = train(net, BINARY, *left, settings)
        results.append([score(net, params, *part) for part in (new, right)])
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
    rng = np.random.default_rng([settings["seed"], 200])
    x, y = draw_signs(max(SIZES), rng)
    x_test, y_test = draw_signs(TESTS, rng)
    lines, last = [], {}
    for i, width in enumerate(WIDTHS):
        net = serial(jaxnn.flatten, dense(width), relu, dense(1))
        shares = []
        for m in SIZES:
            chosen = np.arange(max(SIZES)) % m  # the same m examples again: one compiled program
            params = train(net, BINARY, x[chosen], y[chosen], settings)
            shares.append(score(net, params, x_test, y_test))
        name = f"{width} hidden unit{'s' * (width > 1)}"
        lines.append(Line(SIZES, 100 * np.array(shares), name, i, markers=True))
        last[name] = shares
    figure = line_plot(
        "Right answers by the number of examples, for three sizes of network",
        "; ".join(f"{name}: from {s[0]:.0%} to {s[-1]:.0%}" for name, s in last.items()),
        lines,
        "examples m",
        "right answers to new pictures, in percent",
        log_x=True,
    )
    small, _, large = last.values()
    return Claim(
        "Scale drives progress: with few data all networks are alike, with many the large ones "
        "win.",
        f"Pictures of crosses, dense networks. With {SIZES[0]} examples the smallest has "
        f"{small[0]:.1%} right and the largest {large[0]:.1%}; with {SIZES[-1]:,} examples "
        f"{small[-1]:.1%} and {large[-1]:.1%}.",
        large[-1] - small[-1] > large[0] - small[0] and large[-1] > large[0],
        figures=(Figure("Each dot is a network; m is on a logarithmic scale.", (figure,)),),
    )
