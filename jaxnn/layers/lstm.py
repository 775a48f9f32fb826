"""Long short-term memory: a recurrent layer with gates for its state."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax.nn import initializers

from jaxnn.layer import Array, Layer, constructor
from jaxnn.layers.recurrence import Cell, Initializer, State, recurrent, step_of


@constructor
def lstm(
    n_out: int,
    *,
    W_init: Initializer = initializers.glorot_uniform(),  # noqa: B008 - a constant function
    U_init: Initializer = initializers.orthogonal(),  # noqa: B008
    forget_bias: float = 1.0,
) -> Layer:
    """A recurrent layer with a cell state c, whose gradients reach back over many steps.

    With the gates i, f, g, o side by side in z, and ∘ the product by elements::

        forward    z_t = x_t Wᵀ + h_{t−1} Uᵀ + b                             t = 1 … T
                   i = σ(z_i),  f = σ(z_f),  g = tanh(z_g),  o = σ(z_o)
                   c_t = f ∘ c_{t−1} + i ∘ g,   h_t = o ∘ tanh(c_t),   y_t = h_t
        backward   dh_t += dy_t,  dc_t += dh_t ∘ o ∘ (1 − tanh² c_t)         t = T … 1
                   dz_i = dc_t g i (1 − i),  dz_f = dc_t c_{t−1} f (1 − f)
                   dz_g = dc_t i (1 − g²),   dz_o = dh_t tanh(c_t) o (1 − o)
                   dc_{t−1} = dc_t ∘ f,  dh_{t−1} = dz_t U,  dx_t = dz_t W
                   dW = Σ_t dz_tᵀ x_t,  dU = Σ_t dz_tᵀ h_{t−1},  db = Σ_t dz_t

    At a step of padding the state does not change, and the output is 0.

    Args:
        n_out: units, n.
        W_init: an initializer of ``jax.nn.initializers`` for the (n_in, n) of each gate,
            which is transposed.
        U_init: the same for (n, n).
        forget_bias: the initial bias of the gate f; all other biases are initially 0.

    Returns:
        A layer (..., T, n_in) → (..., T, n) with params
        ``{"W": (4n, n_in), "U": (4n, n), "b": (4n,)}``, float32, or float64 when JAX's x64 is
        on.  The state before the first step is 0, or with an input ``(x, (h, c))`` that of
        the input, (..., n) each, whose gradient is returned too.  x may be ``Masked``.

    Raises:
        LayerError: when the input is not (..., T, n_in) of a floating dtype with T ≥ 1, or
            the state or the mask does not fit it.

    Source: Hochreiter and Schmidhuber 1997, "Long short-term memory"; the forget gate: Gers
    et al. 2000; its bias: Jozefowicz et al. 2015.

    Example:
        >>> import jax, jax.numpy as jnp, jaxnn
        >>> layer, x = jaxnn.lstm(3), jnp.ones((2, 5, 4))
        >>> params = layer.init(jax.random.key(0), x)
        >>> params["W"].shape, layer.apply(params, x).shape
        ((12, 4), (2, 5, 3))
    """
    first_b = (0.0, forget_bias, 0.0, 0.0)
    return recurrent(f"lstm({n_out})", CELL, n_out, W_init, U_init, first_b)


def lstm_step(
    params: dict[str, Array], x: Array, state: Any = None
) -> tuple[Array, tuple[Array, Array]]:
    """One step of ``lstm``.

    Args:
        params: of the layer.
        x: the input of this step, (..., n_in).
        state: (h, c) of the step before, (..., n) each; None for zeros.

    Returns:
        The output of this step, h, and the new state (h, c).

    Raises:
        LayerError: when the shapes do not fit.

    Example:
        >>> import jax, jax.numpy as jnp, jaxnn
        >>> params = jaxnn.lstm(3).init(jax.random.key(0), jnp.ones((5, 4)))
        >>> y, state = jaxnn.lstm_step(params, jnp.ones(4))
        >>> y, state = jaxnn.lstm_step(params, jnp.ones(4), state)
        >>> y.shape, [s.shape for s in state]
        ((3,), [(3,), (3,)])
    """
    return _step(params, x, state)


def _forward(a: Array, u: Array, state: State) -> tuple[State, tuple[Array, ...]]:
    z_i, z_f, z_g, z_o = jnp.split(a + u, 4, axis=-1)
    i, f, o = map(jax.nn.sigmoid, (z_i, z_f, z_o))
    g = jnp.tanh(z_g)
    c = f * state[1] + i * g
    tanh_c = jnp.tanh(c)
    return (o * tanh_c, c), (i, f, g, o, tanh_c)


def _backward(needs: tuple[Array, ...], old: State, new: State, dnew: State) -> tuple[Array, State]:
    (i, f, g, o, tanh_c), (dh, dc) = needs, dnew
    dc = dc + dh * o * (1 - tanh_c * tanh_c)
    di, df, dg, do = dc * g, dc * old[1], dc * i, dh * tanh_c
    dz = (di * i * (1 - i), df * f * (1 - f), dg * (1 - g * g), do * o * (1 - o))
    dz = jnp.concatenate(dz, axis=-1)
    return dz, (jnp.zeros_like(dh), dc * f)


CELL = Cell(4, 2, _forward, _backward)
_step = step_of("lstm_step", CELL)
