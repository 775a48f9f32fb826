"""Inline SVG: elements, axes and their ticks.

Colours and line styles are classes of the page's style sheet (``s0`` … ``s5``): they change with
dark mode and in print, and lines differ in their dashes too.  A drawing has the role of an image,
with a title and a description for screen readers.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any, NamedTuple

import numpy as np

LETTER = 7.6  # width of a letter of the 14 px font, on the safe side


def element(name: str, content: str = "", **attributes: Any) -> str:
    """One element; ``_`` in the name of an attribute stands for ``-``, ``class_`` for ``class``.

    Example:
        >>> element("line", x1=0, y1=1.25, stroke_width=2)
        '<line x1="0" y1="1.2" stroke-width="2"/>'
    """
    words = [name]
    for key, value in attributes.items():
        text = value if isinstance(value, str) else coordinate(value)
        words.append(f'{key.rstrip("_").replace("_", "-")}="{escape(text)}"')
    opening = " ".join(words)
    return f"<{opening}>{content}</{name}>" if content else f"<{opening}/>"


def text(x: float, y: float, words: str, anchor: str = "start", **attributes: Any) -> str:
    """A text; ``anchor`` is start, middle or end."""
    content = escape(words, quote=False)
    return element("text", content, x=x, y=y, text_anchor=anchor, **attributes)


def drawing(title: str, description: str, width: float, height: float, content: str) -> str:
    """The ``<svg>`` element of a figure."""
    key = "f" + hashlib.sha256((title + description + content).encode()).hexdigest()[:10]
    head = f'<title id="{key}t">{escape(title, quote=False)}</title>'
    head += f'<desc id="{key}d">{escape(description, quote=False)}</desc>'
    return (
        f'<svg role="img" aria-labelledby="{key}t" aria-describedby="{key}d" '
        f'viewBox="0 0 {width:g} {height:g}" style="max-width:{width / 13:.4g}rem">'
        f"{head}{content}</svg>"
    )


def coordinate(value: float) -> str:
    """A number of a drawing, to a tenth of a pixel."""
    short = f"{value:.1f}"
    return short[:-2] if short.endswith(".0") else short


def number(value: float) -> str:
    """A number for a reader: at most four digits, or whole, with a proper minus sign.

    Example:
        >>> number(9999.7), number(-0.5), number(1e-6), number(0.69314), number(3.2e-16)
        ('10,000', '−0.5', '10⁻⁶', '0.6931', '3.2·10⁻¹⁶')
    """
    if not math.isfinite(value):
        return "not a number" if math.isnan(value) else "−∞" if value < 0 else "∞"
    if value == 0 or 1e-4 <= abs(value) < 1e6:
        short = f"{value:,.0f}" if abs(value) >= 999.95 else f"{value:.4g}"
        return short.replace("-", "−")
    digits, power = f"{value:.1e}".split("e")
    raised = str(int(power)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    digits = digits.removesuffix(".0").replace("-", "−")
    return f"10{raised}" if digits == "1" else f"{digits}·10{raised}"


class Axis(NamedTuple):
    """One axis: the range of its values, its label, and whether it is logarithmic."""

    low: float
    high: float
    label: str
    log: bool = False

    def place(self, value: Any) -> Any:
        """Where values are between the ends of the axis: 0 … 1."""
        f = np.log10 if self.log else np.asarray
        return (f(value) - f(self.low)) / (f(self.high) - f(self.low))

    def ticks(self, most: int = 6) -> list[float]:
        """Round values along the axis, at most ``most``."""
        if self.log:
            first, last = math.ceil(math.log10(self.low)), math.floor(math.log10(self.high))
            if last - first >= 1:
                every = max(1, math.ceil((last - first + 1) / most))
                return [10.0**power for power in range(first, last + 1, every)]
        span = self.high - self.low
        size = 10.0 ** math.floor(math.log10(span / most))
        step = next(size * k for k in (1, 2, 5, 10) if span / (size * k) <= most)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [round(k * step, 12) for k in range(first, last + 1)]


def axis_of(values: Iterable[Any], label: str, log: bool = False) -> Axis:
    """The axis for arrays of values; what is not finite is left out.

    A logarithmic axis has at least a decade; one without any positive values becomes linear.
    """
    joined = np.concatenate([np.ravel(np.asarray(value, float)) for value in values])
    finite = joined[np.isfinite(joined) & ((joined > 0) | (not log))]
    if not len(finite):
        return Axis(0.0, 1.0, label)
    low, high = float(finite.min()), float(finite.max())
    if log:
        low, high = (
            10.0 ** math.floor(math.log10(low) + 0.3),
            10.0 ** math.ceil(math.log10(high) - 0.3),
        )
        low, high = min(low, float(finite.min())), max(high, float(finite.max()))
        return Axis(low, high if high > low * 2 else low * 10, label, True)
    margin = (high - low) * 0.04 or abs(high) * 0.1 or 1.0
    return Axis(low - margin if low else 0.0, high + margin, label)


class Frame(NamedTuple):
    """The rectangle of a plot inside a drawing, with its two axes."""

    x: Axis
    y: Axis
    left: float
    top: float
    width: float
    height: float

    def across(self, values: Any) -> Any:
        """Horizontal coordinates of values."""
        return self.left + self.x.place(values) * self.width

    def down(self, values: Any) -> Any:
        """Vertical coordinates of values."""
        return self.top + (1 - self.y.place(values)) * self.height

    def draw(self) -> str:
        """The axes with ticks, numbers and labels."""
        parts = []
        bottom, right = self.top + self.height, self.left + self.width
        last = -math.inf
        for value in self.x.ticks(max(2, int(self.width / 45))):
            x, words = float(self.across(value)), number(value)
            parts.append(element("line", x1=x, x2=x, y1=self.top, y2=bottom, class_="grid"))
            half = len(words) * LETTER / 2
            middle = min(x, right + 14 - half)
            if middle - half > last:
                parts.append(text(middle, bottom + 20, words, "middle"))
                last = middle + half
        for value in self.y.ticks(max(2, int(self.height / 40))):
            y = float(self.down(value))
            parts.append(element("line", x1=self.left, x2=right, y1=y, y2=y, class_="grid"))
            parts.append(text(self.left - 6, y + 5, number(value), "end"))
        box = f"M{coordinate(self.left)} {coordinate(self.top)}V{coordinate(bottom)}"
        parts.append(element("path", d=f"{box}H{coordinate(right)}", class_="axis"))
        parts.append(text(self.left + self.width / 2, bottom + 41, self.x.label, "middle"))
        parts.append(text(4, self.top - 10, self.y.label))
        return "".join(parts)


def make_frame(x: Axis, y: Axis, width: float, height: float, above: float = 0.0) -> Frame:
    """The frame of a drawing: room for the numbers on the left, and ``above`` for a legend."""
    digits = max((len(number(v)) for v in y.ticks(max(2, int(height / 40)))), default=1)
    left = 14 + digits * LETTER
    top = above + 26
    return Frame(x, y, left, top, width - left - 16, height - top - 48)


def path(xs: Sequence[float] | Any, ys: Sequence[float] | Any) -> str:
    """The ``d`` of a line through points; it is broken where a coordinate is not finite."""
    words, pen = [], "M"
    for x, y in zip(xs, ys, strict=True):
        if math.isfinite(x) and math.isfinite(y):
            words.append(f"{pen}{coordinate(x)} {coordinate(y)}")
            pen = "L"
        else:
            pen = "M"
    return "".join(words)
