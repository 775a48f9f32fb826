"""The logits of images: in batches of one size, from more copies of an image if in doubt."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from typing import Any

import numpy as np

from catnet.models import registry
from catnet.progress import track

# The network always gets batches of this size; the last one is padded.  So an answer does not
# depend on the other images, and the network is compiled once.
BATCH = 16


def compute_logits(architecture: dict[str, Any], params: Any, images: np.ndarray) -> np.ndarray:
    """Compute the logits of images.

    With ``test_time_augmentation`` in the architecture, they are the mean over copies of an image;
    see :mod:`catnet.models.test_time_augmentation`.  With ``first_view``, a side and a doubt, the
    network first sees the middle ``side`` pixels alone.  Where the margin of this answer is at
    least ``doubt``, it stands; only the other images are seen in all copies.  The margin is |z|
    for one logit z, else the difference of the two largest logits.

    Args:
        architecture: see ``registry.build``.
        params: of the network.
        images: (n, size, size, 3) uint8, n ≥ 1; the size is that of ``registry.read_geometry``.

    Returns:
        (n, 1) float32 for two classes; (n, classes) for more.
    """
    compute = _compile(json.dumps(architecture))
    if not (sides := architecture.get("test_time_augmentation")):
        return in_batches(lambda batch: compute(params, batch), images)
    from catnet.models.test_time_augmentation import make_copies

    def average(images: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """The mean logits over the copies that some matrices make, (copies, 64, size) each."""
        n, copies = len(images), len(rows)

        def of(pairs: np.ndarray) -> Any:  # an image and a copy each
            image, copy = np.divmod(pairs, copies)
            return compute(params, images[image], rows[copy], columns[copy])

        return in_batches(of, np.arange(n * copies)).reshape(n, copies, -1).mean(axis=1)

    size = images.shape[1]
    if not (first_view := architecture.get("first_view")):
        return average(images, *make_copies(tuple(sides), size))
    side, doubt = first_view
    z = average(images, *(matrices[:1] for matrices in make_copies((side,), size)))
    # Not ``<``: where a logit is NaN, the copies are seen too.
    doubtful = np.flatnonzero(~(_compute_margin(z) >= doubt))
    if len(doubtful):
        z[doubtful] = average(images[doubtful], *make_copies(tuple(sides), size))
    return z


def _compute_margin(z: np.ndarray) -> np.ndarray:
    """How far the logits (n, 1 or classes) are from another answer, (n,)."""
    if z.shape[1] == 1:
        return np.abs(z[:, 0])
    second, largest = np.partition(z, -2, axis=1)[:, -2:].T
    return largest - second


def in_batches(compute: Callable[[np.ndarray], Any], rows: np.ndarray) -> np.ndarray:
    """Compute something of each row of an array, n ≥ 1, in equal batches, zero-padded."""
    results = []
    starts = range(0, len(rows), BATCH)
    for start in track(starts, len(starts), "batches", "answering  "):
        part = rows[start : start + BATCH]
        batch = np.zeros((BATCH, *rows.shape[1:]), rows.dtype)
        batch[: len(part)] = part
        results.append(np.asarray(compute(batch))[: len(part)])
    return np.concatenate(results)


@functools.cache
def _compile(architecture: str) -> Callable[..., Any]:
    """Compile a network: (params, images uint8, matrices of their copies) → logits."""
    import jax
    import jax.numpy as jnp

    net = registry.network(json.loads(architecture)).layers

    def logits(params: Any, images: Any, rows: Any = None, columns: Any = None) -> Any:
        x = images.astype("float32") / 255
        if rows is not None:
            x = jnp.einsum("nph,nhwc,nqw->npqc", rows, x, columns)
        return net.apply(params, x)

    return jax.jit(logits)
