"""Encodings of the position of a step in its sequence, added to its features."""

from __future__ import annotations

import math
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.nn import initializers

from jaxnn.layer import (
    Array,
    Key,
    Layer,
    LayerError,
    Shaped,
    Tree,
    constant,
    constructor,
    expect,
    expect_input,
    expect_params,
    no_params,
)
from jaxnn.padding import join_gradient, join_mask, split_steps, values_of, zero

Initializer = initializers.Initializer
LONGEST = 10_000  # wavelength of the slowest feature / 2π


def sinusoids(steps: int, n: int) -> np.ndarray:
    """The table (steps, n) that ``sinusoidal_positions`` adds, in float64.

    ::

        p[t, 2i] = sin(t / 10000^(2i/n)),   p[t, 2i + 1] = cos(t / 10000^(2i/n))

    Example:
        >>> from jaxnn.layers.positions import sinusoids
        >>> sinusoids(2, 2).round(3).tolist()
        [[0.0, 1.0], [0.841, 0.54]]
    """
    features = np.arange(n)
    angles = np.arange(steps)[:, None] * np.exp(-math.log(LONGEST) * (features // 2 * 2 / n))
    return np.where(features % 2 == 0, np.sin(angles), np.cos(angles))


def _added(name: str, table: Array | None, x: Tree) -> tuple[Tree, tuple[Any, Any]]:
    """x + table, and the mask and the rank of each valid step, which is its place."""
    values, mask = split_steps(name, x)
    expect_input(name, values, "T", "n")
    steps, n = values.shape[-2:]
    if table is None:
        table = jnp.asarray(sinusoids(steps, n), values.dtype)
    rows = jnp.asarray(table[:steps], values.dtype)
    if mask is None:
        return values + jnp.broadcast_to(rows, values.shape), (None, None)
    rank = jnp.maximum(jnp.cumsum(mask, axis=-1) - 1, 0)
    return join_mask(zero(values + rows[rank], mask), mask), (mask, rank)


def _forward(params: tuple[()], x: Tree, key: Key | None = None) -> tuple[Tree, Any]:
    y, (mask, _) = _added("sinusoidal_positions", None, x)
    return y, mask


def _backward(params: tuple[()], mask: Any, dy: Tree) -> tuple[tuple[()], Tree]:
    return (), join_gradient(zero(values_of(dy), mask), mask)


# (..., T, n) → (..., T, n): y_t = x_t + p_t with the table of ``sinusoids``; of a Masked input,
# valid steps are counted.  dx = dy.  Vaswani et al. 2017, arXiv:1706.03762, section 3.5.
sinusoidal_positions = constant(
    __name__, Layer("sinusoidal_positions", no_params, _forward, _backward)
)


@constructor
def learned_positions(
    length: int,
    *,
    P_init: Initializer = initializers.normal(0.02),  # noqa: B008 - a constant function
) -> Layer:
    """A trained vector for each place in a sequence, added to the features of the step.

    ::

        forward    y_t = x_t + P[t]
        backward   dP[t] = Σ dy_t over examples,   dx = dy

    Args:
        length: the longest sequence there may be.
        P_init: an initializer of ``jax.nn.initializers`` for (length, n).

    Returns:
        A layer (..., T, n) → (..., T, n) with params ``{"P": (length, n)}``, float32, or
        float64 when JAX's x64 is on.  The input may be ``Masked``; valid steps are counted.

    Raises:
        LayerError: when the input is not (..., T, n) of a floating dtype with 1 ≤ T ≤ length.

    Source: Gehring et al. 2017, "Convolutional sequence to sequence learning",
    arXiv:1705.03122.

    Example:
        >>> import jax.numpy as jnp, jaxnn
        >>> params = {"P": jnp.array([[1.0], [2.0], [3.0]])}
        >>> jaxnn.learned_positions(3).apply(params, jnp.zeros((2, 1))).ravel().tolist()
        [1.0, 2.0]
    """
    name = f"learned_positions({length})"
    if length < 1:
        raise LayerError(f"{name}: expected a length of at least 1")

    def init(key: Key, x: Shaped) -> dict[str, Array]:
        values = split_steps(name, x)[0]
        expect_input(name, values, "T", "n")
        return {"P": P_init(key, (length, values.shape[-1]), jnp.zeros(()).dtype)}

    def forward(params: dict[str, Array], x: Tree, key: Key | None = None) -> tuple[Tree, Any]:
        (P,) = expect_params(name, params, "P")
        values = split_steps(name, x)[0]
        expect_input(name, values, "T", P.shape[1])
        expect(values.shape[-2] <= len(P), name, f"a sequence of at most {len(P)} steps", values)
        return _added(name, P, x)

    def backward(params: dict[str, Array], cache: Any, dy: Tree) -> tuple[dict[str, Array], Tree]:
        (mask, rank), P = cache, params["P"]
        dy = zero(values_of(dy), mask)
        if rank is None:
            sums = jnp.sum(dy.reshape(-1, *dy.shape[-2:]), axis=0, dtype=P.dtype)
            dP = jnp.pad(sums, ((0, len(P) - len(sums)), (0, 0)))
        else:
            dP = jnp.zeros_like(P).at[rank].add(dy.astype(P.dtype))
        return {"P": dP}, join_gradient(dy, mask)

    return Layer(name, init, forward, backward)
