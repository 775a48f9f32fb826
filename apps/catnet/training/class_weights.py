"""Class weights: how much an example of each class counts in the cost."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from catnet.data.class_names import Names, enumerate_names, fold_case
from catnet.errors import UserError

ClassWeights: TypeAlias = str | tuple[tuple[str, float], ...]  # "", "balanced", or (class, weight)s


def weigh_classes(weights: ClassWeights, classes: Names, labels: np.ndarray) -> np.ndarray | None:
    """Compute the weight of each class; the mean weight of an example is 1.

    Args:
        weights: "balanced" for the same total weight of every class; or pairs of a class and its
            weight, where a class without one has weight 1; empty for equal weights.
        classes: the names of the classes.
        labels: (n,) of the training examples.

    Returns:
        (classes,) float64; None for equal weights.

    Raises:
        UserError: a name is not a class, or is given twice, or all examples have weight 0.

    Example:
        >>> labels = np.array([0, 0, 0, 1])
        >>> weigh_classes("balanced", ("dog", "cat"), labels).round(3).tolist()
        [0.667, 2.0]
        >>> weigh_classes((("cat", 5.0),), ("dog", "cat"), labels).tolist()
        [0.5, 2.5]
    """
    if not weights:
        return None
    counts = np.bincount(labels, minlength=len(classes))
    if isinstance(weights, str):
        return len(labels) / (len(classes) * np.maximum(counts, 1))
    keys = [*map(fold_case, classes)]
    result = np.ones(len(classes))
    done = set()
    for name, weight in weights:
        if (key := fold_case(name)) not in keys:
            raise UserError(
                f"--class-weights {name}={weight:g}: no such class; there are"
                f" {enumerate_names(classes)}"
            )
        if key in done:
            raise UserError(f"--class-weights {name}={weight:g}: {name} is given twice")
        done.add(key)
        result[keys.index(key)] = weight
    if not (total := float(counts @ result)):
        raise UserError("--class-weights: all examples have weight 0; give a weight above 0")
    return result * (len(labels) / total)
