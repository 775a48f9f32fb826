"""The same mathematics as jaxnn's layers, written directly in JAX; ``jax.vjp`` does the rest.

Parameters are those of jaxnn, so that values can be compared.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

Forward = Callable[[Any, Any], Any]
EPSILON = 1e-5


def conv(stride: int = 1, groups: int = 1, standardize: bool = False) -> Forward:
    """Convolution with padding "SAME"."""

    def forward(params: Any, x: Any) -> Any:
        W = params["W"]
        if standardize:
            W = W - jnp.mean(W, axis=(0, 1, 2), keepdims=True)
            W = W * lax.rsqrt(jnp.sum(W * W, axis=(0, 1, 2), keepdims=True) + 1e-8)
        y = lax.conv_general_dilated(
            x,
            W,
            (stride, stride),
            "SAME",
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            feature_group_count=groups,
        )
        return y + params["b"].reshape(1, 1, 1, -1)

    return forward


def space_to_depth(block: int) -> Forward:
    """The pixels of a block become the channels of one pixel."""

    def forward(params: Any, x: Any) -> Any:
        n, h, w, c = x.shape
        cut = x.reshape(n, h // block, block, w // block, block, c)
        return cut.transpose(0, 1, 3, 2, 4, 5).reshape(n, h // block, w // block, -1)

    return forward


def max_pool(params: Any, x: Any) -> Any:
    """The largest of 2×2 pixels."""
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


def average_pool(params: Any, x: Any) -> Any:
    """The mean of 2×2 pixels."""
    return lax.reduce_window(x, 0.0, lax.add, (1, 2, 2, 1), (1, 2, 2, 1), "VALID") / 4


def global_average_pool(params: Any, x: Any) -> Any:
    """The mean of all pixels."""
    return jnp.mean(x, axis=(1, 2))


def rms_norm(params: Any, x: Any) -> Any:
    """Root mean square normalization over the channels."""
    r = lax.rsqrt(jnp.mean(x * x, axis=-1, keepdims=True) + EPSILON)
    return x * r * _row(params["gamma"], x)


def layer_norm(params: Any, x: Any) -> Any:
    """Layer normalization over the channels."""
    z = x - jnp.mean(x, axis=-1, keepdims=True)
    r = lax.rsqrt(jnp.mean(z * z, axis=-1, keepdims=True) + EPSILON)
    return z * r * _row(params["gamma"], x) + _row(params["beta"], x)


def group_norm(groups: int) -> Forward:
    """Group normalization: over pixels and the channels of a group."""

    def forward(params: Any, x: Any) -> Any:
        grouped = x.reshape(*x.shape[:3], groups, -1)
        z = grouped - jnp.mean(grouped, axis=(1, 2, 4), keepdims=True)
        r = lax.rsqrt(jnp.mean(z * z, axis=(1, 2, 4), keepdims=True) + EPSILON)
        return (z * r).reshape(x.shape) * _row(params["gamma"], x) + _row(params["beta"], x)

    return forward


def _row(p: Any, like: Any) -> Any:
    return p.reshape((1,) * (like.ndim - 1) + p.shape)


def lecture(params: Any, x: Any) -> Any:
    """Dense, relu, …, dense."""
    *hidden, last = params[::2]
    for layer in hidden:
        x = jax.nn.relu(x @ layer["W"].T + layer["b"].reshape(1, -1))
    return x @ last["W"].T + last["b"].reshape(1, -1)


def photo(blocks: Sequence[int]) -> Forward:
    """The photo network, ``blocks[i]`` blocks in stage i: images to logits."""

    def block(params: Any, x: Any) -> Any:
        norm, first, _, second = params
        y = jax.nn.relu(conv()(first, rms_norm(norm, x)))
        return x + conv()(second, y)

    def forward(params: Any, x: Any) -> Any:
        trunk, dense = params
        layers = iter(trunk)
        x = conv(4)(next(layers), x)
        for stage, count in enumerate(blocks):
            if stage:
                norm, halving = next(layers), next(layers)
                x = conv(2)(halving, rms_norm(norm, x))
            for _ in range(count):
                x = block(next(layers), x)
        x = jnp.mean(rms_norm(next(layers), x), axis=(1, 2))
        return x @ dense["W"].T + dense["b"].reshape(1, -1)

    return forward
