"""Work on a batch of images in chunks, so that the intermediate arrays stay small."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.export import is_symbolic_dim

from jaxnn.layer import Array

OfChunk = Callable[..., tuple[Any, Any]]  # (total, *arrays) -> (total, y)


def images_per_chunk(elements: int, size: Sequence[int]) -> int:
    """How many images of ``size`` = (rows, columns) have about that many elements together.

    The elements are pixels, tiles or blocks.
    """
    return max(1, elements // math.prod(size))


def map_chunks(of_chunk: OfChunk, total: Any, chunk: int, *arrays: Array) -> tuple[Any, Any]:
    """``total, y = of_chunk(total, *arrays)``, computed for about ``chunk`` images at a time.

    The pixels in all windows are several times as many as the pixels of the images.  Those of
    one chunk fit into the processor's cache.

    Args:
        of_chunk: ``(total, *arrays) -> (total, y)`` for any number of images.  It adds to the
            total; the images of y are independent of each other.
        total: the total before the first chunk; None if there is nothing to add up.
        chunk: images in a chunk.  A smaller number that divides the batch is preferred.
        arrays: arrays whose first axis is the images.

    Returns:
        The total over all images, and y of all images.
    """
    size = arrays[0].shape[0]
    if is_symbolic_dim(size) or size <= chunk:
        return of_chunk(total, *arrays)
    chunk = next((n for n in range(chunk, chunk // 2, -1) if size % n == 0), chunk)
    count = size // chunk
    if count == 1:
        return of_chunk(total, *arrays)
    total, y = _scan_chunks(of_chunk, total, count, chunk, arrays)
    if count * chunk == size:
        return total, y
    total, y_rest = of_chunk(total, *(a[count * chunk :] for a in arrays))
    return total, jax.tree.map(lambda *ys: jnp.concatenate(ys), y, y_rest)


def _scan_chunks(
    of_chunk: OfChunk, total: Any, count: int, chunk: int, arrays: tuple[Array, ...]
) -> tuple[Any, Any]:
    """``map_chunks`` over the first ``count`` whole chunks."""
    chunks = tuple(a[: count * chunk].reshape(count, chunk, *a.shape[1:]) for a in arrays)
    _, y_of_chunk = jax.eval_shape(of_chunk, total, *(a[0] for a in chunks))
    y = jax.tree.map(
        lambda leaf: _buffer((count, *leaf.shape), leaf.dtype, chunks, arrays[-1]), y_of_chunk
    )
    # With one array and no total, y overwrites x chunk by chunk.  With a total, XLA
    # (jax 0.10.2) would copy x for every chunk, as it may compute the total after y.
    in_place = total is None and len(chunks) == 1 and y is chunks[0]

    def step(carry: tuple[Any, Any], item: tuple[Array, Any]) -> tuple[tuple[Any, Any], None]:
        (total, y), (i, inputs) = carry, item
        if in_place:
            inputs = (lax.dynamic_index_in_dim(y, i, keepdims=False),)
        total, y_i = of_chunk(total, *inputs)
        y = jax.tree.map(lambda y, y_i: lax.dynamic_update_index_in_dim(y, y_i, i, axis=0), y, y_i)
        return (total, y), None

    items = jnp.arange(count), () if in_place else chunks
    (total, y), _ = lax.scan(step, (total, y), items)
    return total, jax.tree.map(lambda y: y.reshape(count * chunk, *y.shape[2:]), y)


def _buffer(shape: tuple[int, ...], dtype: Any, chunks: tuple[Array, ...], x: Array) -> Array:
    """An array to write y into: its values do not matter.

    An input of the same shape serves as the buffer, the last one first: this is dy in backward
    passes, which nothing else needs.  Otherwise one element of x fills the buffer.  Zeros would
    take more memory: XLA (jax 0.10.2) makes one array of zeros for all loops of a network, copies
    it for each loop, and keeps all copies until their loops begin; see the benchmark
    ``python -m catnet_bench photo``.
    """
    for a in reversed(chunks):
        if a.shape == shape and a.dtype == dtype:
            return a
    return jnp.full(shape, x.ravel()[0].astype(dtype))
