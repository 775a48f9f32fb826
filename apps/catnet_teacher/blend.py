"""From the teacher's answers to soft labels that agree with the labels of the data.

On small photos the teacher's own probability of a cat is low.  So the probability of a cat is
learnt from its 1000 answers by ridge regression, for each fifth of the images from the other
four, and blended with the label.  Among the cats, and among the others, the teacher decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from catnet.evaluation.calibration import calibrate

FOLDS = 5
RIDGE = 300.0
SMOOTHING = 0.1  # of labels that the teacher does not touch


class Answers(NamedTuple):
    """The teacher's answers for n images.

    Attributes:
        content: (n,) uint64, hashes of the images.
        labels: (n,) 1 for a cat.
        sources: (n,) number of the source.
        probabilities: (n, classes) float16.
        hard: (n,) bool, whether the probabilities are labels of the data.
    """

    content: np.ndarray
    labels: np.ndarray
    sources: np.ndarray
    probabilities: np.ndarray
    hard: np.ndarray


def join(parts: Sequence[Answers]) -> Answers:
    """The answers of several sources as one."""
    return Answers(*map(np.concatenate, zip(*parts, strict=True)))


def blend(answers: Answers, cats: Sequence[int]) -> np.ndarray:
    """Soft labels: rows that add up to 1, with a probability of cats between label and teacher.

    Args:
        answers: of all images.
        cats: indices of the teacher's classes that are cats.

    Returns:
        (n, classes) float16.
    """
    P = answers.probabilities.astype(np.float32)
    free = ~answers.hard
    is_cat = np.isin(np.arange(P.shape[1]), cats)
    labels = answers.labels[free]
    z = cross_fit(np.log(np.maximum(P[free], 1e-7)), labels)
    fit = calibrate(z, labels, np.zeros(len(z)))
    mass = (labels + 1 / (1 + np.exp(-(fit.slope * z + fit.offset)))) / 2
    P[np.ix_(free, is_cat)] += 1e-4  # where the teacher sees no cat at all, all cats are equal
    for group, share in ((is_cat, mass), (~is_cat, 1 - mass)):
        rows = P[np.ix_(free, group)]
        P[np.ix_(free, group)] = rows * (share / np.maximum(rows.sum(axis=1), 1e-9))[:, None]
    return P.astype(np.float16)


def cross_fit(x: np.ndarray, labels: np.ndarray, seed: int = 0) -> np.ndarray:
    """The score of each image by a ridge regression on the images of the other folds.

    Args:
        x: (n, features).
        labels: (n,) 0 or 1; both count the same in total.
        seed: of the folds.

    Returns:
        (n,) float64.
    """
    x = np.concatenate([x - x.mean(axis=0), np.ones((len(x), 1), x.dtype)], axis=1)
    weight = np.where(labels == 1, 1 / labels.mean(), 1 / (1 - labels.mean()))
    fold = np.random.default_rng(seed).integers(0, FOLDS, len(x))
    scores = np.zeros(len(x))
    for one in range(FOLDS):
        others = fold != one
        weighted = (x[others] * weight[others, None]).T
        ridge = RIDGE * np.eye(x.shape[1])
        scores[~others] = x[~others] @ np.linalg.solve(
            weighted @ x[others] + ridge, weighted @ (2.0 * labels[others] - 1)
        )
    return scores


def align(scores: np.ndarray) -> np.ndarray:
    """Find the teacher's class of each fine class; both are in the order of their identifiers.

    Args:
        scores: (fine, classes), how well each of the teacher's classes fits a fine class.

    Returns:
        (fine,) strictly increasing indices with the largest sum of scores.

    Example:
        The second fine class fits class 0 best, but has to come after the first:

        >>> align(np.array([[0.0, 5.0, 1.0], [9.0, 0.0, 2.0]])).tolist()
        [1, 2]
    """
    rows, columns = scores.shape
    best = np.full((rows + 1, columns + 1), -np.inf)
    best[0] = 0.0
    for i in range(rows):
        taken = best[i, :-1] + scores[i]
        best[i + 1, 1:] = np.maximum.accumulate(taken)
    chosen = np.zeros(rows, int)
    end = columns
    for i in reversed(range(rows)):
        chosen[i] = end = int(np.argmax(best[i, :end] + scores[i, :end]))
    return chosen


def one_hot(classes: np.ndarray, count: int) -> np.ndarray:
    """Smoothed labels, (n, count) float16."""
    rows = np.full((len(classes), count), SMOOTHING / count, np.float16)
    rows[np.arange(len(classes)), classes] += np.float16(1 - SMOOTHING)
    return rows
