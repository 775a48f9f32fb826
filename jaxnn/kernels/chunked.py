"""Batches that are worked on a part at a time: a part takes little memory, or none but cache."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.export import is_symbolic_dim

from jaxnn.layer import Array, Shaped


def images_per_chunk(many: int, size: Sequence[int]) -> int:
    """How many images of rows × columns pixels, tiles or blocks have about so many of them."""
    return max(1, many // math.prod(size))


def map_chunks(
    of_chunk: Callable[..., tuple[Any, Any]], total: Any, part: int, *arrays: Array
) -> tuple[Any, Any]:
    """``total, y = of_part(total, *arrays)``, about ``part`` images at a time.

    What windows see is several times the size of the images: of a part, it can stay in the
    processor's cache.  Without a total, a y of the shape of the images takes their place.
    """
    size = arrays[0].shape[0]
    if is_symbolic_dim(size) or size <= part:
        return of_chunk(total, *arrays)
    part = next((p for p in range(part, part // 2, -1) if size % p == 0), part)
    count = size // part * part
    if count == part:
        return of_chunk(total, *arrays)
    whole = tuple(a[:count].reshape(count // part, part, *a.shape[1:]) for a in arrays)
    _, like = jax.eval_shape(of_chunk, total, *(a[0] for a in whole))

    def begin(y: Shaped) -> Array:
        # What y begins with is overwritten: an array of its shape, or else any number.  Zeros
        # would be the same for all loops of a network: XLA makes them once, copies them for
        # each, and keeps all copies until their loop begins.
        shape = (count // part, *y.shape)
        same = [a for a in whole if a.shape == shape and a.dtype == y.dtype]
        # The last of arrays is the one that may not be needed any more: dy in backward passes.
        return same[-1] if same else jnp.full(shape, arrays[-1].ravel()[0].astype(y.dtype))

    start = jax.tree.map(begin, like)
    # A total need not be made before y, so with one XLA would copy all of x for every part.
    in_place = total is None and len(arrays) == 1 and start is whole[0]

    def step(found: tuple[Any, Any], given: tuple[Array, Any]) -> tuple[tuple[Any, Any], None]:
        (total, y), (i, arrays) = found, given
        if in_place:
            arrays = (lax.dynamic_index_in_dim(y, i, keepdims=False),)
        total, new = of_chunk(total, *arrays)
        write = partial(lax.dynamic_update_index_in_dim, index=i, axis=0)
        return (total, jax.tree.map(write, y, new)), None

    given = jnp.arange(count // part), () if in_place else whole
    (total, y), _ = lax.scan(step, (total, start), given)
    y = jax.tree.map(lambda y: y.reshape(count, *y.shape[2:]), y)
    if count == size:
        return total, y
    total, rest = of_chunk(total, *(a[count:] for a in arrays))
    return total, jax.tree.map(lambda y, rest: jnp.concatenate([y, rest]), y, rest)
