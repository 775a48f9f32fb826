"""Timing contestants against each other: in turns, several rounds, each with its warm-up.

A machine's speed drifts.  Contestants that take turns drift together, and a median forgets the
rounds that something else disturbed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

Seconds = tuple[float, ...]
Clock = Callable[[], float]


def alternate(contestants: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, Seconds]:
    """What each contestant takes, round by round.

    Every second round goes backwards, so that nobody always runs after the same neighbour.

    Args:
        contestants: by name, functions that do their work and return the seconds it took.
        rounds: how many.

    Example:
        >>> alternate({"a": lambda: 1.0, "b": lambda: 2.0}, rounds=2)
        {'a': (1.0, 1.0), 'b': (2.0, 2.0)}
    """
    taken: dict[str, list[float]] = {name: [] for name in contestants}
    for i in range(rounds):
        for name in list(contestants)[:: -1 if i % 2 else 1]:
            taken[name].append(contestants[name]())
    return {name: tuple(seconds) for name, seconds in taken.items()}


def timed(work: Callable[[], Any], clock: Clock = time.perf_counter) -> Callable[[], float]:
    """A contestant from work that is done once a round."""

    def once() -> float:
        began = clock()
        work()
        return clock() - began

    return once


def per_call(
    work: Callable[[], Any], least: float, clock: Clock = time.perf_counter
) -> Callable[[], float]:
    """A contestant from work that is short: the mean of as many calls as fill ``least`` seconds.

    Args:
        work: returns when it is done; wrap work in JAX in ``jax.block_until_ready``.
        least: seconds of a round.
        clock: in seconds.
    """

    def mean() -> float:
        began, calls = clock(), 0
        while True:
            work()
            calls += 1
            taken = clock() - began
            if taken >= least:
                return taken / calls

    return mean
