"""Published numbers beside ours: the record of one number, of a table and of a set of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from catnet.course.files import Need

ROUNDING = 1e-12  # float64 with another order of summation, as a share of the number
Gradient = Literal["hand", "jax"]


class Number(NamedTuple):
    """One published number and ours.

    Attributes:
        name: its name in the table.
        published: the text that was printed, such as ``"0.693148"``; a name for a sample of text.
        ours: the number or the text that jaxnn computes.
        tolerance: the largest difference that counts as agreement.  None for half a unit of the
            last printed digit, or the rounding of float64 if this is more.
        note: printed behind the difference.

    Example:
        >>> number = Number("cost", "0.693148", 0.69314789)
        >>> number.agrees, f"{number.difference:.1e}", number._replace(ours=0.693149).agrees
        (True, '-1.1e-07', False)
    """

    name: str
    published: str
    ours: float | str
    tolerance: float | None = None
    note: str = ""

    @property
    def difference(self) -> float:
        """Ours minus the published number; 0 or NaN for texts that are equal or not."""
        if isinstance(self.ours, str):
            return 0.0 if self.ours == self.published else math.nan
        return float(self.ours) - float(self.published)

    @property
    def agrees(self) -> bool:
        """Whether our number is the published one, to the printed digits."""
        if isinstance(self.ours, str):
            return self.ours == self.published
        tolerance = self.tolerance
        if tolerance is None:
            half = 0.5 * 10.0 ** -decimals(self.published)
            tolerance = 1.0001 * half + ROUNDING * abs(float(self.published))
        return abs(self.difference) <= tolerance


class Table(NamedTuple):
    """Numbers under one title, and remarks below them."""

    title: str
    numbers: Sequence[Number]
    notes: Sequence[str] = ()

    @property
    def agrees(self) -> bool:
        """Whether every number agrees."""
        return all(number.agrees for number in self.numbers)

    def __str__(self) -> str:
        """The table as text; its last line is the verdict."""
        rows = [(n.name, n.published, format_like(n.ours, n.published)) for n in self.numbers]
        head = ("", "published", "ours")
        widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
        lines = [self.title, ""]
        for row, number in zip((head, *rows), (None, *self.numbers), strict=True):
            cells = [text.ljust(width) for text, width in zip(row, widths, strict=True)]
            last = _describe_difference(number) if number else "difference"
            lines.append("  ".join([*cells, last]).rstrip())
        return "\n".join([*lines, *self.notes, self._verdict()])

    def _verdict(self) -> str:
        wrong = [number.name for number in self.numbers if not number.agrees]
        count = len(self.numbers)
        if wrong:
            names = ", ".join(wrong[:3] + ["…"] * (len(wrong) > 3))
            return f"NOT reproduced: {len(wrong)} of {count} numbers differ: {names}"
        largest = max((abs(number.difference) for number in self.numbers), default=0.0)
        return f"reproduced: {count} numbers, the largest difference is {largest:.1e}"


class Options(NamedTuple):
    """What a set gets when it runs.

    Attributes:
        files: the path of each file that was given, by the name of its ``Need``.
        gradient: how to compute gradients, "hand" or "jax".
    """

    files: Mapping[str, Path] = {}
    gradient: Gradient = "hand"


class Set(NamedTuple):
    """A set of published numbers that belong together.

    Attributes:
        name: its name on the command line.
        title: what it is, in one line.
        source: where the numbers were published.
        run: computes its tables, one after the other, with float64 on.
        needs: the files without which it cannot run.
        optional: the files without which a part of it does not run.
    """

    name: str
    title: str
    source: str
    run: Callable[[Options], Iterable[Table]]
    needs: Sequence[Need] = ()
    optional: Sequence[Need] = ()


def numbers(
    names: str | Sequence[str], published: str, ours: Any, *, units: float = 0.5
) -> Iterator[Number]:
    """Several numbers that were printed in one row.

    Args:
        names: a name for each, or one that gets the index of each.
        published: the printed text, with spaces between the numbers.
        ours: an array of as many numbers.
        units: the tolerance in units of the last printed digit of the row; 1 where the numbers
            were cut off and not rounded.

    Example:
        >>> [number.name for number in numbers("theta", "1.50 -2", [1.5, -2.0])]
        ['theta[0]', 'theta[1]']
    """
    texts, values = published.split(), np.ravel(np.asarray(ours))
    if isinstance(names, str):
        names = [f"{names}[{i}]" for i in range(len(texts))] if len(texts) > 1 else [names]
    tolerance = 1.0001 * units * 10.0 ** -max(map(decimals, texts))
    for name, text, value in zip(names, texts, values, strict=True):
        yield Number(name, text, float(value), tolerance + ROUNDING * abs(float(text)))


def decimals(text: str) -> int:
    """The number of decimals of a printed number.

    Example:
        >>> decimals("-1.25"), decimals("3"), decimals("1.19e-07")
        (2, 0, 9)
    """
    mantissa, _, exponent = text.partition("e")
    return len(mantissa.partition(".")[2]) - int(exponent or 0)


def format_like(number: float | str, published: str) -> str:
    """A number with as many digits as the published one.

    Example:
        >>> format_like(0.12345678, "0.1235"), format_like(0.5, ".50"), format_like(99, "99.0")
        ('0.1235', '0.50', '99.0')
        >>> format_like(1.19099e-07, "1.19e-07")
        '1.19e-07'
    """
    if isinstance(number, str):
        return number
    if "e" in published:
        return f"{number:.{len(published.partition('e')[0].partition('.')[2])}e}"
    return f"{number:.{max(decimals(published), 0)}f}"


def _describe_difference(number: Number) -> str:
    text = "" if isinstance(number.ours, str) else f"{number.difference:.1e}"
    wrong = "" if number.agrees else "DIFFERS"
    return "  ".join(part for part in (text.rjust(10), wrong, number.note) if part)
