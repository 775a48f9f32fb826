"""The source probe: can the source of an image be told from its features?  It should not."""

from __future__ import annotations

import numpy as np

from catnet.evaluation.metrics import auc


def source_auc(features: np.ndarray, sources: np.ndarray, folds: int = 5) -> float:
    """Cross-validated AUC of a linear classifier that separates two sources by their features.

    Ridge regression to ±1 on standardized features; each fold is predicted from the others.

    Args:
        features: (n, d), of images of one label.
        sources: (n,) two different values.
        folds: the number of folds.

    Returns:
        The area under the ROC curve: 0.5 where the sources cannot be separated.

    Example:
        >>> import numpy as np
        >>> sources = np.arange(200) % 2
        >>> noise = np.random.default_rng(0).normal(size=(200, 3))
        >>> source_auc(noise + 5 * sources[:, None], sources)
        1.0
    """
    first, *others = np.unique(sources)
    if len(others) != 1:
        raise ValueError(f"expected two sources, got {1 + len(others)}")
    y = np.where(sources == first, -1.0, 1.0)
    x = (features - features.mean(axis=0)) / (features.std(axis=0) + 1e-9)
    x = np.concatenate([x, np.ones((len(x), 1))], axis=1)
    scores = np.zeros(len(x))
    folded = np.arange(len(x)) // 2 % folds  # both sources in every fold, sorted or alternating
    for fold in range(folds):
        train = folded != fold
        gram = x[train].T @ x[train] + len(x) * 1e-2 * np.eye(x.shape[1])
        scores[~train] = x[~train] @ np.linalg.solve(gram, x[train].T @ y[train])
    return auc((y > 0).astype(int), scores)
