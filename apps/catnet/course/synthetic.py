"""Two moons and two circles in the plane, as scikit-learn draws them from a legacy generator."""

from __future__ import annotations

import numpy as np

Examples = tuple[np.ndarray, np.ndarray]  # x (n, 2) and y (n, 1) of 0 and 1


def draw_moons(n: int, noise: float, rng: np.random.RandomState) -> Examples:
    """Two half circles that interlock: ``sklearn.datasets.make_moons``.

    ::

        outer  (cos t, sin t),   inner  (1 − cos t, ½ − sin t),   0 ≤ t ≤ π

    Example:
        >>> x, y = draw_moons(10, 0.1, np.random.RandomState(0))
        >>> x.shape, int(y.sum())
        ((10, 2), 5)
    """
    t, s = np.linspace(0, np.pi, n // 2), np.linspace(0, np.pi, n - n // 2)
    outer, inner = (np.cos(t), np.sin(t)), (1 - np.cos(s), 1 - np.sin(s) - 0.5)
    return _shuffle(np.hstack([outer, inner]).T, n // 2, noise, rng)


def draw_circles(n: int, noise: float, rng: np.random.RandomState, factor: float = 0.8) -> Examples:
    """A circle inside another: ``sklearn.datasets.make_circles``.

    ::

        outer  (cos t, sin t),   inner  factor · (cos t, sin t),   0 ≤ t < 2π

    Example:
        >>> x, y = draw_circles(10, 0.0, np.random.RandomState(0))
        >>> sorted({round(float(radius), 3) for radius in np.hypot(*x.T)})
        [0.8, 1.0]
    """
    t = np.linspace(0, 2 * np.pi, n // 2, endpoint=False)
    s = np.linspace(0, 2 * np.pi, n - n // 2, endpoint=False)
    outer, inner = (np.cos(t), np.sin(t)), (np.cos(s) * factor, np.sin(s) * factor)
    return _shuffle(np.hstack([outer, inner]).T, n // 2, noise, rng)


def _shuffle(x: np.ndarray, n_outer: int, noise: float, rng: np.random.RandomState) -> Examples:
    """The points in random order, with noise; y is 0 for the first ``n_outer``."""
    order = np.arange(len(x))
    rng.shuffle(order)
    y = (order >= n_outer).astype(float)[:, None]
    return x[order] + rng.normal(scale=noise, size=x.shape), y
