"""Linear maps along one axis of an array, by matrices that are almost everywhere zero.

Padding, cutting into tiles and small sums are such maps, and so is whatever is composed of
them.  As one gather for each number of a row, XLA's CPU backend makes a single short loop of
the whole; of slices, pads and concatenations it makes several, each far longer to compile.
"""

from __future__ import annotations

import functools

import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxnn.layer import Array, sum_dtype


def along(axis: int, matrix: np.ndarray, x: Array) -> Array:
    """``matrix`` times x along an axis.

    ::

        y[…, p, …] = Σ_q matrix[p, q] x[…, q, …]      over the q where matrix[p, q] ≠ 0

    Args:
        axis: of x, counted from the first.
        matrix: (n, x.shape[axis]), known when the program is compiled.
        x: of any floating dtype.

    Returns:
        x with n places along the axis, in its dtype; sums are kept in float32 at least.  NaN and
        inf stay in the rows that have a number for them, but for rows of zeros, which look at
        place 0.

    Example:
        >>> import jax.numpy as jnp, numpy as np
        >>> from jaxnn.kernels.sparse_matmul import along
        >>> along(0, np.array([[1, 0, -1], [0, 2, 0]]), jnp.array([5.0, 6.0, 7.0])).tolist()
        [-2.0, 12.0]
    """
    dtype = sum_dtype(x.dtype)
    terms = max(1, int((matrix != 0).sum(axis=1).max()))
    where = np.argsort(matrix == 0, axis=1, kind="stable")[:, :terms]  # what is not zero first
    factors = np.take_along_axis(matrix, where, axis=1)
    where = np.where(factors == 0, where[:, :1], where)  # no number that is foreign to the row

    def term(where: np.ndarray, factors: np.ndarray) -> Array:
        y = x.at[(slice(None),) * axis + (where,)].get(mode="promise_in_bounds").astype(dtype)
        return y * lax.broadcast_in_dim(jnp.asarray(factors, dtype), y.shape, (axis,))

    return functools.reduce(jnp.add, map(term, where.T, factors.T)).astype(x.dtype)
