"""Calibration: from a logit to a probability, and the confidence band of unsure answers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from catnet.errors import UserError

LEAST = 1e-3  # lower bound of the slope, for logits scaled to a standard deviation of 1
RIGHT = 0.95  # wanted share of right answers among those that are not unsure


class Calibration(NamedTuple):
    """A calibration of logits z, fitted on validation data: P(cat) = σ(slope · z + offset).

    Attributes:
        slope: below 1 where the network is overconfident.
        offset: not 0 where the network answers cat too often or too seldom.
        confidence_band: between these two probabilities an answer is unsure.
    """

    slope: float
    offset: float
    confidence_band: tuple[float, float]


UNCALIBRATED = Calibration(1.0, 0.0, (0.5, 0.5))


def calibrate(z: np.ndarray, labels: np.ndarray, sources: np.ndarray) -> Calibration:
    """Fit slope and offset by logistic regression (Platt 1999), and the confidence band.

    Only sources with both labels count.  The weight of a source is the root of its number of
    images, half of it for each label: a probability assumes a prior of ½.

    With few images the best slope may be infinite.  Platt's targets keep it finite: of n images
    of class 1 the target is (n + 1) / (n + 2) instead of 1, of n of class 0 it is 1 / (n + 2)
    instead of 0.  Where weights differ, n is the effective count (Σw)² / Σw² (Kish 1965).

    The slope is positive: a higher logit never means a lower probability.  Where the data have
    the opposite trend, the logits carry no information: all probabilities are then almost equal
    to the share of class 1, in the order of the logits, and all answers are unsure.

    Args:
        z: (n,) logits of the validation images.
        labels: (n,) 0 or 1.
        sources: (n,) source of each.

    Raises:
        UserError: a logit is NaN or infinite.

    Example:
        Six answers, one of them wrong; Platt's targets are 4/5 and 1/5.

        >>> z, labels = np.array([-12, -11, 12, -12.5, 11.5, 12]), np.array([0, 0, 0, 1, 1, 1])
        >>> calibration = calibrate(z, labels, np.zeros(6))
        >>> round(calibration.slope, 4)
        0.0317
    """
    z = np.asarray(z, float)
    if bad := np.count_nonzero(~np.isfinite(z)):
        raise UserError(
            f"the logits of {bad} of {len(z)} validation images are NaN or infinite; "
            "train again with a smaller --learning-rate"
        )
    if len(set(labels.tolist())) < 2:
        return UNCALIBRATED  # one label alone says nothing about the logits
    weight = calibration_weights(labels, sources)
    used = weight > 0
    z, y, weight = z[used], labels[used], weight[used]
    target = np.where(y == 1, 1 - _smoothing(weight[y == 1]), _smoothing(weight[y == 0]))
    slope, offset = _logistic_regression(z, target, weight)
    return Calibration(slope, offset, choose_band(_sigmoid(slope * z + offset), y, weight))


def calibration_weights(labels: np.ndarray, sources: np.ndarray) -> np.ndarray:
    """``weights``; where no source has both labels, all images count as one source."""
    weight = weights(labels, sources)
    return weight if weight.any() else weights(labels, np.zeros(len(labels)))


def weights(labels: np.ndarray, sources: np.ndarray) -> np.ndarray:
    """The weight of each image; their sum is 1, or all are 0; see ``calibrate``."""
    weight = np.zeros(len(labels))
    for source in np.unique(sources):
        counts = [np.count_nonzero((sources == source) & (labels == label)) for label in (0, 1)]
        if min(counts):
            for label, count in enumerate(counts):
                here = (sources == source) & (labels == label)
                weight[here] = np.sqrt(sum(counts)) / count
    return weight / max(weight.sum(), 1e-300)


def choose_band(
    p: np.ndarray, labels: np.ndarray, weight: np.ndarray, right: float = RIGHT
) -> tuple[float, float]:
    """Choose the narrowest band around ½ outside of which enough answers are right.

    Args:
        p: (n,) probabilities.
        labels: (n,) 0 or 1.
        weight: (n,) weight of each.
        right: the share of right answers wanted, by weight.

    Returns:
        The ends ½ − h and ½ + h.  h is 0 where all answers together are good enough, and at most
        0.45: answers of probability 0.95 and above are never unsure.
    """
    wrong = (p >= 0.5) != (labels == 1)
    low = high = 0.5
    for percent in range(46):
        low, high = (50 - percent) / 100, (50 + percent) / 100
        sure = (p <= low) | (p >= high)  # as ``Classifier`` decides it
        if weight[sure & wrong].sum() <= (1 - right) * weight[sure].sum():
            break
    return low, high


def _smoothing(weight: np.ndarray) -> float:
    """1 / (n + 2) for images of one label with these weights; n is their effective count."""
    share = weight / weight.max()
    return float(1 / (share.sum() ** 2 / np.sum(share**2) + 2))


def _logistic_regression(
    z: np.ndarray, target: np.ndarray, weight: np.ndarray
) -> tuple[float, float]:
    """Slope and offset of s = slope · z + offset with the lowest Σ w (log(1 + eˢ) − t s).

    The cost is convex: where its minimum has a slope below the bound, the constrained minimum
    lies on the bound.  z is centred and scaled, so the result does not depend on either.
    """
    size = max(float(np.abs(z).max()), np.finfo(float).tiny)
    scaled = z / size
    middle = float(np.average(scaled, weights=weight))
    spread = float(np.sqrt(np.average((scaled - middle) ** 2, weights=weight)))
    if spread <= 1e-12 * max(1.0, abs(middle)):  # all logits are equal
        spread = 1 / size  # so that the slope is LEAST
    x = np.stack([(scaled - middle) / spread, np.ones_like(z)], axis=1)
    theta = _newton(x, target, weight, np.zeros(len(z)))
    if theta[0] < LEAST:
        theta = np.array([LEAST, *_newton(x[:, 1:], target, weight, LEAST * x[:, 0])])
    slope = theta[0] / spread / size
    return float(slope), float(theta[1] - theta[0] * middle / spread)


def _newton(
    x: np.ndarray, target: np.ndarray, weight: np.ndarray, fixed: np.ndarray, rounds: int = 100
) -> np.ndarray:
    """Minimize the cross-entropy of s = x θ + fixed over θ, by Newton's method with a line search.

    A full step may overshoot where the cost is flat.  It is halved until the cost falls by a
    fraction of the predicted decrease (Armijo's rule), so the cost falls at every step.
    """

    def cost(theta: np.ndarray) -> float:
        s = x @ theta + fixed
        return float(np.sum(weight * (np.logaddexp(0, s) - target * s)))

    theta = np.zeros(x.shape[1])
    for _ in range(rounds):
        p = _sigmoid(x @ theta + fixed)
        gradient = x.T @ (weight * (p - target))
        curvature = (x.T * (weight * p * (1 - p))) @ x
        ridge = 1e-12 * np.trace(curvature) + np.finfo(float).tiny
        step = np.linalg.solve(curvature + ridge * np.eye(len(theta)), gradient)
        decrease = float(gradient @ step)  # twice the decrease of a quadratic cost
        now, length = cost(theta), 1.0
        close = decrease < 1e-12  # below this, rounding hides a decrease
        while not close and cost(theta - length * step) > now - 1e-4 * length * decrease:
            length /= 2
        theta = theta - length * step
        if close:
            break
    return theta


def _sigmoid(s: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + np.tanh(0.5 * s))
