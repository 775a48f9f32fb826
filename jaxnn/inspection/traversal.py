"""Walking through a network: every layer with its path, and what it is given."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import NamedTuple

from jaxnn.layer import Cache, Key, Layer, Params, Tree, child_path


def walk(net: Layer, path: str | None = None) -> Iterator[tuple[str, Layer]]:
    """Every layer of a network with its path, children before the layer built from them.

    Example:
        >>> import jaxnn
        >>> from jaxnn.inspection.traversal import walk
        >>> net = jaxnn.serial(jaxnn.dense(3), jaxnn.residual(jaxnn.relu))
        >>> [path for path, layer in walk(net)]
        ['serial[0].dense(3)', 'serial[1].residual[0].relu', 'serial[1].residual', 'serial']
    """
    path = net.name if path is None else path
    for i, child in enumerate(net.layers):
        yield from walk(child, f"{child_path(path, i)}.{child.name}")
    yield path, net


def map_layers(
    transform: Callable[[str, Layer], Layer], net: Layer, path: str | None = None
) -> Layer:
    """Build a network again with every layer, children first, passed through ``transform``.

    Args:
        transform: ``(path, layer) -> layer``, with the path of error messages.
        net: the network; a combinator is built again from its ``children``.
        path: what ``net`` itself is called; its name unless given.

    Example:
        Every dense layer without its activation::

            >>> import jaxnn
            >>> from jaxnn.inspection.traversal import map_layers
            >>> net = jaxnn.serial(jaxnn.dense(3), jaxnn.relu, jaxnn.dense(1))
            >>> map_layers(lambda path, l: jaxnn.identity if l is jaxnn.relu else l, net)
            serial(dense(3), identity, dense(1))
    """
    path = net.name if path is None else path
    if net.children is not None:
        children = (
            map_layers(transform, child, f"{child_path(path, i)}.{child.name}")
            for i, child in enumerate(net.layers)
        )
        net = net.children.rebuild(*children)
    return transform(path, net)


class Call(NamedTuple):
    """One forward call of a layer: what it was given and what it gave."""

    params: Params
    x: Tree
    key: Key | None
    y: Tree
    cache: Cache


def record(
    net: Layer, params: Params, x: Tree, key: Key | None = None
) -> tuple[Tree, dict[str, Call]]:
    """Run a network forward and keep what every layer in it was given and gave, by path.

    Example:
        >>> import jax.numpy as jnp, jaxnn
        >>> from jaxnn.inspection.traversal import record
        >>> y, calls = record(jaxnn.serial(jaxnn.tanh, jaxnn.relu), ((), ()), -jnp.ones(2))
        >>> round(calls["serial[1].relu"].x[0].item(), 2), y.tolist()
        (-0.76, [0.0, 0.0])
    """
    calls: dict[str, Call] = {}

    def recorded(path: str, layer: Layer) -> Layer:
        def forward(params: Params, x: Tree, key: Key | None = None) -> tuple[Tree, Cache]:
            y, cache = layer.forward(params, x, key)
            calls[path] = Call(params, x, key, y, cache)
            return y, cache

        return dataclasses.replace(layer, forward=forward)

    return map_layers(recorded, net).apply(params, x, key), calls
