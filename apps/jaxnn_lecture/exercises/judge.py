"""Judge a layer: its gradients against ``jax.vjp``, its forward pass against the exercise's."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import jaxnn
from jaxnn import Layer
from jaxnn.gradients.check import LayerRule, Row, format_rows
from jaxnn.gradients.errors import JAX_TOLERANCE
from jaxnn.gradients.shapes import BoundLayer, Misfit, Part, describe_error
from jaxnn.layer import as_arrays
from jaxnn_lecture.exercises import EXERCISES, find_line
from jaxnn_lecture.exercises.diagnosis import Evidence, diagnose, diagnose_shape
from jaxnn_lecture.exercises.inputs import EXAMPLES, INPUTS, Sizes

FORWARD = "forward"  # the row that says whether forward is still that of the exercise
BACKWARD = "backward"  # the row of a backward that gives nothing that could be compared

# check_gradients needs a loss.
HALF_OF_SQUARES = jaxnn.Loss("half_of_squares", lambda z, y: jnp.sum(z**2) / 2, lambda z, y: z)


class Verdict(NamedTuple):
    """The gradients of a layer, and what the wrong ones look like.

    Attributes:
        rows: one for forward and one for each leaf, on the input where it is furthest off.
        kinds: what a mistake looks like → the leaves that look so.
    """

    rows: tuple[Row, ...]
    kinds: dict[str, list[str]]

    @property
    def ok(self) -> bool:
        """Whether every gradient is right, of the exercise's forward pass."""
        return all(row.ok for row in self.rows)

    def __str__(self) -> str:
        kinds = [f"looks like: {', '.join(who)}: {kind}" for kind, who in self.kinds.items()]
        return "\n".join(
            [format_rows(self.rows), *(["every gradient is right"] if self.ok else kinds)]
        )


def judge(
    number: int,
    layer: Layer,
    seed: int = 0,
    file: str = "",
    examples: Sequence[int] = EXAMPLES,
) -> Verdict:
    """Check a layer on random parameters and inputs of random sizes, in float64.

    Args:
        number: of the exercise.
        layer: the mended one.
        seed: of the inputs, the parameters and dy.
        file: where the layer is from; an error is said with its line there.
        examples: the number of examples of each input.
    """
    rng = np.random.default_rng(seed)
    exercise = EXERCISES[number]
    original = importlib.import_module(f"jaxnn_lecture.exercises.planted.{exercise.name}").layer
    rows: dict[str, Row] = {}
    evidence: dict[str, list[Evidence]] = {}
    kinds_of_shapes: dict[str, str] = {}
    with jax.enable_x64(True), jax.numpy_rank_promotion("allow"), jax.debug_nans(False):
        for m in examples:
            x, sizes = INPUTS[exercise.inputs](rng, m)
            params = _draw_params(original, x, rng)
            found, parts = [_compare_forward(layer, original, params, x, file)], []
            if found[0].ok:
                try:
                    parts = BoundLayer(layer, None).parts((params, as_arrays(x)))
                    check = jaxnn.check_gradients(layer, params, x, (), HALF_OF_SQUARES)
                    found += [_rename(row, layer) for row in check.rows[:-1]]  # the last: the loss
                except Misfit as misfit:
                    found.append(_row_of_nothing(BACKWARD, (), misfit, file))
            for row in found:
                rows[row.path] = max(rows.get(row.path, row), row, key=_badness)
            for part in parts:
                if part.got is not None and part.got != part.shape:
                    kinds_of_shapes[part.name[1:]] = diagnose_shape(part.got, part.shape)
            if wrong := [row.path for row in found[1:] if not row.ok]:
                for name, one in _gather(layer, params, x, parts, sizes, rng):
                    if name in wrong and not _equal(one.by_hand, one.right):
                        evidence.setdefault(name, []).append(one)
    noted = tuple(row._replace(note=_size(evidence, row)) for row in rows.values())
    return Verdict(noted, _name_kinds(rows, evidence, kinds_of_shapes))


def _draw_params(layer: Layer, x: Any, rng: np.random.Generator) -> Any:
    """Normal random parameters, biases too."""
    shapes = jax.eval_shape(layer.init, jax.random.key(0), x)
    return jax.tree.map(lambda leaf: rng.normal(size=leaf.shape), shapes)


def _compare_forward(layer: Layer, original: Layer, params: Any, x: Any, file: str) -> Row:
    """The row of the forward pass."""
    right = np.asarray(original.apply(params, x))
    try:
        got = np.asarray(BoundLayer(layer, None).forward((params, as_arrays(x)))[0], float)
    except Exception as error:
        return _row_of_nothing(FORWARD, right.shape, error, file)
    if got.shape != right.shape:
        note = f"gives shape {got.shape}; leave forward as it was"
        return Row(FORWARD, right.shape, np.nan, np.nan, note)
    error = float(np.abs(got - right).max() / np.abs(right).max())
    note = "" if error <= JAX_TOLERANCE else "changed; leave forward as it was"
    return Row(FORWARD, right.shape, error, np.nan, note)


def _row_of_nothing(name: str, shape: tuple[int, ...], error: Exception, file: str) -> Row:
    """The row of a pass that raises, or gives no pair: what it does, and in which line."""
    note = str(error) if isinstance(error, Misfit) else f"raises {describe_error(error)}"
    line = find_line(error.__cause__ or error, file)
    return Row(name, shape, np.nan, np.nan, f"{note} (line {line})" if line else note)


def _rename(row: Row, layer: Layer) -> Row:
    """``dense.W`` becomes ``W``; what is of the layer as a whole is of ``backward``."""
    name = row.path.removeprefix(f"{layer.name}.")
    return row._replace(path=BACKWARD if name == layer.name else name)


def _badness(row: Row) -> tuple[bool, bool, float]:
    return not row.ok, np.isnan(row.jax_error), float(np.nan_to_num(row.jax_error))


def _gather(
    layer: Layer,
    params: Any,
    x: Any,
    parts: Sequence[Part],
    sizes: Sizes,
    rng: np.random.Generator,
) -> Iterator[tuple[str, Evidence]]:
    """Both gradients of each leaf that has them, for one random dy."""
    parts = [part for part in parts if part.comparable]
    if not parts:
        return
    point = params, as_arrays(x)
    leaves = dict(jax.tree_util.tree_leaves_with_path(point))
    compared = tuple(part.path for part in parts)
    rule = LayerRule(layer, jax.tree.structure(point), tuple(leaves), compared)
    rest = [leaf for path, leaf in leaves.items() if path not in compared], None
    y = np.asarray(layer.apply(*point))
    dy = rng.normal(size=y.shape)

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


def _name_kinds(
    rows: dict[str, Row], evidence: dict[str, list[Evidence]], of_shapes: dict[str, str]
) -> dict[str, list[str]]:
    """What the wrong leaves look like, by kind."""
    kinds: dict[str, list[str]] = {}
    for name in rows:
        kind = diagnose(evidence[name]) if name in evidence else of_shapes.get(name)
        if kind:
            kinds.setdefault(kind, []).append(name)
    if evidence and not kinds:
        kinds["no known kind of mistake"] = list(evidence)
    return kinds
