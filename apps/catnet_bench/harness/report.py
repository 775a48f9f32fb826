"""What a case found, the machine it found it on, and the table of both."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any, Literal, NamedTuple

PEERS = ("jax", "jaxlib", "numpy", "torch", "scikit-learn", "equinox", "flax", "optax", "pillow")


class Row(NamedTuple):
    """One comparison.

    Attributes:
        what: was measured.
        unit: of all numbers: seconds, images a second, or bytes.
        ours: what jaxnn took, round by round.
        peer: against whom; "" where there is nobody.
        theirs: what the peer took, round by round.
        at_least: how many times as fast as the peer jaxnn has to be.
        at_most: which part of the peer's time or memory jaxnn may take.
        note: what else is to be known.
    """

    what: str
    unit: Literal["s", "images/s", "bytes"]
    ours: Sequence[float]
    peer: str = ""
    theirs: Sequence[float] = ()
    at_least: float | None = None
    at_most: float | None = None
    note: str = ""

    @property
    def cost(self) -> float | None:
        """The part of the peer's time or memory that jaxnn takes; None without a peer."""
        if not self.theirs:
            return None
        ours, theirs = median(self.ours), median(self.theirs)
        ours, theirs = (theirs, ours) if self.unit == "images/s" else (ours, theirs)
        if theirs == 0:
            return 1.0 if ours == 0 else float("inf")
        return ours / theirs

    @property
    def reached(self) -> bool | None:
        """Whether the goal is; None where there is none."""
        if self.cost is None or (self.at_least is None and self.at_most is None):
            return None
        fast_enough = self.at_least is None or self.cost * self.at_least <= 1
        cheap_enough = self.at_most is None or self.cost <= self.at_most
        return fast_enough and cheap_enough

    def cells(self) -> tuple[str, ...]:
        """What the table shows of it: see ``COLUMNS``."""
        theirs = number(median(self.theirs), self.unit) if self.theirs else ""
        of_cost = self.at_most is not None or self.unit == "bytes"
        if self.cost is None:
            ratio = ""
        elif of_cost:
            ratio = f"{self.cost:.2f}× of it"
        else:
            ratio = f"{1 / self.cost:.3g}× as fast"
        bounds = [f"≥ {self.at_least:g}×"] if self.at_least is not None else []
        bounds += [f"≤ {self.at_most:g}×"] if self.at_most is not None else []
        verdict = {None: "", True: ": reached", False: ": MISSED"}[self.reached]
        ours = number(median(self.ours), self.unit)
        return self.what, ours, self.peer, theirs, ratio, ", ".join(bounds) + verdict, self.note

    def as_json(self) -> dict[str, Any]:
        """All of it, with every round."""
        return {**self._asdict(), "cost": self.cost, "reached": self.reached}


COLUMNS = ("measured", "jaxnn", "peer", "the peer's", "jaxnn is", "goal", "note")


def number(value: float, unit: str) -> str:
    """A measured number with its unit, three digits of it.

    Example:
        >>> number(0.01234, "s"), number(2.5e6, "bytes"), number(351.2, "images/s")
        ('12.3 ms', '2.5 MB', '351 images/s')
    """
    if unit == "images/s":
        return f"{_three_digits(value)} {unit}"
    names = ("µs", "ms", "s") if unit == "s" else ("kB", "MB", "GB")
    value = value * 1e6 if unit == "s" else value / 1e3
    power = 0 if abs(value) < 1000 else 1 if abs(value) < 1e6 else 2
    return f"{_three_digits(value / 1000**power)} {names[power]}"


def _three_digits(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def markdown(rows: Sequence[Row]) -> str:
    """The table, as a README takes it; columns that have nothing to show are left out."""
    lines = [COLUMNS, *(row.cells() for row in rows)]
    kept = [i for i in range(len(COLUMNS)) if any(line[i] for line in lines[1:])]
    widths = [max(len(line[i]) for line in lines) for i in kept]

    def row(cells: Sequence[str]) -> str:
        inside = (f"{cells[i]:{width}}" for i, width in zip(kept, widths, strict=True))
        return f"| {' | '.join(inside)} |"

    dashes = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([row(COLUMNS), dashes, *map(row, lines[1:])])


def cores() -> int:
    """How many processors this process and its children may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not Linux
        return os.cpu_count() or 1


def machine() -> dict[str, Any]:
    """What the numbers belong to."""
    return {
        "processor": _processor(),
        "cores": cores(),
        "load": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": {name: version for name in PEERS if (version := _version(name))},
    }


def machine_line() -> str:
    """``machine`` for reading."""
    about = machine()
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    return (
        f"{about['cores']} cores of {about['processor']}, {about['system']}, load {about['load']} "
        f"at the start; Python {about['python']}, {versions}"
    )


def _processor() -> str:
    file = Path("/proc/cpuinfo")
    lines = file.read_text().splitlines() if file.exists() else []
    named = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or "an unnamed processor")


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
