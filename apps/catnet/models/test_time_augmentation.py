"""Test-time augmentation: the mean logit of magnified and mirrored copies of an image."""

from __future__ import annotations

from typing import Any

import jax
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
def test_time_augmentation(net: Layer, sides: tuple[int, ...], size: int) -> Layer:
    """Average the output of a network over magnified middles of an image and their mirror images.

    Z_v is the matrix that resizes the middle v pixels of a row to the 64 pixels of the network,
    and Z̄_v is Z_v with its rows in reverse order.  For every channel::

        x_v        = Z_v x Z_vᵀ,   x̄_v = Z_v x Z̄_vᵀ
        forward    y = mean over v of (f(x_v) + f(x̄_v)) / 2
        backward   dx = Σ_v Z_vᵀ dx_v Z_v + Z_vᵀ dx̄_v Z̄_v,   dparams summed over all copies

    Training shows random crops (``augment.random_crop``), in which objects are larger than in
    whole images.  Magnified copies reduce this difference (Touvron et al. 2019,
    arXiv:1906.06423).

    In prediction, :mod:`catnet.models.inference` makes the same copies, and spares most images.

    Args:
        net: a layer of images (..., 64, 64, C).
        sides: side of each middle, in pixels; ``size`` is the whole image.
        size: height and width of an image, in pixels.

    Returns:
        A layer of images (..., size, size, C) with the same params and output as ``net``.

    Example:
        An image with a white middle is lighter when its middle is magnified::

            >>> import jax.numpy as jnp, jaxnn
            >>> from catnet.models.test_time_augmentation import test_time_augmentation
            >>> x = jnp.zeros((64, 64, 1)).at[8:56, 8:56].set(1.0)
            >>> net = test_time_augmentation(jaxnn.global_average_pool, (64, 32), 64)
            >>> net.apply((), x).tolist()  # (9/16 + 1) / 2
            [0.78125]
    """
    name = "test_time_augmentation"
    rows, columns = make_copies(sides, size)

    def init(key: Key, x: Shaped) -> Any:
        shape = (*x.shape[:-3], SIZE, SIZE, *x.shape[-1:])
        with inside(name, 0):
            return net.init(key, jax.ShapeDtypeStruct(shape, x.dtype))

    def forward(params: Any, x: Array, key: Key | None = None) -> tuple[Array, Any]:
        expect_input(name, x, size, size, "C")
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
        return test_time_augmentation(net, sides, size)

    return Layer(name, init, forward, backward, Children((net,), rebuild))


def make_copies(sides: tuple[int, ...], size: int) -> tuple[np.ndarray, np.ndarray]:
    """The matrices of the rows and columns of all copies, (2 · sides, 64, size) float32 each.

    Copy v of an image x is ``rows[v] x columns[v]ᵀ``; the mirror images come last.
    """
    zooms = np.stack([zoom(side, size) for side in sides]).astype(np.float32)
    return np.concatenate([zooms, zooms]), np.concatenate([zooms, zooms[:, ::-1]])


def zoom(side: int, size: int = SIZE) -> np.ndarray:
    """The matrix (64, size) that resizes the middle ``side`` of ``size`` pixels of a row to 64.

    Antialiased linear interpolation.  Sample i lies at
    ``c = (size − side) / 2 + (i + ½) side / 64``,
    pixel j has the weight ``max(0, 1 − |c − j − ½| / w)`` with ``w = max(1, side / 64)``; each row
    is scaled to the sum 1.
    """
    centres = (size - side) / 2 + (np.arange(SIZE) + 0.5) * side / SIZE
    distance = np.abs(centres[:, None] - np.arange(size)[None] - 0.5)
    weights = np.maximum(0, 1 - distance / max(1, side / SIZE))
    return weights / weights.sum(axis=1, keepdims=True)


def views(images: np.ndarray, sides: tuple[int, ...]) -> np.ndarray:
    """The magnified middles of images, one side after the other, without mirror images.

    Args:
        images: (n, size, size, 3) uint8.
        sides: as for ``test_time_augmentation``.

    Returns:
        (sides · n, 64, 64, 3) uint8.
    """
    zooms = [zoom(side, images.shape[1]).astype(np.float32) for side in sides]
    each = [np.einsum("ph,nhwc,qw->npqc", Z, images, Z, optimize=True) for Z in zooms]
    return np.concatenate(each).round().astype(np.uint8)
