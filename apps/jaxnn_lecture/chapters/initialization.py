"""Chapter 6: why W starts at small random numbers, not at zero."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxnn
from catnet.course import synthetic
from catnet.course.networks import as_params, initialize, network
from jaxnn_lecture.chapter import Chapter, Claim, Figure, Settings
from jaxnn_lecture.chapters import CHAPTERS
from jaxnn_lecture.plots import Line, line_plot
from jaxnn_lecture.svg import number

SIZES = (2, 4, 1)
NET: Any = network(SIZES, jaxnn.tanh)
RECORDS = 60  # points of a drawn path of weights
CONSTANT = 0.5


def run(settings: Settings) -> Chapter:
    """The claims about zeros, random numbers, large numbers, and deep networks."""
    with jax.enable_x64(True):
        x, y = synthetic.draw_moons(200, 0.15, np.random.RandomState(settings["seed"]))
        return Chapter(
            "initialization",
            CHAPTERS["initialization"].title,
            f"A network {' → '.join(map(str, SIZES))} with tanh on 200 points in the plane, "
            "started in several ways.",
            (
                _zeros(x, y, settings),
                _symmetric(x, y, settings),
                _large(x, y, settings),
                _deep(x, settings),
            ),
        )


def constant_start(value: float) -> list[tuple[np.ndarray, np.ndarray]]:
    """All weights equal, biases 0."""
    return [(np.full((n, m), value), np.zeros(n)) for m, n in itertools.pairwise(SIZES)]


def normal_start(
    sizes: Sequence[int], factor: float, seed: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Weights of ``factor`` times standard normal numbers, biases 0."""
    return [(100 * factor * W, b) for W, b in initialize(sizes, "0.01", seed)]


