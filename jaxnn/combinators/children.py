"""Checks of the children of a combinator, and a key for each child."""

from __future__ import annotations

from collections.abc import Iterable

import jax

from jaxnn.layer import Key, Layer, LayerError, Params, child_path


def split_key(key: Key | None, layers: tuple[Layer, ...]) -> Iterable[Key | None]:
    """A key for each child; None for each child if there is no key."""
    return [None] * len(layers) if key is None else jax.random.split(key, len(layers))


def expect_layers(name: str, layers: tuple[Layer, ...]) -> None:
    """Raise a LayerError unless there is at least one child and all are layers."""
    if not layers:
        raise LayerError(f"{name}: expected at least one layer")
    for i, layer in enumerate(layers):
        if not isinstance(layer, Layer):
            name_of = getattr(layer, "__name__", None)
            got = f"the function {name_of}; call it" if name_of else repr(layer)
            raise LayerError(f"{child_path(name, i)}: expected a Layer, got {got}")


def expect_child_params(name: str, layers: tuple[Layer, ...], params: Params) -> None:
    """Raise a LayerError unless the params are a tuple or list with one item for each child."""
    if not isinstance(params, (tuple, list)) or len(params) != len(layers):
        got = len(params) if isinstance(params, (tuple, list)) else type(params).__name__
        raise LayerError(f"{name}: expected a tuple of params for {len(layers)} layers, got {got}")
