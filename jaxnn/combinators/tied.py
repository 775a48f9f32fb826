"""Params that several layers of a network share."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, TypeAlias

import jax

from jaxnn.layer import (
    Cache,
    Children,
    Key,
    Layer,
    LayerError,
    Params,
    Shaped,
    Tree,
    add,
    constructor,
    describe,
    inside,
)

Place: TypeAlias = int | tuple[int | str, ...]  # 2 is params[2], (2, "W") is params[2]["W"]


@constructor
def tied(net: Layer, *groups: tuple[Place, ...]) -> Layer:
    """A network in which some places share their params.

    The params are stored at the first place of a group; the other places use them::

        forward    θ_j = θ_i                     for the places i = first, j of a group
        backward   dθ_i := dθ_i + Σ_j dθ_j       (θ is used several times)

    Args:
        net: the network.
        groups: each a tuple of two or more places in its params.  A place is the index of a
            layer, ``2``, or a path of indices and names, ``(2, "W")``.

    Returns:
        A layer with the params of ``net`` without those of the other places: ``()`` instead of the
        params of a whole layer, and no such name for one array.

    Raises:
        LayerError: when a place does not exist, or its params do not have the shapes of the first.

    Source: Press and Wolf 2016, "Using the output embedding to improve language models",
    arXiv:1608.05859.

    Example:
        The same dense layer twice, with one set of params::

            >>> import jax, jax.numpy as jnp, jaxnn
            >>> dense = jaxnn.dense(3)
            >>> net = jaxnn.tied(jaxnn.serial(dense, jaxnn.tanh, dense), (0, 2))
            >>> params = net.init(jax.random.key(0), jnp.ones(3))
            >>> [jax.tree.map(jnp.shape, p) for p in params]
            [{'W': (3, 3), 'b': (3,)}, (), ()]
    """
    name = "tied"
    paths = [[place if isinstance(place, tuple) else (place,) for place in g] for g in groups]
    if not paths or any(len(group) < 2 for group in paths):
        raise LayerError(f"{name}: expected groups of two or more places, got {groups}")

    def init(key: Key, x: Shaped) -> Params:
        with inside(name, 0):
            params = net.init(key, x)
        for first, *others in paths:
            shapes = jax.tree.map(_shape, _at(params, first))
            for other in others:
                if jax.tree.map(_shape, _at(params, other)) != shapes:
                    raise LayerError(
                        f"{name}: expected params of equal shapes at {first} and {other}, "
                        f"got {describe(_at(params, first))} and {describe(_at(params, other))}"
                    )
        for _, *others in paths:
            for other in others:
                params = _without(params, other)
        return params

    def fill(params: Params) -> Params:
        for first, *others in paths:
            for other in others:
                params = _with(params, other, _at(params, first))
        return params

    def forward(params: Params, x: Tree, key: Key | None = None) -> tuple[Tree, Cache]:
        with inside(name, 0):
            return net.forward(fill(params), x, key)

    def backward(params: Params, cache: Cache, dy: Tree) -> tuple[Params, Tree]:
        with inside(name, 0):
            dparams, dx = net.backward(fill(params), cache, dy)
        for first, *others in reversed(paths):
            total = functools.reduce(add, [_at(dparams, place) for place in (first, *others)])
            dparams = _with(dparams, first, total)
            for other in others:
                dparams = _without(dparams, other)
        return dparams, dx

    def rebuild(net: Layer) -> Layer:
        return tied(net, *groups)

    return Layer(name, init, forward, backward, Children((net,), rebuild))


def _shape(leaf: Any) -> tuple[int, ...]:
    return tuple(leaf.shape)


def _at(params: Params, place: Sequence[int | str]) -> Params:
    for i, step in enumerate(place):
        try:
            params = params[step]
        except (KeyError, IndexError, TypeError):
            raise LayerError(f"tied: no params at {tuple(place[: i + 1])}") from None
    return params


def _with(params: Params, place: Sequence[int | str], value: Params) -> Params:
    """``params`` with ``value`` at a place."""
    step, *rest = place
    if isinstance(params, dict):
        return {**params, step: _with(params[step], rest, value) if rest else value}
    new = _with(params[step], rest, value) if rest else value
    return tuple(new if i == step % len(params) else p for i, p in enumerate(params))


def _without(params: Params, place: Sequence[int | str]) -> Params:
    """``params`` without those at a place: with ``()`` there, or without the name."""
    *above, last = place
    if isinstance(last, int):
        return _with(params, place, ())
    inner = {name: p for name, p in _at(params, above).items() if name != last}
    return _with(params, above, inner) if above else inner