def descend(
    layers: Any, x: np.ndarray, y: np.ndarray, settings: Settings
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Some steps, W[1] at them (records, 4, 2), and all costs."""
    params = as_params(layers)
    steps, weights = [0], [np.asarray(params[0]["W"])]

    def record(state: Any, costs: Any) -> None:
        steps.append(int(state.step))
        weights.append(np.asarray(state.params[0]["W"]))

    _, costs = jaxnn.gradient_descent(
        NET,
        jaxnn.binary_cross_entropy,
        params,
        x,
        y,
        learning_rate=settings["learning_rate"],
        steps=settings["steps"],
        progress=record,
        chunk=max(1, settings["steps"] // RECORDS),
    )
    return np.array(steps), np.stack(weights), np.asarray(costs)


def spread(weights: np.ndarray) -> float:
    """The largest difference between the weights of two hidden units."""
    return float((weights.max(axis=0) - weights.min(axis=0)).max())


def _zeros(x: np.ndarray, y: np.ndarray, settings: Settings) -> Claim:
    _, weights, costs = descend(constant_start(0.0), x, y, settings)
    _, _, random_costs = descend(initialize(SIZES, "sqrt", settings["seed"]), x, y, settings)
    moved = float(np.abs(weights).max())
    figure = line_plot(
        "Cost by step from zeros and from random numbers",
        f"From zeros the cost stays at {costs[-1]:.4f}; from random numbers it falls to "
        f"{random_costs[-1]:.4f}.",
        [
            Line(np.arange(len(costs)), costs, "zeros", 1),
            Line(np.arange(len(costs)), random_costs, "random numbers", 0),
        ],
        "step",
        "cost J",
        y_range=(0.0, 0.8),
    )
    return Claim(
        "With all weights zero, descent does not work: the hidden units stay the same for ever.",
        f"After {settings['steps']} steps the largest weight of $W^{{[1]}}$ is {number(moved)}. "
        r"$A^{[1]} = 0$ makes $dW^{[2]} = 0$, and $W^{[2]} = 0$ makes $dZ^{[1]} = 0$: only "
        f"$b^{{[2]}}$ can move. The cost is {costs[-1]:.4f} (log 2 = 0.6931), with random numbers "
        f"{random_costs[-1]:.4f}.",
        moved == 0.0 and bool(costs[-1] > 0.69),
        figures=(Figure("Zeros against random numbers.", (figure,)),),
    )


def _symmetric(x: np.ndarray, y: np.ndarray, settings: Settings) -> Claim:
    starts = {
        "equal": constant_start(CONSTANT),
        "random": initialize(SIZES, "0.01", settings["seed"]),
    }
    spreads, panels = {}, []
    for name, layers in starts.items():
        steps, weights, _ = descend(layers, x, y, settings)
        spreads[name] = [spread(weights[0]), *(spread(w) for w in weights[1:])]
        panels.append(
            line_plot(
                f"The weights of the four hidden units, {name} start",
                f"The largest difference between two units is {number(spreads[name][0])} at the "
                f"start and {number(spreads[name][-1])} at the end.",
                [Line(steps, weights[:, i, 0], f"unit {i + 1}", i) for i in range(SIZES[1])],
                "step",
                f"weight of x₁, {name} start",
                width=320,
                height=260,
            )
        )
    same, parted = max(spreads["equal"]), spreads["random"][-1]
    return Claim(
        "Units that start equal get equal gradients and stay equal; random numbers break the "
        "symmetry.",
        f"All weights {CONSTANT} at the start: in {settings['steps']} steps they move, and the "
        f"largest difference between two units is {number(same)}. With 0.01 times random numbers "
        f"the difference grows from {number(spreads['random'][0])} to {number(parted)}.",
        same < 1e-9 and parted > 0.5,
        figures=(
            Figure("The four lines of the equal start (first) lie on one another.", (*panels,)),
        ),
    )


def _large(x: np.ndarray, y: np.ndarray, settings: Settings) -> Claim:
    factors, lines, results = (0.01, 1, 100), [], []
    for i, factor in enumerate(factors):
        layers = normal_start(SIZES, factor, settings["seed"])
        _, _, costs = descend(layers, x, y, settings)
        a = np.asarray(NET[:2].apply(as_params(layers)[:2], x))
        flat = float(np.mean(np.abs(a) > 0.99))
        slope = float(np.mean(1 - a**2))
        results.append((flat, slope, float(costs[0]), float(costs[-1])))
        lines.append(Line(np.arange(len(costs)), costs, f"{factor} · randn", i))
    figure = line_plot(
        "Cost by step for small, middle and large random starts",
        "; ".join(
            f"{factor}: from {number(r[2])} to {number(r[3])}"
            for factor, r in zip(factors, results, strict=True)
        ),
        lines,
        "step",
        "cost J",
        log_y=True,
    )
    small, middle, large = results
    return Claim(
        "Too large a start puts tanh where it is flat, and learning is slow.",
        f"With 100 · randn, {large[0]:.0%} of the activations are beyond ±0.99 at the start and "
        f"the mean slope $g'$ is {number(large[1])}; with 0.01 · randn it is {number(small[1])}. "
        f"After {settings['steps']} steps the cost is {number(large[3])} from 100 · randn, "
        f"{number(middle[3])} from randn and {number(small[3])} from 0.01 · randn.",
        large[0] > 0.9 and large[3] > max(small[3], middle[3]),
        figures=(Figure("The scale of the cost is logarithmic.", (figure,)),),
    )


def _deep(x: np.ndarray, settings: Settings) -> Claim:
    depth, units = settings["layers"], 20
    sizes = (2, *[units] * depth)
    net: Any = network(sizes, jaxnn.relu)
    layer, seed = np.arange(1, depth + 1), settings["seed"]
    starts = {
        "0.01 · randn": initialize(sizes, "0.01", seed),
        "√(2/n) · randn (He)": initialize(sizes, "he", seed),
        "randn": normal_start(sizes, 1, seed),
    }
    lines, last = [], {}
    for i, (name, layers) in enumerate(starts.items()):
        params = as_params(layers)
        a, sizes_of_signal = jnp.asarray(x), []
        for one, p in zip((*net.layers, jaxnn.relu), (*params, ()), strict=True):
            a = one.apply(p, a)
            if one is jaxnn.relu:
                sizes_of_signal.append(float(jnp.sqrt(jnp.mean(a**2))))
        lines.append(Line(layer, sizes_of_signal, name, i, markers=True))
        last[name] = sizes_of_signal
    figure = line_plot(
        "The size of the activations in each layer",
        "; ".join(f"{name}: {number(s[-1])} in layer {depth}" for name, s in last.items()),
        lines,
        "layer l",
        "root mean square of A",
        log_y=True,
    )
    small, he, large = (s[-1] / s[0] for s in last.values())
    return Claim(
        r"In deep networks even 0.01 is wrong: the variance should be $\frac{2}{n^{[l-1]}}$ for "
        "ReLU, or signals vanish or explode.",
        f"From layer 1 to layer {depth} the activations change by the factor {number(small)} "
        f"with 0.01 · randn, {number(he)} with He's initialization and {number(large)} with randn.",
        small < 1e-3 and 0.05 < he < 20 and large > 1e3,
        formulas=(r"W^{[l]} = \sqrt{\frac{2}{n^{[l-1]}}} \, \text{randn}",),
        figures=(
            Figure(
                f"{depth} layers of {units} units with ReLU, before training; logarithmic.",
                (figure,),
            ),
        ),
    )
