"""Proof that the hand-written rules are right: against JAX, and against finite differences."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.gradients.errors import (
    DIFFERENCES_TOLERANCE,
    JAX_TOLERANCE,
    Programs,
    Rule,
    compile_rule,
    measure_errors,
)
from jaxnn.gradients.shapes import BoundLayer, Misfit, Part, Path, Point, describe_error
from jaxnn.inspection.traversal import map_layers, walk
from jaxnn.layer import Array, Cache, Key, Layer, Params, Static, is_numbers, no_params
from jaxnn.losses import Loss

Inputs = dict[str, tuple[Params, Any, Key | None]]  # what each layer is given, by path


class Row(NamedTuple):
    """One leaf of one layer: its gradient by hand against the two others.

    An error is that of the entry which is furthest off, as a share of this entry as the
    other method has it.  What rounding may have done to the entry counts as its last digits:
    an entry that is a small difference of large numbers has fewer, and is compared by those.

    Attributes:
        path: the layer's path and the leaf, ``serial[1].dense(7).b``; ``input`` is dx.  The
            layer's path alone where the layer gives nothing that could be compared.
        shape: of the leaf.
        jax_error: the largest error against ``jax.vjp``, over all entries; NaN where there
            is nothing to compare.
        differences_error: the same for central differences, over the direction in which all
            entries change and over some single entries; NaN where a kink or rounding hides
            the slope, so that ``jax.vjp`` decides alone.
        note: what is wrong, or not compared, in words.
    """

    path: str
    shape: tuple[int, ...]
    jax_error: float
    differences_error: float
    note: str = ""

    @property
    def ok(self) -> bool:
        """Whether ``jax.vjp`` agrees and differences, where they decide, do too."""
        return self.jax_error <= JAX_TOLERANCE and not (
            self.differences_error > DIFFERENCES_TOLERANCE
        )


@dataclass(frozen=True)
class GradientCheck:
    """What ``check_gradients`` found; prints as a table.

    Attributes:
        rows: children before the layers built from them, the loss last.
    """

    rows: tuple[Row, ...]

    @property
    def ok(self) -> bool:
        """Whether every rule is right."""
        return all(row.ok for row in self.rows)

    @property
    def culprit(self) -> Row | None:
        """The first wrong row: the rule to mend, since whatever is built from it is wrong too."""
        return next((row for row in self.rows if not row.ok), None)

    def __str__(self) -> str:
        wrong = self.culprit
        last = f"wrong: {wrong.path}" if wrong else "every gradient by hand is right"
        return f"{format_rows(self.rows)}\n{last}"


def format_rows(rows: Sequence[Row]) -> str:
    """A table with a line for each row, below a line of headings."""
    width = max(len(row.path) for row in rows)
    shapes = max(len(str(row.shape)) for row in rows)
    lines = [f"{'leaf':{width}}  {'shape':{shapes}}  jax.vjp  differences"]
    for row in rows:
        verdict = f"{'pass' if row.ok else 'FAIL'}  {row.note}".rstrip()
        lines.append(
            f"{row.path:{width}}  {row.shape!s:{shapes}}  {_number(row.jax_error):>7}"
            f"  {_number(row.differences_error):>11}  {verdict}"
        )
    return "\n".join(lines)


def _number(error: float) -> str:
    return "–" if math.isnan(error) else f"{error:.0e}"


def check_gradients(
    net: Layer, params: Params, x: Any, y: Any, loss: Loss, key: Key | None = None
) -> GradientCheck:
    """Compare every hand-written rule of a network with ``jax.vjp`` and finite differences.

    Each layer, each combinator and the loss is checked by itself, at the input it sees in
    this network, so that a wrong rule is named and not only noticed.  Everything is computed
    in float64 and every entry of every leaf is compared, for random dy and, where the output
    is tiny, for every basis vector.  ``jax.vjp`` differentiates the plain forward pass;
    differences show whether that pass hides a derivative, as ``stop_gradient`` does.

    Each entry is compared with itself, to a relative 1e-9 with ``jax.vjp`` and 1e-5 with
    differences, beyond what rounding may have done to it: running both rules with random
    rounding errors shows how much that is.

    At a kink (relu at 0, ties in pooling) the rules are compared with JAX's convention;
    finite differences, which mean nothing there, are taken a small random step beside it.

    A layer that raises, or gives something of a wrong shape or structure, gets a row that
    says so; layers that get no input because of it get one that says that.  Integers, such
    as tokens, have no gradient: ``backward`` gives None (or JAX's float0) for them.

    Args:
        net: the network.
        params: its parameters.
        x: a few examples, an array or a pytree of arrays; the time grows with their number.
        y: their targets.
        loss: one of ``jaxnn.losses``.
        key: the randomness of layers such as dropout, the same in every evaluation; a fixed
            one unless given.

    Returns:
        A result with ``.ok``, ``.rows`` and ``.culprit``.

    Example:
        >>> import jax, jax.numpy as jnp, jaxnn
        >>> net = jaxnn.serial(jaxnn.dense(3), jaxnn.tanh, jaxnn.dense(1))
        >>> x, y = jnp.ones((2, 4)), jnp.ones((2, 1))
        >>> params = net.init(jax.random.key(0), x)
        >>> check = jaxnn.check_gradients(net, params, x, y, jaxnn.binary_cross_entropy)
        >>> check.ok, [row.path for row in check.rows][:3]
        (True, ['serial[0].dense(3).W', 'serial[0].dense(3).b', 'serial[0].dense(3).input'])
    """
    key = jax.random.key(0) if key is None else key
    # The same key is used again and again, and a NaN becomes a row, on purpose.
    with jax.enable_x64(True), jax.debug_key_reuse(False), jax.debug_nans(False):
        params = _to_float64(params)
        x, y = _to_float64(x, is_numbers), _to_float64(y, is_numbers)
        # Traced anew in each check: a function that the rules call may have changed since.
        z, inputs, broken = jax.jit(partial(_record_inputs, net))(params, x, key)
        programs = lru_cache(maxsize=32)(compile_rule)  # a network repeats its layers
        cost = _loss_as_layer(loss)
        if not broken.value:
            inputs[cost.name] = ((), z, y)
        rows: list[Row] = []
        for path, layer in [*walk(net), (cost.name, cost)]:
            if path in inputs:
                rows += _check_layer(path, layer, *inputs[path], programs)
            elif broken.value:  # else it is in a combinator that is checked as a whole only
                rows.append(_row_of_nothing(path, f"not checked: {broken.value} gives no output"))
    return GradientCheck(tuple(rows))


def _to_float64(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> Any:
    """A pytree with NumPy's float64 for every floating leaf."""

    def convert(leaf: Any) -> Any:
        leaf = np.asarray(leaf) if is_numbers(leaf) else leaf
        if jnp.issubdtype(jnp.result_type(leaf), jnp.floating):
            return np.asarray(leaf).astype(np.float64)
        return leaf

    return jax.tree.map(convert, tree, is_leaf=is_leaf)


def _record_inputs(net: Layer, params: Params, x: Any, key: Key) -> tuple[Any, Inputs, Static]:
    """The output, what every layer is given, and the path of a layer that gives no output.

    Where there is one, there is no output, and the layers after it are given nothing.
    """
    inputs: Inputs = {}
    broken: list[str] = []

    def record(path: str, layer: Layer) -> Layer:
        def forward(params: Params, x: Any, key: Key | None = None) -> tuple[Any, Cache]:
            inputs[path] = (params, x, key)
            try:
                return BoundLayer(layer, key).forward((params, x))
            except Exception:
                broken.append(path)  # the innermost comes first
                raise

        return dataclasses.replace(layer, forward=forward)

    try:
        z = map_layers(record, net).forward(params, x, key)[0]
    except Exception:
        if not broken:
            raise
        return None, inputs, Static(broken[0])  # its own check says what it raises
    return z, inputs, Static("")


def _loss_as_layer(loss: Loss) -> Layer:
    """The loss as one more layer, whose rule is dc · dZ; y takes the place of the key."""

    def forward(params: tuple[()], z: Array, y: Any = None) -> tuple[Array, Any]:
        cost = loss(z, y)
        if jnp.shape(cost) != ():
            raise Misfit(f"the loss gives shape {jnp.shape(cost)}, expected one number")
        return cost, (z, y)

    def backward(params: tuple[()], cache: Any, dc: Array) -> tuple[tuple[()], Array]:
        return (), jax.tree.map(lambda dz: dc * dz, loss.gradient(*cache))

    return Layer(f"{loss.name} dZ", no_params, forward, backward)


def _check_layer(
    path: str,
    layer: Layer,
    params: Params,
    x: Any,
    key: Key | None,
    programs: Callable[[Rule], Programs],
) -> list[Row]:
    """A row for every leaf and for the input; one for all leaves of a combinator together."""
    point, bound = (params, x), BoundLayer(layer, key)
    try:
        parts = bound.parts(point)
        errors = _measure_parts(bound, point, parts, programs)
    except Misfit as misfit:
        return [_row_of_nothing(path, str(misfit))]
    rows = [_row(path, part, errors.get(part.path)) for part in parts]
    if layer.layers:
        of_params = [row for row, part in zip(rows, parts, strict=True) if not part.of_input]
        rows = [*_join_rows(f"{path}.params", of_params), *rows[len(of_params) :]]
    return rows


class LayerRule(NamedTuple):
    """A layer as a function of some leaves of (params, x); the rest are the others, and the key.

    Attributes:
        layer: the layer.
        structure: of (params, x).
        paths: of all leaves.
        compared: the paths of those whose gradients are compared.
    """

    layer: Layer
    structure: Any
    paths: tuple[Path, ...]
    compared: tuple[Path, ...]

    def forward(self, leaves: Sequence[Array], rest: Any) -> Array:
        """y, as one vector."""
        return BoundLayer(self.layer, rest[1]).output(self._point(leaves, rest))

    def backward(self, leaves: Sequence[Array], dy: Array, rest: Any) -> list[Array]:
        """The gradients of the leaves, for dy as one vector."""
        gradients = BoundLayer(self.layer, rest[1]).gradients(self._point(leaves, rest), dy)
        return [gradients[path] for path in self.compared]

    def _point(self, leaves: Sequence[Array], rest: Any) -> Point:
        others = iter(rest[0])
        by_path = dict(zip(self.compared, leaves, strict=True))
        values = (by_path[p] if p in by_path else next(others) for p in self.paths)
        return jax.tree.unflatten(self.structure, values)


def _measure_parts(
    bound: BoundLayer, point: Point, parts: list[Part], programs: Callable[[Rule], Programs]
) -> dict[Path, tuple[float, float]]:
    """The errors of all leaves that can be compared, by path."""
    compared = tuple(part.path for part in parts if part.comparable)
    if not compared:
        return {}
    leaves = dict(jax.tree_util.tree_leaves_with_path(point))
    rule = LayerRule(bound.layer, jax.tree.structure(point), tuple(leaves), compared)
    rest = [leaf for path, leaf in leaves.items() if path not in compared], bound.key
    try:
        outputs = jax.eval_shape(bound.output, point).size
        here = [np.asarray(leaves[path]) for path in compared]
        errors = measure_errors(programs(rule), here, rest, outputs)
    except Exception as error:
        raise Misfit(f"the comparison with jax.vjp raises {describe_error(error)}") from error
    return dict(zip(compared, zip(errors.jax, errors.differences, strict=True), strict=True))


def _row(path: str, part: Part, errors: tuple[float, float] | None) -> Row:
    if errors is None and not part.note:
        return Row(path + part.name, part.shape, 0.0, 0.0, "integers, which have no gradient")
    by_jax, by_differences = errors or (np.nan, np.nan)
    row = Row(path + part.name, part.shape, float(by_jax), float(by_differences), part.note)
    return row if part.note else row._replace(note=_explain(row))


def _explain(row: Row) -> str:
    """What the numbers of a row do not say by themselves."""
    if math.isnan(row.jax_error):
        return "not finite, by hand or by jax.vjp"
    if math.isnan(row.differences_error):
        return "no differences: rounding or kinks hide the slope" if row.ok else ""
    if row.jax_error <= JAX_TOLERANCE and not row.ok:
        return "jax.vjp agrees: forward hides its derivative (stop_gradient, custom_jvp)"
    return ""


def _row_of_nothing(path: str, note: str) -> Row:
    return Row(path, (), np.nan, np.nan, note)


def _join_rows(path: str, rows: list[Row]) -> list[Row]:
    """One row for many: the worst of them."""
    if not rows:
        return []
    worst = max(rows, key=lambda row: (not row.ok, math.isnan(row.jax_error), row.jax_error))
    note = worst.note if worst.ok else f"at {worst.path} {worst.note}".rstrip()
    return [worst._replace(path=path, note=note)]
