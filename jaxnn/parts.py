"""Batches that are worked on a part at a time: what a step makes of it stays in the cache."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxnn.layer import Array, Shaped


def pictures_of(many: int, size: Sequence[int]) -> int:
    """How many pictures of rows × columns pixels, tiles or blocks have about so many of them."""
    return max(1, many // math.prod(size))


def by_parts(
    of_part: Callable[..., tuple[Any, Any]], total: Any, part: int, *arrays: Array
) -> tuple[Any, Any]:
    """``total, y = of_part(total, *arrays)``, ``part`` pictures at a time.

    What windows see is several times the size of the pictures: of a part, it stays in the
    processor's cache.
    """
    size = len(arrays[0])
    count = size // part * part
    if count <= part:
        return of_part(total, *arrays)
    whole = tuple(a[:count].reshape(-1, part, *a.shape[1:]) for a in arrays)
    _, like = jax.eval_shape(of_part, total, *(a[0] for a in whole))

    def begin(y: Shaped) -> Array:
        # What y begins with is overwritten: an array of its shape, or else any number.  Zeros
        # would be the same for all loops of a network: XLA makes them once, copies them for
        # each, and keeps all copies until their loop begins.
        shape = (count // part, *y.shape)
        same = [a for a in whole if a.shape == shape and a.dtype == y.dtype]
        # The last of arrays is the one that may not be needed any more: dy in backward passes.
        return same[-1] if same else jnp.full(shape, arrays[-1].ravel()[0].astype(y.dtype))

    def step(found: tuple[Any, Any], given: tuple[Array, Any]) -> tuple[tuple[Any, Any], None]:
        (total, y), (i, arrays) = found, given
        total, new = of_part(total, *arrays)
        write = partial(lax.dynamic_update_index_in_dim, index=i, axis=0)
        return (total, jax.tree.map(write, y, new)), None

    (total, y), _ = lax.scan(
        step, (total, jax.tree.map(begin, like)), (jnp.arange(count // part), whole)
    )
    y = jax.tree.map(lambda y: y.reshape(count, *y.shape[2:]), y)
    if count == size:
        return total, y
    total, rest = of_part(total, *(a[count:] for a in arrays))
    return total, jax.tree.map(lambda y, rest: jnp.concatenate([y, rest]), y, rest)
