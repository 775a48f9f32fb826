"""Chapter 8: the cat classifier, its mistakes, its weights, its layers, its hyperparameters."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import jaxnn
from catnet.data.dataset import Dataset
from catnet.evaluation.metrics import wilson
from catnet.models import registry
from catnet.terminal import shorten
from catnet.training.sweep import Grid, sweep
from jaxnn_lecture.chapter import Chapter, Claim, Figure, Settings
from jaxnn_lecture.chapters import CHAPTERS
from jaxnn_lecture.chapters.cat_layers import measure_layers
from jaxnn_lecture.html import table
from jaxnn_lecture.mathml import plain
from jaxnn_lecture.plots import Line, heat_map, line_plot, picture
from jaxnn_lecture.svg import number

MODELS = {name: registry.DEFAULT_HIDDEN[name] for name in ("logistic", "shallow", "deep")}
INITIALIZATIONS = ("zeros", "lecun", "he", "large")
RATES = (0.0003, 0.001, 0.003, 0.01, 0.03)
SHOWN = 8  # mistakes


class Trained(NamedTuple):
    """A trained network: its params before and after, its costs and its answers.

    Attributes:
        p, p_test: probabilities of class 1 of the training and the test pictures, (n,).
    """

    name: str
    hidden: tuple[int, ...]
    start: Any
    params: Any
    costs: np.ndarray
    p: np.ndarray
    p_test: np.ndarray


def run(settings: Settings) -> Chapter:
    """The claims about three networks, what they learn, and how they are chosen."""
    train_part, test_part, source = settings.load_images()
    networks = [train(name, train_part, test_part, settings) for name in MODELS]
    return Chapter(
        "cats",
        CHAPTERS["cats"].title,
        f"The lecture's networks on {len(train_part.labels):,} pictures, {source}, and "
        f"{len(test_part.labels):,} others to test. Class 1 is {plain(train_part.classes[1])}.",
        (
            _costs(networks, train_part, test_part, settings),
            _mistakes(networks, test_part),
            _weights(networks, train_part),
            measure_layers(train_part, test_part, settings["units"]),
            _sweep(train_part, test_part, settings),
            _parameters(networks, train_part, test_part, settings),
        ),
    )


def train(
    name: str, train_part: Dataset, test_part: Dataset, settings: Settings, rate: float = 1.0
) -> Trained:
    """Train one of the lecture's networks; ``rate`` multiplies its learning rate."""
    hidden = MODELS[name]
    net = registry.build(registry.architecture(name, hidden))
    x, x_test = (part.images.astype(np.float32) / 255 for part in (train_part, test_part))
    y = train_part.labels[:, None].astype(np.float32)
    start = net.init(jax.random.key(settings["seed"]), x[:1])
    params, costs = jaxnn.gradient_descent(
        net,
        jaxnn.binary_cross_entropy,
        start,
        x,
        y,
        learning_rate=rate * settings["learning_rate"],
        steps=settings["steps"],
    )
    apply = jax.jit(lambda params, x: jax.nn.sigmoid(net.apply(params, x))[:, 0])
    answers = [np.asarray(apply(params, part), float) for part in (x, x_test)]
    return Trained(name, hidden, start, params, np.asarray(costs), *answers)


