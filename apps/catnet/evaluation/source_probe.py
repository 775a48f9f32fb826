"""Whether the features of a network tell where an image is from: they should not."""

from __future__ import annotations

import numpy as np

from catnet.evaluation.metrics import auc


def source_auc(features: np.ndarray, sources: np.ndarray, folds: int = 5) -> float:
    """How well a linear classifier on features tells two sources apart, held out.

    Ridge regression to ±1 on standardized features, each part predicted by the others.

    Args:
        features: (n, d), of images of one label.
        sources: (n,) two different values.
        folds: into how many parts the images are divided, in turn.

    Returns:
        The area under the ROC curve: 0.5 where they cannot be told apart.

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
    said = np.zeros(len(x))
    part = np.arange(len(x)) // 2 % folds  # of images in order or in turns, some of both
    for fold in range(folds):
        seen = part != fold
        gram = x[seen].T @ x[seen] + len(x) * 1e-2 * np.eye(x.shape[1])
        said[~seen] = x[~seen] @ np.linalg.solve(gram, x[seen].T @ y[seen])
    return auc((y > 0).astype(int), said)
