"""Exercises: files with planted mistakes, and their check against jaxnn.

An exercise is a module ``exercise_N.py`` beside this one, which ``--exercise N`` copies.  Its check
calls the student's function and compares every number with jaxnn's.
"""

from __future__ import annotations

import itertools
import runpy
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

import jaxnn
from catnet.course.networks import network
from catnet.errors import UserError
from catnet.terminal import one_line
from jaxnn_lecture.chapters.activations import ACTIVATIONS, slope_by_hand
from jaxnn_lecture.svg import number

TOLERANCE = 1e-9


class Row(NamedTuple):
    """One quantity of an answer: whether it is right, and what is wrong with it."""

    name: str
    right: bool
    remark: str


def read(count: int) -> str:
    """The text of an exercise."""
    return (Path(__file__).parent / f"exercise_{count}.py").read_text("utf-8")


def check(path: str) -> list[Row]:
    """Check a solved exercise; the file says which one it is.

    Raises:
        UserError: the file cannot be read or is no exercise.
    """
    try:
        text = Path(path).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not a text in UTF-8"
        raise UserError(f"--check {path}: {reason}") from None
    chosen = [n for n in CHECKS if f"Exercise {n} of jaxnn-lecture" in text]
    if len(chosen) != 1:
        raise UserError(
            f"--check {path}: does not say which exercise it is; keep the first line of the file "
            "from --exercise N"
        )
    name, compare = CHECKS[chosen[0]]
    try:
        function = runpy.run_path(path)[name]
        with jax.enable_x64(True):
            return compare(function)
    except KeyError as error:
        if error.args != (name,):
            return [Row(name, False, _describe(error, path))]
        raise UserError(f"--check {path}: has no function {name}; keep its name") from None
    except (Exception, SystemExit) as error:
        return [Row(name, False, _describe(error, path))]


def _describe(error: BaseException, path: str) -> str:
    """An error of the student's code: its kind, its text, and the line of the file."""
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == path]
    line = getattr(error, "lineno", None) or (lines[-1] if lines else None)
    place = f"line {line}: " if line else ""
    return one_line(f"{place}{type(error).__name__}: {error}")


def compare_values(got: Any, expected: dict[str, Any], m: int = 1) -> list[Row]:
    """A row for each expected quantity, with the likely reason where it is wrong.

    Example:
        >>> compare_values({"dw": np.array([-1.0])}, {"dw": np.array([1.0])})[0].remark
        'the sign is wrong'
    """
    if not isinstance(got, dict) or set(got) != set(expected):
        names = ", ".join(expected)
        what = f"{', '.join(map(str, got))}" if isinstance(got, dict) else type(got).__name__
        return [Row("the answer", False, f"expected a dict of {names}, got {one_line(what)}")]
    return [
        Row(name, not (remark := _explain(got[name], np.asarray(value), m)), remark)
        for name, value in expected.items()
    ]


def _explain(got: Any, expected: np.ndarray, m: int) -> str:
    """What is wrong with a value; "" if it is right."""
    try:
        value = np.asarray(got, float)
    except (TypeError, ValueError):
        return f"expected numbers, got {type(got).__name__}"
    if value.shape != expected.shape:
        return f"expected the shape {expected.shape}, got {value.shape}"

    def equals(other: np.ndarray) -> bool:
        return bool(np.allclose(value, other, rtol=TOLERANCE, atol=TOLERANCE))

    if equals(expected):
        return ""
    if equals(-expected):
        return "the sign is wrong"
    if m > 1 and equals(m * expected):
        return f"m = {m} times too large: the mean over the examples is missing"
    if m > 1 and equals(-m * expected):
        return f"the sign is wrong, and it is m = {m} times too large"
    if m > 1 and equals(expected / m):
        return f"m = {m} times too small"
    difference = float(np.abs(value - expected).max())
    return f"differs by up to {number(difference)}"


def _draw(n_x: int = 4, m: int = 6) -> tuple[np.ndarray, np.ndarray, np.random.Generator]:
    rng = np.random.default_rng(5)
    return rng.normal(size=(n_x, m)), (rng.random((1, m)) > 0.5).astype(float), rng


