"""Traversal of a network: the layers with their paths, and the inputs and outputs of each."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import NamedTuple

from jaxnn.layer import Cache, Key, Layer, Params, Tree, child_path


def walk(net: Layer, path: str | None = None) -> Iterator[tuple[str, Layer]]:
    """Iterate over the layers of a network with their paths, children before their parent.

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
    """Rebuild a network with ``transform`` applied to each layer, children before their parent.

    Args:
        transform: ``(path, layer) -> layer``, with the path as in error messages.
        net: the network; combinators are rebuilt by their ``children``.
        path: the path of ``net``, by default its name.

    Example:
        Replace an activation::

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
    """The arguments and the results of one forward call of a layer."""

    params: Params
    x: Tree
    key: Key | None
    y: Tree
    cache: Cache


def record(
    net: Layer, params: Params, x: Tree, key: Key | None = None
) -> tuple[Tree, dict[str, Call]]:
    """Run a network forward; return its output, and the ``Call`` of each layer by path.

    Example:
        >>> import jax.numpy as jnp, jaxnn
        >>> from jaxnn.inspection.traversal import record
        >>> y, calls = record(jaxnn.serial(jaxnn.tanh, jaxnn.relu), ((), ()), -jnp.ones(2))
        >>> round(calls["serial[1].relu"].x[0].item(), 2), y.tolist()
        (-0.76, [0.0, 0.0])
    """
    calls: dict[str, Call] = {}

    def add_recording(path: str, layer: Layer) -> Layer:
        def forward(params: Params, x: Tree, key: Key | None = None) -> tuple[Tree, Cache]:
            y, cache = layer.forward(params, x, key)
            calls[path] = Call(params, x, key, y, cache)
            return y, cache

        return dataclasses.replace(layer, forward=forward)

    return map_layers(add_recording, net).apply(params, x, key), calls
