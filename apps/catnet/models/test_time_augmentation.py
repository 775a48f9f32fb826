"""Looking at an image more than once: whole, closer, and in the mirror."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np

from catnet.models.registry import SIZE
from jaxnn.layer import (
    Array,
    Children,
    Key,
    Layer,
    Shaped,
    Static,
    constructor,
    expect_input,
    inside,
)


@constructor
def views(net: Layer, parts: tuple[int, ...]) -> Layer:
    """The mean of what a network says of the middle of images, of several sizes and mirrored.

    With Z_v the matrix that brings the middle of a row, v pixels of it, to the whole size, and
    Z̄_v for it with its rows in the opposite order, for every channel::

        x_v        = Z_v x Z_vᵀ,   x̄_v = Z_v x Z̄_vᵀ
        forward    y = mean over v of (f(x_v) + f(x̄_v)) / 2
        backward   dx = Σ_v Z_vᵀ dx_v Z_v + Z_vᵀ dx̄_v Z̄_v,   dparams those of all together

    Images are learnt from in parts (``augment.random_crop``), where things are larger than in
    whole ones: looking closer evens that out (Touvron et al. 2019, arXiv:1906.06423).

    Args:
        net: a layer of images (..., 64, 64, C).
        parts: side of the middle that each view shows, in pixels; 64 is the whole.

    Returns:
        A layer with the same params, input and output.

    Example:
        An image that is white in the middle alone is lighter from close by::

            >>> import jax.numpy as jnp, jaxnn
            >>> from catnet.models.test_time_augmentation import views
            >>> x = jnp.zeros((64, 64, 1)).at[8:56, 8:56].set(1.0)
            >>> both = views(jaxnn.global_average_pool, (64, 32))
            >>> both.apply((), x).tolist()  # (9/16 + 1) / 2
            [0.78125]
    """
    name = "views"
    zooms = np.stack([zoom(part) for part in parts])
    rows, columns = np.concatenate([zooms, zooms]), np.concatenate([zooms, zooms[:, ::-1]])

    def init(key: Key, x: Shaped) -> Any:
        with inside(name, 0):
            return net.init(key, x)

    def forward(params: Any, x: Array, key: Key | None = None) -> tuple[Array, Any]:
        expect_input(name, x, SIZE, SIZE, "C")
        R, C = jnp.asarray(rows, x.dtype), jnp.asarray(columns, x.dtype)
        seen = jnp.einsum("vph,...hwc,vqw->v...pqc", R, x, C)
        with inside(name, 0):
            y, cache = net.forward(params, seen.reshape(-1, *seen.shape[-3:]), key)
        y = y.reshape(*seen.shape[:-3], *y.shape[1:])
        return jnp.mean(y, axis=0), (Static(seen.shape), cache)

    def backward(params: Any, cache: Any, dy: Array) -> tuple[Any, Array]:
        shape, cache = cache
        each = jnp.broadcast_to((dy / len(rows))[None], (len(rows), *dy.shape))
        batch_axes = len(shape.value) - 3
        with inside(name, 0):
            dparams, dseen = net.backward(params, cache, each.reshape(-1, *each.shape[batch_axes:]))
        R, C = jnp.asarray(rows, dseen.dtype), jnp.asarray(columns, dseen.dtype)
        dseen = dseen.reshape(shape.value)
        return dparams, jnp.einsum("vph,v...pqc,vqw->...hwc", R, dseen, C)

    def rebuild(net: Layer) -> Layer:
        return views(net, parts)

    return Layer(name, init, forward, backward, Children((net,), rebuild))


def zoom(part: int) -> np.ndarray:
    """The matrix (64, 64) that stretches the middle ``part`` pixels of a row over all of it.

    Linear interpolation: sample i lies at ``c = (64 − part) / 2 + (i + ½) part / 64``, and pixel
    j has the weight ``max(0, 1 − |c − j − ½|)``, rows scaled to sum 1.
    """
    centres = (SIZE - part) / 2 + (np.arange(SIZE) + 0.5) * part / SIZE
    weights = np.maximum(0, 1 - np.abs(centres[:, None] - np.arange(SIZE)[None] - 0.5))
    return weights / weights.sum(axis=1, keepdims=True)
