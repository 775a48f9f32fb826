"""Random inputs of the exercises, of random sizes; one batch has one example.

Each function of ``INPUTS`` takes a generator and the number of examples m, and returns the input
and those of its sizes by which a gradient may be too large, by name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Sizes = dict[str, float]

EXAMPLES = (1, 5, 4)  # m of each batch


def rows(rng: np.random.Generator, m: int) -> tuple[Any, Sizes]:
    """X (m, n)."""
    n = int(rng.integers(4, 7))
    return rng.normal(size=(m, n)), {"m": m, "n": n}


def rows_with_zeros(rng: np.random.Generator, m: int) -> tuple[Any, Sizes]:
    """X (m, n) with one entry 0 in each row."""
    X, sizes = rows(rng, m)
    X[:, 1] = 0
    return X, sizes


def labeled_rows(rng: np.random.Generator, m: int) -> tuple[Any, Sizes]:
    """X (m, n) and labels Y (m,), 0 or 1."""
    X, sizes = rows(rng, m)
    return (X, rng.integers(2, size=m)), sizes


def three_rows(rng: np.random.Generator, m: int) -> tuple[Any, Sizes]:
    """Three arrays (m, n)."""
    X, sizes = rows(rng, m)
    return (X, rng.normal(size=X.shape), rng.normal(size=X.shape)), sizes


def sequences(rng: np.random.Generator, m: int) -> tuple[Any, Sizes]:
    """X (m, T, n)."""
    T, n = rng.integers((3, 2), 5).tolist()
    return rng.normal(size=(m, T, n)), {"m": m, "T": T, "n": n}


def three_sequences(rng: np.random.Generator, m: int) -> tuple[Any, Sizes]:
    """Three arrays (m, T, n)."""
    X, sizes = sequences(rng, m)
    root = {"√n": float(np.sqrt(sizes["n"]))}
    return (X, rng.normal(size=X.shape), rng.normal(size=X.shape)), {**sizes, **root}


def masked(rng: np.random.Generator, m: int) -> tuple[Any, Sizes]:
    """X (m, T, n) and a mask (m, T) of sequences of different lengths, one shorter than T."""
    X, sizes = sequences(rng, m)
    lengths = rng.integers(1, X.shape[1], size=m)
    return (X, np.arange(X.shape[1]) < lengths[:, None]), sizes


def tokens(rng: np.random.Generator, m: int) -> tuple[Any, Sizes]:
    """Tokens (m, T) below 6, of which one appears twice."""
    T = int(rng.integers(3, 6))
    drawn = rng.integers(6, size=(m, T))
    drawn[:, 1] = drawn[:, 0]
    return drawn, {"m": m, "T": T}


def images(rng: np.random.Generator, m: int) -> tuple[Any, Sizes]:
    """X (m, H, W, channels), H and W even."""
    H, W = (2 * rng.integers(1, 3, size=2)).tolist()
    return rng.normal(size=(m, H, W, 2)), {"m": m, "H·W": H * W}


INPUTS: dict[str, Callable[[np.random.Generator, int], tuple[Any, Sizes]]] = {
    function.__name__: function
    for function in (
        rows,
        rows_with_zeros,
        labeled_rows,
        three_rows,
        sequences,
        three_sequences,
        masked,
        tokens,
        images,
    )
}
