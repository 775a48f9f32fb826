"""The gated recurrent unit."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax.nn import initializers

from jaxnn.layer import Array, Layer, constructor
from jaxnn.layers.recurrence import Cell, Initializer, State, recurrent, step_of


@constructor
def gru(
    n_out: int,
    *,
    W_init: Initializer = initializers.glorot_uniform(),  # noqa: B008 - a constant function
    U_init: Initializer = initializers.orthogonal(),  # noqa: B008
) -> Layer:
    """A recurrent layer whose gates decide how much of the state is replaced.

    With the gates r, z, n side by side in a and u, and ∘ the product by elements::

        forward    a = x_t Wᵀ + b,   u = h_{t−1} Uᵀ + [0, 0, c]              t = 1 … T
                   r = σ(a_r + u_r),  z = σ(a_z + u_z),  n = tanh(a_n + r ∘ u_n)
                   h_t = (1 − z) ∘ n + z ∘ h_{t−1},   y_t = h_t
        backward   dh_t += dy_t                                              t = T … 1
                   da_n = dh_t (1 − z) (1 − n²),   du_n = da_n ∘ r
                   da_z = du_z = dh_t (h_{t−1} − n) z (1 − z)
                   da_r = du_r = da_n u_n r (1 − r)
                   dh_{t−1} = dh_t ∘ z + du U,  dx_t = da W
                   dW = Σ_t daᵀ x_t,  dU = Σ_t duᵀ h_{t−1},  db = Σ_t da,  dc = Σ_t du_n

    The reset gate r is applied after the product with U, as in cuDNN and PyTorch; in the paper
    it is applied before.  At a step of padding the state does not change, and the output is 0.

    Args:
        n_out: units, n.
        W_init: an initializer of ``jax.nn.initializers`` for the (n_in, n) of each gate,
            which is transposed.
        U_init: the same for (n, n).  The biases begin with zeros.

    Returns:
        A layer (..., T, n_in) → (..., T, n) with params
        ``{"W": (3n, n_in), "U": (3n, n), "b": (3n,), "c": (n,)}``, float32, or float64 when
        JAX's x64 is on.  The state before the first step is 0, or with an input
        ``(x, state)`` that of the input, (..., n), whose gradient is returned too.  x may
        be ``Masked``.

    Raises:
        LayerError: when the input is not (..., T, n_in) of a floating dtype with T ≥ 1, or
            the state or the mask does not fit it.

    Source: Cho et al. 2014, "Learning phrase representations using RNN encoder-decoder",
    arXiv:1406.1078; this variant: NVIDIA cuDNN, PyTorch.

    Example:
        >>> import jax, jax.numpy as jnp, jaxnn
        >>> layer, x = jaxnn.gru(3), jnp.ones((2, 5, 4))
        >>> params = layer.init(jax.random.key(0), x)
        >>> params["W"].shape, layer.apply(params, x).shape
        ((9, 4), (2, 5, 3))
    """
    return recurrent(f"gru({n_out})", CELL, n_out, W_init, U_init, (0, 0, 0))


def gru_step(params: dict[str, Array], x: Array, state: Any = None) -> tuple[Array, Array]:
    """One step of ``gru``.

    Args:
        params: of the layer.
        x: the input of this step, (..., n_in).
        state: h of the step before, (..., n); None for zeros.

    Returns:
        The output of this step and the new state, which is the same array.

    Raises:
        LayerError: when the shapes do not fit.

    Example:
        >>> import jax, jax.numpy as jnp, jaxnn
        >>> params = jaxnn.gru(3).init(jax.random.key(0), jnp.ones((5, 4)))
        >>> y, state = jaxnn.gru_step(params, jnp.ones(4))
        >>> jaxnn.gru_step(params, jnp.ones(4), state)[0].shape
        (3,)
    """
    return _step(params, x, state)


def _forward(a: Array, u: Array, state: State) -> tuple[State, tuple[Array, ...]]:
    a_r, a_z, a_n = jnp.split(a, 3, axis=-1)
    u_r, u_z, u_n = jnp.split(u, 3, axis=-1)
    r, z = jax.nn.sigmoid(a_r + u_r), jax.nn.sigmoid(a_z + u_z)
    n = jnp.tanh(a_n + r * u_n)
    return ((1 - z) * n + z * state[0],), (r, z, n, u_n)


def _backward(needs: tuple[Array, ...], old: State, new: State, dnew: State) -> tuple[Array, State]:
    (r, z, n, u_n), (h,), (dh,) = needs, old, dnew
    da_n = dh * (1 - z) * (1 - n * n)
    da_z = dh * (h - n) * z * (1 - z)
    da_r = da_n * u_n * r * (1 - r)
    return jnp.concatenate([da_r, da_z, da_n], axis=-1), (dh * z,)


def _inner(da: Array, needs: tuple[Array, ...]) -> Array:
    da_r, da_z, da_n = jnp.split(da, 3, axis=-1)
    return jnp.concatenate([da_r, da_z, da_n * needs[0]], axis=-1)


CELL = Cell(3, 1, _forward, _backward, _inner, inner_bias=True)
_step = step_of("gru_step", CELL)
