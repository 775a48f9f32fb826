"""Pooling: reduce each window of an image to its largest or mean pixel."""

from __future__ import annotations

import functools
from typing import Any

import jax.numpy as jnp
from jax import lax

from jaxnn.kernels.geometry import (
    Padding,
    Pads,
    Size,
    Stride,
    check_padding,
    expect_count,
    expect_pixels,
    height_width,
    output_size,
    pads_around_dy,
    pads_in_pixels,
)
from jaxnn.kernels.window import (
    as_images,
    from_blocks,
    gather_place,
    scan_places,
    scatter_place,
    to_blocks,
    window_places,
    with_batch_of,
)
from jaxnn.layer import (
    Array,
    Key,
    Layer,
    Static,
    constant,
    constructor,
    expect,
    expect_input,
    no_params,
    sum_dtype,
)
from jaxnn.sharding import data_parallel

NONE = (0, 0)  # no padding
# Windows of at most SMALL places take one pass over all places.  For larger ones, a pass over rows
# and a pass over columns are faster on a CPU (jax 0.10.2, ``python -m catnet_bench rules``).
SMALL = 9


@constructor
def max_pool(window: Size = 2, stride: Size | None = None, padding: Padding = "VALID") -> Layer:
    """The largest value in each window, channel by channel.

    ::

        forward    y = max of x over the window
        backward   dx = Σ dy over the windows in which this pixel is the largest

    If several pixels of a window are the largest, the first of them, row by row, gets all of
    dy.  This is JAX's convention too.  Padding is never the largest: every window has to contain
    at least one pixel.

    Args:
        window: height and width of the window; one number for both.
        stride: step from window to window; by default the size of the window.
        padding: ``"VALID"`` (none), ``"SAME"`` or ``((above, below), (left, right))``.

    Returns:
        A layer (..., H, W, C) → (..., H', W', C) without params.  Sums of dy are in
        float32 at least.

    Raises:
        LayerError: when an argument is not of its kind, the input is not (..., H, W, C) of a
            floating dtype or smaller than the window, or a window contains nothing but padding.

    Source: Ranzato et al. 2007, "Unsupervised learning of invariant feature hierarchies".

    Example:
        >>> import jax.numpy as jnp, jaxnn
        >>> x = jnp.array([[1.0, 2.0, 5.0, 5.0]]).reshape(2, 2, 1)
        >>> y, cache = jaxnn.max_pool(2).forward((), x)
        >>> _, dx = jaxnn.max_pool(2).backward((), cache, jnp.ones_like(y))
        >>> y.ravel().tolist(), dx.ravel().tolist()
        ([5.0], [0.0, 0.0, 1.0, 0.0])
    """
    name = "max_pool"
    k = height_width(name, "window", window)
    steps = k if stride is None else height_width(name, "stride", stride)
    padding = check_padding(name, padding)
    # A large window: the largest pixel of each of its rows, then the largest of these.
    small = k[0] * k[1] <= SMALL
    rows, columns = ((1, k[1]), (1, steps[1])), ((k[0], 1), (steps[0], 1))

    def forward(
        params: tuple[()], x: Array, key: Key | None = None
    ) -> tuple[Array, tuple[Array, Array]]:
        expect_input(name, x, "H", "W", "C")
        pads = pads_in_pixels(name, x, k, steps, padding)
        expect_pixels(name, x, k, steps, pads)
        y = as_images(x)
        if small:
            y = _largest(y, k, steps, pads)
        else:
            y = _largest(y, *rows, (NONE, pads[1]))
            y = _largest(y, *columns, (pads[0], NONE))
        y = with_batch_of(x, y)
        return y, (x, y)

    def backward(
        params: tuple[()], cache: tuple[Array, Array], dy: Array
    ) -> tuple[tuple[()], Array]:
        x, y = cache
        (above, below), (left, right) = pads_in_pixels(name, x, k, steps, padding)
        around = ((0, 0), (above, below), (left, right), (0, 0))
        padded = jnp.pad(as_images(x), around, constant_values=-jnp.inf)
        y, dy = as_images(y), as_images(dy).astype(sum_dtype(dy.dtype))
        if small:
            dx = _to_largest(padded, y, dy, k, steps)
        else:
            y_rows = _largest(padded, *rows, (NONE, NONE))
            dx = _to_largest(padded, y_rows, _to_largest(y_rows, y, dy, *columns), *rows)
        dx = dx[:, above : above + x.shape[-3], left : left + x.shape[-2]]
        return (), dx.reshape(x.shape).astype(x.dtype)

    return data_parallel(Layer(name, no_params, forward, backward), 3)


