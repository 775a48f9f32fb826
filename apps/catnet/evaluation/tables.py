"""Tables and intervals as text."""

from __future__ import annotations

from collections.abc import Sequence


def format_table(rows: Sequence[Sequence[str]], align: str = "<") -> list[str]:
    """Format rows as lines; the first column is aligned to the left.

    Args:
        rows: cells, the headings first.
        align: of the other columns, "<" or ">".

    Example:
        >>> print(*format_table([("data", "AUC"), ("pets", "1")], align=">"), sep="\\n")
        data  AUC
        pets    1
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    sides = ("<", *align * (len(widths) - 1))
    return [
        "  ".join(
            f"{cell:{side}{width}}" for cell, side, width in zip(row, sides, widths, strict=True)
        ).rstrip()
        for row in rows
    ]


def format_interval(interval: Sequence[float]) -> str:
    """Format the ends of an interval of a share.

    Example:
        >>> format_interval((0.095, 0.905))
        '9.5–90.5%'
    """
    low, high = interval
    return f"{100 * low:.1f}–{high:.1%}"
