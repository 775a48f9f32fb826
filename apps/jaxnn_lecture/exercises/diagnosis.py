"""What kind of mistake a wrong gradient looks like, from its numbers beside the right ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np


class Evidence(NamedTuple):
    """A gradient of one leaf, by hand and by ``jax.vjp``, and what it was computed from.

    Attributes:
        by_hand: the wrong gradient.
        right: the right one, of the same shape.
        of_input: whether it is that of an input, not of a parameter.
        x: the layer's input, a pytree of arrays.
        y: its output.
        dy: the gradient of the output.
        sizes: numbers by which a gradient may be too large, by name; see ``inputs``.
    """

    by_hand: np.ndarray
    right: np.ndarray
    of_input: bool
    x: Any
    y: np.ndarray
    dy: np.ndarray
    sizes: dict[str, float]


def diagnose(all_evidence: Sequence[Evidence]) -> str:
    """The first kind of mistake that fits one leaf on all inputs; "" where none does.

    Example:
        >>> right, x = np.array([1.0, 2.0]), np.ones(2)
        >>> diagnose([Evidence(-right, right, True, x, x, x, {})])
        'the sign is wrong'
    """
    found = [list(_kinds(evidence)) for evidence in all_evidence]
    return next((kind for kind in found[0] if all(kind in one for one in found)), "")


def diagnose_shape(got: tuple[int, ...], expected: tuple[int, ...]) -> str:
    """What a gradient of a wrong shape looks like.

    Example:
        >>> diagnose_shape((6, 3), (3, 6))
        'it is transposed'
    """
    if got[::-1] == expected:
        return "it is transposed"
    if len(got) < len(expected):
        return "its shape is wrong: a sum over an axis too many"
    if len(got) > len(expected):
        return "its shape is wrong: a sum over an axis is missing"
    return "its shape is wrong"


def _kinds(evidence: Evidence) -> Iterator[str]:
    """All kinds of mistakes that fit, the most specific first."""
    hand, right = evidence.by_hand, evidence.right
    if not np.isfinite(hand).all():
        yield "it is infinite or not a number: a division by 0, or a logarithm of it"
        return
    if not hand.any():
        yield "it is 0 everywhere: nothing is passed back, as of a detached state"
    yield from _places(evidence)
    yield from _factors(evidence)
    for axis in range(hand.ndim):
        if hand.shape[axis] > 1 and _equal(hand, np.flip(right, axis)):
            yield f"the order along axis {axis} is reversed"
    square = hand.ndim > 1 and hand.shape[-1] == hand.shape[-2]
    if square and _equal(hand, np.swapaxes(right, -1, -2)):
        yield "it is transposed"
    if hand.size > 1 and np.ptp(hand) == 0 and _equal(hand.flat[0], right.sum()):
        yield "all entries are one number, the sum of the right ones: a sum over an axis too many"
    yield from _missing_terms(evidence)


def _places(evidence: Evidence) -> Iterator[str]:
    """Mistakes that are in some entries only."""
    hand, right = evidence.by_hand, evidence.right
    close = np.isclose(hand, right, rtol=1e-8, atol=1e-10 * np.abs(right).max(initial=1e-200))
    wrong: np.ndarray = np.logical_not(close)
    for leaf in map(np.asarray, jax.tree.leaves(evidence.x)):
        if leaf.dtype.kind == "i" and not evidence.of_input and hand.ndim > 1:
            repeated = np.bincount(leaf.ravel(), minlength=len(hand)) > 1
            if len(repeated) == len(hand) and not wrong[~repeated].any():
                yield "it is wrong only for tokens that appear more than once: their sum is missing"
        if not evidence.of_input or leaf.shape != hand.shape[: leaf.ndim]:
            continue
        if leaf.dtype == bool and not wrong[leaf].any():
            yield "it is wrong only where the mask is False: the mask is forgotten"
        if leaf.dtype.kind == "f" and (leaf == 0).any() and not wrong[leaf != 0].any():
            yield "it is wrong only where the input is 0: the slope at a kink"
    if evidence.of_input and hand.ndim == 3 and hand.shape[1] > 1:
        by_step = np.any(wrong, axis=(0, 2))
        for step, name, others in ((-1, "last", "before"), (0, "first", "after")):
            if not by_step[step] and np.delete(by_step, step).all():
                yield (
                    f"only the {name} time step is right: nothing is passed to the step {others} "
                    "it, as of a detached state"
                )
    if not wrong[right != 0].any():
        yield "it is wrong only where it should be 0: a mask is forgotten"


def _factors(evidence: Evidence) -> Iterator[str]:
    """Mistakes of one factor: a number, or a function of the input or of the output."""
    hand, right, y = evidence.by_hand, evidence.right, evidence.y
    some = right != 0
    ratios = hand[some] / right[some]
    if some.any() and _equal(ratios, ratios[0]) and not hand[~some].any():
        sign, ratio = "the sign is wrong" if ratios[0] < 0 else "", abs(ratios[0])
        if _equal(ratio, 1):
            yield sign
        sign = f"{sign}, and " if sign else ""
        for name, size in evidence.sizes.items():
            if size != 1 and _equal(ratio, size):
                yield f"{sign}it is {name} times too large: the factor 1/{name} is missing" + (
                    ", or it is a sum for a mean" if name != "√n" else ""
                )
            if size != 1 and _equal(ratio, 1 / size):
                yield f"{sign}it is {name} times too small: a mean for a sum"
        yield f"{sign}it is {ratio:.4g} times the right one in all entries: a factor"
    if hand.shape == evidence.dy.shape:
        if _equal(hand, evidence.dy):
            yield "it is the gradient of the output: the slope of the function is missing"
        slopes = {"A": y, "(1 − A)": 1 - y, "A (1 − A)": y * (1 - y), "(1 + A)": 1 + y}
        slopes["(1 − A²)"] = 1 - y**2
        for name, slope in slopes.items():
            if _equal(hand * slope, right):
                yield f"the factor {name} is missing, A the output"


def _missing_terms(evidence: Evidence) -> Iterator[str]:
    """Mistakes of one term: what the right gradient has more."""
    missing = evidence.right - evidence.by_hand
    if missing.shape != evidence.dy.shape:
        return
    if _equal(missing, evidence.dy):
        yield "the term dA is missing, the gradient of the output: the path around the layer"
    x = np.asarray(jax.tree.leaves(evidence.x)[0])
    if x.shape != missing.shape or missing.ndim < 2:
        return
    for axis, group in ((-1, "row"), (0, "column")):
        if _multiple(missing, np.ones_like(x), axis):
            yield f"a term is missing that is the same number in a whole {group}: that of the mean"
        if _multiple(missing, x - x.mean(axis, keepdims=True), axis):
            yield (
                f"a term is missing that is a multiple of x − mean in each {group}: that of the "
                "variance"
            )
        if _multiple(missing, evidence.y, axis):
            yield (
                f"a term is missing that is a multiple of the output in each {group}: that of the "
                "sum by which all is divided"
            )


def _multiple(term: np.ndarray, of: np.ndarray, axis: int) -> bool:
    """Whether a term is a number times another one, along an axis."""
    norm = (of * of).sum(axis, keepdims=True)
    share = (term * of).sum(axis, keepdims=True) / np.where(norm == 0, 1, norm)
    return _equal(term, share * of)


def _equal(a: Any, b: Any) -> bool:
    return bool(np.allclose(a, b, rtol=1e-8, atol=1e-10 * np.abs(b).max(initial=1e-200)))
