"""Combinators: layers in, a layer out, with the backward pass that follows from theirs."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Callable, Iterable
from typing import Literal

import jax
import jax.numpy as jnp

from jaxnn.layer import (
    Array,
    Cache,
    Key,
    Layer,
    LayerError,
    Params,
    Shaped,
    Static,
    child_path,
    describe,
    expect,
    inside,
)


def serial(*layers: Layer) -> Layer:
    """One layer after the other: the lecture's L-layer network.

    ::

        forward    a[0] = x,  a[l] = layer_l(a[l−1]),  y = a[L]
        backward   da[L] = dy,  da[l−1] = backward_l(da[l])   for l = L, …, 1  (the chain rule)

    Args:
        layers: at least one; each takes what the one before it gives.

    Returns:
        A layer with params ``(params_1, …, params_L)``, ``()`` where a layer has none.

    Raises:
        LayerError: with the path of the layer that does not fit, ``serial[2].dense(7): …``.

    Example:
        >>> import jax, jaxnn
        >>> net = jaxnn.serial(jaxnn.dense(4), jaxnn.relu, jaxnn.dense(1))
        >>> params = net.init(jax.random.key(0), jax.numpy.ones((5, 3)))
        >>> [jax.tree.map(jax.numpy.shape, p) for p in params]
        [{'W': (4, 3), 'b': (4,)}, (), {'W': (1, 4), 'b': (1,)}]
        >>> net.apply(params, jax.numpy.ones((5, 3))).shape
        (5, 1)
    """
    return _chain("serial", layers, serial)


def parallel(*layers: Layer, merge: Literal["sum", "concat"] = "sum") -> Layer:
    """Several layers on the same input, their outputs added or joined along the last axis.

    ::

        sum        y = Σ layer_i(x)              dy_i = dy
        concat     y = [layer_1(x), …, layer_n(x)]    dy_i = the part of dy that is y_i
        backward   dx = Σ backward_i(dy_i)

    Args:
        layers: at least one, all for the same input.
        merge: ``"sum"`` or ``"concat"``.

    Returns:
        A layer with params ``(params_1, …, params_n)``.

    Raises:
        LayerError: when the outputs do not fit together, or ``merge`` is something else.

    Source: Szegedy et al. 2014, arXiv:1409.4842 (concat); the sum rule of derivatives.

    Example:
        >>> import jax, jax.numpy as jnp, jaxnn
        >>> wide = jaxnn.parallel(jaxnn.dense(2), jaxnn.identity, merge="concat")
        >>> params = wide.init(jax.random.key(0), jnp.ones((5, 3)))
        >>> wide.apply(params, jnp.ones((5, 3))).shape
        (5, 5)
    """
    name = f"parallel({merge})"
    _expect_layers(name, layers)
    if merge not in ("sum", "concat"):
        raise LayerError(f"parallel: expected merge to be 'sum' or 'concat', got {merge!r}")
    agree = slice(None) if merge == "sum" else slice(-1)  # the axes that have to be the same

    def init(key: Key, x: Shaped) -> Params:
        params, keys = [], jax.random.split(key, len(layers))
        for i, (layer, k) in enumerate(zip(layers, keys, strict=True)):
            with inside(name, i):
                params.append(layer.init(k, x))
        return tuple(params)

    def forward(params: Params, x: Array, key: Key | None = None) -> tuple[Array, Cache]:
        _expect_params(name, layers, params)
        ys, caches = [], []
        for i, (layer, p, k) in enumerate(zip(layers, params, _split(key, layers), strict=True)):
            with inside(name, i):
                y, cache = layer.forward(p, x, k)
                ys.append(y)
                fits = y.shape[agree] == ys[0].shape[agree]
                expect(fits, layer.name, f"an output to {merge} with {describe(ys[0])}", y)
            caches.append(cache)
        widths = Static(tuple(y.shape[-1] for y in ys))
        y = jnp.concatenate(ys, axis=-1) if merge == "concat" else functools.reduce(jnp.add, ys)
        return y, (widths, tuple(caches))

    def backward(params: Params, cache: Cache, dy: Array) -> tuple[Params, Array]:
        widths, caches = cache
        if merge == "concat":
            dys = jnp.split(dy, list(itertools.accumulate(widths.value))[:-1], axis=-1)
        else:
            dys = [dy] * len(layers)
        dparams, dxs = [], []
        for i, (layer, p, c, d) in enumerate(zip(layers, params, caches, dys, strict=True)):
            with inside(name, i):
                dp, dx = layer.backward(p, c, d)
            dparams.append(dp)
            dxs.append(dx)
        return tuple(dparams), functools.reduce(jnp.add, dxs)

    return Layer(name, init, forward, backward, layers, functools.partial(parallel, merge=merge))


def residual(*layers: Layer) -> Layer:
    """Layers with a path around them: they learn what to add to their input.

    ::

        forward    y  = x + f(x)             f = serial(*layers)
        backward   dx = dy + backward_f(dy)

    Args:
        layers: the body f, one layer after the other; it has to keep the shape of its input.

    Returns:
        A layer with params ``(params_1, …, params_n)``, those of ``serial(*layers)``.

    Raises:
        LayerError: when the body changes the shape.

    Source: He et al. 2015, "Deep residual learning for image recognition", arXiv:1512.03385.

    Example:
        >>> import jax, jax.numpy as jnp, jaxnn
        >>> block = jaxnn.residual(jaxnn.dense(3, W_init=jax.nn.initializers.zeros), jaxnn.relu)
        >>> params = block.init(jax.random.key(0), jnp.ones(3))
        >>> block.apply(params, jnp.array([1.0, 2.0, 3.0])).tolist()
        [1.0, 2.0, 3.0]
    """
    body = _chain("residual", layers, residual)

    def forward(params: Params, x: Array, key: Key | None = None) -> tuple[Array, Cache]:
        y, cache = body.forward(params, x, key)
        expect(y.shape == x.shape, body.name, f"its layers to give {describe(x)} again", y)
        return x + y, cache

    def backward(params: Params, cache: Cache, dy: Array) -> tuple[Params, Array]:
        dparams, dx = body.backward(params, cache, dy)
        return dparams, dy + dx

    return dataclasses.replace(body, forward=forward, backward=backward)


def _chain(name: str, layers: tuple[Layer, ...], rebuild: Callable[..., Layer]) -> Layer:
    """Layers one after the other, under the name that their paths show."""
    _expect_layers(name, layers)

    def init(key: Key, x: Shaped) -> Params:
        params, keys = [], jax.random.split(key, len(layers))
        for i, (layer, k) in enumerate(zip(layers, keys, strict=True)):
            with inside(name, i):
                params.append(layer.init(k, x))
                x = _output(layer, params[-1], x)
        return tuple(params)

    def forward(params: Params, x: Array, key: Key | None = None) -> tuple[Array, Cache]:
        _expect_params(name, layers, params)
        caches = []
        for i, (layer, p, k) in enumerate(zip(layers, params, _split(key, layers), strict=True)):
            with inside(name, i):
                x, cache = layer.forward(p, x, k)
            caches.append(cache)
        return x, tuple(caches)

    def backward(params: Params, caches: Cache, dy: Array) -> tuple[Params, Array]:
        dparams = []
        for i in reversed(range(len(layers))):
            with inside(name, i):
                dp, dy = layers[i].backward(params[i], caches[i], dy)
            dparams.append(dp)
        return tuple(reversed(dparams)), dy

    return Layer(name, init, forward, backward, layers, rebuild)


def _output(layer: Layer, params: Params, x: Shaped) -> Shaped:
    """The shape of the output; that of a chain from its layers, which JAX has traced before.

    JAX remembers that for a function which lives on: for ``forward``, not for ``apply``.
    """
    if layer.rebuild is not serial:
        return jax.eval_shape(layer.forward, params, x)[0]
    for i, (child, p) in enumerate(zip(layer.layers, params, strict=True)):
        with inside(layer.name, i):
            x = _output(child, p, x)
    return x


def _split(key: Key | None, layers: tuple[Layer, ...]) -> Iterable[Key | None]:
    """A key for every child; without randomness, none for each."""
    return [None] * len(layers) if key is None else jax.random.split(key, len(layers))


def _expect_layers(name: str, layers: tuple[Layer, ...]) -> None:
    if not layers:
        raise LayerError(f"{name}: expected at least one layer")
    for i, layer in enumerate(layers):
        if not isinstance(layer, Layer):
            got = f"the function {layer.__name__}" if callable(layer) else repr(layer)
            raise LayerError(f"{child_path(name, i)}: expected a Layer, got {got}")


def _expect_params(name: str, layers: tuple[Layer, ...], params: Params) -> None:
    if not isinstance(params, (tuple, list)) or len(params) != len(layers):
        got = len(params) if isinstance(params, (tuple, list)) else type(params).__name__
        raise LayerError(f"{name}: expected a tuple of params for {len(layers)} layers, got {got}")
