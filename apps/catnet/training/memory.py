"""Refuse a network that is too large for the memory of the machine."""

from __future__ import annotations

import os

import jax

import jaxnn
from catnet.errors import UserError
from catnet.images.size import SIZE


def refuse_too_large(net: jaxnn.Layer, networks: int = 1) -> None:
    """Refuse a network of images (..., 64, 64, 3) that does not fit into the memory.

    The parameters and their gradients are counted; nothing is computed.  Without this check, the
    system would stop the process without a word, or slow down all others.

    Args:
        net: a network.
        networks: how many of them are trained at once.

    Raises:
        UserError: the parameters and their gradients take more memory than the machine has.

    Example:
        >>> import jaxnn
        >>> refuse_too_large(jaxnn.serial(jaxnn.flatten, jaxnn.dense(7)))
    """
    image = jax.ShapeDtypeStruct((1, SIZE, SIZE, 3), "float32")
    leaves = jax.tree.leaves(jax.eval_shape(net.init, jax.random.key(0), image))
    count = networks * sum(leaf.size for leaf in leaves)
    needed = networks * sum(2 * leaf.size * leaf.dtype.itemsize for leaf in leaves)
    memory = read_memory()
    if memory is not None and needed > memory:
        what = "the network has" if networks == 1 else f"{networks} networks at once have"
        raise UserError(
            f"{what} {count:,} parameters; with their gradients these take {needed / 1e9:,.0f} GB, "
            f"and this machine has {memory / 1e9:,.0f} GB; use fewer or smaller layers"
        )


def read_memory() -> int | None:
    """The memory of the machine in bytes; None where the system does not tell."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        return None
