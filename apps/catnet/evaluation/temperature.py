"""Temperature scaling: calibrate a model on images that it has not learnt from."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from catnet.evaluation.calibration import LEAST, RIGHT, choose_band

if TYPE_CHECKING:
    from catnet.models.classifier import Classifier

MIN_IMAGES = 40  # that a calibration needs


def calibrate_on(
    classifier: Classifier,
    images: np.ndarray,
    labels: np.ndarray,
    part: str,
    log: Callable[[str], object],
) -> Classifier:
    """Fit the temperature of a model and the limit of its sure answers.

    The temperature changes no label.  Two classes get a confidence band, more classes a threshold.

    Args:
        classifier: the model.
        images: (n, 64, 64, 3) uint8, that it has not learnt from.
        labels: (n,) their labels.
        part: the name of these images in the message.
        log: called with one line if the model cannot be calibrated on these images.

    Returns:
        The calibrated model; the same model where this is not possible.
    """
    if len(classifier.classes) > 2:
        classifier = dataclasses.replace(classifier, threshold=0.0)
    why = f"it has {len(labels)} images, and {MIN_IMAGES} are needed"
    if len(labels) >= MIN_IMAGES:
        z = classifier.logits(images)
        why = "a logit is NaN or infinite"
        if np.isfinite(z).all():
            slope = fit_temperature(z, labels)
            fitted = dataclasses.replace(classifier, slope=slope, offset=0.0)
            p = fitted.probabilities(images)
            if len(classifier.classes) == 2:
                band = choose_band(p[:, 1], labels, np.ones(len(p)))
                return dataclasses.replace(fitted, confidence_band=band)
            right = np.argmax(p, axis=1) == labels
            return dataclasses.replace(fitted, threshold=choose_threshold(p.max(axis=1), right))
    log(f"no calibration on the {part}, so no answer of this model is unsure: {why}")
    return classifier


def fit_temperature(z: np.ndarray, labels: np.ndarray, rounds: int = 100) -> float:
    """Fit the slope s = 1 / temperature of the probabilities softmax(s z), by cross-entropy.

    The cost is convex in s, so Newton's method with a line search finds its minimum::

        f   = mean of log Σ e^(s z) − s Σ t z
        f′  = mean of E_p[z] − E_t[z]
        f″  = mean of Var_p[z]

    With few images, all of them right, the best slope would be infinite.  The target t of the
    label is therefore (n + 1) / (n + 2) for n images, and the other classes share the rest (as
    Platt 1999 has it for two classes).

    Args:
        z: (n, classes) logits; or (n,) logits of class 1 of two classes, where softmax is σ(s z).
        labels: (n,) the truth.
        rounds: the limit of steps.

    Source:
        C. Guo et al., "On calibration of modern neural networks", ICML (2017).

    Example:
        Of four answers with odds 9 to 1, three are right, so with the targets 5/6 and 1/6 the
        odds become (¾ · ⅚ + ¼ · ⅙) / (¾ · ⅙ + ¼ · ⅚) = 2:

        >>> z = np.log(9) * np.array([1.0, 1.0, 1.0, -1.0])
        >>> round(float(np.exp(fit_temperature(z, np.ones(4, int)) * np.log(9))), 4)
        2.0
    """
    z = np.asarray(z, float)
    if z.ndim == 1:
        z = np.stack([np.zeros_like(z), z], axis=1)
    n, classes = z.shape
    z = z - z.max(axis=1, keepdims=True)
    size = float(z.std())
    if size == 0:
        return 1.0
    z = z / size
    t = np.full(z.shape, 1 / (n + 2) / (classes - 1))
    t[np.arange(n), labels] = (n + 1) / (n + 2)
    of_targets = float(np.sum(t * z) / n)

    def log_sum(s: float) -> float:
        return float(np.mean(np.log(np.sum(np.exp(s * z), axis=1))))

    s = 1.0
    for _ in range(rounds):
        p = np.exp(s * z)
        p /= p.sum(axis=1, keepdims=True)
        mean = np.sum(p * z, axis=1)
        gradient = float(np.mean(mean)) - of_targets
        curvature = float(np.mean(np.sum(p * z**2, axis=1) - mean**2))
        step = gradient / max(curvature, 1e-12)
        step = min(step, s - LEAST / 2)  # the slope stays positive
        cost, length = log_sum(s) - s * of_targets, 1.0
        close = abs(gradient * step) < 1e-14
        while not close and length > 1e-6:
            new = s - length * step
            if log_sum(new) - new * of_targets <= cost - 1e-4 * length * gradient * step:
                break
            length /= 2
        s -= length * step
        if close:
            break
    return max(s, LEAST) / size


def choose_threshold(p: np.ndarray, right: np.ndarray, wanted: float = RIGHT) -> float:
    """Choose the lowest probability from which on enough answers are right.

    Args:
        p: (n,) the probability of each answer.
        right: (n,) bool, whether it is right.
        wanted: the share of right answers wanted.

    Returns:
        A multiple of 1%; 0 where all answers together are good enough, and at most 0.95.

    Example:
        >>> choose_threshold(np.array([0.3, 0.5, 0.7, 0.9]), np.array([False, True, True, True]))
        0.31
    """
    threshold = 0.0
    for percent in range(96):
        threshold = percent / 100
        sure = p >= threshold
        if np.count_nonzero(sure & ~right) <= (1 - wanted) * np.count_nonzero(sure):
            break
    return threshold
