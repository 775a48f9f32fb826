"""Judge a layer: its gradients against ``jax.vjp``, its forward pass against the exercise's."""

from __future__ import annotations

import importlib
import re
from ast import literal_eval
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import jaxnn
from jaxnn import Layer
from jaxnn.gradients.check import GradientCheck, LayerRule, Row
from jaxnn.gradients.errors import JAX_TOLERANCE
from jaxnn.gradients.shapes import BoundLayer, Misfit, describe_error
from jaxnn.layer import as_arrays
from jaxnn_lecture.exercises import EXERCISES
from jaxnn_lecture.exercises.diagnosis import Evidence, diagnose, diagnose_shape
from jaxnn_lecture.exercises.inputs import EXAMPLES, Sizes, draw

FORWARD = "forward"  # the row that says whether forward is still that of the exercise

# check_gradients needs a loss.
HALF_OF_SQUARES = jaxnn.Loss("half_of_squares", lambda z, y: jnp.sum(z**2) / 2, lambda z, y: z)


class Verdict(NamedTuple):
    """The gradients of a layer, and what the wrong ones look like.

    Attributes:
        check: a row for forward and one for each leaf, on the input where it is furthest off.
        kinds: what a mistake looks like → the leaves that look so.
    """

    check: GradientCheck
    kinds: dict[str, list[str]]

    @property
    def ok(self) -> bool:
        """Whether every gradient is right, of the exercise's forward pass."""
        return self.check.ok

    def __str__(self) -> str:
        *table, _ = str(self.check).splitlines()
        if self.ok:
            return "\n".join([*table, "every gradient is right"])
        kinds = [f"looks like: {', '.join(who)}: {kind}" for kind, who in self.kinds.items()]
        return "\n".join([*table, *kinds])


def judge(number: int, layer: Layer, examples: Sequence[int] = EXAMPLES) -> Verdict:
    """Check a layer on random parameters and inputs of random sizes, in float64.

    Args:
        number: of the exercise.
        layer: the mended one.
        examples: the number of examples of each input.
    """
    exercise = EXERCISES[number]
    original = importlib.import_module(f"jaxnn_lecture.exercises.planted.{exercise.name}").layer
    rows: dict[str, Row] = {}
    evidence: dict[str, list[Evidence]] = {}
    with jax.enable_x64(True), jax.numpy_rank_promotion("allow"), jax.debug_nans(False):
        for x, sizes in draw(exercise.inputs, examples):
            params = _draw_params(original, x)
            found = [_compare_forward(layer, original, params, x)]
            if found[0].ok:
                check = jaxnn.check_gradients(layer, params, x, (), HALF_OF_SQUARES)
                found += [_rename(row, layer) for row in check.rows[:-1]]  # the last: of the loss
            for row in found:
                rows[row.path] = max(rows.get(row.path, row), row, key=_badness)
            if wrong := [row.path for row in found[1:] if not row.ok]:
                for name, one in _gather(layer, params, x, sizes):
                    if name in wrong and not _equal(one.by_hand, one.right):
                        evidence.setdefault(name, []).append(one)
    kinds = _name_kinds(rows, evidence)
    noted = (row._replace(note=_size(evidence, row)) for row in rows.values())
    return Verdict(GradientCheck(tuple(noted)), kinds)


def _draw_params(layer: Layer, x: Any) -> Any:
    """Normal random parameters, biases too."""
    rng = np.random.default_rng(1)
    shapes = jax.eval_shape(layer.init, jax.random.key(0), x)
    return jax.tree.map(lambda leaf: rng.normal(size=leaf.shape), shapes)


def _compare_forward(layer: Layer, original: Layer, params: Any, x: Any) -> Row:
    """The row of the forward pass."""
    right = np.asarray(original.apply(params, x))
    try:
        got = np.asarray(BoundLayer(layer, None).forward((params, as_arrays(x)))[0], float)
    except Misfit as misfit:
        return Row(FORWARD, right.shape, np.nan, np.nan, str(misfit))
    except Exception as error:
        return Row(FORWARD, right.shape, np.nan, np.nan, f"raises {describe_error(error)}")
    if got.shape != right.shape:
        note = f"gives shape {got.shape}; leave forward as it was"
        return Row(FORWARD, right.shape, np.nan, np.nan, note)
    error = float(np.abs(got - right).max() / np.abs(right).max())
    note = "" if error <= JAX_TOLERANCE else "changed; leave forward as it was"
    return Row(FORWARD, right.shape, error, np.nan, note)


def _rename(row: Row, layer: Layer) -> Row:
    """``dense.W`` becomes ``W``; what is of the layer as a whole is of ``backward``."""
    name = row.path.removeprefix(f"{layer.name}.")
    return row._replace(path="backward" if name == layer.name else name)


def _badness(row: Row) -> tuple[bool, bool, float]:
    return not row.ok, np.isnan(row.jax_error), float(np.nan_to_num(row.jax_error))


def _gather(layer: Layer, params: Any, x: Any, sizes: Sizes) -> Iterator[tuple[str, Evidence]]:
    """Both gradients of each leaf that has them, for one random dy."""
    bound, point = BoundLayer(layer, None), (params, as_arrays(x))
    try:
        parts = [part for part in bound.parts(point) if part.comparable]
    except Misfit:
        return
    leaves = dict(jax.tree_util.tree_leaves_with_path(point))
    compared = tuple(part.path for part in parts)
    rule = LayerRule(layer, jax.tree.structure(point), tuple(leaves), compared)
    rest = [leaf for path, leaf in leaves.items() if path not in compared], None
    y = np.asarray(layer.apply(*point))
    dy = np.random.default_rng(2).normal(size=y.shape)

    @jax.jit
    def run(here: list[Any]) -> tuple[list[Any], list[Any]]:
        pull = jax.vjp(lambda here: rule.forward(here, rest), here)[1]
        vector = jnp.asarray(dy.ravel())
        return list(rule.backward(here, vector, rest)), pull(vector)[0]

    both = jax.device_get(run([leaves[path] for path in compared]))
    for part, by_hand, right in zip(parts, *both, strict=True):
        yield part.name[1:], Evidence(by_hand, right, part.of_input, x, y, dy, sizes)


def _equal(by_hand: np.ndarray, right: np.ndarray) -> bool:
    return np.allclose(by_hand, right, rtol=JAX_TOLERANCE, atol=1e-13)


def _size(evidence: dict[str, list[Evidence]], row: Row) -> str:
    """How large the mistake of a row is, for a random dy of size 1; else its note."""
    if row.ok or row.note or row.path not in evidence:
        return row.note
    all_right = [np.abs(one.right).max() for one in evidence[row.path]]
    off = [np.abs(one.by_hand - one.right).max() for one in evidence[row.path]]
    worst = int(np.argmax(off))
    return f"off by {off[worst]:.2g}, where the largest right entry is {all_right[worst]:.2g}"


def _name_kinds(rows: dict[str, Row], evidence: dict[str, list[Evidence]]) -> dict[str, list[str]]:
    """What the wrong leaves look like, by kind."""
    kinds: dict[str, list[str]] = {}
    for name, row in rows.items():
        if name in evidence:
            kind = diagnose(evidence[name])
        else:
            shapes = re.search(r"gives .*?(\(.*?\)), expected shape (\(.*?\))", row.note)
            kind = diagnose_shape(*map(literal_eval, shapes.groups())) if shapes else ""
        if kind:
            kinds.setdefault(kind, []).append(name)
    if evidence and not kinds:
        kinds["no known kind of mistake"] = list(evidence)
    return kinds
