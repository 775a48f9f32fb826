"""Timing contestants against each other in alternating rounds.

The speed of a machine changes over time.  Contestants that alternate see the same changes, and the
median is robust to single rounds that other processes disturb.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

Seconds = tuple[float, ...]
Clock = Callable[[], float]


def alternate(contestants: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, Seconds]:
    """Seconds of each contestant, round by round.

    Every second round runs in reverse order, so that no contestant always follows the same one.

    Args:
        contestants: by name, functions that do their work and return the seconds it took.
        rounds: number of rounds.

    Example:
        >>> alternate({"a": lambda: 1.0, "b": lambda: 2.0}, rounds=2)
        {'a': (1.0, 1.0), 'b': (2.0, 2.0)}
    """
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for i in range(rounds):
        for name in list(contestants)[:: -1 if i % 2 else 1]:
            seconds[name].append(contestants[name]())
    return {name: tuple(values) for name, values in seconds.items()}


def time_once(work: Callable[[], Any], clock: Clock = time.perf_counter) -> Callable[[], float]:
    """A contestant that does its work once a round."""

    def once() -> float:
        start = clock()
        work()
        return clock() - start

    return once


def per_call(
    work: Callable[[], Any], least: float, clock: Clock = time.perf_counter
) -> Callable[[], float]:
    """A contestant for short work: the mean of as many calls as fill ``least`` seconds.

    Args:
        work: returns when it is complete; wrap work in JAX in ``jax.block_until_ready``.
        least: seconds of a round.
        clock: in seconds.
    """

    def mean() -> float:
        start, calls = clock(), 0
        while True:
            work()
            calls += 1
            elapsed = clock() - start
            if elapsed >= least:
                return elapsed / calls

    return mean
