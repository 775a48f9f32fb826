"""Layers one after the other, with or without a skip connection."""

from __future__ import annotations

from typing import Any, overload

import jax
import jax.numpy as jnp

from jaxnn.combinators.children import expect_child_params, expect_layers, split_key
from jaxnn.layer import (
    Cache,
    Children,
    Key,
    Layer,
    Params,
    Shaped,
    Tree,
    add,
    constructor,
    describe,
    expect,
    inside,
)
from jaxnn.padding import join_gradient, join_mask, split_mask, values_of, zero


class Serial(Layer):
    """Layers one after the other.  A slice is a network, for the same slice of the params.

    Example:
        >>> import jaxnn
        >>> net = jaxnn.serial(jaxnn.dense(4), jaxnn.relu, jaxnn.dense(1))
        >>> net[:-1], net[-1], len(net)
        (serial(dense(4), relu), dense(1), 3)
    """

    def __len__(self) -> int:
        return len(self.layers)

    @overload
    def __getitem__(self, index: int) -> Layer: ...
    @overload
    def __getitem__(self, index: slice) -> Serial: ...
    def __getitem__(self, index: int | slice) -> Layer:
        selection = self.layers[index]
        return selection if isinstance(selection, Layer) else serial(*selection)


@constructor
def serial(*layers: Layer) -> Serial:
    """One layer after the other: the lecture's L-layer network.

    ::

        forward    a[0] = x,  a[l] = layer_l(a[l−1]),  y = a[L]
        backward   da[L] = dy,  da[l−1] = backward_l(da[l])   for l = L, …, 1  (the chain rule)

    Args:
        layers: one or more; the output of each is the input of the next.  A layer that occurs
            twice has two sets of params; see ``tied`` for shared params.

    Returns:
        A layer with params ``(params_1, …, params_L)``, ``()`` for a layer without params.
        Slices are networks: ``net[:k]`` with ``params[:k]``.

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
    return Serial("serial", *_chain("serial", layers), Children(layers, serial))


@constructor
def residual(*layers: Layer) -> Layer:
    """Layers with a skip connection around them: their output is added to their input.

    ::

        forward    y  = x + f(x)             f = serial(*layers)
        backward   dx = dy + backward_f(dy)

    Args:
        layers: the body f, one layer after the other; its output has the shape of its input.

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
    init, body, body_backward = _chain("residual", layers)

    def forward(params: Params, x: Tree, key: Key | None = None) -> tuple[Tree, Cache]:
        values, mask = split_mask("residual", x)
        x = join_mask(values if mask is None else zero(values, mask), mask)
        y, cache = body(params, x, key)
        fits = jax.tree.map(jnp.shape, y) == jax.tree.map(jnp.shape, x)
        expect(fits, "residual", f"its layers to keep the shape {describe(x)}", y)
        return add(x, y), (mask, cache)

    def backward(params: Params, cache: Cache, dy: Tree) -> tuple[Params, Tree]:
        mask, cache = cache
        if mask is not None:
            dy = join_gradient(zero(values_of(dy), mask), mask)
        dparams, dx = body_backward(params, cache, dy)
        return dparams, add(dy, dx)

    return Layer("residual", init, forward, backward, Children(layers, residual))


def _chain(name: str, layers: tuple[Layer, ...]) -> tuple[Any, Any, Any]:
    """(init, forward, backward) of layers one after the other; ``name`` begins the paths."""
    expect_layers(name, layers)

    def init(key: Key, x: Shaped) -> Params:
        params, keys = [], jax.random.split(key, len(layers))
        for i, (layer, k) in enumerate(zip(layers, keys, strict=True)):
            with inside(name, i):
                params.append(layer.init(k, x))
                x = _output_shape(layer, params[-1], x)
        return tuple(params)

    def forward(params: Params, x: Tree, key: Key | None = None) -> tuple[Tree, Cache]:
        expect_child_params(name, layers, params)
        caches = []
        for i, (layer, p, k) in enumerate(zip(layers, params, split_key(key, layers), strict=True)):
            with inside(name, i):
                x, cache = layer.forward(p, x, k)
            caches.append(cache)
        return x, tuple(caches)

    def backward(params: Params, caches: Cache, dy: Tree) -> tuple[Params, Tree]:
        dparams = []
        for i in reversed(range(len(layers))):
            with inside(name, i):
                dp, dy = layers[i].backward(params[i], caches[i], dy)
            dparams.append(dp)
        return tuple(reversed(dparams)), dy

    return init, forward, backward


def _output_shape(layer: Layer, params: Params, x: Shaped) -> Shaped:
    """The shape of the output; for a ``Serial``, layer by layer, which JAX has traced before.

    JAX caches the result for the same function object: for ``forward``, not for ``apply``.
    """
    if not isinstance(layer, Serial):
        return jax.eval_shape(layer.forward, params, x)[0]
    for i, (child, p) in enumerate(zip(layer.layers, params, strict=True)):
        with inside(layer.name, i):
            x = _output_shape(child, p, x)
    return x
