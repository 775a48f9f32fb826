"""A network in two: the layers that make features of an image, and the last, which answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from catnet.models import registry
from catnet.models.classifier import in_batches

if TYPE_CHECKING:
    from jaxnn import Layer


class Divided(NamedTuple):
    """The layers below the last dense one with their params, and the rest with theirs."""

    body: Layer
    body_params: Any
    head: Layer
    head_params: Any


def divided(architecture: dict[str, Any], params: Any) -> Divided:
    """Divide a network before its last dense layer.

    Args:
        architecture: what ``networks.build`` makes the network from.
        params: its params.
    """
    import jaxnn

    # The mean over views comes after the answer: it is not one of the layers.
    seen_once = {k: v for k, v in architecture.items() if k not in ("mirrored", "views")}
    net = registry.build(seen_once)
    last = max(i for i, layer in enumerate(net.layers) if layer.name.startswith("dense"))
    body, head = jaxnn.serial(*net.layers[:last]), jaxnn.serial(*net.layers[last:])
    return Divided(body, tuple(params[:last]), head, tuple(params[last:]))


def features(body: Layer, params: Any, images: np.ndarray) -> np.ndarray:
    """What the body makes of images (n, 64, 64, 3) uint8: (n, features) float32."""
    import jax

    seen = jax.jit(lambda params, images: body.apply(params, images.astype("float32") / 255))
    return in_batches(lambda part: seen(params, part), images)
