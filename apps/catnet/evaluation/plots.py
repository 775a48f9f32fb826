"""The plots of a run, as PNG files: curves, confusion matrix, the worst mistakes."""

from __future__ import annotations

import importlib.util
import io
import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from catnet.errors import UserError
from catnet.evaluation.report import Evaluation
from catnet.terminal import format_exactly, one_line

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from catnet.training.curves import Curves, Measure


# Of Okabe and Ito: colour-blind people tell them apart, and they differ in brightness in print.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999")
MARKERS = "os^Dv<>P"  # of runs, for print without colours
DASHES = ("-", "--", "-.", ":")  # of learning rates
DOTS_PER_INCH = 120
SHOWN = 24  # mistakes in one image
COLUMNS = 6
WITH_COUNTS, WITH_NAMES = 12, 40  # classes of a confusion matrix
CAPTION = 24  # characters of an image's name
MISSING = "plots need matplotlib: pip install 'jaxnn[apps]'"


def learning_curves(
    path: str | os.PathLike[str], curves: Curves, title: str, kept: Measure | None = None
) -> None:
    """Draw the costs of a training, and below them the accuracies.

    The cost is on a logarithmic scale where it falls by ten times or more.

    Args:
        path: the PNG file.
        curves: with at least one cost; NaN and infinite costs are left out.
        title: above the curves.
        kept: the measure whose weights became the model; None for the last weights.

    Raises:
        UserError: matplotlib is not installed; all functions of this module raise it.
    """
    compare_curves(path, {"": curves}, title, kept)


