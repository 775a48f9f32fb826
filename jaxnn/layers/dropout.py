"""Dropout: set random units to zero during training."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jaxnn.layer import Array, Key, Layer, LayerError, constructor, expect_input, no_params
from jaxnn.padding import masked


@constructor
def dropout(rate: float) -> Layer:
    """Set a random fraction of the input to zero and scale up the rest (inverted dropout).

    With a mask D that is 1/(1 − rate) with probability 1 − rate, and else 0::

        forward    y  = D x
        backward   dx = D dy

    The mask is in the cache, so the backward pass is deterministic.  Without a key (inference)
    y = x.

    Args:
        rate: the fraction dropped, 0 ≤ rate < 1 (the lecture's keep_prob is 1 − rate).

    Returns:
        A layer (...) → (...) without params.

    Raises:
        LayerError: when the rate is not in [0, 1).

    Source: Srivastava et al. 2014, "Dropout: a simple way to prevent neural networks from
    overfitting"; the lecture's "inverted dropout".

    Example:
        >>> import jax, jax.numpy as jnp, jaxnn
        >>> layer, x = jaxnn.dropout(0.5), jnp.ones(1000)
        >>> sorted(set(layer.apply((), x, jax.random.key(0)).tolist()))
        [0.0, 2.0]
        >>> bool((layer.apply((), x) == x).all())
        True
    """
    name = f"dropout({rate:g})"
    if not 0 <= rate < 1:
        raise LayerError(f"{name}: expected a rate in [0, 1), the fraction to drop")
    keep_prob = 1 - rate

    def forward(params: tuple[()], x: Array, key: Key | None = None) -> tuple[Array, Array | None]:
        expect_input(name, x)
        if key is None:
            return x, None
        keep = jax.random.bernoulli(key, keep_prob, x.shape)
        mask = jnp.where(keep, 1 / keep_prob, 0.0).astype(x.dtype)
        return x * mask, mask

    def backward(params: tuple[()], mask: Array | None, dy: Array) -> tuple[tuple[()], Array]:
        return (), dy if mask is None else dy * mask

    return masked(Layer(name, no_params, forward, backward))
