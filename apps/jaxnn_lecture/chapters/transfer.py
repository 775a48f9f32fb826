"""Chapter 15: transfer learning: features of a trained network, and few examples."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import numpy as np

import jaxnn
from catnet.data.dataset import Dataset
from catnet.models.classifier import Classifier
from catnet.models.features import features
from jaxnn import Layer, dense, relu, serial
from jaxnn_lecture.chapter import Chapter, Claim, Figure, Settings
from jaxnn_lecture.chapters import CHAPTERS
from jaxnn_lecture.html import table
from jaxnn_lecture.scores import find_first_enough, plot_by_size
from jaxnn_lecture.training import count_params, output, train
from jaxnn_lecture.trunk import trunk, whole_views

SIZES = (5, 10, 20, 50, 100, 200)  # examples
RATE = 0.003
HEAD = dense(1)
WHOLE = serial(jaxnn.flatten, dense(7), relu, dense(1))  # the lecture's network
SMALL = 16  # pixels of a side that the networks from scratch see


class Inputs(NamedTuple):
    """What a network is trained on, and judged by: (n, …) each."""

    net: Layer
    train: np.ndarray
    test: np.ndarray


def run(settings: Settings) -> Chapter:
    """The claims about few examples, more examples, and the number of parameters."""
    train_part, test_part, source = settings.load_images()
    classifier = Classifier.load()
    trained = f"catnet's trained network {classifier.name}, which has learnt from photographs,"
    parts = (train_part, test_part)
    layers, params = trunk(classifier)
    found = [features(layers, params, whole_views(part.images, classifier)) for part in parts]
    mean, deviation = found[0].mean(axis=0), found[0].std(axis=0) + 1e-6
    own, new = ((f - mean) / deviation for f in found)
    pixels, new_pixels = (_shrink(part.images) for part in parts)
    ways = {
        "features of the trained network": Inputs(HEAD, own, new),
        "from scratch, one hidden layer": Inputs(WHOLE, pixels, new_pixels),
        "from scratch, one neuron": Inputs(HEAD, _flat(pixels), _flat(new_pixels)),
    }
    most = 2 * int(np.bincount(train_part.labels, minlength=2).min())  # half of each class
    sizes = tuple(m for m in SIZES if m <= most) or (most,)
    scores = {
        name: np.array([_scores(way, m, *parts, settings) for m in sizes])
        for name, way in ways.items()
    }
    return Chapter(
        "transfer",
        CHAPTERS["transfer"].title,
        f"{trained} gives the features; one neuron on them is trained on pictures {source}. Of "
        f"{len(train_part.labels)} training pictures {sizes[0]} to {sizes[-1]} are used; there are "
        f"{len(test_part.labels)} test pictures.",
        (
            _few(scores, sizes, settings),
            _more(scores, sizes),
            _parameters(params, own, pixels),
        ),
    )


def _shrink(images: np.ndarray) -> np.ndarray:
    """Images (n, S, S, 3) as (n, SMALL, SMALL, 3) means of squares, from −½ to ½."""
    n, side = images.shape[:2]
    k = side // SMALL
    squares = images.reshape(n, SMALL, k, SMALL, k, 3).mean(axis=(2, 4), dtype=np.float32)
    return squares / 255 - 0.5


def _flat(x: np.ndarray) -> np.ndarray:
    return x.reshape(len(x), -1)


def _scores(
    way: Inputs, m: int, train_part: Dataset, test_part: Dataset, settings: Settings
) -> list[float]:
    """The share of right test pictures, for each draw of m examples, half of each class."""
    shares = []
    for i in range(settings["repetitions"]):
        rng = np.random.default_rng([settings["seed"], m, i])
        labels = train_part.labels
        rows = [rng.permutation(np.flatnonzero(labels == k)) for k in (0, 1)]
        chosen = np.concatenate([rows[1][: m - m // 2], rows[0][: m // 2]])
        chosen = np.resize(rng.permutation(chosen), max(SIZES))  # equal trainings: one program
        params = train(
            way.net, jaxnn.binary_cross_entropy, way.train[chosen],
            labels[chosen, None].astype(np.float32),
            steps=settings["steps"], seed=settings["seed"], rate=RATE,
        )  # fmt: skip
        z = np.asarray(output(way.net, params, way.test))[:, 0]
        shares.append(float(np.mean((z > 0) == (test_part.labels == 1))))
    return shares


def _few(scores: dict[str, np.ndarray], sizes: tuple[int, ...], settings: Settings) -> Claim:
    means = {name: share.mean(axis=1) for name, share in scores.items()}
    figure = plot_by_size(
        "Right test pictures by the number of examples", sizes, means, "test pictures"
    )
    rows = [
        [str(m), *(_range(shares[k]) for shares in scores.values())] for k, m in enumerate(sizes)
    ]
    header = ["m", "trained features", "hidden layer", "one neuron"]
    own, hidden, neuron = means.values()
    at = min(2, len(sizes) - 1)
    return Claim(
        "With few examples, start from a network that has learnt from many others.",
        f"With {sizes[at]} examples one neuron on the trained features has {own[at]:.1%} of the "
        f"test pictures right; from scratch, a hidden layer has {hidden[at]:.1%} and one neuron on "
        f"pixels {neuron[at]:.1%}. Each number is the mean of {settings['repetitions']} draws of "
        "the examples.",
        bool(own[at] > max(hidden[at], neuron[at]) + 0.05),
        figures=(
            Figure("m is on a logarithmic scale.", (figure,)),
            Figure(
                "Percent right: the mean, and the worst and best draw.",
                (table("Right test pictures", header, rows),),
            ),
        ),
    )


def _range(shares: np.ndarray) -> str:
    mean, low, high = 100 * shares.mean(), 100 * shares.min(), 100 * shares.max()
    return f"{mean:.0f} ({low:.0f}–{high:.0f})"


def _more(scores: dict[str, np.ndarray], sizes: tuple[int, ...]) -> Claim:
    own, *others = (share.mean(axis=1) for share in scores.values())
    scratch = np.maximum(*others)
    enough = find_first_enough(sizes, own, scratch[-1])
    reached = f"with {enough}" if enough else "with none of these numbers"
    return Claim(
        "Transfer saves examples: the trained features need a fraction of them.",
        f"From scratch the best is {scratch[-1]:.1%}, with {sizes[-1]} examples. The trained "
        f"features are as good {reached}; with {sizes[-1]} they have {own[-1]:.1%}.",
        enough is not None and enough < sizes[-1],
    )


def _parameters(params: Any, own: np.ndarray, pixels: np.ndarray) -> Claim:
    shapes = [
        jax.eval_shape(functools.partial(net.init, jax.random.key(0)), x[:1])
        for net, x in ((HEAD, own), (WHOLE, pixels))
    ]
    head, whole = map(count_params, shapes)
    frozen = count_params(params)
    return Claim(
        "Only the last layer is trained, the others are frozen: few numbers need few examples.",
        f"Trained: {head:,} parameters on {own.shape[1]:,} features. Frozen: {frozen:,}. From "
        f"scratch, the lecture's hidden layer of 7 units on pictures of {SMALL}×{SMALL} pixels has "
        f"{whole:,}.",
        head < whole < frozen,
    )
