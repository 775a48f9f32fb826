"""Metrics: cost, interval of an accuracy, balanced and top-k accuracy, AUC, calibration error."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike


def wilson(successes: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """The Wilson confidence interval of a proportion.

    With p = successes / n::

        (p + z²/2n ± z √(p(1 − p)/n + z²/4n²)) / (1 + z²/n)

    Args:
        successes: from 0 to ``n``.
        n: at least 1.
        z: the normal quantile of the confidence level; 1.96 for 95%.

    Source:
        E. B. Wilson, "Probable inference, the law of succession, and statistical inference",
        Journal of the American Statistical Association 22 (1927).

    Example:
        >>> [round(end, 4) for end in wilson(40, 50)]
        [0.6696, 0.8876]
    """
    if not 0 <= successes <= n or n < 1:
        raise ValueError(f"expected 0 <= successes <= n and n >= 1, got {successes} of {n}")
    p = successes / n
    centre = p + z**2 / (2 * n)
    half = z * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    below = 1 + z**2 / n
    return max(0.0, (centre - half) / below), min(1.0, (centre + half) / below)


def cross_entropy(labels: ArrayLike, logits: ArrayLike) -> float:
    """The mean of −log P(label); NaN where a logit is NaN.

    Args:
        labels: (n,) the truth, the index of a class.
        logits: (n,), the logits of class 1 of two classes; or (n, classes).

    Example:
        >>> round(cross_entropy([0, 1], [0.0, 0.0]), 4), round(cross_entropy([2], [[0, 0, 0]]), 4)
        (0.6931, 1.0986)
    """
    truth, z = np.asarray(labels, int), np.asarray(logits, float)
    if z.ndim == 1:
        z = np.stack([np.zeros_like(z), z], axis=1)
    with np.errstate(invalid="ignore", over="ignore"):
        z = z - z.max(axis=1, keepdims=True)
        costs = np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(z)), truth]
    return float(np.mean(costs))


def mcnemar(only_first: int, only_second: int) -> float:
    """The p-value of McNemar's exact test: do two classifiers have the same accuracy?

    Of the images that only one of the two gets right, each is a fair coin under the hypothesis.

    Args:
        only_first: how many only the first gets right.
        only_second: how many only the second gets right.

    Source:
        Q. McNemar, "Note on the sampling error of the difference between correlated proportions
        or percentages", Psychometrika 12 (1947).

    Example:
        >>> mcnemar(1, 5), mcnemar(0, 0)
        (0.21875, 1.0)
    """
    n = only_first + only_second
    tail = sum(math.comb(n, k) for k in range(min(only_first, only_second) + 1))
    return min(1.0, 2 * tail / 2**n)


def balanced_accuracy(labels: ArrayLike, predicted: ArrayLike) -> float:
    """The mean of the accuracies of all classes that are present; NaN when there is only one.

    Of two classes: ½ (right of class 0 / all of class 0 + right of class 1 / all of class 1).  A
    constant answer has 1 / classes, whatever the class balance.

    Source:
        K. H. Brodersen et al., "The balanced accuracy and its posterior distribution",
        International Conference on Pattern Recognition (2010).

    Example:
        >>> balanced_accuracy([0, 1, 1, 1, 1], [1, 1, 1, 1, 1])
        0.5
        >>> balanced_accuracy([0, 1, 5, 5], [0, 1, 5, 1]) == (1 + 1 + 1 / 2) / 3
        True
    """
    truth = np.asarray(labels, int)
    counts = np.bincount(truth)
    right = np.bincount(truth[truth == np.asarray(predicted)], minlength=len(counts))
    present = counts > 0
    if np.count_nonzero(present) < 2:
        return math.nan
    return float(np.mean(right[present] / counts[present]))


def top_accuracy(labels: ArrayLike, probabilities: ArrayLike, k: int = 5) -> float:
    """The share of examples whose class is among the k most probable ones.

    Example:
        >>> top_accuracy([2, 0], [[0.5, 0.2, 0.3], [0.1, 0.7, 0.2]], k=2)
        0.5
    """
    truth, p = np.asarray(labels, int), np.asarray(probabilities, float)
    best = np.argsort(-p, axis=1, kind="stable")[:, :k]
    return float(np.mean((best == truth[:, None]).any(axis=1)))


def auc(labels: ArrayLike, scores: ArrayLike) -> float:
    """The area under the ROC curve, for labels 0 and 1; NaN when there is only one class.

    The share of pairs, one example of each class, in which the example of class 1 has the higher
    score; a tie counts ½.  It is (R − n₁(n₁ + 1)/2) / (n₀ n₁), with R the sum of the ranks of
    the n₁ examples of class 1; ties have the mean of their ranks.

    Source:
        J. A. Hanley, B. J. McNeil, "The meaning and use of the area under a receiver operating
        characteristic (ROC) curve", Radiology 143 (1982).

    Example:
        >>> auc([0, 0, 1, 1], [0.1, 0.4, 0.4, 0.8])
        0.875
    """
    positive = np.asarray(labels) == 1
    _, which, counts = np.unique(np.asarray(scores), return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[which]
    n_1 = int(positive.sum())
    n_0 = len(positive) - n_1
    if not n_0 or not n_1:
        return math.nan
    return float((ranks[positive].sum() - n_1 * (n_1 + 1) / 2) / (n_0 * n_1))


def calibration_error(labels: ArrayLike, probabilities: ArrayLike, bins: int = 15) -> float:
    """The expected calibration error: the mean distance of probabilities from frequencies.

    For two classes, labels are 0 and 1 and probabilities those of class 1.  For more, labels are
    whether an answer is right, and probabilities those of the answers.  Examples are sorted into
    ``bins`` equal intervals of their probability.  The error is the mean over all examples of
    \\|share of label 1 − mean probability\\| in the example's bin.

    Source:
        M. P. Naeini, G. F. Cooper, M. Hauskrecht, "Obtaining well calibrated probabilities using
        Bayesian binning", AAAI (2015).

    Example:
        Of four answers of 75%, three are of class 1; of two answers of 10%, one is:

        >>> round(calibration_error([1, 1, 1, 0, 1, 0], [0.75] * 4 + [0.1] * 2), 4)
        0.1333
    """
    p = np.asarray(probabilities, float)
    which = np.minimum((p * bins).astype(int), bins - 1)
    # |Σ label − Σ p| of a bin is its count times |share − mean probability|.
    gaps = np.bincount(which, np.asarray(labels, float) - p, minlength=bins)
    return float(np.abs(gaps).sum() / len(p))
