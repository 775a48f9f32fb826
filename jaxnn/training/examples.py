"""Examples: an array, or a tuple or dict of arrays, with one leading axis for all."""

from __future__ import annotations

from typing import Any, TypeAlias

import jax
import numpy as np

from jaxnn.layer import Array, is_numbers
from jaxnn.sharding import automatic, specs_of

Examples: TypeAlias = Any  # a pytree of arrays


def on_device(examples: Examples) -> Examples:
    """Like ``as_arrays``, but compiles nothing; not for NumPy arrays in a traced function."""

    def array(a: Any) -> Any:
        return a if isinstance(a, jax.Array) else np.asarray(a)

    return jax.device_put(jax.tree.map(array, examples, is_leaf=is_numbers))


def count_examples(x: Examples, y: Examples) -> int:
    """The number of examples.

    Raises:
        ValueError: when there are no arrays, or their leading axes differ.
    """
    sizes = {}
    for name, examples in (("x", x), ("y", y)):
        for path, leaf in jax.tree_util.tree_leaves_with_path(examples):
            place = name + jax.tree_util.keystr(path)
            if not leaf.ndim:
                raise ValueError(f"expected {place} to have an axis of examples, got a number")
            sizes[place] = len(leaf)
    if len(set(sizes.values())) > 1:
        got = ", ".join(f"{size} in {place}" for place, size in sizes.items())
        raise ValueError(f"expected as many targets as examples in each array, got {got}")
    if not sizes:
        raise ValueError("expected at least one array of examples, got none")
    return next(iter(sizes.values()))


def take(examples: Examples, batch: Array) -> Examples:
    """The examples with the indices ``batch``, sharded as ``batch`` is."""
    return jax.tree.map(
        lambda a: automatic(lambda a, batch: a[batch], specs_of(batch), a, batch), examples
    )
