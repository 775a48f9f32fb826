"""Chapter 8: the cat classifier, its mistakes, its weights, its layers, its hyperparameters."""

from __future__ import annotations

import numpy as np

from catnet.data.dataset import Dataset
from catnet.evaluation.metrics import wilson
from catnet.evaluation.saliency import as_shades
from catnet.images.size import SIZE
from catnet.terminal import shorten
from jaxnn_lecture.chapter import Chapter, Claim, Figure, Settings
from jaxnn_lecture.chapters import CHAPTERS
from jaxnn_lecture.chapters.cat_hyperparameters import compare_kinds, sweep_networks
from jaxnn_lecture.chapters.cat_layers import measure_layers
from jaxnn_lecture.chapters.cat_training import MODELS, Trained, first_weights, train
from jaxnn_lecture.html import table
from jaxnn_lecture.mathml import plain
from jaxnn_lecture.pictures import picture
from jaxnn_lecture.plots import Line, line_plot
from jaxnn_lecture.svg import number

SHOWN = 8  # mistakes


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
            sweep_networks(train_part, test_part, settings),
            compare_kinds(networks, train_part, test_part, settings),
        ),
    )


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


def _weights(networks: list[Trained], train_part: Dataset) -> Claim:
    logistic, shallow = networks[0], networks[1]
    moved = first_weights(shallow.params) - first_weights(shallow.start)
    X = train_part.images.reshape(len(train_part.images), -1) / 255
    # The part of the change that no combination of the pictures explains.
    Q, _ = np.linalg.qr(X.T)
    rest = np.linalg.norm(moved - (moved @ Q) @ Q.T) / np.linalg.norm(moved)
    start, end = (
        np.concatenate([first_weights(getattr(one, when)) for one in (logistic, shallow)])
        for when in ("start", "params")
    )
    names = ["logistic regression", *(f"hidden unit {i + 1}" for i in range(len(moved)))]
    weights, changes = (
        [
            picture(f"{title}, {name}", shades, name)
            for name, shades in zip(names, as_shades(w.reshape(-1, SIZE, SIZE, 3)), strict=True)
        ]
        for title, w in (("Weights", end), ("Change of the weights", end - start))
    )
    return Claim(
        "Descent adds multiples of the training pictures to the weights: "
        r"$dW = \frac{1}{m} dZ \, X^T$",
        f"The change of the {moved.shape[0]}×{moved.shape[1]:,} weights of the hidden layer is a "
        f"combination of the {len(X):,} pictures; what no combination explains is "
        f"{number(float(f'{rest:.1g}'))} of it, by rounding in float32.",
        bool(rest < 1e-3),
        figures=(
            Figure(
                "The weights of each unit of the first layer after training, as a picture: grey is "
                "0, bright is positive. Those of hidden units are mostly their random start.",
                (*weights,),
                small=True,
            ),
            Figure(
                "What training added to them: grey is nothing, bright is positive.",
                (*changes,),
                small=True,
            ),
        ),
    )
