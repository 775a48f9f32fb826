"""Slopes of a forward pass by central differences, each with how uncertain it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from jaxnn.layer import Array

# Steps of differences, as shares of an entry.  The first is tried alone, which most often
# leaves no more uncertainty of the slope than ENOUGH; one of more than CLEAR decides nothing.
# Larger steps could pass over what a function does: then rounding has the last word.
STEP = 2.0**-22
STEPS = 2.0 ** np.arange(-44, -7, 6)
LARGER = 8  # the slope at so many times the step shows whether it depends on the step
ENOUGH = 1e-5
CLEAR = 1e-3
HUGE = 2.0**200
SMALLEST = 2.0**-1022  # smaller numbers become 0


class _Difference(NamedTuple):
    """A slope by differences, how uncertain it is, and that as a share of what it sums up."""

    slope: Any
    uncertain: Any
    relative: Any


class Slope(NamedTuple):
    """Slopes of dy · y at a point, by central differences."""

    forward: Callable[[Sequence[Any]], Array]
    leaves: Sequence[Array]
    y: np.ndarray
    noise: np.ndarray  # of y
    dy: np.ndarray

    def along(self, leaf: int, direction: np.ndarray, expected: float) -> tuple[float, float]:
        """The slope along a direction of one leaf and its uncertainty; NaN where none is clear.

        Which step is best depends on what the function does, so where the usual one does not
        do, steps of very different size are tried, from small to large.
        """
        move = partial(self._move, leaf, direction)
        noise = self._noise_along(move)
        best = self._difference(move, STEP, noise, expected)
        if not best.relative <= ENOUGH:
            best = _Difference(np.nan, np.inf, np.inf)
            for step in STEPS:
                best = _better(best, self._difference(move, step, noise, expected))
                if best.relative <= ENOUGH:
                    break
        clear = best.relative <= CLEAR
        return (float(best.slope), float(best.uncertain)) if clear else (np.nan, np.nan)

    def _move(self, leaf: int, direction: np.ndarray, step: float) -> np.ndarray:
        """The output so many steps along a direction of one leaf."""
        leaves = list(self.leaves)
        leaves[leaf] = leaves[leaf] + step * direction
        return np.asarray(self.forward(leaves))

    def _noise_along(self, move: Callable[[float], np.ndarray]) -> np.floating:
        """The noise of dy · y without that of outputs which do not depend on the direction.

        A huge step shows which do, also those that hide a small change by their rounding.
        """
        noise = np.abs(self.dy) * (self.noise + SMALLEST)
        depends = (move(HUGE) != self.y) | (move(-HUGE) != self.y)
        return np.sum(noise[depends] if depends.any() else noise)

    def _difference(
        self, move: Callable[[Any], np.ndarray], step: Any, noise: Any, expected: float
    ) -> _Difference:
        """The central difference with one step.

        Three things make it uncertain: rounding; how much the slopes to both sides differ, as
        they do across a kink; and how much the slope changes with the step.
        """
        weight, (up, down) = np.abs(self.dy), (move(step), move(-step))
        slopes = (up - down) / (2 * step)
        size = weight @ np.abs(slopes)
        rounding = (4 * noise + 2.0**-52 * size) / step
        bend = weight @ np.abs(up - 2 * self.y + down) / step
        further = (move(LARGER * step) - move(-LARGER * step)) / (2 * LARGER * step)
        drift = weight @ np.abs(further - slopes)
        uncertain = rounding + bend / 2 + drift
        if size == 0:  # nothing moves: clear if the slope that is expected would be seen
            size = abs(expected) or np.inf
        return _Difference(self.dy @ slopes, uncertain, np.float64(uncertain) / size)


def _better(small: _Difference, large: _Difference) -> _Difference:
    """That of the larger step if it is less uncertain and does not contradict the other."""
    contradict = np.abs(large.slope - small.slope) > small.uncertain + large.uncertain
    return large if large.relative < small.relative and not contradict else small
