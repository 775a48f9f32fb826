"""Tokens to vectors."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax.nn import initializers

from jaxnn.layer import (
    Array,
    Key,
    Layer,
    LayerError,
    Shaped,
    constructor,
    expect,
    expect_params,
    is_concrete,
)
from jaxnn.padding import masked

Initializer = initializers.Initializer


@constructor
def embedding(
    n_tokens: int,
    n_out: int,
    *,
    E_init: Initializer = initializers.normal(1.0),  # noqa: B008 - a constant function
) -> Layer:
    """Every token is a row of a table.

    ::

        forward    y = E[x]
        backward   dE[k] = Σ dy over the tokens that are k;  x are integers: dx is None

    Args:
        n_tokens: how many tokens there are; the input has numbers from 0 to n_tokens − 1.
        n_out: the width of a row.
        E_init: an initializer of ``jax.nn.initializers`` for (n_tokens, n_out).

    Returns:
        A layer of integers (...) → (..., n_out) with params ``{"E": (n_tokens, n_out)}``,
        float32, or float64 when JAX's x64 is on; the output has their dtype.  x may be
        ``Masked``; a token that is padding may be any number.

    Raises:
        LayerError: when the input is not of an integer dtype, or a token does not exist.
            Inside ``jax.jit``, where tokens cannot be looked at, the row of such a token is
            NaN, and its gradient goes nowhere.

    Source: Bengio et al. 2003, "A neural probabilistic language model".

    Example:
        >>> import jax.numpy as jnp, jaxnn
        >>> layer, params = jaxnn.embedding(3, 2), {"E": jnp.arange(6.0).reshape(3, 2)}
        >>> y, cache = layer.forward(params, jnp.array([2, 0, 2]))
        >>> y.tolist()
        [[4.0, 5.0], [0.0, 1.0], [4.0, 5.0]]
        >>> dparams, dx = layer.backward(params, cache, jnp.ones_like(y))
        >>> dparams["E"].tolist(), dx
        ([[1.0, 1.0], [0.0, 0.0], [2.0, 2.0]], None)
    """
    name = f"embedding({n_tokens}, {n_out})"
    if n_tokens < 1 or n_out < 1:
        raise LayerError(f"{name}: expected at least one token and one unit")

    def check(x: Shaped) -> None:
        expect(hasattr(x, "shape"), name, "one array of tokens (...)", x)
        if not jnp.issubdtype(x.dtype, jnp.integer):
            raise LayerError(f"{name}: expected tokens of an integer dtype, got {x.dtype}")

    def init(key: Key, x: Shaped) -> dict[str, Array]:
        check(x)
        return {"E": E_init(key, (n_tokens, n_out), jnp.zeros(()).dtype)}

    def forward(params: dict[str, Array], x: Array, key: Key | None = None) -> tuple[Array, Array]:
        (E,) = expect_params(name, params, "E")
        expect(E.shape == (n_tokens, n_out), name, f"E {(n_tokens, n_out)}", E)
        check(x)
        wrong = (x < 0) | (x >= n_tokens)
        if is_concrete(wrong) and np.any(wrong):
            token = np.asarray(x)[np.asarray(wrong)][0]
            raise LayerError(f"{name}: expected tokens from 0 to {n_tokens - 1}, got {token}")
        x = jnp.where(wrong, n_tokens, x.astype(jnp.int32))  # beyond the table, not from its end
        return jnp.asarray(E).at[x].get(mode="fill", fill_value=jnp.nan), x

    def backward(params: dict[str, Array], x: Array, dy: Array) -> tuple[dict[str, Array], None]:
        E = params["E"]
        return {"E": jnp.zeros_like(E).at[x].add(dy.astype(E.dtype), mode="drop")}, None

    return masked(Layer(name, init, forward, backward))
