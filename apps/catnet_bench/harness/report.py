"""Results of a case, the machine that they were measured on, and the table of both."""

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
        what: the quantity that is measured.
        unit: of all numbers: seconds, images a second, or bytes.
        ours: jaxnn's numbers, round by round.
        peer: the name of the peer; "" without one.
        theirs: the peer's numbers, round by round.
        at_least: goal: so many times as fast as the peer.
        at_most: goal: at most this fraction of the peer's time or memory.
        note: a remark for the table.
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
        """The fraction of the peer's time or memory that jaxnn needs; None without a peer."""
        if not self.theirs:
            return None
        ours, theirs = median(self.ours), median(self.theirs)
        ours, theirs = (theirs, ours) if self.unit == "images/s" else (ours, theirs)
        if theirs == 0:
            return 1.0 if ours == 0 else float("inf")
        return ours / theirs

    @property
    def meets_goal(self) -> bool | None:
        """Whether jaxnn meets the goal; None without a goal."""
        if self.cost is None or (self.at_least is None and self.at_most is None):
            return None
        fast_enough = self.at_least is None or self.cost * self.at_least <= 1
        cheap_enough = self.at_most is None or self.cost <= self.at_most
        return fast_enough and cheap_enough

    def cells(self) -> tuple[str, ...]:
        """The cells of its row in the table: see ``COLUMNS``."""
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
        verdict = {None: "", True: ": met", False: ": MISSED"}[self.meets_goal]
        ours = number(median(self.ours), self.unit)
        return self.what, ours, self.peer, theirs, ratio, ", ".join(bounds) + verdict, self.note

    def as_json(self) -> dict[str, Any]:
        """All of it, with every round."""
        return {**self._asdict(), "cost": self.cost, "meets_goal": self.meets_goal}


COLUMNS = ("measured", "jaxnn", "peer", "the peer's", "jaxnn is", "goal", "note")


def number(value: float, unit: str) -> str:
    """A measured number with three digits and its unit.

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
    """The table in Markdown; empty columns are left out."""
    lines = [COLUMNS, *(row.cells() for row in rows)]
    columns = [i for i in range(len(COLUMNS)) if any(line[i] for line in lines[1:])]
    widths = [max(len(line[i]) for line in lines) for i in columns]

    def row(cells: Sequence[str]) -> str:
        inside = (f"{cells[i]:{width}}" for i, width in zip(columns, widths, strict=True))
        return f"| {' | '.join(inside)} |"

    dashes = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([row(COLUMNS), dashes, *map(row, lines[1:])])


def cores() -> int:
    """Number of processors that this process and its children may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not Linux
        return os.cpu_count() or 1


def machine() -> dict[str, Any]:
    """The machine that the numbers belong to."""
    return {
        "processor": _processor(),
        "cores": cores(),
        "load": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": {name: version for name in PEERS if (version := _version(name))},
    }


def machine_line() -> str:
    """``machine`` as one line of text."""
    it = machine()
    versions = ", ".join(f"{name} {version}" for name, version in it["versions"].items())
    return (
        f"{it['cores']} cores of {it['processor']}, {it['system']}, load {it['load']} "
        f"at the start; Python {it['python']}, {versions}"
    )


def _processor() -> str:
    file = Path("/proc/cpuinfo")
    lines = file.read_text().splitlines() if file.exists() else []
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or "an unnamed processor")


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
