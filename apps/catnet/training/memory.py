"""Refuse a network that is too large for the memory of the machine."""

from __future__ import annotations

import math
import os

import jax

import jaxnn
from catnet.errors import UserError
from catnet.images.size import SIZE

COPIES = 3  # training holds the parameters, their gradients and the updated parameters


def refuse_too_large(net: jaxnn.Layer, networks: int = 1) -> None:
    """Refuse a network of images (..., 64, 64, 3) whose training does not fit into the memory.

    Without this check, the system would stop the process without a word, or slow down all others.

    Args:
        net: a network.
        networks: how many of them are trained at once.

    Raises:
        UserError: training needs more memory than the machine has.

    Example:
        >>> import jaxnn
        >>> refuse_too_large(jaxnn.serial(jaxnn.flatten, jaxnn.dense(7)))
    """
    image = jax.ShapeDtypeStruct((1, SIZE, SIZE, 3), "float32")
    shapes = jax.eval_shape(lambda key: net.init(key, image), jax.random.key(0))
    leaves = jax.tree.leaves(shapes)
    count = sum(math.prod(leaf.shape) for leaf in leaves)
    size = sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in leaves)
    needed = networks * COPIES * size
    memory = read_memory()
    if memory is not None and needed > memory:
        what = f"{networks} at once" if networks > 1 else "it"
        raise UserError(
            f"the network has {count:,} parameters; to train {what} takes at least "
            f"{needed / 1e9:,.0f} GB, and this machine has {memory / 1e9:,.0f} GB; use fewer or "
            "smaller layers"
        )


def read_memory() -> int | None:
    """The memory of the machine in bytes; None where the system does not tell."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        return None
