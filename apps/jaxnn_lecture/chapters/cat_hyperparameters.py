"""Hyperparameters of the cat classifier: a sweep, and what they determine."""

from __future__ import annotations

import numpy as np

from catnet.data.dataset import Dataset
from catnet.models import registry
from catnet.training.sweep import Grid, sweep
from jaxnn_lecture.chapter import Claim, Figure, Settings
from jaxnn_lecture.chapters.cat_training import Trained, first_weights, train
from jaxnn_lecture.html import table
from jaxnn_lecture.plots import heat_map
from jaxnn_lecture.svg import number
from jaxnn_lecture.training import count_params

INITIALIZATIONS = ("zeros", "lecun", "he", "large")
RATES = (0.0003, 0.001, 0.003, 0.01, 0.03)


def sweep_networks(train_part: Dataset, test_part: Dataset, settings: Settings) -> Claim:
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


def compare_kinds(
    networks: list[Trained], train_part: Dataset, test_part: Dataset, settings: Settings
) -> Claim:
    shallow = networks[1]
    again = train("shallow", train_part, test_part, settings)
    other = train("shallow", train_part, test_part, settings, rate=0.5)

    def distance(a: Trained, b: Trained) -> float:
        return float(np.abs(first_weights(a.params) - first_weights(b.params)).max())

    same, different = distance(shallow, again), distance(shallow, other)
    counts = {one.name: count_params(one.params) for one in networks}
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