def _largest(x: Array, window: Stride, stride: Stride, pads: Pads) -> Array:
    """The largest pixel of each window of x (N, H, W, C)."""
    around = ((0, 0), *pads, (0, 0))
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, *window, 1), (1, *stride, 1), around)


def _to_largest(x: Array, y: Array, dy: Array, window: Stride, stride: Stride) -> Array:
    """dx: the dy of each window goes to the first pixel of x in the window that equals y."""

    def step(carry: tuple[Array, Array], place: Any) -> tuple[tuple[Array, Array], None]:
        dx, done = carry  # done: the windows whose largest pixel is at an earlier place
        largest = (gather_place(x, place, stride, y.shape[1:3]) == y) & ~done
        dx = dx + scatter_place(jnp.where(largest, dy, 0), place, stride, x.shape[1:3])
        return (dx, done | largest), None

    start = jnp.zeros(x.shape, dy.dtype), jnp.zeros(y.shape, bool)
    return scan_places(step, start, window, SMALL)[0][0]


@constructor
def average_pool(window: Size = 2, stride: Size | None = None) -> Layer:
    """The mean of each window, channel by channel.

    ::

        forward    y = mean of x over the window
        backward   dx = Σ dy / (h w)     over the windows that contain this pixel

    Args:
        window: height and width of the window; one number for both.
        stride: step from window to window; by default the size of the window.

    Returns:
        A layer (..., H, W, C) → (..., H', W', C) without params; rows and columns that fill
        no window are ignored.  Sums are in float32 at least.

    Raises:
        LayerError: when an argument is not of its kind, the input is not (..., H, W, C) of a
            floating dtype or smaller than the window.

    Source: LeCun et al. 1989, "Backpropagation applied to handwritten zip code recognition".

    Example:
        >>> import jax.numpy as jnp, jaxnn
        >>> x = jnp.arange(8.0).reshape(2, 4, 1)
        >>> jaxnn.average_pool(2).apply((), x).ravel().tolist()
        [2.5, 4.5]
    """
    name = "average_pool"
    k = height_width(name, "window", window)
    steps = k if stride is None else height_width(name, "stride", stride)

    def forward(params: tuple[()], x: Array, key: Key | None = None) -> tuple[Array, Static]:
        expect_input(name, x, "H", "W", "C")
        pads_in_pixels(name, x, k, steps, "VALID")
        images = as_images(x).astype(sum_dtype(x.dtype))
        if k[0] * k[1] <= SMALL:
            n = output_size(images.shape, k, steps, (NONE, NONE))
            y = functools.reduce(
                jnp.add, [gather_place(images, place, steps, n) for place in window_places(k)]
            )
        else:
            y = _sums(images, k, steps, (NONE, NONE))
        return with_batch_of(x, y / (k[0] * k[1])).astype(x.dtype), Static(x.shape[-3:-1])

    def backward(params: tuple[()], size: Static, dy: Array) -> tuple[tuple[()], Array]:
        share = as_images(dy).astype(sum_dtype(dy.dtype)) / (k[0] * k[1])
        if k[0] * k[1] <= SMALL:
            dx = functools.reduce(
                jnp.add,
                [scatter_place(share, place, steps, size.value) for place in window_places(k)],
            )
        else:
            pads = pads_around_dy(k, share.shape, (0, *size.value), steps, (NONE, NONE))
            dx = _sums(share, k, (1, 1), pads, steps)
        return (), with_batch_of(dy, dx).astype(dy.dtype)

    return data_parallel(Layer(name, no_params, forward, backward), 3)


