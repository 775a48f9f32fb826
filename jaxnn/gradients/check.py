"""Proof that the hand-written rules are right: against JAX, and against finite differences."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxnn.inspection.traversal import record, walk
from jaxnn.layer import Array, Key, Layer, Params, no_params
from jaxnn.losses import Loss

# In float64, as shares of the leaf's largest entry.  Two exact rules differ by rounding only;
# central differences with step h differ from them by about h² and by rounding / h.
JAX_TOLERANCE = 1e-9
DIFFERENCES_TOLERANCE = 1e-5
STEP = 1e-6
BESIDE = 1e-3  # how far from the given point differences are taken, to be off its kinks
ENTRIES = 12  # of each leaf that differences are taken of, drawn at random


class Row(NamedTuple):
    """One leaf of one layer: its gradient by hand against the two others.

    Attributes:
        path: the layer's path and the leaf, ``serial[1].dense(7).b``; ``input`` is dx.
        shape: of the leaf.
        jax_error: largest difference from ``jax.vjp``, as a share of the largest entry.
        differences_error: the same for central differences, over a sample of the entries.
        note: what is wrong when no number can say it.
    """

    path: str
    shape: tuple[int, ...]
    jax_error: float
    differences_error: float
    note: str = ""

    @property
    def ok(self) -> bool:
        """Whether both errors are within rounding; NaN is not."""
        return self.jax_error <= JAX_TOLERANCE and self.differences_error <= DIFFERENCES_TOLERANCE


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
        width = max(len(row.path) for row in self.rows)
        shapes = max(len(str(row.shape)) for row in self.rows)
        lines = [f"{'leaf':{width}}  {'shape':{shapes}}  jax.vjp  differences"]
        for row in self.rows:
            verdict = "pass" if row.ok else f"FAIL  {row.note}".rstrip()
            lines.append(
                f"{row.path:{width}}  {row.shape!s:{shapes}}  {row.jax_error:7.0e}"
                f"  {row.differences_error:11.0e}  {verdict}"
            )
        wrong = self.culprit
        lines.append(f"wrong: {wrong.path}" if wrong else "every gradient by hand is right")
        return "\n".join(lines)


def check_gradients(
    net: Layer, params: Params, x: ArrayLike, y: ArrayLike, loss: Loss, key: Key | None = None
) -> GradientCheck:
    """Compare every hand-written rule of a network with ``jax.vjp`` and finite differences.

    Each layer, each combinator and the loss is checked by itself, at the input it sees in
    this network, so that a wrong rule is named and not only noticed.  Everything is computed
    in float64 and every entry of every leaf is compared, for random dy and, where the output
    is tiny, for every basis vector.  ``jax.vjp`` differentiates the plain forward pass.

    At a kink (relu at 0, ties in pooling) the rules are compared with JAX's convention;
    finite differences, which mean nothing there, are taken a small random step beside it.

    Args:
        net: the network.
        params: its parameters.
        x: a few examples; the time grows with their number.
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
    with jax.enable_x64(True):
        params, x, y = jax.tree.map(_as_float64, params), _as_float64(x), _as_float64(y)
        z, given = _given(net, params, x, key)
        rows: list[Row] = []
        for path, layer in walk(net):
            if path in given:
                rows += _check_layer(path, layer, *given[path])
        # The loss as one more layer, whose rule is dc · dZ.
        cost = Layer(
            f"{loss.name} dZ",
            no_params,
            lambda params, z, key=None: (loss(z, y), z),
            lambda params, z, dc: ((), dc * loss.gradient(z, y)),
        )
        rows += _check_layer(cost.name, cost, (), z, None)
    return GradientCheck(tuple(rows))


def _as_float64(leaf: Any) -> np.ndarray:
    leaf = np.asarray(leaf)
    return leaf.astype(np.float64) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf


@partial(jax.jit, static_argnums=0)
def _given(
    net: Layer, params: Params, x: Array, key: Key
) -> tuple[Array, dict[str, tuple[Params, Array, Key | None]]]:
    """The output, and the parameters, the input and the key that every layer is given."""
    z, calls = record(net, params, x, key)
    return z, {path: (call.params, call.x, call.key) for path, call in calls.items()}


def _check_layer(path: str, layer: Layer, params: Params, x: Array, key: Key | None) -> list[Row]:
    """A row for every leaf and for the input; one for all leaves of a combinator together."""
    rule = _Rule(layer, key)
    point = (params, x)
    y = jax.eval_shape(rule.apply, point)
    notes = _misfits(point, jax.eval_shape(rule.by_hand, point, y))
    if any(notes):
        by_jax = by_differences = np.array([np.inf if note else 0.0 for note in notes])
    else:
        by_jax, by_differences = _errors(rule, point, y)
    rows = []
    for (where, leaf), a, b, note in zip(
        jax.tree_util.tree_leaves_with_path(point), by_jax, by_differences, notes, strict=True
    ):
        of_input = where[0] == jax.tree_util.SequenceKey(1)
        name = ".input" if of_input else "".join(map(_dotted, where[1:]))
        rows.append(Row(path + name, leaf.shape, float(a), float(b), note))
    if layer.layers and len(rows) > 1:
        *leaves, of_input = rows
        worst = max(leaves, key=lambda row: (not row.ok, row.jax_error))
        note = "" if worst.ok else f"at {worst.path} {worst.note}".rstrip()
        rows = [worst._replace(path=f"{path}.params", note=note), of_input]
    return rows


