"""The dense layer: the lecture's Z = W A + b, with the examples in rows."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.nn import initializers

from jaxnn.layer import (
    Array,
    Key,
    Layer,
    LayerError,
    Shaped,
    constructor,
    expect_input,
    expect_params,
)
from jaxnn.padding import masked
from jaxnn.sharding import data_parallel

Initializer = initializers.Initializer


class Dense(Layer):
    """A dense layer.  ``row_space`` recognizes this type: z is linear in the input and in W."""


@constructor
def dense(
    n_out: int,
    *,
    W_init: Initializer = initializers.he_normal(),  # noqa: B008 - a constant function
    b_init: Initializer = initializers.zeros,
) -> Layer:
    """Each output is a weighted sum of all inputs plus a bias.

    The lecture has the examples in columns and writes Z = W A + b.  Here they are in rows, with
    any number of batch axes, and W is the same::

        forward    z  = x Wᵀ + b
        backward   dW = dzᵀ x     summed over examples
                   db = Σ dz      summed over examples
                   dx = dz W

    Args:
        n_out: units of this layer, the lecture's n[l].
        W_init: an initializer of ``jax.nn.initializers``.  It gets the shape (n_in, n_out),
            from which it computes the fan-in; the result is transposed.
            ``initializers.zeros`` is the lecture's zero initialization.
        b_init: initializer of the bias.

    Returns:
        A layer (..., n_in) → (..., n_out) with params ``{"W": (n_out, n_in), "b": (n_out,)}``,
        float32, or float64 when JAX's x64 is on.

    Raises:
        LayerError: when the input is not of shape (..., n_in) or not of a floating dtype.

    Source: the lecture's vectorized forward and backward propagation; He et al. 2015,
    arXiv:1502.01852, for the default initialization.

    Example:
        >>> import jax, jax.numpy as jnp, jaxnn
        >>> layer = jaxnn.dense(2)
        >>> params = {"W": jnp.array([[1.0, 2.0, 3.0], [0.0, 0.0, 1.0]]), "b": jnp.ones(2)}
        >>> layer.apply(params, jnp.array([1.0, 1.0, 1.0])).tolist()
        [7.0, 2.0]
        >>> z, cache = layer.forward(params, jnp.ones((5, 3)))
        >>> dparams, dx = layer.backward(params, cache, jnp.ones_like(z))
        >>> dparams["b"].tolist(), dx[0].tolist()
        ([5.0, 5.0], [1.0, 2.0, 4.0])
    """
    name = f"dense({n_out})"
    if n_out < 1:
        raise LayerError(f"{name}: expected at least one unit")

    def init(key: Key, x: Shaped) -> dict[str, Array]:
        expect_input(name, x, "n_in")
        dtype = jnp.zeros(()).dtype
        W = W_init(key, (x.shape[-1], n_out), dtype).T
        return {"W": W, "b": b_init(jax.random.fold_in(key, 1), (n_out,), dtype)}

    def forward(params: dict[str, Array], x: Array, key: Key | None = None) -> tuple[Array, Array]:
        W, b = expect_params(name, params, "W", "b")
        expect_input(name, x, W.shape[1])
        z = x @ W.T.astype(x.dtype)
        return z + jnp.broadcast_to(b.astype(x.dtype), z.shape), x

    def backward(params: dict[str, Array], x: Array, dz: Array) -> tuple[dict[str, Array], Array]:
        W, b = params["W"], params["b"]
        rows_dz = dz.reshape(-1, n_out)
        rows_x = x.reshape(rows_dz.shape[0], x.shape[-1])
        # Sums over examples are in the dtype of the parameters.
        dW = jnp.matmul(rows_dz.T, rows_x, preferred_element_type=W.dtype)
        db = jnp.sum(rows_dz, axis=0, dtype=b.dtype)
        return {"W": dW, "b": db}, dz @ W.astype(dz.dtype)

    return masked(data_parallel(Dense(name, init, forward, backward), axes_in=1))
