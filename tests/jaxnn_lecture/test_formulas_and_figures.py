"""Formulas as MathML and figures as SVG: well-formed, labelled, with what was asked for."""

from __future__ import annotations

import math
from xml.etree import ElementTree

import numpy as np
import pytest

from jaxnn_lecture.mathml import formula, prose
from jaxnn_lecture.pictures import picture
from jaxnn_lecture.plane import Points, plane
from jaxnn_lecture.plots import Line, bar_plot, heat_map, line_plot
from jaxnn_lecture.svg import Axis, axis_of, number, path

TAGS = {
    "a^2": "msup",
    "a_1": "msub",
    "a^2_1": "msubsup",
    r"\frac{1}{m}": "mfrac",
    r"\hat{y}": "mover",
}


@pytest.mark.parametrize(("latex", "tag"), TAGS.items())
def test_a_formula_has_the_element_of_its_kind(latex: str, tag: str) -> None:
    root = ElementTree.fromstring(formula(latex))
    assert root.tag == "math"
    assert [child.tag for child in root] == [tag]


def test_a_formula_of_the_lecture_reads_from_left_to_right() -> None:
    root = ElementTree.fromstring(formula(r"dW^{[2]} := \frac{1}{m} dZ^{[2]} A^{[1] T} - 3 < z"))
    words = "".join(root.itertext())
    assert words == "dW[2]:=1mdZ[2]A[1]T−3<z"


def test_a_minus_after_a_sign_belongs_to_its_number() -> None:
    assert '<mo form="prefix">−</mo><mn>10</mn>' in formula("z = -10")
    assert "<mo>−</mo><mn>1</mn>" in formula("l - 1")


@pytest.mark.parametrize("latex", ["{a", "a}", r"\unknown", "a^", r"\frac{1}"])
def test_a_wrong_formula_is_an_error_that_names_it(latex: str) -> None:
    with pytest.raises(ValueError, match="formula "):
        formula(latex)


def test_prose_escapes_what_is_no_formula() -> None:
    assert prose("a & b <i> $x < y$").startswith("a &amp; b &lt;i&gt; <math>")
    with pytest.raises(ValueError, match="dollar"):
        prose("costs $5")


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (1234567, "1.2·10⁶"), (-12288, "−12,288"), (0.1 + 0.2, "0.3"), (math.inf, "∞"),
     (-math.inf, "−∞"), (math.nan, "not a number"), (-2.5e-9, "−2.5·10⁻⁹"), (99.99, "99.99"),
     (9999.7, "10,000"), (-999.96, "−1,000"), (999.9, "999.9")],
)  # fmt: skip
def test_numbers_are_short_and_have_a_minus_sign(value: float, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize("ends", [(0.0, 1.0), (-5.0, 5.0), (0.0013, 0.0017), (3.0, 12345.0)])
def test_ticks_are_round_and_inside_the_axis(ends: tuple[float, float]) -> None:
    ticks = Axis(*ends, "").ticks()
    assert 2 <= len(ticks) <= 6
    assert all(ends[0] - 1e-9 <= tick <= ends[1] + 1e-9 for tick in ticks)
    steps = np.diff(ticks)
    assert np.allclose(steps, steps[0])
    mantissa = steps[0] / 10 ** math.floor(math.log10(steps[0] * 1.000001))
    assert round(mantissa, 6) in (1, 2, 5)


def test_ticks_of_a_logarithmic_axis_are_powers_of_ten() -> None:
    assert Axis(1e-3, 1e2, "", log=True).ticks() == [1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0]


def test_an_axis_covers_what_is_finite() -> None:
    axis = axis_of([[1.0, math.nan, 3.0], [math.inf]], "")
    assert axis.low < 1 < 3 < axis.high < 4
    assert axis_of([[math.nan]], "")[:2] == (0.0, 1.0)
    assert not axis_of([[0.0, -1.0]], "", log=True).log


def test_a_path_is_broken_where_a_value_is_missing() -> None:
    assert path([0, 1, 2, 3], [0, 1, math.nan, 2]) == "M0 0L1 1M3 2"


X = np.array([0.0, 1.0, 2.0])
GRID = np.add.outer(np.linspace(-1, 1, 9), np.zeros(9))  # the height: its level 0 is in the middle
SIDES = Axis(-1, 1, "x₁"), Axis(-1, 1, "x₂")
POINTS = Points(X[:, None] * [0.4, 0], [0, 1, 1])
FIGURES = {
    "lines": line_plot("T", "D", [Line(X, X, "up"), Line(X, -X, "down", 1)], "step", "cost"),
    "diverging": line_plot("T", "D", [Line(X, X + np.inf, "up")], "step", "cost", log_y=True),
    "one point": line_plot("T", "D", [Line([3.0], [1e30], "dot", 0, True)], "x", "y", log_y=True),
    "huge": line_plot("T", "D", [Line(X, 10.0 ** (100 * X), "up")], "step", "cost", log_y=True),
    "empty plane": plane("T", "D", *SIDES, shades=GRID * math.nan, levels=[0.0]),
    "bars": bar_plot("T", "D", ["a", "b"], [1.0, 1000.0], "ms", log=True),
    "cells": heat_map("T", "D", [[0.0, math.nan]], ["r"], ["1", "2"], "up", "along", [["0", "?"]]),
    "plane": plane("T", "D", *SIDES, shades=GRID, levels=[0.0], points=POINTS),
    "picture": picture("T", np.zeros((4, 4, 3), np.uint8), "one\ntwo"),
}  # fmt: skip


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_an_image_with_title_and_description(name: str) -> None:
    root = ElementTree.fromstring(FIGURES[name])
    assert root.attrib["role"] == "img"
    title, description = root[0], root[1]
    assert title.tag == "title"
    assert root.attrib["aria-labelledby"] == title.attrib["id"]
    assert root.attrib["aria-describedby"] == description.attrib["id"]
    assert "nan" not in FIGURES[name]
    assert "inf" not in FIGURES[name].replace("∞", "")


def test_lines_are_labelled_and_drawn_where_their_values_are() -> None:
    root = ElementTree.fromstring(FIGURES["lines"])
    texts = [one.text for one in root.iter("text")]
    assert {"up", "down", "step", "cost"} <= set(texts)
    up, down = (one.attrib["d"] for one in root.iter("path") if "line s" in one.attrib["class"] and "h28" not in one.attrib["d"])  # fmt: skip  # noqa: E501
    first, last = up.removeprefix("M").split("L")[0], up.split("L")[-1]
    assert float(first.split()[1]) > float(last.split()[1])  # down the screen is less
    assert down.split("L")[0] == f"M{first}"  # both start at (0, 0)


def test_a_level_line_is_where_the_function_has_the_value() -> None:
    root = ElementTree.fromstring(FIGURES["plane"])
    [level] = [one.attrib["d"] for one in root.iter("path") if one.attrib["class"] == "level"]
    heights = {point.split()[1] for part in level.split("M")[1:] for point in part.split("L")}
    image = next(root.iter("image")).attrib
    middle = float(image["y"]) + float(image["height"]) / 2
    assert all(abs(float(height) - middle) < 0.11 for height in heights)
