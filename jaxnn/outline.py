"""The outline of a tree: its structure as JSON, with the kind of each leaf.

A dict is a JSON object, and so is each other node with names, such as a NamedTuple.  A tuple is
``["tuple", …]``, a list ``["list", …]``, and None ``["none"]``.  A leaf is null for an array,
``"int"``, ``"float"`` or ``"bool"`` for a number of Python, and ``"key threefry2x32"`` for a typed
key of ``jax.random``.  Each leaf has a path-like key: ``1/W`` is ``tree[1]["W"]``.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Iterator, Mapping
from reprlib import repr
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
from jax.tree_util import DictKey, keystr, tree_flatten_with_path, tree_map_with_path

Outline: TypeAlias = Any  # a value that JSON can represent

DEEPEST = 100  # the greatest number of levels of a tree
NUMBERS = ("int", "float", "bool")  # types of Python
_ROOT = "params"  # the key of a tree that is a single leaf
_SEQUENCES = {"tuple": tuple, "list": list, "none": lambda _: None}


def outline(tree: Any, key: str = "", levels: int = DEEPEST) -> tuple[Outline, dict[str, Any]]:
    """The outline of a tree, and its leaves by key.

    Raises:
        ValueError: when the tree cannot be rebuilt from its outline; says why.

    Example:
        >>> outline(({"W": 2.0}, [], None))
        (['tuple', {'W': 'float'}, ['list'], ['none']], {'0/W': 2.0})
    """
    if levels == 0:
        raise ValueError(f"params have more than {DEEPEST} levels, the maximum of a file")
    children = _children(tree)
    if children is None:
        return _kind(tree, key), {key or _ROOT: tree}
    outlines, leaves = {}, {}
    for name, child in children:
        if not _is_name(name) or name in outlines:
            raise ValueError(
                f"{place(key)}: names must be strings without '/', each once; got {repr(name)}"
            )
        outlines[name], child_leaves = outline(child, _join(key, name), levels - 1)
        leaves.update(child_leaves)
    if tree is None:
        return ["none"], leaves
    if type(tree) in (tuple, list):
        return [type(tree).__name__, *outlines.values()], leaves
    return outlines, leaves


def kinds(structure: Outline, key: str = "") -> Iterator[tuple[str, str | None]]:
    """(key, kind) of each leaf."""
    if structure is None or isinstance(structure, str):
        yield key or _ROOT, structure
    else:
        for name, child in _items(structure):
            yield from kinds(child, _join(key, name))


def fill(structure: Outline, leaves: Mapping[str, Any], key: str = "") -> Any:
    """The tree of an outline with the given leaves; nodes other than tuples and lists are dicts."""
    if structure is None or isinstance(structure, str):
        return leaves[key or _ROOT]
    children = {name: fill(child, leaves, _join(key, name)) for name, child in _items(structure)}
    if isinstance(structure, dict):
        return children
    return _SEQUENCES[structure[0]](children.values())


def fill_like(like: Any, leaves: Mapping[str, Any]) -> Any:
    """The tree ``like`` with other leaves."""
    return tree_map_with_path(lambda path, _: leaves[_path(path) or _ROOT], like)


def is_outline(value: Any, arrays_only: bool = False, levels: int = DEEPEST) -> bool:
    """Whether a value is an outline; with ``arrays_only``, of dicts, tuples, lists and arrays."""
    if levels == 0:
        return False
    if isinstance(value, dict):
        return all(
            _is_name(name) and is_outline(child, arrays_only, levels - 1)
            for name, child in value.items()
        )
    if isinstance(value, list) and value[:1] in (["tuple"], ["list"]):
        return all(is_outline(child, arrays_only, levels - 1) for child in value[1:])
    if value is None or arrays_only:
        return value is None
    return value == ["none"] or value in NUMBERS or str(value).startswith("key ")


def place(key: str) -> str:
    """The place of a leaf or a node, for error messages."""
    return "params" if key in ("", _ROOT) else f"params {key}"


def is_key(leaf: Any) -> bool:
    """Whether a leaf is a typed key or an array of typed keys."""
    is_jax = isinstance(leaf, (jax.Array, jax.ShapeDtypeStruct))
    return is_jax and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _children(tree: Any) -> list[tuple[Any, Any]] | None:
    """(name, child) of each child of a node; None for a leaf."""
    if type(tree) in (dict, OrderedDict, defaultdict):
        return list(tree.items())  # in insertion order, unlike in JAX
    root = iter([True])  # all nodes below the root count as leaves
    children, _ = tree_flatten_with_path(tree, is_leaf=lambda _: not next(root, False))
    if any(path == () for path, _ in children):
        return None
    return [
        (path[0].key if isinstance(path[0], DictKey) else _path(path), child)
        for path, child in children
    ]


def _kind(leaf: Any, key: str) -> str | None:
    if type(leaf) in (int, float, bool):
        return type(leaf).__name__
    if is_key(leaf):
        return f"key {jax.random.key_impl(leaf) if isinstance(leaf, jax.Array) else ''}"
    if hasattr(leaf, "shape") and hasattr(leaf, "dtype"):
        return None
    raise ValueError(
        f"{place(key)}: expected an array, a number, a typed key, or a dict, tuple, list or other "
        f"pytree of JAX, got {type(leaf).__name__}"
    )


def _items(structure: Outline) -> Iterator[tuple[str, Outline]]:
    children = structure.items() if isinstance(structure, dict) else enumerate(structure[1:])
    return ((str(name), child) for name, child in children)


def _is_name(name: Any) -> bool:
    """Whether a path-like key can contain the name, and UTF-8 can encode it."""
    if not isinstance(name, str) or not name or "/" in name or str(name) != name:
        return False
    return not any("\ud800" <= letter <= "\udfff" for letter in name)


def _join(key: str, name: str) -> str:
    return f"{key}/{name}" if key else str(name)


def _path(path: tuple[Any, ...]) -> str:
    return keystr(path, simple=True, separator="/")
