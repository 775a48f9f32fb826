"""Case 7: how time and memory grow with examples, width, depth and batch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import jaxnn
from catnet.errors import UserError
from catnet.terminal import log
from catnet.training.photo.config import PhotoConfig
from catnet.training.photo.state import network as photo_network
from catnet_bench.cases.photo import draw_params, make_problem
from catnet_bench.harness.case import Options
from catnet_bench.harness.report import Row
from catnet_bench.harness.timing import alternate, per_call
from jaxnn.layer import Layer
from jaxnn.losses import Loss


class Size(NamedTuple):
    """One problem of a series.

    Attributes:
        work: its time should be linear in this.
        activations: its memory should be linear in this.
        net: the network.
        loss: the loss of its output.
        x: examples.
        y: targets.
    """

    work: int
    activations: int
    net: Layer
    loss: Loss
    x: Any
    y: Any


class Measurement(NamedTuple):
    """The time and the memory of a series of problems.

    Attributes:
        variable: what grows.
        work: see ``Size``.
        activations: see ``Size``.
        seconds: time of a gradient.
        megabytes: memory of a gradient, with its results, without its arguments.
    """

    variable: str
    work: list[int]
    activations: list[int]
    seconds: list[float]
    megabytes: list[float]


def rows(options: Options) -> list[Row]:
    """The largest problem of every series, and how linear the series is."""
    measurements = [measure(name, sizes, options) for name, sizes in series(options.quick).items()]
    if options.plot:
        draw(options.plot, measurements)
        log(f"plot of growth: {options.plot}")
    else:
        log("growth: --plot FILE draws a plot")
    results = []
    for one in measurements:
        for what, x, y in (
            ("time", one.work, one.seconds),
            ("memory", one.activations, one.megabytes),
        ):
            note = (
                f"{len(x)} sizes, the largest {x[-1] / x[0]:.3g}× the first; "
                f"deviation from a straight line: {nonlinearity(x, y):.1%} of this at most"
            )
            name = f"{what} of a gradient, {one.variable}"
            row = Row(name, "s", [y[-1]]) if what == "time" else Row(name, "bytes", [y[-1] * 1e6])
            results.append(row._replace(note=note))
    return results


def series(quick: bool) -> dict[str, list[Size]]:
    """The problems: in each series one quantity grows."""
    small = 4 if quick else 1
    photos = [(2 if quick else 16) * k for k in range(1, 7)]
    return {
        "against examples": [dense(512 * k // small, 256, 2) for k in range(1, 7)],
        "against weights of wider layers": [
            dense(512 // small, round(512 * (k / 6) ** 0.5), 4) for k in range(1, 7)
        ],
        "against depth": [dense(512 // small, 256, 2 * k) for k in range(1, 7)],
        "against images, photo network": [of_photos(n) for n in photos],
    }


def dense(examples: int, width: int, depth: int) -> Size:
    """``depth`` dense layers of one width."""
    layers = [layer for _ in range(depth) for layer in (jaxnn.dense(width), jaxnn.relu)]
    x = jnp.asarray(np.random.default_rng(0).random((examples, width), np.float32))
    net = jaxnn.serial(*layers)
    work, activations = examples * width**2 * depth, examples * width * depth
    return Size(work, activations, net, jaxnn.mean_squared_error, x, jnp.zeros_like(x))


def of_photos(count: int, config: PhotoConfig = PhotoConfig()) -> Size:  # noqa: B008 - a value
    """The photo network on ``count`` images."""
    problem = make_problem(config, 200, count)
    net, loss = photo_network(config, 200), jaxnn.softmax_cross_entropy
    return Size(count, count, net, loss, jnp.asarray(problem.x), jnp.asarray(problem.labels))


def measure(variable: str, sizes: Sequence[Size], options: Options) -> Measurement:
    """Medians of all problems of a series, which alternate."""
    contestants, megabytes = {}, []
    for i, size in enumerate(sizes):
        params = jax.tree.map(jnp.asarray, draw_params(size.net, size.x))
        run = jax.jit(jaxnn.value_and_grad(size.net, size.loss))
        compiled = run.lower(params, size.x, size.y).compile()
        memory: Any = compiled.memory_analysis()
        # Temporary memory may overlap with the results, so both are counted.
        megabytes.append((memory.temp_size_in_bytes + memory.output_size_in_bytes) / 1e6)
        contestants[str(i)] = per_call(
            lambda run=compiled, args=(params, size.x, size.y): jax.block_until_ready(run(*args)),
            options.least,
        )
    alternate(contestants, 1)
    times = alternate(contestants, options.rounds)
    seconds = [float(np.median(rounds)) for rounds in times.values()]
    return Measurement(
        variable, [s.work for s in sizes], [s.activations for s in sizes], seconds, megabytes
    )


def nonlinearity(x: Sequence[float], y: Sequence[float]) -> float:
    """The largest distance from the best straight line, as a fraction of the largest y.

    Example:
        >>> nonlinearity([1, 2, 3], [3.0, 5.0, 7.0]) < 1e-9
        True
    """
    line = np.polynomial.Polynomial.fit(x, y, 1)
    return float(np.abs(line(np.asarray(x)) - y).max() / np.max(y))


def draw(path: Path, measurements: Sequence[Measurement]) -> None:
    """Plot time and memory of every series into a PNG file.

    Raises:
        UserError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise UserError("--plot needs matplotlib: pip install 'jaxnn[apps]'") from None
    figure = Figure(figsize=(3.4 * len(measurements), 5.6), layout="constrained")
    axes = figure.subplots(2, len(measurements), squeeze=False)
    for (above, below), one in zip(axes.T, measurements, strict=True):
        for ax, x, y, label in (
            (above, one.work, one.seconds, "seconds"),
            (below, one.activations, one.megabytes, "MB"),
        ):
            line = np.polynomial.Polynomial.fit(x, y, 1)
            ax.plot(x, y, "o")
            ax.plot([0, max(x)], line(np.array([0, max(x)])), "-", alpha=0.4)
            ax.set_ylabel(label)
            ax.set_ylim(0)
            ax.grid(alpha=0.3)
        above.set_title(one.variable, fontsize=9)
        above.set_xlabel("multiplications, in proportion", fontsize=8)
        below.set_xlabel("activations, in proportion", fontsize=8)
    figure.savefig(path, dpi=120, format="png")
