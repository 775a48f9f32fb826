"""The simple recurrent layer."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jax.nn import initializers

from jaxnn.layer import Array, Layer, constructor
from jaxnn.layers.recurrence import Cell, Initializer, State, recurrent, step_of


@constructor
def rnn(
    n_out: int,
    *,
    W_init: Initializer = initializers.glorot_uniform(),  # noqa: B008 - a constant function
    U_init: Initializer = initializers.orthogonal(),  # noqa: B008
) -> Layer:
    """A recurrent layer: each step computes the state from the input and the state before.

    ::

        forward    h_t = tanh(x_t Wᵀ + h_{t−1} Uᵀ + b),   y_t = h_t          t = 1 … T
        backward   dz_t = (dy_t + dh_t) (1 − h_t²),  dh_{t−1} = dz_t U       t = T … 1
                   dW = Σ_t dz_tᵀ x_t,  dU = Σ_t dz_tᵀ h_{t−1},  db = Σ_t dz_t,  dx_t = dz_t W

    At a step of padding the state does not change, and the output is 0.

    Args:
        n_out: units, n.
        W_init: an initializer of ``jax.nn.initializers`` for (n_in, n), which is transposed.
        U_init: the same for (n, n).  The bias is initially 0.

    Returns:
        A layer (..., T, n_in) → (..., T, n) with params
        ``{"W": (n, n_in), "U": (n, n), "b": (n,)}``, float32, or float64 when JAX's x64 is on.
        The state before the first step is 0, or with an input ``(x, state)`` that of the
        input, (..., n), whose gradient is returned too.  x may be ``Masked``.

    Raises:
        LayerError: when the input is not (..., T, n_in) of a floating dtype with T ≥ 1, or
            the state or the mask does not fit it.

    Source: Elman 1990, "Finding structure in time".

    Example:
        >>> import jax.numpy as jnp, jaxnn
        >>> layer, ones = jaxnn.rnn(1), jnp.ones((1, 1))
        >>> params = {"W": ones, "U": ones, "b": jnp.zeros(1)}
        >>> [f"{y:.3f}" for y in layer.apply(params, jnp.array([[0.5], [0.0]])).ravel()]
        ['0.462', '0.432']
    """
    return recurrent(f"rnn({n_out})", CELL, n_out, W_init, U_init, (0,))


def rnn_step(params: dict[str, Array], x: Array, state: Any = None) -> tuple[Array, Array]:
    """One step of ``rnn``.

    Args:
        params: of the layer.
        x: the input of this step, (..., n_in).
        state: h of the step before, (..., n); None for zeros.

    Returns:
        The output of this step and the new state, which is the same array.

    Raises:
        LayerError: when the shapes do not fit.

    Example:
        >>> import jax.numpy as jnp, jaxnn
        >>> params = {"W": jnp.ones((1, 1)), "U": jnp.ones((1, 1)), "b": jnp.zeros(1)}
        >>> y, state = jaxnn.rnn_step(params, jnp.array([0.5]))
        >>> y, state = jaxnn.rnn_step(params, jnp.array([0.0]), state)
        >>> round(y.item(), 3)
        0.432
    """
    return _step(params, x, state)


def _forward(a: Array, u: Array, state: State) -> tuple[State, tuple[()]]:
    return (jnp.tanh(a + u),), ()


def _backward(needs: tuple[()], old: State, new: State, dnew: State) -> tuple[Array, State]:
    (h,), (dh,) = new, dnew
    dz = dh * (1 - h * h)
    return dz, (jnp.zeros_like(dh),)


CELL = Cell(1, 1, _forward, _backward)
_step = step_of("rnn_step", CELL)
