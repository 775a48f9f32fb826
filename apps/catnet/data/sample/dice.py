"""Random choices that are reproducible from a seed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")


class Dice:
    """Random choices from a seed; only raw uniform numbers, so they are equal in every NumPy."""

    def __init__(self, *seed: int) -> None:
        self._uniform = np.random.Generator(np.random.PCG64(list(seed))).random

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * self._uniform()

    def chance(self, probability: float) -> bool:
        return self._uniform() < probability

    def choose(self, options: Sequence[T]) -> T:
        return options[int(self._uniform() * len(options))]
