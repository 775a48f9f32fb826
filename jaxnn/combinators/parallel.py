"""Layers side by side: all on the same input, or each on its part of a tuple."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp

from jaxnn.combinators.children import expect_child_params, expect_layers, split_key
from jaxnn.layer import (
    Cache,
    Children,
    Key,
    Layer,
    LayerError,
    Params,
    Shaped,
    Static,
    Tree,
    add,
    constructor,
    describe,
    expect,
    inside,
)
from jaxnn.padding import join_gradient, join_mask, split_mask, values_of

Merge = Literal["sum", "concat", "tuple"]


@constructor
def parallel(*layers: Layer, merge: Merge = "sum") -> Layer:
    """Several layers on the same input; their outputs are added, concatenated or a tuple.

    ::

        sum        y = Σ layer_i(x)                   dy_i = dy
        concat     y = [layer_1(x), …, layer_n(x)]    dy_i = the part of dy that is y_i
        tuple      y = (layer_1(x), …, layer_n(x))    dy_i = dy[i]
        backward   dx = Σ backward_i(dy_i)

    Args:
        layers: one or more, all for the same input.
        merge: ``"sum"``, ``"concat"`` or ``"tuple"``.

    Returns:
        A layer with params ``(params_1, …, params_n)``.

    Raises:
        LayerError: when the shapes of the outputs do not fit, or ``merge`` is something else.

    Source: Szegedy et al. 2014, arXiv:1409.4842 (concat); the sum rule of derivatives.

    Example:
        >>> import jax, jax.numpy as jnp, jaxnn
        >>> wide = jaxnn.parallel(jaxnn.dense(2), jaxnn.identity, merge="concat")
        >>> params = wide.init(jax.random.key(0), jnp.ones((5, 3)))
        >>> wide.apply(params, jnp.ones((5, 3))).shape
        (5, 5)
    """
    name = f"parallel({merge})"
    rebuild = functools.partial(parallel, merge=merge)
    return _side_by_side(name, layers, merge, rebuild, split=False)


@constructor
def each(*layers: Layer, merge: Merge = "tuple") -> Layer:
    """Several layers, each on its own part of a tuple, such as an image and numbers.

    ::

        forward    y_i = layer_i(x[i]),   y = (y_1, …, y_n), or their sum or concatenation
        backward   dx = (backward_1(dy_1), …, backward_n(dy_n))

    Args:
        layers: one for each part of the input.
        merge: ``"tuple"``, ``"sum"`` or ``"concat"``, as for ``parallel``.

    Returns:
        A layer of a tuple, with params ``(params_1, …, params_n)``.

    Raises:
        LayerError: when the input is not a tuple of that many parts, or the shapes of the outputs
            do not fit.

    Example:
        >>> import jax, jax.numpy as jnp, jaxnn
        >>> net = jaxnn.serial(
        ...     jaxnn.each(jaxnn.global_average_pool, jaxnn.identity, merge="concat"),
        ...     jaxnn.dense(1))
        >>> image, numbers = jnp.ones((5, 8, 8, 3)), jnp.ones((5, 2))
        >>> params = net.init(jax.random.key(0), (image, numbers))
        >>> net.apply(params, (image, numbers)).shape
        (5, 1)
    """
    name = f"each({merge})"
    rebuild = functools.partial(each, merge=merge)
    return _side_by_side(name, layers, merge, rebuild, split=True)


def _side_by_side(
    name: str, layers: tuple[Layer, ...], merge: str, rebuild: Any, *, split: bool
) -> Layer:
    """``each`` if ``split``, else ``parallel``."""
    expect_layers(name, layers)
    if merge not in ("sum", "concat", "tuple"):
        kind = name.split("(")[0]
        raise LayerError(f"{kind}: expected merge to be 'sum', 'concat' or 'tuple', got {merge!r}")
    shared = slice(None) if merge == "sum" else slice(-1)  # axes that all outputs share

    def inputs(x: Tree) -> Sequence[Tree]:
        if not split:
            return [x] * len(layers)
        fits = isinstance(x, (tuple, list)) and len(x) == len(layers)
        expect(fits, name, f"a tuple of {len(layers)} inputs", x)
        return x

    def init(key: Key, x: Shaped) -> Params:
        params, keys = [], jax.random.split(key, len(layers))
        for i, (layer, k, x_i) in enumerate(zip(layers, keys, inputs(x), strict=True)):
            with inside(name, i):
                params.append(layer.init(k, x_i))
        return tuple(params)

    def forward(params: Params, x: Tree, key: Key | None = None) -> tuple[Tree, Cache]:
        expect_child_params(name, layers, params)
        ys, caches, mask = [], [], None
        keys = split_key(key, layers)
        for i, (layer, p, k, x_i) in enumerate(zip(layers, params, keys, inputs(x), strict=True)):
            with inside(name, i):
                y, cache = layer.forward(p, x_i, k)
                if merge != "tuple":
                    y, mask_i = split_mask(layer.name, y)
                    mask = mask_i if i == 0 else mask
                    fits = (mask is None) == (mask_i is None)
                    expect(fits, layer.name, "Masked outputs of all layers or of none", y)
                    like = ys[0] if ys else y
                    fits = hasattr(y, "shape") and y.shape[shared] == like.shape[shared]
                    expect(fits, layer.name, f"an output to {merge} with {describe(like)}", y)
            ys.append(y)
            caches.append(cache)
        if merge == "tuple":
            return tuple(ys), (Static(None), None, tuple(caches))
        widths = Static(tuple(y.shape[-1] for y in ys))
        y = jnp.concatenate(ys, axis=-1) if merge == "concat" else functools.reduce(jnp.add, ys)
        return join_mask(y, mask), (widths, mask, tuple(caches))

    def backward(params: Params, cache: Cache, dy: Tree) -> tuple[Params, Tree]:
        widths, mask, caches = cache
        if merge == "tuple":
            dys = dy
        else:
            dys = [values_of(dy)] * len(layers)
            if merge == "concat":
                ends = list(itertools.accumulate(widths.value))
                dys = jnp.split(dys[0], ends[:-1], axis=-1)
            dys = [join_gradient(d, mask) for d in dys]
        dparams, dxs = [], []
        for i, (layer, p, c, d) in enumerate(zip(layers, params, caches, dys, strict=True)):
            with inside(name, i):
                dp, dx = layer.backward(p, c, d)
            dparams.append(dp)
            dxs.append(dx)
        return tuple(dparams), tuple(dxs) if split else functools.reduce(add, dxs)

    return Layer(name, init, forward, backward, Children(layers, rebuild))
