"""How far a hand-written gradient is from JAX's, and from the slope of the forward pass.

Every entry is compared with itself, by as many digits as rounding leaves it.  An error is a
share of the entry as the other method has it::

    error = |by hand − other| / (|other| + noise / tolerance)

where noise is what rounding may have done to this entry.  So an error within the tolerance is
one of the last digits, and another is a wrong rule, however large or small the entry is.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np

from jaxnn.gradients.rounding import Rounding, round_randomly
from jaxnn.gradients.slopes import Slope
from jaxnn.layer import Array

JAX_TOLERANCE = 1e-9
DIFFERENCES_TOLERANCE = 1e-5

# Noise of gradients: so many runs with random errors of a few units in the last place.
RUNS = 4
ERROR = 2.0**-51
SAFETY = 16  # how much larger than in these runs the noise may be

BESIDE = 1e-3  # how far beside the point differences are taken, as a share of each entry
ENTRIES = 5  # of each leaf that differences are taken of, drawn at random; fewer of many leaves


class Rule(Hashable, Protocol):
    """A layer as functions of the list of leaves whose gradient is to be compared.

    ``rest`` is everything else that the layer is given.
    """

    def forward(self, leaves: Sequence[Array], rest: Any) -> Array:
        """y, as one vector."""
        ...

    def backward(self, leaves: Sequence[Array], dy: Array, rest: Any) -> Sequence[Array]:
        """The gradients of the leaves, for dy as one vector."""
        ...


class Programs(NamedTuple):
    """The compiled functions of a rule.

    Attributes:
        run: ``(rounding, leaves, dy, rest) -> Gradients``.
        forward: ``(leaves, rest) -> y``.
    """

    run: Callable[..., Gradients]
    forward: Callable[..., Array]


def compile_rule(rule: Rule) -> Programs:
    """Make the programs of a rule, which are compiled when they are called."""

    def run(leaves: Sequence[Array], dy: Array, rest: Any) -> Gradients:
        y, pull = jax.vjp(lambda leaves: rule.forward(leaves, rest), leaves)
        return Gradients(y, list(rule.backward(leaves, dy, rest)), list(pull(dy)[0]))

    def forward(leaves: Sequence[Array], rest: Any) -> Array:
        return rule.forward(leaves, rest)

    return Programs(jax.jit(round_randomly(run)), jax.jit(forward))


class Errors(NamedTuple):
    """For every leaf, the largest error of an entry."""

    jax: list[float]
    differences: list[float]  # NaN where no difference was clear enough to decide


class Gradients(NamedTuple):
    """The output at a point, and both gradients for one dy; or the noise of all of these."""

    y: Any
    by_hand: list[Any]
    by_jax: list[Any]


def measure_errors(
    programs: Programs, leaves: Sequence[np.ndarray], rest: Any, outputs: int
) -> Errors:
    """Compare the gradient of a rule with ``jax.vjp`` and with differences, in float64.

    JAX is asked for every entry, at the point for random dy, or each basis vector of a tiny
    output, and at a random point beside it.  Differences are taken beside it, off the kinks
    on which the point may lie: along a direction that moves all entries of a leaf, and along
    some single entries.

    Args:
        programs: of the rule.
        leaves: the point, float64.
        rest: everything else that the layer is given.
        outputs: entries of y.
    """
    rng = np.random.default_rng(0)
    run = lambda rounding, leaves, dy: programs.run(rounding, leaves, dy, rest)  # noqa: E731
    forward = lambda leaves: programs.forward(leaves, rest)  # noqa: E731
    here = jax.device_put(list(leaves))
    with np.errstate(all="ignore"):  # infinite and undefined numbers become errors
        errors = [_compare_with_jax(*_with_noise(run, here, dy)) for dy in _draw_dys(outputs, rng)]
        scales = [_scale(leaf) for leaf in leaves]
        beside = [_move_beside(*both, rng) for both in zip(leaves, scales, strict=True)]
        dy = 2.0**40 * rng.standard_normal(outputs)
        there = jax.device_put(beside)
        gradients, noise = _with_noise(run, there, dy)
        if np.isfinite(gradients.y).all():  # else y is not defined there
            errors.append(_compare_with_jax(gradients, noise))
        slope = Slope(forward, there, np.asarray(forward(there)), noise.y, dy)
        differences = [
            _compare_with_slope(slope, i, gradients.by_hand[i], scale, rng)
            for i, scale in enumerate(scales)
        ]
        return Errors(np.max(errors, axis=0).tolist(), differences)


def _draw_dys(outputs: int, rng: np.random.Generator) -> np.ndarray:
    """The basis of a tiny output, and two random dy of different size."""
    dys = rng.standard_normal((2, outputs)) * np.array([[1], [2.0**-40]])
    return np.concatenate([np.eye(outputs), dys]) if outputs <= 8 else dys


def _with_noise(
    run: Callable, leaves: Sequence[Array], dy: np.ndarray
) -> tuple[Gradients, Gradients]:
    """What a run without errors gives, and how much of each entry random errors change."""
    seeds = np.random.default_rng(1).integers(2**32, size=RUNS + 1, dtype=np.uint32)
    amounts = np.array([0.0] + [ERROR] * RUNS)
    exact, *others = (
        jax.device_get(run(Rounding(*rounding), leaves, dy))
        for rounding in zip(amounts, seeds, strict=True)
    )
    noise = jax.tree.map(np.zeros_like, exact)
    for other in others:  # one that left the function's domain says nothing
        noise = jax.tree.map(lambda n, e, o: np.fmax(n, np.abs(o - e)), noise, exact, other)
    return exact, noise


def _compare_with_jax(gradients: Gradients, noise: Gradients) -> list[float]:
    """The largest error of each leaf."""
    _, by_hand, by_jax = gradients
    return [
        _largest(_error(a, b, SAFETY * (n + m), JAX_TOLERANCE))
        for a, b, n, m in zip(by_hand, by_jax, noise.by_hand, noise.by_jax, strict=True)
    ]


def _error(by_hand: Any, other: Any, noise: Any, tolerance: float) -> np.ndarray:
    wrong = np.abs(by_hand - other)
    return np.where(wrong == 0, 0, wrong / (np.abs(other) + noise / tolerance))


def _largest(errors: np.ndarray) -> float:
    return float(np.max(errors, initial=0))


def _scale(leaf: np.ndarray) -> np.ndarray:
    """The size of every entry; for zeros, that of a typical entry."""
    size = np.abs(leaf)
    return np.where(size == 0, np.median(size[size > 0]) if size.any() else 1.0, size)


def _move_beside(leaf: np.ndarray, scale: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Every entry changed at random by a small share of its size."""
    draws = rng.standard_normal(leaf.shape)
    if (leaf >= 0).all():  # leaves without a negative entry stay so
        draws = np.where(leaf == 0, np.abs(draws), draws)
    return leaf + BESIDE * draws * scale


def _compare_with_slope(
    slope: Slope, i: int, gradient: np.ndarray, scale: np.ndarray, rng: np.random.Generator
) -> float:
    """The largest error of leaf i against differences; NaN where none is clear."""
    if not scale.size:
        return 0.0
    errors = []
    for direction in _directions(scale, len(slope.leaves), rng):
        by_hand = np.sum(gradient * direction)
        by_differences, uncertain = slope.along(i, direction, by_hand)
        if not np.isnan(uncertain):
            errors.append(_error(by_hand, by_differences, uncertain, DIFFERENCES_TOLERANCE))
    return float(np.max(errors)) if errors else np.nan


def _directions(scale: np.ndarray, leaves: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """All entries of a leaf at random, each by about its size; and some entries alone."""
    yield scale * rng.uniform(0.5, 1, scale.shape) * rng.choice([-1, 1], scale.shape)
    few = min(ENTRIES, max(1, 4 * ENTRIES // leaves))
    for entry in rng.permutation(scale.size)[:few]:
        alone = np.zeros(scale.size)
        alone[entry] = scale.flat[entry]
        yield alone.reshape(scale.shape)
