"""Plots: lines, bars and heat maps; see also ``plane`` and ``pictures``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxnn_lecture.svg import (
    LETTER,
    Axis,
    axis_of,
    coordinate,
    drawing,
    element,
    make_frame,
    number,
    path,
    text,
)

WIDTH, HEIGHT = 440, 320
MOST_POINTS = 260  # of a drawn line
ROW = 22  # height of a line of text


class Line(NamedTuple):
    """A line of a plot.

    Attributes:
        x, y: (n,) coordinates; the line is broken where y is not finite.
        label: for the legend; "" for none.
        style: 0 … 5, colour and dashes.
        markers: whether each point has a dot.
    """

    x: Any
    y: Any
    label: str = ""
    style: int = 0
    markers: bool = False


def line_plot(
    title: str,
    description: str,
    lines: Sequence[Line],
    x: str,
    y: str,
    *,
    log_x: bool = False,
    log_y: bool = False,
    y_range: tuple[float, float] | None = None,
    width: float = WIDTH,
    height: float = HEIGHT,
) -> str:
    """Lines over a common axis, with a legend above them."""
    keys, above = legend([(line.label, f"line s{line.style}") for line in lines], width)
    x_axis = axis_of([line.x for line in lines], x, log_x)
    if not log_x:
        ends = np.concatenate([np.ravel(line.x) for line in lines])
        low, high = float(ends.min()), float(ends.max())
        x_axis = Axis(low, high if high > low else low + 1, x)
    y_axis = Axis(*y_range, y) if y_range else axis_of([line.y for line in lines], y, log_y)
    frame = make_frame(x_axis, y_axis, width, height + above, above)
    parts = [keys, frame.draw()]
    for line in lines:
        xs, ys = _thinned(np.asarray(line.x, float), np.asarray(line.y, float))
        ys = np.where(np.isfinite(ys) & ((ys > 0) | (not y_axis.log)), ys, np.nan)
        xs, ys = frame.across(xs), frame.down(np.clip(ys, y_axis.low, y_axis.high))
        parts.append(element("path", d=path(xs, ys), class_=f"line s{line.style}"))
        if line.markers:
            parts += [
                element("circle", cx=float(a), cy=float(b), r=3.5, class_=f"dot s{line.style}")
                for a, b in zip(xs, ys, strict=True)
                if np.isfinite(b)
            ]
    return drawing(title, description, width, height + above, "".join(parts))


def bar_plot(
    title: str,
    description: str,
    labels: Sequence[str],
    values: Sequence[float],
    unit: str,
    *,
    log: bool = False,
    width: float = WIDTH,
) -> str:
    """Horizontal bars, each with its value; ``unit`` follows the numbers."""
    finite = [v for v in values if np.isfinite(v) and (v > 0 or not log)]
    axis = axis_of([finite], "", log)
    axis = axis._replace(low=axis.low / 2) if axis.log else Axis(0, max([*finite, 1e-300]), "")
    left = max(map(len, labels)) * LETTER + 10
    room = max(len(number(v)) + len(unit) + 1 for v in values) * LETTER + 12
    space = width - left - room
    parts = []
    for i, (label, value) in enumerate(zip(labels, values, strict=True)):
        y = i * 34 + 6
        length = float(np.clip(axis.place(value), 0, 1)) * space if value in finite else 0.0
        parts.append(text(left - 8, y + 17, label, "end"))
        parts.append(element("rect", x=left, y=y, width=max(length, 1), height=24, class_="bar s0"))
        parts.append(text(left + length + 6, y + 17, f"{number(value)} {unit}".rstrip()))
    return drawing(title, description, width, len(values) * 34 + 6, "".join(parts))


def heat_map(
    title: str,
    description: str,
    values: Any,
    rows: Sequence[str],
    columns: Sequence[str],
    row_label: str,
    column_label: str,
    texts: Sequence[Sequence[str]],
    width: float = WIDTH,
) -> str:
    """A table of cells, darker for larger values (0 … 1), each with its text."""
    left = max(map(len, rows)) * LETTER + 14
    size = (width - left - 4) / len(columns)
    parts = [text(4, 16, f"{row_label} ↓   {column_label} →")]
    parts += [
        text(left + (j + 0.5) * size, 2 * ROW - 6, c, "middle") for j, c in enumerate(columns)
    ]
    for i, row in enumerate(rows):
        y = 2 * ROW + i * 40
        parts.append(text(left - 8, y + 24, row, "end"))
        for j, value in enumerate(np.asarray(values, float)[i]):
            shade = 0.6 * float(np.nan_to_num(value))  # so that dark text stays readable on it
            box: dict[str, Any] = {
                "x": left + j * size + 1,
                "y": y + 1,
                "width": size - 2,
                "height": 38,
            }
            parts.append(element("rect", "", **box, class_="cell", fill_opacity=f"{shade:.2f}"))
            parts.append(text(left + (j + 0.5) * size, y + 24, texts[i][j], "middle"))
    return drawing(title, description, width, 2 * ROW + len(rows) * 40 + 4, "".join(parts))


def legend(entries: Sequence[tuple[str, str]], width: float) -> tuple[str, float]:
    """The legend's drawing and its height: a sample of each line with its label, in rows."""
    x, row, parts = 4.0, 0, []
    entries = [(label, style) for label, style in entries if label]
    for label, style in entries:
        needed = 34 + len(label) * LETTER + 14
        if x > 4 and x + needed > width:
            x, row = 4.0, row + 1
        y = row * ROW + 12
        parts.append(
            element("path", d=f"M{coordinate(x)} {coordinate(y)}h28", class_=style.strip())
        )
        parts.append(text(x + 34, y + 5, label))
        x += needed
    return "".join(parts), (row + 1) * ROW if entries else 0


def _thinned(x: Any, y: Any) -> tuple[Any, Any]:
    """At most ``MOST_POINTS`` of the points, with the first and the last one."""
    if len(x) <= MOST_POINTS:
        return x, y
    chosen = np.unique(np.linspace(0, len(x) - 1, MOST_POINTS).round().astype(int))
    return x[chosen], y[chosen]