def _right(p: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return (p > 0.5) == (labels == 1)


def _costs(
    networks: list[Trained], train_part: Dataset, test_part: Dataset, settings: Settings
) -> Claim:
    rows, tests = [], {}
    for one in networks:
        right, right_test = (
            _right(p, part.labels) for p, part in ((one.p, train_part), (one.p_test, test_part))
        )
        low, high = wilson(int(right_test.sum()), len(right_test))
        tests[one.name] = float(right_test.mean())
        rows.append(
            [
                one.name,
                " ".join(map(str, one.hidden)) or "none",
                f"{one.costs[-1]:.4f}",
                f"{right.mean():.1%}",
                f"{right_test.mean():.1%} ({low:.1%}–{high:.1%})",
            ]
        )
    share = max(np.bincount(test_part.labels)) / len(test_part.labels)
    steps = np.arange(len(networks[0].costs))
    figure = line_plot(
        "Cost by step of the three networks",
        "; ".join(
            f"{one.name}: from {one.costs[0]:.3f} to {one.costs[-1]:.3f}" for one in networks
        ),
        [Line(steps, one.costs, one.name, i) for i, one in enumerate(networks)],
        "step",
        "cost J",
        y_range=(0.0, float(min(1.2, max(one.costs.max() for one in networks) * 1.05))),
    )
    numbers = table(
        "Right answers; in brackets the 95% interval",
        ["network", "hidden units", "cost", "training", "test"],
        rows,
    )
    return Claim(
        "Deeper networks have a lower cost and are right about more test pictures.",
        f"Of the test pictures {', '.join(f'{name} has {v:.1%}' for name, v in tests.items())} "
        f"right after {settings['steps']} steps; always the same answer has {share:.1%}. "
        "Overlapping intervals leave the order of two networks open.",
        bool(
            tests["deep"] > tests["shallow"] > tests["logistic"]
            and networks[2].costs[-1] < networks[0].costs[-1]
        ),
        figures=(
            Figure(f"α = {number(settings['learning_rate'])} for all three.", (figure,)),
            Figure("The three networks.", (numbers,)),
        ),
    )


def _mistakes(networks: list[Trained], test_part: Dataset) -> Claim:
    wrong = [~_right(one.p_test, test_part.labels) for one in networks]
    shallow, deep = wrong[1], wrong[2]
    both = int(np.sum(shallow & deep))
    expected = float(shallow.mean() * deep.mean() * len(deep))
    p = networks[2].p_test
    confidence = np.where(deep, np.abs(p - 0.5), -1)
    worst = np.argsort(-confidence, kind="stable")[: min(SHOWN, int(deep.sum()))]
    panels = [
        picture(
            f"Test picture {i + 1}, answered wrongly",
            test_part.images[i],
            f"{shorten(test_part.classes[test_part.labels[i]])}\nŷ = {p[i]:.3f}",
        )
        for i in worst
    ]
    return Claim(
        "The mistakes are not random: some pictures are hard, by pose, background or light.",
        f"The deep network is wrong about {deep.sum()} of {len(deep)}, the one with one hidden "
        f"layer about {shallow.sum()}, and both about the same {both}; if the mistakes had nothing "
        f"to do with the picture, it would be about {expected:.0f}.",
        both > expected,
        figures=(
            Figure(
                "The mistakes of the deep network of which it is most sure; ŷ is its probability "
                f"of {plain(test_part.classes[1])}.",
                (*panels,),
                small=True,
            ),
        ),
    )


def _first_weights(params: Any) -> np.ndarray:
    return np.asarray(params[1]["W"], float)  # params[0] is that of flatten


def as_picture(w: np.ndarray) -> np.ndarray:
    """Weights of pixels as a picture: grey is 0, brighter is positive."""
    largest = np.abs(w).max() or 1.0
    return np.round(127.5 * (1 + w.reshape(64, 64, 3) / largest)).astype(np.uint8)


def _weights(networks: list[Trained], train_part: Dataset) -> Claim:
    logistic, shallow = networks[0], networks[1]
    moved = _first_weights(shallow.params) - _first_weights(shallow.start)
    X = train_part.images.reshape(len(train_part.images), -1) / 255
    # The part of the change that no combination of the pictures explains.
    Q, _ = np.linalg.qr(X.T)
    rest = np.linalg.norm(moved - (moved @ Q) @ Q.T) / np.linalg.norm(moved)
    changes = [_first_weights(logistic.params)[0] - _first_weights(logistic.start)[0], *moved]
    names = ["logistic regression", *(f"hidden unit {i + 1}" for i in range(len(moved)))]
    panels = [
        picture(f"Change of the weights, {name}", as_picture(w), name)
        for name, w in zip(names, changes, strict=True)
    ]
    return Claim(
        "Descent adds multiples of the training pictures to the weights: "
        r"$dW = \frac{1}{m} dZ \, X^T$",
        f"The change of the {moved.shape[0]}×{moved.shape[1]:,} weights of the hidden layer is a "
        f"combination of the {len(X):,} pictures; what no combination explains is "
        f"{number(float(f'{rest:.1g}'))} of it, by rounding in float32.",
        bool(rest < 1e-3),
        figures=(
            Figure(
                "What training added to the weights of each unit, as a picture: grey is nothing, "
                "bright is positive.",
                (*panels,),
                small=True,
            ),
        ),
    )


def _sweep(train_part: Dataset, test_part: Dataset, settings: Settings) -> Claim:
    steps = settings["sweep_steps"]
    grid = Grid(registry.architecture("shallow"), RATES, INITIALIZATIONS, steps=steps)
    cells = sweep(grid, train_part, test_part)
    found = {(c.initialization, c.learning_rate): float(c.test_accuracy[0]) for c in cells}
    values = np.array([[found[name, rate] for rate in RATES] for name in INITIALIZATIONS])
    shades = (values - values.min()) / ((values.max() - values.min()) or 1)
    figure = heat_map(
        "Right test answers by initialization and learning rate",
        "; ".join(
            f"{name}: {', '.join(f'{v:.0%}' for v in row)}"
            for name, row in zip(INITIALIZATIONS, values, strict=True)
        ),
        shades,
        INITIALIZATIONS,
        [number(rate) for rate in RATES],
        "initialization",
        "learning rate α",
        [[f"{v:.1%}" for v in row] for row in values],
    )
    best = np.unravel_index(int(values.argmax()), values.shape)
    return Claim(
        "Hyperparameters must be tried: good values differ, and bad ones spoil everything.",
        f"{values.size} networks with one hidden layer of 7 units, {steps} steps each: from "
        f"{values.min():.1%} to {values.max():.1%} right of the test pictures; the best with the "
        f"initialization {INITIALIZATIONS[best[0]]} and α = {number(RATES[best[1]])}. (To choose "
        "them, one would use pictures that are neither for training nor for the test.)",
        bool(values.max() - values.min() > 0.05),
        figures=(Figure("Darker is better. All networks are one program of jaxnn.", (figure,)),),
    )


def _parameters(
    networks: list[Trained], train_part: Dataset, test_part: Dataset, settings: Settings
) -> Claim:
    shallow = networks[1]
    again = train("shallow", train_part, test_part, settings)
    other = train("shallow", train_part, test_part, settings, rate=0.5)

    def distance(a: Trained, b: Trained) -> float:
        return float(np.abs(_first_weights(a.params) - _first_weights(b.params)).max())

    same, different = distance(shallow, again), distance(shallow, other)
    counts = {
        one.name: sum(int(jnp.size(leaf)) for leaf in jax.tree.leaves(one.params))
        for one in networks
    }
    rows = [
        ["$W^{[l]}$, $b^{[l]}$", "parameters", "learnt by descent"]
        + [f"{counts[one.name]:,}" for one in networks],
        ["α, steps, seed", "hyperparameters", "chosen"] + ["3"] * 3,
        ["L, $n^{[l]}$, g", "hyperparameters", "chosen"]
        + [str(2 + len(one.hidden)) for one in networks],
    ]
    figure = table(
        "Numbers of each kind", ["what", "kind", "how", *(one.name for one in networks)], rows
    )
    return Claim(
        "W and b are parameters; α, the number of steps, L, n and g are hyperparameters, which "
        "determine them.",
        "The network with one hidden layer, trained twice with the same hyperparameters: the "
        f"weights differ by {number(same)}. With half the learning rate they differ by "
        f"{number(different)}.",
        same == 0 and different > 0,
        figures=(Figure("Few numbers are chosen, many are learnt.", (figure,)),),
    )
