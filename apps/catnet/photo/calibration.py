"""From a log-odds to a probability, and when an answer is little better than a guess."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

RIGHT = 0.95  # share of the answers that are not called unsure which should be right


class Calibration(NamedTuple):
    """What validation data say about log-odds z: P(cat) = σ(slope · z + offset).

    Attributes:
        slope: below 1 where the network is too sure of itself.
        offset: where it says cat too often or too seldom.
        guess: between these two probabilities an answer is unsure.
    """

    slope: float
    offset: float
    guess: tuple[float, float]


def calibrate(z: np.ndarray, labels: np.ndarray, sources: np.ndarray) -> Calibration:
    """Fit slope and offset by logistic regression (Platt 1999), and find where to be unsure.

    Only sources with both labels count, each by the root of its number of pictures and its
    two labels alike: a probability is meant for a picture that is as likely a cat as not before
    one looks.

    Args:
        z: (n,) log-odds of the validation pictures.
        labels: (n,) 0 or 1.
        sources: (n,) which source each is from.
    """
    if len(set(labels.tolist())) < 2:
        return Calibration(1.0, 0.0, (0.5, 0.5))  # nothing can be learnt from one label
    weight = weights(labels, sources)
    if not weight.any():
        weight = weights(labels, np.zeros_like(sources))  # no source has both: all as one
    z, y, weight = z[weight > 0].astype(float), labels[weight > 0], weight[weight > 0]
    slope, offset = _logistic_regression(z, y, weight)
    p = 1 / (1 + np.exp(-(slope * z + offset)))
    return Calibration(slope, offset, unsure_between(p, y, weight))


def weights(labels: np.ndarray, sources: np.ndarray) -> np.ndarray:
    """How much each picture counts, adding up to 1 (or all 0); see ``calibrate``."""
    weight = np.zeros(len(labels))
    for source in np.unique(sources):
        counts = [np.count_nonzero((sources == source) & (labels == label)) for label in (0, 1)]
        if min(counts):
            for label, count in enumerate(counts):
                here = (sources == source) & (labels == label)
                weight[here] = np.sqrt(sum(counts)) / count
    return weight / max(weight.sum(), 1e-300)


def unsure_between(
    p: np.ndarray, labels: np.ndarray, weight: np.ndarray, right: float = RIGHT
) -> tuple[float, float]:
    """The narrowest band around ½ outside of which so many answers are right.

    Args:
        p: (n,) probabilities.
        labels: (n,) 0 or 1.
        weight: (n,) how much each counts.
        right: the share wanted.

    Returns:
        Its ends, ½ ± h; ½ and ½ where all answers together are as good, and at most 0.05 and
        0.95: who is that sure says so.
    """
    wrong = (p >= 0.5) != (labels == 1)
    for h in np.arange(0, 0.451, 0.01):
        sure = np.abs(p - 0.5) >= h
        if weight[sure & wrong].sum() <= (1 - right) * weight[sure].sum():
            break
    return float(round(0.5 - h, 2)), float(round(0.5 + h, 2))


def _logistic_regression(
    z: np.ndarray, y: np.ndarray, weight: np.ndarray, rounds: int = 50
) -> tuple[float, float]:
    """By Newton's method."""
    x = np.stack([z, np.ones_like(z)], axis=1)
    theta = np.array([1.0, 0.0])
    for _ in range(rounds):
        p = 1 / (1 + np.exp(-x @ theta))
        gradient = x.T @ (weight * (p - y))
        curvature = (x.T * (weight * p * (1 - p))) @ x + 1e-9 * np.eye(2)
        theta = theta - np.linalg.solve(curvature, gradient)
    return float(theta[0]), float(theta[1])