class _Rule(NamedTuple):
    """A layer's forward pass and its hand-written rule as functions of (params, x)."""

    layer: Layer
    key: Key | None

    def apply(self, point: Params) -> Array:
        params, x = point
        return self.layer.apply(params, x, self.key)

    def by_hand(self, point: Params, dy: Array) -> Params:
        params, x = point
        _, cache = self.layer.forward(params, x, self.key)
        return self.layer.backward(params, cache, dy)

    def by_jax(self, point: Params, dy: Array) -> Params:
        return jax.vjp(self.apply, point)[1](dy)[0]


def _misfits(point: Params, gradient: Params) -> list[str]:
    """For every leaf, what is wrong with the shape of its gradient; empty where nothing is."""
    given = dict(jax.tree_util.tree_leaves_with_path(gradient))
    notes = []
    for where, leaf in jax.tree_util.tree_leaves_with_path(point):
        got = given.pop(where, None)
        if got is None:
            notes.append("the rule gives no gradient")
        else:
            fits = got.shape == leaf.shape
            notes.append("" if fits else f"the rule gives a gradient of shape {got.shape}")
    if given and not any(notes):
        notes[0] = "the rule gives a gradient of " + ", ".join(map(jax.tree_util.keystr, given))
    return notes


def _errors(rule: _Rule, point: Params, y: jax.ShapeDtypeStruct) -> tuple[np.ndarray, np.ndarray]:
    """Largest relative errors of every leaf: against JAX, and against differences.

    JAX is asked at the point, for random dy and the basis of a tiny output, and beside it,
    where differences are taken of some of the entries.
    """
    rng = np.random.default_rng(0)
    dys = rng.standard_normal((3, *y.shape))
    if 0 < y.size <= 8:
        dys = np.concatenate([np.eye(y.size).reshape(-1, *y.shape), dys])
    point = jax.tree.map(np.asarray, point)
    beside = jax.tree.map(lambda leaf: leaf + BESIDE * rng.standard_normal(leaf.shape), point)
    sizes = [leaf.size for leaf in jax.tree.leaves(point)]
    sample = [rng.permutation(size)[:ENTRIES] for size in sizes]
    starts = np.cumsum([0, *sizes[:-1]])
    entries = np.concatenate([start + few for start, few in zip(starts, sample, strict=True)])
    ends = np.cumsum([few.size for few in sample])[:-1]

    @jax.jit  # one program: the rules are compiled once
    def compare(
        point: Params, beside: Params, dys: Array, entries: Array
    ) -> tuple[list[Array], Array, Array]:
        def against_jax(at: tuple[Array, Array]) -> tuple[list[Array], Array]:
            is_last, dy = at
            here = jax.tree.map(lambda a, b: jnp.where(is_last, b, a), point, beside)
            by_hand, by_jax = rule.by_hand(here, dy), rule.by_jax(here, dy)
            errors = [
                jnp.max(jnp.abs(a - b), initial=0) / _scale(b, dy)
                for a, b in zip(jax.tree.leaves(by_hand), jax.tree.leaves(by_jax), strict=True)
            ]
            return errors, jax.flatten_util.ravel_pytree(by_hand)[0][entries]

        errors, by_hand = jax.lax.map(against_jax, (jnp.arange(len(dys)) == len(dys) - 1, dys))
        flat, unflatten = jax.flatten_util.ravel_pytree(beside)

        def value(entry_and_step: tuple[Array, Array]) -> Array:
            entry, step = entry_and_step
            return jnp.sum(dys[-1] * rule.apply(unflatten(flat.at[entry].add(step))))

        steps = jnp.repeat(jnp.array([STEP, 0.0, -STEP]), entries.size)
        values = jax.lax.map(value, (jnp.tile(entries, 3), steps)).reshape(3, -1)
        return [jnp.max(error) for error in errors], by_hand[-1], values

    against_jax, by_hand, values = jax.device_get(compare(point, beside, dys, entries))
    up, here, down = values
    slopes, bends = (up - down) / (2 * STEP), np.abs(up - 2 * here + down) / STEP
    against_differences = []
    for hand, slope, bend in zip(
        *(np.split(a, ends) for a in (by_hand, slopes, bends)), strict=True
    ):
        scale = _scale(hand, dys[-1])
        smooth = bend < 1e-2 * scale  # beside the point too, an entry can meet a kink
        wrong = np.abs(hand - slope)[smooth]
        against_differences.append(wrong.max() / scale if wrong.size else np.nan)
    return np.array(against_jax), np.array(against_differences)


def _scale(gradient: Array | np.ndarray, dy: Array | np.ndarray) -> Array:
    """What an error is compared with: the largest entry, or for a zero leaf a little of dy."""
    return jnp.maximum(abs(gradient).max(initial=0), 1e-6 * abs(dy).max(initial=1))


def _dotted(key: Any) -> str:
    """One step into a pytree: ``.b`` for a dict's key, ``[2]`` for a tuple's index."""
    return f".{key.key}" if isinstance(key, jax.tree_util.DictKey) else str(key)
