"""The phases of a fine-tuning: the last layer on fixed features, then all layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from catnet.data.dataset import Dataset
from catnet.images.size import SIZE
from catnet.models.features import features
from catnet.models.inference import in_batches
from catnet.models.test_time_augmentation import views
from catnet.training.descent import Scores
from catnet.training.finetuning.config import HEAD_RATE, WHOLE_RATE, FineTuning
from catnet.training.finetuning.network import Network
from catnet.training.measuring import choose_measured, measure_with

if TYPE_CHECKING:
    from jaxnn import Layer


class Examples(NamedTuple):
    """What a fine-tuning learns from, and what it is measured on.

    Attributes:
        data: the training images.
        other: the images that are measured beside.
        copies: the magnified middles and mirror images of the training images, (k · n, 64, 64, 3)
            uint8, for whole k.
        class_weights: (classes,); None for equal weights.
    """

    data: Dataset
    other: Dataset
    copies: np.ndarray
    class_weights: np.ndarray | None

    def make_targets(self, count: int) -> Any:
        """The targets of ``count`` images: one or several copies of all training images."""
        import jax.numpy as jnp

        from catnet.models.targets import make_targets

        labels = np.resize(self.data.labels, count)
        return jnp.asarray(make_targets(labels, len(self.data.classes), self.class_weights))


class Phase(NamedTuple):
    """What is trained in a phase.

    Attributes:
        index: 0 for the last layer, 1 for all layers.
        layers: the layers that are trained.
        params: theirs, at the start.
        x: inputs of these layers.
        y: targets.
        learning_rate: of AdamW.
        scores: measures their params.
        complete: their params → those of the whole network.
    """

    index: int
    layers: Layer
    params: Any
    x: Any
    y: Any
    learning_rate: float
    scores: Scores
    complete: Callable[[Any], Any]

    @property
    def name(self) -> str:
        """What people call it."""
        return ("last layer", "all layers")[self.index]


def make_copies(config: FineTuning, network: Network, images: np.ndarray) -> np.ndarray:
    """The magnified middles of images, as in prediction, and their mirror images."""
    sides = network.architecture.get("test_time_augmentation", (SIZE,))
    copies = views(images, tuple(sides))
    if config.augment == "none":
        return copies
    return np.concatenate([copies, copies[:, :, ::-1]])


def prepare_last_layer(config: FineTuning, network: Network, examples: Examples) -> Phase:
    """The phase of the last layer: the features of every copy are computed once."""
    import jax

    net, head, params = network.layers, network.head, network.params
    below = params[:head]
    data, other = examples.data, examples.other

    def compute_features(images: np.ndarray) -> Any:
        return features(net[:head], below, images)

    x = compute_features(examples.copies)
    chosen = choose_measured(len(data.labels))
    scores = measure_with(
        jax.jit(net[head:].apply),
        (x[chosen], data.labels[chosen]),
        (compute_features(_resize(other.images)), other.labels),
    )
    return Phase(
        0,
        network.in_training[head:],
        params[head:],
        x,
        examples.make_targets(len(x)),
        (config.learning_rate if config.freeze else None) or HEAD_RATE,
        scores,
        lambda params: (*below, *params),
    )


def prepare_all_layers(
    config: FineTuning, network: Network, params: Any, examples: Examples
) -> Phase:
    """The phase of all layers, from the params after the first one."""
    import jax
    import jax.numpy as jnp

    from catnet.models.regularized import augmented, replace
    from catnet.training.augmentation.choices import FUNCTIONS

    net, layers = network.layers, network.in_training
    data, other = examples.data, examples.other
    if config.augment in ("light", "full"):
        x = jnp.asarray(data.images)
        change = augmented(layers[0], FUNCTIONS[config.augment], config.augment)
        layers = replace(layers, 0, change)
    else:
        x = jnp.asarray(examples.copies, jnp.float32) / 255
    apply = jax.jit(lambda params, images: net.apply(params, images.astype("float32") / 255))
    chosen = choose_measured(len(data.labels))
    scores = measure_with(
        lambda params, images: in_batches(lambda batch: apply(params, batch), images),
        (_resize(data.images[chosen]), data.labels[chosen]),
        (_resize(other.images), other.labels),
    )
    rate = config.learning_rate or WHOLE_RATE
    y = examples.make_targets(len(x))
    return Phase(1, layers, params, x, y, rate, scores, lambda params: params)


def _resize(images: np.ndarray) -> np.ndarray:
    """Whole images at the size of the network."""
    return views(images, (images.shape[1],)) if len(images) else images
