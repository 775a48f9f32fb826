"""A network as it is in training, with dropout and augmentation: its params are the network's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

import jaxnn
from jaxnn import Layer
from jaxnn.combinators.serial import Serial
from jaxnn.layer import Array, Key, constructor


@constructor
def dropped(layer: Layer, rate: float) -> Layer:
    """A layer with dropout of its input; its params are those of the layer.

    Without a key (inference) it is the layer itself.

    Args:
        layer: any layer of one array.
        rate: the fraction of its inputs that is dropped.

    Example:
        >>> import jax, jax.numpy as jnp, jaxnn
        >>> from catnet.models.regularized import dropped
        >>> net = dropped(jaxnn.dense(1), 0.5)
        >>> net, jax.tree.map(jnp.shape, net.init(jax.random.key(0), jnp.ones(3)))
        (dropout(0.5) dense(1), {'W': (1, 3), 'b': (1,)})
    """
    drop = jaxnn.dropout(rate)

    def forward(params: Any, x: Array, key: Key | None = None) -> tuple[Any, Any]:
        first, second = (None, None) if key is None else jax.random.split(key)
        x, mask = drop.forward((), x, first)
        y, cache = layer.forward(params, x, second)
        return y, (mask, cache)

    def backward(params: Any, cache: Any, dy: Any) -> tuple[Any, Any]:
        mask, cache = cache
        dparams, dx = layer.backward(params, cache, dy)
        return dparams, drop.backward((), mask, dx)[1]

    return Layer(f"{drop.name} {layer.name}", layer.init, forward, backward)


@constructor
def augmented(layer: Layer, change: Callable[[Key, Array], Array], name: str) -> Layer:
    """A layer of images uint8, which a function changes at random in training.

    Args:
        layer: of images as float32 in [0, 1].
        change: (key, images uint8) → images float32 in [0, 1]; in inference, images are divided
            by 255.
        name: of the change.
    """

    def forward(params: Any, x: Array, key: Key | None = None) -> tuple[Any, Any]:
        if key is None:
            return layer.forward(params, x.astype(jnp.float32) / 255)
        first, second = jax.random.split(key)
        return layer.forward(params, change(first, x), second)

    def backward(params: Any, cache: Any, dy: Any) -> tuple[Any, None]:
        return layer.backward(params, cache, dy)[0], None  # whole numbers have no gradient

    def init(key: Key, x: Any) -> Any:
        return layer.init(key, jax.ShapeDtypeStruct(x.shape, jnp.float32))

    return Layer(f"{name} {layer.name}", init, forward, backward)


def replace(net: Serial, index: int, layer: Layer) -> Serial:
    """The network with another layer at an index."""
    layers = list(net.layers)
    layers[index] = layer
    return jaxnn.serial(*layers)
