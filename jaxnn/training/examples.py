"""Examples: an array, or a tuple or dict of arrays, with one leading axis for all."""

from __future__ import annotations

from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.layer import Array
from jaxnn.sharding import automatic, specs_of

Examples: TypeAlias = Any  # a pytree of arrays


def as_arrays(examples: Examples) -> Examples:
    """Every leaf as an array of JAX; lists of numbers become arrays as well."""
    return jax.tree.map(jnp.asarray, examples, is_leaf=_of_numbers)


def on_device(examples: Examples) -> Examples:
    """The same without compiling anything; not for what is being traced with NumPy arrays."""

    def array(a: Any) -> Any:
        return a if isinstance(a, jax.Array) else np.asarray(a)

    return jax.device_put(jax.tree.map(array, examples, is_leaf=_of_numbers))


def number_of(x: Examples, y: Examples) -> int:
    """How many examples there are.

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
        raise ValueError(f"expected as many targets as examples in every array, got {got}")
    if not sizes:
        raise ValueError("expected at least one array of examples, got none")
    return next(iter(sizes.values()))


def take(examples: Examples, batch: Array) -> Examples:
    """The examples with the numbers in ``batch``, sharded as ``batch`` is."""
    return jax.tree.map(
        lambda a: automatic(lambda a, batch: a[batch], specs_of(batch), a, batch), examples
    )


def _of_numbers(a: Any) -> bool:
    """Whether it is a list or tuple, nested or not, of numbers: an array for NumPy."""
    if not isinstance(a, (list, tuple)):
        return False
    leaves = jax.tree.leaves(a)
    return bool(leaves) and all(isinstance(leaf, (int, float, np.generic)) for leaf in leaves)
