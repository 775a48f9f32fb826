"""Convolution along the time axis."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jax.nn import initializers

from jaxnn.layer import (
    Array,
    Key,
    Layer,
    LayerError,
    Shaped,
    Tree,
    constructor,
    expect,
    expect_input,
    expect_params,
)
from jaxnn.layers.conv import conv
from jaxnn.padding import Masked, join_gradient, split_steps, values_of, zero

Initializer = initializers.Initializer
Padding = str | tuple[int, int]


@constructor
def conv1d(
    n_out: int,
    window: int = 3,
    stride: int = 1,
    padding: Padding = "SAME",
    groups: int = 1,
    *,
    bias: bool = True,
    W_init: Initializer = initializers.he_normal(),  # noqa: B008 - a constant function
    b_init: Initializer = initializers.zeros,
) -> Layer:
    """Every output step is a weighted sum of the input steps in a window around it.

    ``conv`` with images of one column; with stride s, x zero outside the sequence, and lo
    steps of padding before it::

        forward    y[p] = Σ_i x[s p + i − lo] W[i] + b
        backward   dW[i] = Σ_p x[s p + i − lo]ᵀ dy[p],   db = Σ_p dy[p]
                   dx[u] = Σ_i dy[(u − i + lo) / s] W[i]ᵀ     over the i without remainder

    Args:
        n_out: output features.
        window: steps in a window, k.
        stride: steps from one window to the next.
        padding: ``"SAME"`` (as many output steps as input steps / stride, rounded up),
            ``"VALID"`` (none), ``"CAUSAL"`` (k − 1 steps before the first: a window ends at
            its step) or ``(before, after)``.
        groups: groups of features, as in ``conv``.
        bias: whether there is a b.
        W_init: an initializer of ``jax.nn.initializers`` for (k, 1, n_in / groups, n_out).
        b_init: initializer of the bias.

    Returns:
        A layer (..., T, n_in) → (..., T', n_out) with params
        ``{"W": (k, n_in / groups, n_out), "b": (n_out,)}``, float32, or float64 when JAX's x64
        is on.  x may be ``Masked`` where the stride is 1 and the padding has a name: padding
        counts as 0, and an output step is valid where its own input step is; with
        ``"VALID"``, where all steps of its window are.

    Raises:
        LayerError: when the input is not (..., T, n_in) of a floating dtype or shorter than
            the window, the groups do not divide the features, or a ``Masked`` input meets
            another stride or padding.

    Source: Waibel et al. 1989, "Phoneme recognition using time-delay neural networks".

    Example:
        >>> import jax.numpy as jnp, jaxnn
        >>> params = {"W": jnp.array([1.0, 10.0]).reshape(2, 1, 1)}
        >>> layer = jaxnn.conv1d(1, 2, padding="CAUSAL", bias=False)
        >>> layer.apply(params, jnp.array([[1.0], [2.0], [3.0]])).ravel().tolist()
        [10.0, 21.0, 32.0]
    """
    name = f"conv1d({n_out})"
    if window < 1 or stride < 1:
        raise LayerError(f"{name}: expected a window and a stride of at least one step")
    pads: Any = (window - 1, 0) if padding == "CAUSAL" else padding
    if not isinstance(pads, str):
        if len(pads) != 2 or min(pads) < 0:
            raise LayerError(f"{name}: expected padding (before, after), got {padding!r}")
        pads = (tuple(pads), (0, 0))
    elif pads not in ("SAME", "VALID"):
        raise LayerError(
            f"{name}: expected padding to be 'SAME', 'VALID', 'CAUSAL' or (before, after), "
            f"got {padding!r}"
        )
    try:
        image_layer = conv(
            n_out, (window, 1), (stride, 1), pads, groups, bias=bias, W_init=W_init, b_init=b_init
        )
    except LayerError as error:
        raise LayerError(f"{name}{str(error).removeprefix(f'conv({n_out})')}") from None
    names = ("W", "b") if bias else ("W",)

    def read(x: Tree) -> tuple[Any, Any]:
        values, mask = split_steps(name, x)
        expect_input(name, values, "T", "n_in")
        if mask is not None and (stride > 1 or not isinstance(padding, str)):
            raise LayerError(f"{name}: Masked input needs stride 1 and padding with a name")
        return values, mask

    def init(key: Key, x: Shaped) -> dict[str, Array]:
        values, _ = read(x)
        n_in = values.shape[-1]
        expect(n_in % groups == 0, name, f"features that {groups} groups divide", values)
        shape = (window, 1, n_in)  # conv depends on the number of channels only
        params = image_layer.init(key, jnp.zeros(shape, values.dtype))
        return {**params, "W": params["W"][:, 0]}

    def forward(params: dict[str, Array], x: Tree, key: Key | None = None) -> tuple[Tree, Any]:
        W, *_ = expect_params(name, params, *names)
        values, mask = read(x)
        expect_input(name, values, "T", W.shape[1] * groups)
        shortest = window - sum(pads[0]) if isinstance(pads, tuple) else 1
        shortest = window if pads == "VALID" else shortest
        expect(
            values.shape[-2] >= shortest, name, f"a sequence of at least {shortest} steps", values
        )
        columns = zero(values, mask)[..., None, :]
        y, cache = image_layer.forward(_as_image(params), columns)
        y = y[..., 0, :]
        if mask is None:
            return y, (cache, None, None)
        valid = _all_in_window(mask, window) if padding == "VALID" else mask
        return Masked(zero(y, valid), valid), (cache, mask, valid)

    def backward(params: dict[str, Array], cache: Any, dy: Tree) -> tuple[Any, Tree]:
        inner, mask, valid = cache
        dy = zero(values_of(dy), valid)[..., None, :]
        dparams, dx = image_layer.backward(_as_image(params), inner, dy)
        dx = zero(dx[..., 0, :], mask)
        return {**dparams, "W": dparams["W"][:, 0]}, join_gradient(dx, mask)

    return Layer(name, init, forward, backward)


def _as_image(params: dict[str, Array]) -> dict[str, Array]:
    return {**params, "W": params["W"][:, None]}


def _all_in_window(mask: Array, window: int) -> Array:
    """Whether all steps of each window are valid: (..., T) → (..., T − window + 1)."""
    count = mask.shape[-1] - window + 1
    places = [mask[..., i : i + count] for i in range(window)]
    return jnp.all(jnp.stack(places), axis=0)
