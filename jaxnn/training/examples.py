"""Examples: an array, or a tuple or dict of arrays, with one leading axis for all; in batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
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


def each_batch(batches: Iterable[Any], first: int = 0) -> Iterator[tuple[Examples, Examples]]:
    """Yield the pairs (x, y) of an iterable from number ``first`` on, on the device.

    An iterable that can be started again is repeated without end.

    Raises:
        TypeError: ``batches`` cannot be iterated, or is an array or a dict.
        ValueError: a batch is not a pair, or its targets are not as many as its examples.

    Example:
        >>> batches = each_batch([(1 * np.ones(2), np.ones(2)), (2 * np.ones(2), np.ones(2))], 3)
        >>> [float(next(batches)[0][0]) for _ in range(3)]
        [2.0, 1.0, 2.0]
    """
    if not isinstance(batches, Iterable) or isinstance(batches, (jax.Array, np.ndarray, dict)):
        kind = type(batches).__name__
        raise TypeError(f"expected targets y, or an iterable of batches (x, y), got {kind} alone")
    return _repeat(batches, first)


def _repeat(batches: Iterable[Any], first: int) -> Iterator[tuple[Examples, Examples]]:
    number, before = 0, -1
    while number > before:  # an iterator that is at its end yields nothing more
        before = number
        for batch in batches:
            if number >= first:
                yield _pair(batch, number)
            number += 1


def _pair(batch: Any, number: int) -> tuple[Examples, Examples]:
    if not isinstance(batch, (tuple, list)) or len(batch) != 2:
        what = f"{type(batch).__name__}" + (
            f" of {len(batch)}" if hasattr(batch, "__len__") else ""
        )
        raise ValueError(f"expected batch {number} to be a pair (x, y), got {what}")
    x, y = map(on_device, batch)
    count_examples(x, y)
    return x, y