def _sums(x: Array, window: Stride, stride: Stride, pads: Pads, dilation: Stride = (1, 1)) -> Array:
    """The sum of each window of x (N, H, W, C) with ``dilation`` − 1 zeros between its pixels."""
    (h, w), (down, right), (rows, columns), (s, t) = window, stride, pads, dilation
    x = lax.reduce_window(
        x, 0.0, lax.add, (1, h, 1, 1), (1, down, 1, 1), (NONE, rows, NONE, NONE),
        base_dilation=(1, s, 1, 1),
    )  # fmt: skip
    return lax.reduce_window(
        x, 0.0, lax.add, (1, 1, w, 1), (1, 1, right, 1), (NONE, NONE, columns, NONE),
        base_dilation=(1, 1, t, 1),
    )  # fmt: skip


def _mean_of_pixels() -> Layer:
    name = "global_average_pool"

    def forward(params: tuple[()], x: Array, key: Key | None = None) -> tuple[Array, Static]:
        expect_input(name, x, "H", "W", "C")
        expect(x.shape[-3] * x.shape[-2] > 0, name, "images of at least one pixel", x)
        y = jnp.mean(x, axis=(-3, -2), dtype=sum_dtype(x.dtype))
        return y.astype(x.dtype), Static(x.shape[-3:-1])

    def backward(params: tuple[()], size: Static, dy: Array) -> tuple[tuple[()], Array]:
        (h, w) = size.value
        share = (dy.astype(sum_dtype(dy.dtype)) / (h * w)).astype(dy.dtype)
        dx = jnp.expand_dims(share, (-3, -2))
        return (), jnp.broadcast_to(dx, (*dy.shape[:-1], h, w, dy.shape[-1]))

    return data_parallel(Layer(name, no_params, forward, backward), 3, 1)


global_average_pool = constant(__name__, _mean_of_pixels())
"""The mean of all pixels, channel by channel: (..., H, W, C) → (..., C).

::

    forward    y = mean of x over H and W
    backward   dx = dy / (H W)     for every pixel

Source: Lin et al. 2013, "Network in network", arXiv:1312.4400.

Example:
    >>> import jax.numpy as jnp, jaxnn
    >>> jaxnn.global_average_pool.apply((), jnp.arange(8.0).reshape(2, 2, 2)).tolist()
    [3.0, 4.0]
"""


@constructor
def space_to_depth(block: int) -> Layer:
    """Each block of pixels becomes one pixel, with the pixels of the block as its channels.

    ::

        forward    y[p, q, (i, j, c)] = x[p block + i, q block + j, c]
        backward   dx[p block + i, q block + j, c] = dy[p, q, (i, j, c)]

    Followed by a convolution with a 1×1 window, it is a convolution with a stride of ``block``,
    computed as one matrix product.

    Args:
        block: height and width of a block.

    Returns:
        A layer (..., H, W, C) → (..., H / block, W / block, block² C) without params.

    Raises:
        LayerError: when the input is not (..., H, W, C) of a floating dtype, or ``block`` does
            not divide H and W.

    Source: the inverse of the rearrangement in Shi et al. 2016, arXiv:1609.05158.

    Example:
        >>> import jax.numpy as jnp, jaxnn
        >>> x = jnp.arange(4.0).reshape(2, 2, 1)
        >>> jaxnn.space_to_depth(2).apply((), x).tolist()
        [[[0.0, 1.0, 2.0, 3.0]]]
    """
    block = expect_count("space_to_depth", "block", block)
    name = f"space_to_depth({block})"

    def forward(params: tuple[()], x: Array, key: Key | None = None) -> tuple[Array, tuple[()]]:
        expect_input(name, x, "H", "W", "C")
        h, w = x.shape[-3:-1]
        fits = h % block == 0 and w % block == 0
        expect(fits, name, f"a height and a width that {block} divides", x)
        return with_batch_of(x, to_blocks(as_images(x), (block, block))), ()

    def backward(params: tuple[()], cache: tuple[()], dy: Array) -> tuple[tuple[()], Array]:
        return (), with_batch_of(dy, from_blocks(as_images(dy), (block, block)))

    return data_parallel(Layer(name, no_params, forward, backward), 3)
