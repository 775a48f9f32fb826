"""What a layer gives, held against what it should give: complaints in words, not exceptions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.layer import Array, Cache, Key, Layer, Params

Path = tuple[Any, ...]  # JAX's keys, from (params, x) to a leaf
Point = tuple[Params, Any]  # (params, x)

LINE = 160  # characters of a message


class Misfit(Exception):
    """A layer gives nothing that could be compared; the message says what it gives instead."""


class Part(NamedTuple):
    """A leaf of (params, x), or a part of another structure than its gradient."""

    path: Path
    shape: tuple[int, ...]
    note: str  # what is wrong with its gradient; empty where nothing is
    differentiable: bool = True
    got: tuple[int, ...] | None = None  # the shape of its gradient, where it has one

    @property
    def name(self) -> str:
        """``.W`` of params, ``.input`` or ``.input[0]`` of x, ``.params`` for all of params."""
        inside = "".join(map(_dotted, self.path[1:]))
        return f".input{inside}" if self.of_input else inside or ".params"

    @property
    def of_input(self) -> bool:
        """Whether it is of x."""
        return self.path[0] == jax.tree_util.SequenceKey(1)

    @property
    def comparable(self) -> bool:
        """Whether its gradient can be compared number by number."""
        return self.differentiable and not self.note


class BoundLayer(NamedTuple):
    """A layer with its key, as functions of (params, x); dy and y are vectors."""

    layer: Layer
    key: Key | None

    def forward(self, point: Point) -> tuple[Any, Cache]:
        """The layer's ``(y, cache)``."""
        return _expect_pair("forward", self.layer.forward(*point, self.key), "(y, cache)")

    def output(self, point: Point) -> Array:
        """All numbers of y."""
        y, _ = self.forward(point)
        numbers = [jnp.ravel(leaf) for leaf in jax.tree.leaves(y) if _is_floating(leaf)]
        if not numbers:
            raise Misfit(f"forward gives {_describe(y)}, expected an output of a floating dtype")
        return jnp.concatenate([leaf.astype(jnp.float64) for leaf in numbers])

    def backward(self, point: Point, dy: Array) -> tuple[Any, Any]:
        """The layer's ``(dparams, dx)``."""
        y, cache = self.forward(point)
        gradient = self.layer.backward(point[0], cache, _like_output(y, dy))
        return _expect_pair("backward", gradient, "(dparams, dx)")

    def gradients(self, point: Point, dy: Array) -> dict[Path, Any]:
        """What ``backward`` gives for each leaf."""
        return {path: got for path, _, got, _ in _match(point, self.backward(point, dy))}

    def parts(self, point: Point) -> list[Part]:
        """Every leaf of params and x, and what is wrong with the gradient it is given.

        Raises:
            Misfit: when forward or backward raises, or gives no pair.
        """
        y = _traced("forward", self.output, point)
        parts = []

        def examine(point: Point, dy: Array) -> None:
            for path, leaf, got, note in _match(point, self.backward(point, dy)):
                shape = () if leaf is None else jnp.shape(leaf)
                of_gradient = getattr(got, "shape", None)
                parts.append(Part(path, shape, note, _is_floating(leaf), of_gradient))

        _traced("backward", examine, point, y)
        return parts


def describe_error(error: Exception) -> str:
    """The kind of an exception and the first line of its message."""
    message = str(error).strip().splitlines()
    if not message:
        return type(error).__name__
    first = message[0] if len(message[0]) <= LINE else f"{message[0][:LINE]}…"
    return f"{type(error).__name__}: {first}"


def _traced(what: str, function: Any, *args: Any) -> Any:
    try:
        return jax.eval_shape(function, *args)
    except Misfit:
        raise
    except Exception as error:
        raise Misfit(f"{what} raises {describe_error(error)}") from error


def _expect_pair(what: str, pair: Any, expected: str) -> tuple[Any, Any]:
    if not isinstance(pair, (tuple, list)) or len(pair) != 2:
        raise Misfit(f"{what} gives {_describe(pair)}, expected a pair {expected}")
    return pair[0], pair[1]


def _like_output(y: Any, dy: Array) -> Any:
    """The vector dy in the form of y; None for what has no derivative."""
    leaves, structure = jax.tree.flatten(y)
    ends = np.cumsum([jnp.size(leaf) if _is_floating(leaf) else 0 for leaf in leaves])
    dys = [
        part.reshape(leaf.shape).astype(leaf.dtype) if _is_floating(leaf) else None
        for part, leaf in zip(jnp.split(dy, ends[:-1]), leaves, strict=True)
    ]
    return jax.tree.unflatten(structure, dys)


def _match(like: Any, got: Any, path: Path = ()) -> Iterator[tuple[Path, Any, Any, str]]:
    """Every leaf of ``like``: its path, itself, what ``got`` has for it, what is wrong with that.

    A part of another structure than its gradient comes too.
    """
    inside = _children(like)
    if inside is None:
        yield path, like, got, _complaint(like, got)
        return
    # Combinators take params in a list too, and give a tuple.
    if type(got) is not type(like) and (type(got), type(like)) != (tuple, list):
        yield path, None, got, f"backward gives {_describe(got)}, expected {_describe(like)}"
        if (type(got), type(like)) != (list, tuple):
            return
    others = _children(got) or {}
    for key, child in inside.items():
        if key in others:
            yield from _match(child, others[key], (*path, key))
        else:
            note = f"backward gives nothing, expected {_describe(child)}"
            yield (*path, key), child if _children(child) is None else None, None, note
    for key in others.keys() - inside.keys():
        note = f"backward gives {_describe(others[key])}, expected nothing"
        yield (*path, key), None, others[key], note


def _children(tree: Any) -> dict[Any, Any] | None:
    """What lies one step inside a pytree; None for a leaf."""
    if tree is None:
        return {}
    entries = jax.tree_util.tree_leaves_with_path(tree, is_leaf=lambda part: part is not tree)
    if [path for path, _ in entries] == [()]:
        return None
    return {path[0]: child for path, child in entries}


def _complaint(leaf: Any, got: Any) -> str:
    """What is wrong with the gradient of a leaf; empty where nothing is."""
    if not _is_floating(leaf):
        if got is None or getattr(got, "dtype", None) == jax.dtypes.float0:
            return ""
        return f"backward gives {_describe(got)}, expected None: {leaf.dtype} has no gradient"
    if not hasattr(got, "dtype") or got.shape != leaf.shape:
        return f"backward gives {_describe(got)}, expected shape {tuple(leaf.shape)}"
    if got.dtype != leaf.dtype:
        return f"backward gives {_name(got.dtype)}, expected {_name(leaf.dtype)}"
    return ""


def _is_floating(leaf: Any) -> bool:
    return leaf is not None and jnp.issubdtype(jnp.result_type(leaf), jnp.floating)


def _name(dtype: Any) -> str:
    return "float0" if dtype == jax.dtypes.float0 else str(dtype)


def _describe(value: Any) -> str:
    if hasattr(value, "shape"):
        return f"an array of shape {tuple(value.shape)}"
    if isinstance(value, dict):
        return f"a dict of {', '.join(map(str, value))}" if value else "an empty dict"
    if type(value) in (list, tuple):
        return f"a {type(value).__name__} of {len(value)}"
    return "None" if value is None else f"{type(value).__name__} {value!r}"


def _dotted(key: Any) -> str:
    """One step into a pytree: ``.b`` for a dict's key, ``[2]`` for a tuple's index."""
    return f".{key.key}" if isinstance(key, jax.tree_util.DictKey) else str(key)