def _gradients(layers: list[Any], activation: Any, X: Any, Y: Any) -> tuple[float, list[Any]]:
    """The cost and (dW, db) of every layer by jaxnn, of layers (W, b) in the lecture's layout."""
    net = network([len(X), *(len(W) for W, _ in layers)], activation)
    params: list[Any] = [p for W, b in layers for p in ({"W": W, "b": b[:, 0]}, ())][:-1]
    cost, grads = jaxnn.value_and_grad(net, jaxnn.binary_cross_entropy)(tuple(params), X.T, Y.T)
    return float(cost), [(np.asarray(g["W"]), np.asarray(g["b"])[:, None]) for g in grads[::2]]


def _check_logistic(gradient: Callable[..., Any]) -> list[Row]:
    X, Y, rng = _draw()
    w, b = rng.normal(size=(4, 1)), 0.3
    cost, [(dw, db)] = _gradients([(w.T, np.array([[b]]))], jaxnn.identity, X, Y)
    expected = {"J": cost, "dw": dw.T, "db": db[0, 0]}
    return compare_values(gradient(w, b, X, Y), expected, m=X.shape[1])


def _check_slopes(slopes: Callable[..., Any]) -> list[Row]:
    Z = np.random.default_rng(5).normal(size=(3, 4)) * 2
    return compare_values(
        slopes(Z), {name: slope_by_hand(layer, Z) for name, (layer, _, _) in ACTIVATIONS.items()}
    )


def _check_hidden(gradient: Callable[..., Any]) -> list[Row]:
    X, Y, rng = _draw()
    W1, b1, W2, b2 = (rng.normal(size=shape) for shape in ((3, 4), (3, 1), (1, 3), (1, 1)))
    _, [(dW1, db1), (dW2, db2)] = _gradients([(W1, b1), (W2, b2)], jaxnn.tanh, X, Y)
    expected = {"dW1": dW1, "db1": db1, "dW2": dW2, "db2": db2}
    return compare_values(gradient(W1, b1, W2, b2, X, Y), expected, m=X.shape[1])


def _check_initialization(initialize: Callable[..., Any]) -> list[Row]:
    n_x, n_h = 400, 300
    got = initialize(n_x, n_h, 3)
    shapes = {"W1": (n_h, n_x), "b1": (n_h, 1), "W2": (1, n_h), "b2": (1, 1)}
    zeros = {name: np.zeros(shape) for name, shape in shapes.items()}
    rows = compare_values(got, zeros)
    if len(rows) != len(shapes):
        return rows
    for i, (name, n_in) in ((0, ("W1", n_x)), (2, ("W2", n_h))):
        W, wanted = np.asarray(got[name], float), np.sqrt(2 / n_in)
        remark = ""
        if W.shape != shapes[name]:
            remark = f"expected the shape {shapes[name]}, got {W.shape}"
        elif len(np.unique(W, axis=0)) < len(W):
            remark = "some units are equal, and would stay equal for ever"
        elif abs(W.std() / wanted - 1) > 0.2:
            remark = f"the standard deviation is {number(W.std())}, expected √(2 / {n_in}) = "
            remark += number(wanted)
        rows[i] = Row(name, not remark, remark)
    return rows


def _check_step(step: Callable[..., Any]) -> list[Row]:
    X, Y, rng = _draw()
    sizes, alpha = (4, 5, 3, 1), 0.1
    layers = [
        (rng.normal(size=(n, k)), rng.normal(size=(n, 1))) for k, n in itertools.pairwise(sizes)
    ]
    before = [(W.copy(), b.copy()) for W, b in layers]
    _, grads = _gradients(layers, jaxnn.relu, X, Y)
    expected, got = {}, {}
    answer = step(layers, X, Y, alpha)
    for i, ((W, b), (dW, db), new) in enumerate(zip(before, grads, answer, strict=True), start=1):
        expected |= {f"W[{i}]": W - alpha * dW, f"b[{i}]": b - alpha * db}
        got |= {f"W[{i}]": new[0], f"b[{i}]": new[1]}
    return compare_values(got, expected)


# Number → (the student's function, its check).
CHECKS: dict[int, tuple[str, Callable[[Callable[..., Any]], list[Row]]]] = {
    1: ("gradient", _check_logistic),
    2: ("slopes", _check_slopes),
    3: ("gradient", _check_hidden),
    4: ("initialize", _check_initialization),
    5: ("step", _check_step),
}
