"""Pooling: pictures made smaller by the largest or the mean pixel of each window."""

from __future__ import annotations

import functools

import jax.numpy as jnp
from jax import lax

from jaxnn.layer import (
    Array,
    Key,
    Layer,
    LayerError,
    Static,
    constant,
    constructor,
    expect,
    expect_input,
    no_params,
)
from jaxnn.window import (
    Padding,
    Size,
    check_padding,
    from_blocks,
    height_width,
    pads_in_pixels,
    places,
    put,
    see,
    to_blocks,
)


@constructor
def max_pool(window: Size = 2, stride: Size | None = None, padding: Padding = "VALID") -> Layer:
    """The largest value in each window, channel by channel.

    ::

        forward    y = max of x over the window
        backward   dx = Σ dy over the windows in which this pixel is the largest

    Where several pixels of a window are equal and largest, all of dy goes to the first of
    them, row by row: JAX's convention too.  The padding is never the largest.

    Args:
        window: height and width of the window; one number for both.
        stride: step from window to window; the window's size unless given.
        padding: ``"VALID"`` (none), ``"SAME"`` or ``((above, below), (left, right))``.

    Returns:
        A layer (..., H, W, C) → (..., H', W', C) without params.

    Raises:
        LayerError: when the input is not (..., H, W, C) of a floating dtype or smaller than
            the window.

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
    h, w = height_width(name, "window", window)
    steps = (h, w) if stride is None else height_width(name, "stride", stride)
    check_padding(name, padding)

    def forward(
        params: tuple[()], x: Array, key: Key | None = None
    ) -> tuple[Array, tuple[Array, Array]]:
        expect_input(name, x, "H", "W", "C")
        pads = pads_in_pixels(name, x, (h, w), steps, padding)
        pictures = x.reshape(-1, *x.shape[-3:])
        y = lax.reduce_window(
            pictures,
            -jnp.inf,
            lax.max,
            (1, h, w, 1),
            (1, *steps, 1),
            ((0, 0), *pads, (0, 0)),
        )
        return y.reshape(*x.shape[:-3], *y.shape[1:]), (x, y)

    def backward(
        params: tuple[()], cache: tuple[Array, Array], dy: Array
    ) -> tuple[tuple[()], Array]:
        x, y = cache
        pads = pads_in_pixels(name, x, (h, w), steps, padding)
        padded = jnp.pad(
            x.reshape(-1, *x.shape[-3:]), ((0, 0), *pads, (0, 0)), constant_values=-jnp.inf
        )
        dy = dy.reshape(y.shape)
        dx, given = jnp.zeros_like(padded), jnp.zeros(y.shape, bool)
        for at in places((h, w)):
            here = (see(padded, at, steps, y.shape[1:3]) == y) & ~given
            given = given | here
            dx = dx + put(jnp.where(here, dy, 0), at, steps, padded.shape[1:3])
        (above, _), (left, _) = pads
        dx = dx[:, above : above + x.shape[-3], left : left + x.shape[-2]]
        return (), dx.reshape(x.shape)

    return Layer(name, no_params, forward, backward)


@constructor
def average_pool(window: Size = 2, stride: Size | None = None) -> Layer:
    """The mean of each window, channel by channel.

    ::

        forward    y = mean of x over the window
        backward   dx = Σ dy / (h w)     over the windows that see this pixel

    Args:
        window: height and width of the window; one number for both.
        stride: step from window to window; the window's size unless given.

    Returns:
        A layer (..., H, W, C) → (..., H', W', C) without params; rows and columns that fill
        no window are not seen.

    Raises:
        LayerError: when the input is not (..., H, W, C) of a floating dtype or smaller than
            the window.

    Source: LeCun et al. 1989, "Backpropagation applied to handwritten zip code recognition".

    Example:
        >>> import jax.numpy as jnp, jaxnn
        >>> x = jnp.arange(8.0).reshape(2, 4, 1)
        >>> jaxnn.average_pool(2).apply((), x).ravel().tolist()
        [2.5, 4.5]
    """
    name = "average_pool"
    h, w = height_width(name, "window", window)
    steps = (h, w) if stride is None else height_width(name, "stride", stride)
    where = places((h, w))

    def forward(params: tuple[()], x: Array, key: Key | None = None) -> tuple[Array, Static]:
        expect_input(name, x, "H", "W", "C")
        pads_in_pixels(name, x, (h, w), steps, "VALID")
        pictures = x.reshape(-1, *x.shape[-3:])
        n = tuple(
            (size - k) // s + 1 for size, k, s in zip(x.shape[-3:-1], (h, w), steps, strict=True)
        )
        seen = [see(pictures, at, steps, n) for at in where]
        y = functools.reduce(jnp.add, seen) / (h * w)
        return y.reshape(*x.shape[:-3], *y.shape[1:]), Static(x.shape[-3:-1])

    def backward(params: tuple[()], size: Static, dy: Array) -> tuple[tuple[()], Array]:
        parts = dy.reshape(-1, *dy.shape[-3:]) / (h * w)
        dx = functools.reduce(jnp.add, [put(parts, at, steps, size.value) for at in where])
        return (), dx.reshape(*dy.shape[:-3], *dx.shape[1:])

    return Layer(name, no_params, forward, backward)


def _mean_of_pixels() -> Layer:
    name = "global_average_pool"

    def forward(params: tuple[()], x: Array, key: Key | None = None) -> tuple[Array, Static]:
        expect_input(name, x, "H", "W", "C")
        return jnp.mean(x, axis=(-3, -2)), Static(x.shape[-3:-1])

    def backward(params: tuple[()], size: Static, dy: Array) -> tuple[tuple[()], Array]:
        (h, w) = size.value
        dx = jnp.expand_dims(dy / (h * w), (-3, -2))
        return (), jnp.broadcast_to(dx, (*dy.shape[:-1], h, w, dy.shape[-1]))

    return Layer(name, no_params, forward, backward)


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
    """Every block of pixels becomes one pixel with that many times the channels.

    ::

        forward    y[p, q, (i, j, c)] = x[p block + i, q block + j, c]
        backward   dx[p block + i, q block + j, c] = dy[p, q, (i, j, c)]

    With a convolution after it, it is a convolution with a stride of ``block``, as one
    product of matrices.

    Args:
        block: height and width of a block.

    Returns:
        A layer (..., H, W, C) → (..., H / block, W / block, block² C) without params.

    Raises:
        LayerError: when the input is not (..., H, W, C) of a floating dtype, or ``block`` does
            not divide H and W.

    Source: Shi et al. 2016, arXiv:1609.05158, where it runs the other way.

    Example:
        >>> import jax.numpy as jnp, jaxnn
        >>> x = jnp.arange(4.0).reshape(2, 2, 1)
        >>> jaxnn.space_to_depth(2).apply((), x).tolist()
        [[[0.0, 1.0, 2.0, 3.0]]]
    """
    name = f"space_to_depth({block})"
    if block < 1:
        raise LayerError(f"{name}: expected a block of at least one pixel")

    def forward(params: tuple[()], x: Array, key: Key | None = None) -> tuple[Array, tuple[()]]:
        expect_input(name, x, "H", "W", "C")
        *batch, h, w, c = x.shape
        fits = h % block == 0 and w % block == 0
        expect(fits, name, f"a height and a width that {block} divides", x)
        y = to_blocks(x.reshape(-1, h, w, c), (block, block))
        return y.reshape(*batch, *y.shape[1:]), ()

    def backward(params: tuple[()], cache: tuple[()], dy: Array) -> tuple[tuple[()], Array]:
        dx = from_blocks(dy.reshape(-1, *dy.shape[-3:]), (block, block))
        return (), dx.reshape(*dy.shape[:-3], *dx.shape[1:])

    return Layer(name, no_params, forward, backward)
