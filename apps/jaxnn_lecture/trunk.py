"""The trunk of catnet's trained network: the layers below its head, and what they get."""

from __future__ import annotations

from typing import Any

import numpy as np

from catnet.images.decode import resize_squares
from catnet.models import registry
from catnet.models.classifier import Classifier
from catnet.models.test_time_augmentation import views


def trunk(classifier: Classifier) -> tuple[Any, Any]:
    """The layers below the head, a ``serial``, and their params."""
    layers: Any
    layers, head, _ = registry.network(classifier.architecture)
    return layers[:head], classifier.params[:head]


def whole_views(images: np.ndarray, classifier: Classifier) -> np.ndarray:
    """What the trunk gets of square pictures: each as a whole, as prediction makes it.

    A picture is resized to the size of the model's geometry, as a photo is when it is decoded, and
    its whole is resized to the 64 pixels of the network.

    Args:
        images: (n, S, S, 3) uint8.

    Returns:
        (n, 64, 64, 3) uint8.
    """
    return views(resize_squares(images, classifier.geometry), (classifier.geometry.size,))
