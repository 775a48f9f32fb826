"""The features of images: what the layers below the head of a network compute."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from catnet.models.inference import in_batches

if TYPE_CHECKING:
    from jaxnn import Layer


def features(net: Layer, params: Any, images: np.ndarray) -> np.ndarray:
    """Compute the features of images (n, 64, 64, 3) uint8: (n, features) float32.

    Args:
        net: the layers below the head: ``layers[:head]`` of a ``registry.Network``.
        params: their params: ``params[:head]``.
        images: at least one.
    """
    apply = _compile(net)
    return in_batches(lambda batch: apply(params, batch), images)


@functools.cache
def _compile(net: Layer) -> Callable[[Any, np.ndarray], Any]:
    import jax

    return jax.jit(lambda params, images: net.apply(params, images.astype("float32") / 255))
