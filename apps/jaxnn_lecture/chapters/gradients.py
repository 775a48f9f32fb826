"""Chapter 3: one gradient, computed by a loop, by matrices, by hand in jaxnn and by JAX."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

import jaxnn
from jaxnn_lecture.chapter import Chapter, Claim, Figure, Settings
from jaxnn_lecture.chapters import CHAPTERS
from jaxnn_lecture.html import table
from jaxnn_lecture.plots import Line, bar_plot, line_plot
from jaxnn_lecture.svg import number

NEURON = jaxnn.dense(1)
PATIENCE = 0.3  # seconds to repeat a fast computation for; the shortest time counts

Gradient = tuple[float, np.ndarray, float]  # the cost J, dw and db


def run(settings: Settings) -> Chapter:
    """The claims: all ways give the same numbers, and vectorization is fast."""
    train, _, _ = settings.load_images()
    m = min(settings["examples"], len(train.labels))
    chosen = np.linspace(0, len(train.labels) - 1, m).round().astype(int)
    X = train.images[chosen].reshape(m, -1).T / 255
    Y = train.labels[chosen][None].astype(float)
    w = np.random.default_rng(settings["seed"]).normal(size=len(X)) / math.sqrt(len(X))
    with jax.enable_x64(True):
        return Chapter(
            "gradients",
            CHAPTERS["gradients"].title,
            f"The gradient of the logistic cost of {m} pictures of {len(X):,} numbers, at random "
            "weights: with the lecture's loop over the examples, with its vectorized formulas in "
            "NumPy, with jaxnn's backward pass by hand, and with jax.grad.",
            (*_compare(w, X, Y), _growth(w, X, Y)),
        )


def by_loop(w: np.ndarray, b: float, X: np.ndarray, Y: np.ndarray) -> Gradient:
    """The lecture's loops over examples and inputs, in plain Python."""
    columns, labels, weights = X.T.tolist(), Y[0].tolist(), w.tolist()
    n, m = len(weights), len(columns)
    J, dw, db = 0.0, [0.0] * n, 0.0
    for x, y in zip(columns, labels, strict=True):
        z = b
        for i in range(n):
            z += weights[i] * x[i]
        a = 1 / (1 + math.exp(-z))
        J += -(y * math.log(a) + (1 - y) * math.log(1 - a))
        dz = a - y
        for i in range(n):
            dw[i] += x[i] * dz
        db += dz
    return J / m, np.array(dw) / m, db / m


def vectorized(w: np.ndarray, b: float, X: np.ndarray, Y: np.ndarray) -> Gradient:
    """The lecture's formulas for all examples at once, in NumPy."""
    m = X.shape[1]
    A = 1 / (1 + np.exp(-(w[None] @ X + b)))
    J = -np.mean(Y * np.log(A) + (1 - Y) * np.log(1 - A))
    dZ = A - Y
    return float(J), (X @ dZ.T)[:, 0] / m, float(dZ.sum() / m)


def _compiled(make: Any) -> Callable[..., Gradient]:
    """A gradient of jaxnn or JAX with the signature of the others."""
    compute = jax.jit(make(NEURON, jaxnn.binary_cross_entropy))

    def gradient(w: np.ndarray, b: float, X: np.ndarray, Y: np.ndarray) -> Gradient:
        cost, grads = compute({"W": w[None], "b": np.array([b])}, X.T, Y.T)
        return float(cost), np.asarray(grads["W"][0]), float(grads["b"][0])

    return gradient


def _time(compute: Callable[..., Gradient], *arguments: Any) -> float:
    """The shortest time of a computation, in seconds."""
    times: list[float] = []
    while len(times) < 2 or sum(times) < PATIENCE:
        start = time.perf_counter()
        compute(*arguments)
        times.append(time.perf_counter() - start)
    return min(times)


