"""A trained network with a new head."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from catnet.errors import UserError
from catnet.images.size import SIZE
from catnet.models import registry
from catnet.models.classifier import Classifier
from catnet.training.finetuning.config import FineTuning

if TYPE_CHECKING:
    from jaxnn.combinators.serial import Serial


class Network(NamedTuple):
    """A network whose head is new.

    Attributes:
        architecture: its description.
        layers: in prediction.
        in_training: the same layers, with dropout before the last one.
        head: the index of the last layer, which is new.
        params: of the trained model, with new ones of the head.
    """

    architecture: dict[str, Any]
    layers: Serial
    in_training: Serial
    head: int
    params: Any


def replace_head(architecture: dict[str, Any], classes: int) -> dict[str, Any]:
    """Return the architecture with a head for a number of classes.

    Raises:
        UserError: the network has no layer below its head.
    """
    if architecture.get("model") != "photo" and not architecture.get("hidden"):
        raise UserError(
            "--from: the model has a single layer, so it has no features to reuse; train a new one"
        )
    return registry.with_classes(architecture, classes)


def make_network(config: FineTuning, model: Classifier, classes: int) -> Network:
    """The network of a model with a new head for a number of classes.

    Raises:
        UserError: the network has no layer below its head.
    """
    import jax

    from catnet.models.regularized import dropped, replace

    described = replace_head(model.architecture, classes)
    net, head, _ = registry.network(described, config.init)
    below = model.params[:head]
    image = jax.ShapeDtypeStruct((1, SIZE, SIZE, 3), "float32")
    features = jax.eval_shape(net[:head].apply, below, image)
    new = net[head:].init(jax.random.key(config.seed), features)
    in_training = net
    if config.dropout:
        in_training = replace(net, head, dropped(net[head], config.dropout))
    return Network(described, net, in_training, head, (*below, *new))
