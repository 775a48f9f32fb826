"""Test-time augmentation: the mean logit of magnified and mirrored copies of an image."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np

from catnet.images.size import SIZE
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

__test__: dict[str, str] = {}  # for pytest: this module holds no tests, whatever its name


@constructor
def test_time_augmentation(net: Layer, sides: tuple[int, ...]) -> Layer:
    """Average the output of a network over magnified middles of an image and their mirror images.

    Z_v is the matrix that stretches the middle v pixels of a row over the whole row, and Z̄_v is
    Z_v with its rows in reverse order.  For every channel::

        x_v        = Z_v x Z_vᵀ,   x̄_v = Z_v x Z̄_vᵀ
        forward    y = mean over v of (f(x_v) + f(x̄_v)) / 2
        backward   dx = Σ_v Z_vᵀ dx_v Z_v + Z_vᵀ dx̄_v Z̄_v,   dparams summed over all copies

    Training shows random crops (``augment.random_crop``), in which objects are larger than in
    whole images.  Magnified copies reduce this difference (Touvron et al. 2019,
    arXiv:1906.06423).

    Args:
        net: a layer of images (..., 64, 64, C).
        sides: side of each middle, in pixels; 64 is the whole image.

    Returns:
        A layer with the same params, input and output as ``net``.

    Example:
        An image with a white middle is lighter when its middle is magnified::

            >>> import jax.numpy as jnp, jaxnn
            >>> from catnet.models.test_time_augmentation import test_time_augmentation
            >>> x = jnp.zeros((64, 64, 1)).at[8:56, 8:56].set(1.0)
            >>> net = test_time_augmentation(jaxnn.global_average_pool, (64, 32))
            >>> net.apply((), x).tolist()  # (9/16 + 1) / 2
            [0.78125]
    """
    name = "test_time_augmentation"
    zooms = np.stack([zoom(side) for side in sides])
    rows, columns = np.concatenate([zooms, zooms]), np.concatenate([zooms, zooms[:, ::-1]])

    def init(key: Key, x: Shaped) -> Any:
        with inside(name, 0):
            return net.init(key, x)

    def forward(params: Any, x: Array, key: Key | None = None) -> tuple[Array, Any]:
        expect_input(name, x, SIZE, SIZE, "C")
        R, C = jnp.asarray(rows, x.dtype), jnp.asarray(columns, x.dtype)
        copies = jnp.einsum("vph,...hwc,vqw->v...pqc", R, x, C)
        with inside(name, 0):
            y, cache = net.forward(params, copies.reshape(-1, *copies.shape[-3:]), key)
        y = y.reshape(*copies.shape[:-3], *y.shape[1:])
        return jnp.mean(y, axis=0), (Static(copies.shape), cache)

    def backward(params: Any, cache: Any, dy: Array) -> tuple[Any, Array]:
        shape, cache = cache
        each = jnp.broadcast_to((dy / len(rows))[None], (len(rows), *dy.shape))
        batch_axes = len(shape.value) - 3
        each = each.reshape(-1, *each.shape[batch_axes:])
        with inside(name, 0):
            dparams, dcopies = net.backward(params, cache, each)
        R, C = jnp.asarray(rows, dcopies.dtype), jnp.asarray(columns, dcopies.dtype)
        dcopies = dcopies.reshape(shape.value)
        return dparams, jnp.einsum("vph,v...pqc,vqw->...hwc", R, dcopies, C)

    def rebuild(net: Layer) -> Layer:
        return test_time_augmentation(net, sides)

    return Layer(name, init, forward, backward, Children((net,), rebuild))


def zoom(side: int) -> np.ndarray:
    """The matrix (64, 64) that stretches the middle ``side`` pixels of a row over the whole row.

    Linear interpolation: sample i lies at ``c = (64 − side) / 2 + (i + ½) side / 64``.  Pixel j
    has the weight ``max(0, 1 − |c − j − ½|)``; each row is scaled to the sum 1.
    """
    centres = (SIZE - side) / 2 + (np.arange(SIZE) + 0.5) * side / SIZE
    weights = np.maximum(0, 1 - np.abs(centres[:, None] - np.arange(SIZE)[None] - 0.5))
    return weights / weights.sum(axis=1, keepdims=True)
