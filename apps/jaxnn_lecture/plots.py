"""The kinds of plots: lines, bars, heat maps, points in the plane, pictures."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxnn_lecture.svg import (
    LETTER,
    Axis,
    Frame,
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


class Points(NamedTuple):
    """Points of two classes in the plane: circles for 0, crosses for 1.

    Attributes:
        x: (n, 2).
        y: (n,), 0 or 1.
    """

    x: Any
    y: Any


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
    keys, above = _legend([(line.label, f"line s{line.style}") for line in lines], width)
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


def plane(
    title: str,
    description: str,
    x: Axis,
    y: Axis,
    *,
    shades: Any = None,
    levels: Sequence[float] = (),
    points: Points | None = None,
    lines: Sequence[Line] = (),
    width: float = WIDTH,
    height: float = HEIGHT,
) -> str:
    """A part of the plane: shades of a function, its level lines, points and paths.

    Args:
        shades: (rows, columns), the function on a regular grid over the axes, first row at the
            lowest y; shaded from 0 (light) to 1 (dark) of its range.
        levels: values of the function to draw a line at.
    """
    legend = [(line.label, f"line s{line.style}") for line in lines]
    keys, above = _legend(legend, width)
    frame = make_frame(x, y, width, height + above, above)
    parts = [keys]
    if shades is not None:
        z = np.nan_to_num(np.asarray(shades, float))
        grey = 1 - (z - z.min()) / (np.ptp(z) or 1) * 0.6
        uri = data_uri(np.round(255 * grey)[::-1])
        place = {"x": frame.left, "y": frame.top, "width": frame.width, "height": frame.height}
        parts.append(
            element("image", "", **place, href=uri, preserveAspectRatio="none", class_="shades")
        )
        d = "".join(_level(z, level, frame) for level in levels)
        parts.append(element("path", d=d, class_="level"))
    parts.append(frame.draw())
    for line in lines:
        xs = frame.across(np.clip(line.x, x.low, x.high))
        ys = frame.down(np.clip(line.y, y.low, y.high))
        parts.append(element("path", d=path(xs, ys), class_=f"line s{line.style}"))
        if line.markers:
            parts += [
                element("circle", cx=float(a), cy=float(b), r=3, class_=f"dot s{line.style}")
                for a, b in zip(xs, ys, strict=True)
            ]
    if points:
        parts += _draw_points(frame, points)
    return drawing(title, description, width, height + above, "".join(parts))


def picture(title: str, pixels: Any, caption: str = "", width: float = 200) -> str:
    """A picture with sharp pixels, and a caption below it; uint8, (H, W) or (H, W, 3)."""
    rows, columns = np.shape(pixels)[:2]
    tall = width * rows / columns
    words = caption.split("\n") if caption else []
    content = element(
        "image", href=data_uri(pixels), width=width, height=tall, class_="pixels",
        preserveAspectRatio="none",
    )  # fmt: skip
    content += "".join(
        text(width / 2, tall + 18 + i * 19, line, "middle") for i, line in enumerate(words)
    )
    extra = 6 + 19 * len(words) if words else 0
    return drawing(title, caption.replace("\n", ", "), width, tall + extra, content)


def data_uri(pixels: Any) -> str:
    """Pixels as a PNG in a ``data:`` address."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(np.asarray(pixels, np.uint8)).save(file, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def _draw_points(frame: Frame, points: Points) -> list[str]:
    """Circles for class 0, crosses for class 1: two elements."""
    x, classes = np.asarray(points.x, float), np.ravel(points.y)
    xs, ys = frame.across(x[:, 0]), frame.down(x[:, 1])
    circles, crosses = [], []
    for a, b, label in zip(xs, ys, classes, strict=True):
        if label:
            corner = f"M{coordinate(a - 3.5)} {coordinate(b - 3.5)}"
            crosses.append(f"{corner}l7 7m0 -7l-7 7")
        else:
            crosses_at = f"M{coordinate(a - 3)} {coordinate(b)}"
            circles.append(f"{crosses_at}a3 3 0 1 0 6 0a3 3 0 1 0 -6 0")
    drawn = zip(("zero", "one"), (circles, crosses), strict=True)
    return [element("path", d="".join(d), class_=f"points {name}") for name, d in drawn if d]


def _level(z: Any, level: float, frame: Frame) -> str:
    """The line where a function on a grid has a value, by marching squares."""
    rows, columns = z.shape
    xs = frame.left + np.arange(columns) / (columns - 1) * frame.width
    ys = frame.top + frame.height * (1 - np.arange(rows) / (rows - 1))
    above, words = z > level, []

    def cut(i: int, j: int, k: int, n: int) -> str:
        """Where the edge from grid point (i, j) to (k, n) crosses the level."""
        t = (level - z[i, j]) / (z[k, n] - z[i, j])
        x, y = xs[j] + t * (xs[n] - xs[j]), ys[i] + t * (ys[k] - ys[i])
        return f"{coordinate(x)} {coordinate(y)}"

    for i, j in np.argwhere(
        np.abs(np.diff(above.astype(int), axis=0))[:, :-1]
        | np.abs(np.diff(above.astype(int), axis=0))[:, 1:]
        | np.abs(np.diff(above.astype(int), axis=1))[:-1]
        | np.abs(np.diff(above.astype(int), axis=1))[1:]
    ):
        corners = [(i, j), (i, j + 1), (i + 1, j + 1), (i + 1, j)]
        ends = [
            cut(*corners[k], *corners[(k + 1) % 4])
            for k in range(4)
            if above[corners[k]] != above[corners[(k + 1) % 4]]
        ]
        words += [f"M{a}L{b}" for a, b in zip(ends[::2], ends[1::2], strict=True)]
    return "".join(words)


def _legend(entries: Sequence[tuple[str, str]], width: float) -> tuple[str, float]:
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
