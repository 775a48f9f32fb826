"""Figures of scores: accuracies as bars, and shares of right answers by the number of examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxnn_lecture.plots import Line, bar_plot, line_plot
from seqnet.evaluation.accuracy import Accuracy


def accuracy_bars(title: str, scores: Mapping[str, Accuracy]) -> str:
    """A bar for each accuracy, in percent; the description has the intervals."""
    return bar_plot(
        title,
        list_scores(scores),
        list(scores),
        [round(100 * score.right / score.count, 1) for score in scores.values()],
        "%",
    )


def list_scores(scores: Mapping[str, Accuracy]) -> str:
    """The accuracies with their intervals, in words.

    Example:
        >>> list_scores({"softmax": Accuracy(40, 50)})
        'softmax: 80.0% (67.0–88.8%, 40 of 50)'
    """
    return "; ".join(f"{name}: {score}" for name, score in scores.items())


def plot_by_size(title: str, sizes: Sequence[int], shares: Mapping[str, Any], what: str) -> str:
    """A line for each network: its shares of right answers to ``what``, by the number of examples.

    Args:
        sizes: numbers of examples.
        shares: by network, from 0 to 1, one for each size.
        what: is answered, such as "new pictures".
    """
    return line_plot(
        title,
        "; ".join(f"{name}: from {s[0]:.0%} to {s[-1]:.0%}" for name, s in shares.items()),
        [
            Line(sizes, 100 * np.asarray(s), name, i, markers=True)
            for i, (name, s) in enumerate(shares.items())
        ],
        "examples m",
        f"right answers to {what}, in percent",
        log_x=True,
    )


def find_first_enough(sizes: Sequence[int], shares: Sequence[float], goal: float) -> int | None:
    """The least number of examples with which the goal is reached, or None.

    Example:
        >>> find_first_enough((5, 10, 20), (0.6, 0.8, 0.9), 0.75)
        10
    """
    return next((m for m, share in zip(sizes, shares, strict=True) if share >= goal), None)
