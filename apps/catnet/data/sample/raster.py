"""A small anti-aliased rasterizer for shapes given as signed distances, painted back to front.

A shape is a function d(u, v): the distance of the point (u, v) from the shape, negative inside.
The coverage of a pixel is clip(1/2 − d, 0, 1), with d in pixels.  This is exact for a straight edge
along the grid, and an approximation for other edges.  Only float64 arithmetic of NumPy is used, so
an image is the same on every machine.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TypeAlias

import numpy as np

Colour: TypeAlias = tuple[float, float, float]  # red, green, blue in 0 … 1
Texture: TypeAlias = Callable[[np.ndarray, np.ndarray], np.ndarray]  # (u, v) -> (h, w, 3)
Fill: TypeAlias = Colour | Texture
Points: TypeAlias = Sequence[tuple[float, float]]

SIZE = 64  # an image is SIZE × SIZE × 3
RIM = 3.0  # width in pixels of the darkened border inside a shape


def mix(a: Colour, b: Colour, fraction: float) -> Colour:
    """Interpolate between two colours: a at ``fraction`` 0, b at 1."""
    return (
        a[0] + fraction * (b[0] - a[0]),
        a[1] + fraction * (b[1] - a[1]),
        a[2] + fraction * (b[2] - a[2]),
    )


def smooth(points: Points) -> Points:
    """Smooth a line by cutting its corners twice (Chaikin 1974)."""
    for _ in range(2):
        cut = [points[0]]
        for (au, av), (bu, bv) in pairwise(points):
            cut.append((0.75 * au + 0.25 * bu, 0.75 * av + 0.25 * bv))
            cut.append((0.25 * au + 0.75 * bu, 0.25 * av + 0.75 * bv))
        points = [*cut, points[-1]]
    return points


class Pen:
    """Paints shapes onto a canvas, in its own coordinate frame.

    The origin of the frame is at pixel (x, y); u points right and v points down; one unit is
    ``scale`` pixels; it is rotated by ``angle`` (clockwise, radians), then mirrored if ``mirror``.

    Args:
        canvas: (SIZE, SIZE, 3) float64, painted in place.
    """

    def __init__(
        self,
        canvas: np.ndarray,
        x: float = 0.0,
        y: float = 0.0,
        scale: float = 1.0,
        angle: float = 0.0,
        mirror: bool = False,
    ) -> None:
        self.canvas, self.x, self.y, self.scale = canvas, x, y, scale
        self._cos, self._sin, self._side = math.cos(angle), math.sin(angle), -1 if mirror else 1
        right = self._side * (np.arange(SIZE) + 0.5 - x)[None, :] / scale
        down = (np.arange(SIZE) + 0.5 - y)[:, None] / scale
        self._u = self._cos * right + self._sin * down
        self._v = self._cos * down - self._sin * right

    def frame(self, u: float, v: float, scale: float, angle: float = 0.0) -> Pen:
        """A pen with its frame relative to this one: its origin is (u, v), its unit ``scale``."""
        x = self.x + self._side * self.scale * (self._cos * u - self._sin * v)
        y = self.y + self.scale * (self._sin * u + self._cos * v)
        total = math.atan2(self._sin, self._cos) + angle
        return Pen(self.canvas, x, y, self.scale * scale, total, self._side < 0)

    def ellipse(
        self, u: float, v: float, ru: float, rv: float, fill: Fill, angle: float = 0.0,
        rim: float = 0.25, alpha: float = 1.0,
    ) -> None:  # fmt: skip
        """An ellipse about (u, v) with half axes ru, rv, rotated by ``angle``."""

        def distance(pu: np.ndarray, pv: np.ndarray) -> np.ndarray:
            pu, pv = pu - u, pv - v
            if angle:
                c, s = math.cos(angle), math.sin(angle)
                pu, pv = c * pu + s * pv, c * pv - s * pu
            au, av = pu / ru, pv / rv
            k = np.sqrt(au * au + av * av) + 1e-9
            au, av = au / ru, av / rv  # the gradient of k, up to its length
            return (k - 1) * k / (np.sqrt(au * au + av * av) + 1e-9 / min(ru, rv))

        self._paint(distance, u, v, max(ru, rv), fill, rim, alpha)

    def stroke(
        self, points: Points, start: float, end: float, fill: Fill,
        rim: float = 0.25, alpha: float = 1.0,
    ) -> None:  # fmt: skip
        """A line through the points with round ends; its half width changes from start to end."""
        steps = len(points) - 1

        def distance(pu: np.ndarray, pv: np.ndarray) -> np.ndarray:
            nearest = np.full(pu.shape, np.inf)
            for i in range(steps):
                (au, av), (bu, bv) = points[i], points[i + 1]
                du, dv, qu, qv = bu - au, bv - av, pu - au, pv - av
                along = np.clip((qu * du + qv * dv) / (du * du + dv * dv + 1e-12), 0, 1)
                qu, qv = qu - along * du, qv - along * dv
                width = start + (end - start) * (i + along) / steps
                nearest = np.minimum(nearest, np.sqrt(qu * qu + qv * qv) - width)
            return nearest

        self._paint(distance, *_compute_bounds(points, max(start, end)), fill, rim, alpha)

    def polygon(
        self, points: Points, fill: Fill, rounding: float = 0.0,
        rim: float = 0.25, alpha: float = 1.0,
    ) -> None:  # fmt: skip
        """A polygon through the points, enlarged by ``rounding`` on all sides."""

        def distance(pu: np.ndarray, pv: np.ndarray) -> np.ndarray:
            nearest = np.full(pu.shape, np.inf)
            inside = np.zeros(pu.shape, bool)
            for (au, av), (bu, bv) in zip(points, [*points[1:], points[0]], strict=True):
                du, dv, qu, qv = bu - au, bv - av, pu - au, pv - av
                cross = du * qv - dv * qu
                inside ^= ((pv >= av) != (pv >= bv)) & ((cross > 0) == (dv > 0))
                along = np.clip((qu * du + qv * dv) / (du * du + dv * dv + 1e-12), 0, 1)
                qu, qv = qu - along * du, qv - along * dv
                nearest = np.minimum(nearest, qu * qu + qv * qv)
            return np.where(inside, -1.0, 1.0) * np.sqrt(nearest) - rounding

        self._paint(distance, *_compute_bounds(points, rounding), fill, rim, alpha)

    def box(self, u: float, v: float, width: float, height: float, fill: Fill) -> None:
        """A rectangle, by its top left corner."""
        corners = ((u, v), (u + width, v), (u + width, v + height), (u, v + height))
        self.polygon(corners, fill, rim=0.12)

    def everywhere(self, fill: Texture) -> None:
        """Fill the whole canvas with a function of the frame's coordinates."""
        self.canvas[:] = fill(self._u, self._v)

    def _paint(
        self,
        distance: Callable[[np.ndarray, np.ndarray], np.ndarray],
        u: float,
        v: float,
        radius: float,
        fill: Fill,
        rim: float,
        alpha: float,
    ) -> None:
        """Paint a shape that lies within ``radius`` of (u, v); other pixels are not computed."""
        x = self.x + self._side * self.scale * (self._cos * u - self._sin * v)
        y = self.y + self.scale * (self._sin * u + self._cos * v)
        reach = radius * self.scale + 1
        rows = slice(max(0, math.floor(y - reach)), max(0, math.ceil(y + reach)))
        columns = slice(max(0, math.floor(x - reach)), max(0, math.ceil(x + reach)))
        pu, pv = self._u[rows, columns], self._v[rows, columns]
        if pu.size == 0:
            return
        d = distance(pu, pv) * self.scale
        cover = (alpha * np.clip(0.5 - d, 0, 1))[..., None]
        colour = np.asarray(fill(pu, pv) if callable(fill) else fill)
        if rim:
            colour = colour * (1 - rim * np.clip(1 + d / RIM, 0, 1))[..., None]
        pixels = self.canvas[rows, columns]
        pixels += cover * (colour - pixels)


def _compute_bounds(points: Points, margin: float) -> tuple[float, float, float]:
    """The centre and the radius of a circle around the points, with a margin."""
    us, vs = zip(*points, strict=True)
    low, high = (min(us), min(vs)), (max(us), max(vs))
    radius = math.hypot(high[0] - low[0], high[1] - low[1]) / 2 + margin
    return (low[0] + high[0]) / 2, (low[1] + high[1]) / 2, radius
