"""The outline of a tree: its structure as JSON, with the kind of every leaf.

A dict is a JSON object, and so is every other node with names, such as a NamedTuple;
``["tuple", …]``, ``["list", …]`` and ``["none"]`` are what they say.  A leaf is null for an array,
``"int"``, ``"float"`` or ``"bool"`` for a number of Python, ``"key threefry2x32"`` for a typed key
of ``jax.random``.  Every leaf has a path-like key: ``1/W`` is ``tree[1]["W"]``.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Iterator, Mapping
from reprlib import repr
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
from jax.tree_util import DictKey, keystr, tree_flatten_with_path, tree_map_with_path

Outline: TypeAlias = Any  # what JSON can hold

DEEPEST = 100  # levels of a tree
NUMBERS = ("int", "float", "bool")  # of Python
_ROOT = "params"  # the key of a tree that is a single leaf
_SEQUENCES = {"tuple": tuple, "list": list, "none": lambda _: None}


def outline(tree: Any, key: str = "", levels: int = DEEPEST) -> tuple[Outline, dict[str, Any]]:
    """The outline of a tree, and its leaves by key.

    Raises:
        ValueError: the tree cannot be told from its outline; says why.

    Example:
        >>> outline(({"W": 2.0}, [], None))
        (['tuple', {'W': 'float'}, ['list'], ['none']], {'0/W': 2.0})
    """
    if levels == 0:
        raise ValueError(f"params have more than {DEEPEST} levels, the most that a file can hold")
    children = _children(tree)
    if children is None:
        return _kind(tree, key), {key or _ROOT: tree}
    outlines, leaves = {}, {}
    for name, child in children:
        if not _is_name(name) or name in outlines:
            raise ValueError(
                f"{place(key)}: names must be strings without '/', each once; got {repr(name)}"
            )
        outlines[name], below = outline(child, _joined(key, name), levels - 1)
        leaves.update(below)
    if tree is None:
        return ["none"], leaves
    if type(tree) in (tuple, list):
        return [type(tree).__name__, *outlines.values()], leaves
    return outlines, leaves


def kinds(outlined: Outline, key: str = "") -> Iterator[tuple[str, str | None]]:
    """Key and kind of every leaf."""
    if outlined is None or isinstance(outlined, str):
        yield key or _ROOT, outlined
    else:
        for name, child in _items(outlined):
            yield from kinds(child, _joined(key, name))


def fill(outlined: Outline, leaves: Mapping[str, Any], key: str = "") -> Any:
    """The tree of an outline, with these leaves; what is neither tuple nor list is a dict."""
    if outlined is None or isinstance(outlined, str):
        return leaves[key or _ROOT]
    children = {name: fill(child, leaves, _joined(key, name)) for name, child in _items(outlined)}
    if isinstance(outlined, dict):
        return children
    return _SEQUENCES[outlined[0]](children.values())


def fill_like(like: Any, leaves: Mapping[str, Any]) -> Any:
    """A tree with the types of another, and these leaves."""
    return tree_map_with_path(lambda path, _: leaves[_path(path) or _ROOT], like)


def is_outline(value: Any, arrays_only: bool = False, levels: int = DEEPEST) -> bool:
    """Whether it is the outline of a tree; or of one of dicts, tuples, lists and arrays only."""
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
    """Where a leaf or a node stands, for error messages."""
    return "params" if key in ("", _ROOT) else f"params {key}"


def is_key(leaf: Any) -> bool:
    """Whether it is a typed key, or an array of them."""
    is_jax = isinstance(leaf, (jax.Array, jax.ShapeDtypeStruct))
    return is_jax and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _children(tree: Any) -> list[tuple[Any, Any]] | None:
    """Name and child of everything in a node; None for a leaf."""
    if type(tree) in (dict, OrderedDict, defaultdict):
        return list(tree.items())  # in their own order, not in JAX's
    root = iter([True])  # all that JAX comes to after the root is a leaf here
    below, _ = tree_flatten_with_path(tree, is_leaf=lambda _: not next(root, False))
    if any(path == () for path, _ in below):
        return None
    return [
        (path[0].key if isinstance(path[0], DictKey) else _path(path), child)
        for path, child in below
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
        f"tree that JAX knows; got {type(leaf).__name__}"
    )


def _items(outlined: Outline) -> Iterator[tuple[str, Outline]]:
    children = outlined.items() if isinstance(outlined, dict) else enumerate(outlined[1:])
    return ((str(name), child) for name, child in children)


def _is_name(name: Any) -> bool:
    """Whether a path-like key can hold it, and UTF-8."""
    if not isinstance(name, str) or not name or "/" in name or str(name) != name:
        return False
    return not any("\ud800" <= letter <= "\udfff" for letter in name)


def _joined(key: str, name: str) -> str:
    return f"{key}/{name}" if key else str(name)


def _path(path: tuple[Any, ...]) -> str:
    return keystr(path, simple=True, separator="/")