def _compare(w: np.ndarray, X: np.ndarray, Y: np.ndarray) -> tuple[Claim, Claim]:
    b = 0.1
    ways: dict[str, Callable[..., Gradient]] = {
        "loop over m": by_loop,
        "vectorized (NumPy)": vectorized,
        "jaxnn, by hand": _compiled(jaxnn.value_and_grad),
        "jax.grad": _compiled(jaxnn.value_and_grad_by_jax),
    }
    results = {name: compute(w, b, X, Y) for name, compute in ways.items()}
    times = {name: _time(compute, w, b, X, Y) for name, compute in ways.items()}
    J, dw, db = results["vectorized (NumPy)"]

    def differ(result: Gradient) -> float:
        return max(abs(result[0] - J), float(np.abs(result[1] - dw).max()), abs(result[2] - db))

    rows = [
        [name, *(f"{v:.9f}".replace("-", "−") for v in (r[0], r[1][0], r[2])), number(differ(r))]
        for name, r in results.items()
    ]
    most = max(map(differ, results.values()))
    numbers = table(
        "The cost and the gradient, four times",
        ["way", "J", "$dw_1$", "db", "difference"],
        rows,
    )
    slow, *vectorized_times = times.values()
    fast = min(vectorized_times)
    bars = bar_plot(
        "Time of one gradient",
        "; ".join(f"{name}: {number(1000 * t)} ms" for name, t in times.items()),
        list(times),
        [float(f"{1000 * t:.3g}") for t in times.values()],
        "ms",
        log=True,
    )
    return (
        Claim(
            "The loop, the vectorized formulas and automatic differentiation give one gradient.",
            f"All {len(dw) + 2:,} numbers (J, dw and db) of the four ways differ by at most "
            f"{number(most)}, which is rounding in float64. The table has the largest difference "
            "of any of them.",
            most < 1e-10,
            formulas=(
                r"Z = w^T X + b \quad A = \sigma(Z) \quad dZ = A - Y",
                r"dw = \frac{1}{m} X \, dZ^T \quad db = \frac{1}{m} \sum_{i=1}^{m} dz^{(i)}",
            ),
            figures=(Figure("The same numbers.", (numbers,)),),
        ),
        Claim(
            "Vectorization is hundreds of times faster than an explicit loop.",
            f"On this machine the loop takes {number(1000 * slow)} ms and the fastest of the "
            f"vectorized ways {number(float(f'{1000 * fast:.3g}'))} ms: {slow / fast:.0f} times "
            "less. The times are the shortest of some runs; they differ from machine to machine.",
            slow > 100 * fast,
            figures=(Figure("Time of one gradient; the scale is logarithmic.", (bars,)),),
        ),
    )


def _growth(w: np.ndarray, X: np.ndarray, Y: np.ndarray) -> Claim:
    sizes = [m for m in (2, 4, 8, 16, 32, 64) if m <= X.shape[1]] or [1]
    ways = (("loop over m", by_loop, 0), ("vectorized (NumPy)", vectorized, 1))
    lines, slopes = [], []
    for name, compute, style in ways:
        times = [_time(compute, w, 0.1, X[:, :m].copy(), Y[:, :m]) for m in sizes]
        lines.append(Line(sizes, [1000 * t for t in times], name, style, markers=True))
        slopes.append(times[-1] / times[0])
    figure = line_plot(
        "Time of one gradient by the number of examples",
        f"Both rise with m; the loop is slower at every m. From m = {sizes[0]} to {sizes[-1]} the "
        f"time of the loop grows {slopes[0]:.0f} times.",
        lines,
        "examples m",
        "time in ms",
        log_x=True,
        log_y=True,
    )
    return Claim(
        "The time of the loop grows in proportion to the number of examples.",
        f"{sizes[-1] // sizes[0]} times as many examples take the loop {slopes[0]:.0f} times as "
        f"long, and the vectorized formulas {slopes[1]:.1f} times.",
        0.4 < slopes[0] / (sizes[-1] / sizes[0]) < 2.5,
        figures=(Figure("Both scales are logarithmic.", (figure,)),),
    )