def compare_curves(
    path: str | os.PathLike[str],
    runs: Mapping[str, Curves],
    title: str,
    kept: Measure | None = None,
) -> None:
    """Draw the curves of several runs in one figure, a colour for each run.

    Args:
        path: the PNG file.
        runs: the curves by the name of the run; of more than 8 runs, colours repeat.
        title: above the curves.
        kept: a step that is marked.
    """
    short = {name: _short(name) for name in runs}
    if len({*short.values()}) < len(runs):  # of the same name, in different folders
        short = {name: _cut(one_line(name)) for name in runs}
    figure = _figure(7, 6.4)
    above, below = figure.subplots(2, 1, sharex=True)
    lowest, highest = np.inf, 0.0
    for i, (name, curves) in enumerate(runs.items()):
        # One run: a colour for each curve; several: a colour for each run.  Dashes tell curves
        # apart in black and white, and for everyone.
        colors = [COLORS[i % len(COLORS)]] * 3 if len(runs) > 1 else COLORS
        name = f"{short[name]}, " if name else ""
        costs = np.asarray(curves.costs, float)
        finite = costs[np.isfinite(costs)]
        if len(finite):
            lowest, highest = min(lowest, finite.min()), max(highest, finite.max())
        costs = np.where(np.isfinite(costs), costs, np.nan)
        xy, label = (np.arange(len(costs)), costs), f"{name}training"
        if _is_noisy(costs):
            faint = {"color": colors[0], "linewidth": 0.5, "alpha": 0.3}
            above.plot(costs, label=f"{label}, each step" if len(runs) == 1 else "_", **faint)
            xy, label = _running_mean(costs), f"{label}, running mean"
        above.plot(*xy, color=colors[0], marker="." if len(costs) < 3 else "", label=label)
        steps = [measure.step for measure in curves.measures]
        dots: dict[str, Any] = {"marker": MARKERS[i % len(MARKERS)], "markersize": 4}
        dots["markevery"] = max(1, len(steps) // 15)
        dashed = {"color": colors[1], "linestyle": "--", **dots}
        above.plot(steps, [m.cost for m in curves.measures], label=f"{name}{curves.part}", **dashed)
        train = [100 * m.training_accuracy for m in curves.measures]
        other = [100 * m.accuracy for m in curves.measures]
        below.plot(steps, train, color=colors[0], label=f"{name}training", **dots)
        below.plot(steps, other, label=f"{name}{curves.part}", **dashed)
    if lowest > 0 and highest >= 10 * lowest:
        above.set_yscale("log")
        _plain_numbers(above)
    if kept is not None:
        for axes in (above, below):
            axes.axvline(kept.step, color="black", linestyle=":", linewidth=1)
        below.plot([], [], "k:", linewidth=1, label=f"weights kept: step {kept.step}")
    above.set_ylabel("cost (cross-entropy)")
    below.set_ylabel("accuracy (%)")
    below.set_xlabel("step (updates of the weights)")
    below.locator_params(axis="x", integer=True)
    above.set_title(one_line(title), parse_math=False)
    for axes in (above, below):
        axes.grid(which="both", alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        legend = axes.legend(frameon=False, fontsize=8)
        for text in legend.get_texts():
            text.set_parse_math(False)
    _write(path, figure)


def _is_noisy(costs: np.ndarray) -> bool:
    """Whether the costs go up and down, as those of batches do."""
    return len(costs) >= 50 and bool(np.mean(np.diff(costs) > 0) > 0.2)


def _running_mean(costs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(steps, means of the costs around them)."""
    width = max(1, len(costs) // 50)
    sums = np.cumsum(np.insert(costs, 0, 0.0))
    return np.arange(len(costs) - width + 1) + width / 2, (sums[width:] - sums[:-width]) / width


def sweep_curves(
    path: str | os.PathLike[str], curves: Mapping[tuple[str, float], np.ndarray]
) -> None:
    """Draw the costs of a sweep: a panel for each initialization, a colour for each learning rate.

    Args:
        path: the PNG file.
        curves: by initialization and learning rate, the costs (seeds, steps); a thin line is one
            seed, the thick one their median.
    """
    from matplotlib import colormaps

    initializations = list(dict.fromkeys(initialization for initialization, _ in curves))
    rates = sorted({rate for _, rate in curves})
    seeds = max(len(costs) for costs in curves.values())
    figure = _figure(4.2 * len(initializations) + 1, 4.6)
    panels = figure.subplots(1, len(initializations), sharey=True, squeeze=False)[0]
    lines, highest = {}, 0.0  # one line for each learning rate
    for panel, initialization in zip(panels, initializations, strict=True):
        for i, rate in enumerate(rates):
            if (costs := curves.get((initialization, rate))) is None:
                continue
            # The yellow end of the colour map is hard to see on white.
            color = colormaps["viridis"](0.85 * i / max(1, len(rates) - 1))
            finite = np.where(np.isfinite(costs), costs, np.nan)
            highest = max(highest, float(np.nanmax(finite, initial=0.0)))
            if len(finite) > 1:
                panel.plot(finite.T, color=color, linewidth=0.5, alpha=0.4)
            middle = np.median(finite, axis=0)  # NaN from the step at which a seed diverged
            style = DASHES[i % len(DASHES)]
            (lines[rate],) = panel.plot(middle, color=color, linewidth=2, linestyle=style)
        panel.set_yscale("log")
        panel.set_xlabel("step (updates of the weights)")
        panel.set_title(f"initialization {initialization}", parse_math=False)
        panel.grid(which="both", alpha=0.3)
        panel.spines[["top", "right"]].set_visible(False)
    # A coin's cost is log 2; costs far above it are cut off.
    panels[0].set_ylim(top=min(2.0, 1.1 * highest) if highest > 0 else 2.0)
    _plain_numbers(panels[0])
    panels[0].set_ylabel("training cost (cross-entropy)")
    thin = f"; thin lines: {seeds} seeds, thick: their median" if seeds > 1 else ""
    figure.suptitle(f"Cost of every learning rate{thin}", fontsize=11)
    handles, labels = [lines[rate] for rate in rates], [format_exactly(rate) for rate in rates]
    panels[-1].legend(handles, labels, title="learning rate", frameon=False)
    _write(path, figure)


def _plain_numbers(axes: Any) -> None:
    """Label a logarithmic axis with numbers such as 0.05."""
    axes.locator_params(axis="y", subs=(1, 2, 5))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("")


def confusion_matrix(
    path: str | os.PathLike[str], confusion: ArrayLike, classes: Sequence[str]
) -> None:
    """Draw the counts, each with its share of the true class; of many classes, only the shares.

    Args:
        path: the PNG file.
        confusion: (classes, classes) counts, row the truth, column the answer.
        classes: the names of the classes.
    """
    counts = np.asarray(confusion)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    names, k = [_short(name) for name in classes], len(classes)
    side = 2.4 if k == 2 else min(1.2 + 0.85 * k, 10)
    figure = _figure(side + (2.2 if k == 2 else 1), side + (2.4 if k == 2 else 0.6))
    axes = figure.add_subplot()
    shown = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    right = f"{np.trace(counts)} of {counts.sum()} images right"
    if k <= WITH_COUNTS:
        figure.suptitle(f"{right}\ncount, and share of the true class", fontsize=10)
    else:
        order = f"; {k} classes, in the order of evaluation.json" if k > WITH_NAMES else ""
        figure.suptitle(f"{right}{order}", fontsize=10)
        figure.colorbar(shown, label="share of the true class (%)", format=_percent, shrink=0.7)
    if k <= WITH_COUNTS:
        for line in range(1, k):
            axes.axhline(line - 0.5, color="white", linewidth=3)
            axes.axvline(line - 0.5, color="white", linewidth=3)
        for (truth, answer), count in np.ndenumerate(counts):
            share = shares[truth, answer]
            color = "white" if share > 0.5 else "black"
            text, size = f"{count}\n{share:.0%}", 14 if k <= 5 else 9
            axes.text(answer, truth, text, ha="center", va="center", color=color, fontsize=size)
    if k <= WITH_NAMES:
        axes.set_xticks(range(k), names, parse_math=False, rotation=90 if k > 3 else 0)
        upright = {"rotation": 90, "va": "center"} if k == 2 else {}
        axes.set_yticks(range(k), names, parse_math=False, minor=False, **upright)
    axes.set_xlabel("answer of the model")
    axes.set_ylabel("truth")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    _write(path, figure)


def _percent(share: float, _: int) -> str:
    return f"{100 * share:.0f}"


def mistakes(
    path: str | os.PathLike[str], images: Mapping[str, np.ndarray], result: Evaluation
) -> None:
    """Draw the worst mistakes, at most 24, the worst first, each with its truth and probability.

    Args:
        path: the PNG file.
        images: the examples by name, (H, W, 3) uint8.
        result: their evaluation, from ``catnet.evaluation.report.evaluate``.
    """
    shown = result.mistakes[:SHOWN]
    if not shown:
        figure = _figure(4, 1.2)
        text = f"No mistakes in {result.examples} examples"
        figure.text(0.5, 0.5, text, ha="center", va="center")
        return _write(path, figure)
    columns = min(len(shown), COLUMNS)
    rows = -(-len(shown) // columns)
    figure = _figure(max(1.7 * columns, 5), 2.2 * rows + 0.7)
    count = len(result.mistakes)
    title = f"The worst {len(shown)} of {count} mistakes" if count > len(shown) else "All mistakes"
    what = "name, truth, and the answer with its probability"
    figure.suptitle(f"{title} in {result.examples} examples:\n{what}", fontsize=11)
    for place, (name, truth, answer, probability) in enumerate(shown, start=1):
        axes = figure.add_subplot(rows, columns, place)
        axes.imshow(images[name])
        axes.set_axis_off()
        caption = f"{_short(name)}\nis {_short(truth)}\n{_short(answer)}: {probability:.1%}"
        axes.set_title(caption, fontsize=8, parse_math=False)
    _write(path, figure)


def check() -> None:
    """Check that matplotlib is installed, without the time to import it.

    Raises:
        UserError: matplotlib is not installed.
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise UserError(MISSING)


def _figure(width: float, height: float) -> Figure:
    """An empty figure, size in inches, without a window system or global state."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise UserError(MISSING) from None
    return Figure(figsize=(width, height), dpi=DOTS_PER_INCH, layout="constrained")


def _write(path: str | os.PathLike[str], figure: Figure) -> None:
    from jaxnn.files import write_atomically

    file = io.BytesIO()
    with warnings.catch_warnings():
        # Names of images may be in any script; glyphs that the font lacks are drawn as boxes.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure.savefig(file, format="png")
    write_atomically(path, file.getvalue())


def _short(name: str) -> str:
    """The last part of a path, on one line, short enough for a caption."""
    return _cut(one_line(PurePath(name).name or name))


def _cut(name: str) -> str:
    return name if len(name) <= CAPTION else f"…{name[1 - CAPTION :]}"
