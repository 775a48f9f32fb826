"""Linear maps along one axis of an array, given by sparse matrices.

Padding, cutting into tiles, small sums, and their compositions are such maps.  Here each is one
gather for each nonzero number of a row, which XLA's CPU backend (jax 0.10.2) compiles to a single
short loop.  Slices, pads and concatenations become several loops, which take longer to compile.
``python -m catnet_bench rules`` compares the speed of the layers.
"""

from __future__ import annotations

import functools

import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxnn.layer import Array, sum_dtype


def multiply_along(axis: int, matrix: np.ndarray, x: Array) -> Array:
    """Multiply x by ``matrix`` along an axis.

    ::

        y[…, p, …] = Σ_q matrix[p, q] x[…, q, …]      over the q where matrix[p, q] ≠ 0

    Args:
        axis: an axis of x, counted from the first.
        matrix: (n, x.shape[axis]); a constant of the compiled program.
        x: an array of a floating dtype.

    Returns:
        y, with n places along the axis, in the dtype of x; sums are in float32 at least.  NaN and
        inf affect only the rows with a nonzero number for their place.  The exception: a row of
        zeros multiplies place 0 by 0.

    Example:
        >>> import jax.numpy as jnp, numpy as np
        >>> from jaxnn.kernels.sparse_matmul import multiply_along
        >>> matrix = np.array([[1, 0, -1], [0, 2, 0]])
        >>> multiply_along(0, matrix, jnp.array([5.0, 6.0, 7.0])).tolist()
        [-2.0, 12.0]
    """
    dtype = sum_dtype(x.dtype)
    terms = max(1, int((matrix != 0).sum(axis=1).max()))
    columns = np.argsort(matrix == 0, axis=1, kind="stable")[:, :terms]  # nonzero ones first
    factors = np.take_along_axis(matrix, columns, axis=1)
    columns = np.where(factors == 0, columns[:, :1], columns)  # no place with a zero

    def term(columns: np.ndarray, factors: np.ndarray) -> Array:
        y = x.at[(slice(None),) * axis + (columns,)].get(mode="promise_in_bounds").astype(dtype)
        return y * lax.broadcast_in_dim(jnp.asarray(factors, dtype), y.shape, (axis,))

    return functools.reduce(jnp.add, map(term, columns.T, factors.T)).astype(x.dtype)
