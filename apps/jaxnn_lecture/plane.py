"""A part of the plane: a function as shades and level lines, points, paths."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxnn_lecture.pictures import data_uri
from jaxnn_lecture.plots import HEIGHT, WIDTH, Line, legend
from jaxnn_lecture.svg import Axis, Frame, coordinate, drawing, element, make_frame, path


class Points(NamedTuple):
    """Points of two classes in the plane: circles for 0, crosses for 1.

    Attributes:
        x: (n, 2).
        y: (n,), 0 or 1.
    """

    x: Any
    y: Any


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
    entries = [(line.label, f"line s{line.style}") for line in lines]
    keys, above = legend(entries, width)
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
            leftmost = f"M{coordinate(a - 3)} {coordinate(b)}"
            circles.append(f"{leftmost}a3 3 0 1 0 6 0a3 3 0 1 0 -6 0")
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
