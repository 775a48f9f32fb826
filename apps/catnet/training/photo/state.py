"""The network, the optimizer and the state of a photo training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxnn
from catnet.data.class_names import agree
from catnet.errors import UserError
from catnet.models import registry
from catnet.models.classifier import Classifier
from catnet.models.regularized import dropped
from catnet.models.resnet import trunk
from catnet.training.memory import refuse_too_large
from catnet.training.muon import muon
from catnet.training.photo.classes import Classes
from catnet.training.photo.config import PhotoConfig


class TrainState(NamedTuple):
    """The state between two steps."""

    step: Any
    params: Any
    average: Any
    opt_state: Any


def network(config: PhotoConfig, classes: int) -> jaxnn.Layer:
    """The network in training: images → logits of all classes."""
    if config.init is None:
        features, last = trunk(config.widths, config.blocks), jaxnn.dense(classes)
    else:
        W_init = registry.initializer(config.init)
        features = trunk(config.widths, config.blocks, W_init)
        last = jaxnn.dense(classes, W_init=W_init)
    return jaxnn.serial(features, dropped(last, config.dropout) if config.dropout else last)


def optimizer(config: PhotoConfig) -> optax.GradientTransformation:
    """Muon for kernels and matrices, Adam for the rest; warm-up, then to 0."""
    warm_up = max(1, int(config.warm_up * config.steps))
    rate = optax.schedules.warmup_cosine_decay_schedule(
        0.0, config.learning_rate, warm_up, max(config.steps, warm_up + 1)
    )
    return muon(rate, config.weight_decay)


def make_state(config: PhotoConfig, classes: int) -> TrainState:
    """The state before the first step, with random weights."""
    net = network(config, classes)
    refuse_too_large(net)
    pixels = jax.ShapeDtypeStruct((64, 64, 3), jnp.float32)
    params = jax.jit(lambda key: net.init(key, pixels))(jax.random.key(config.seed))
    average = jax.tree.map(jnp.copy, params)  # its own buffers: those of params are donated
    return TrainState(np.zeros((), np.int32), params, average, optimizer(config).init(params))


def _load_weights(
    state: TrainState, model: Classifier, blocks: Sequence[int], keep_last: bool = True
) -> TrainState:
    """The state with the weights of a model.

    Args:
        state: of a network with the model's features, or with more blocks.
        model: a photo model.
        blocks: residual blocks of each stage of the state's network.
        keep_last: whether its last layer is kept too, if it has as many classes.

    Raises:
        UserError: the layers below the head differ.
    """
    # Copies, since the buffers of a state are donated, and the model keeps its own.
    trained, last = jax.tree.map(jnp.copy, model.params[:2])
    features = add_blocks(trained, model.architecture["blocks"], state.params[0], blocks)
    if _shapes(features) != _shapes(state.params[0]):
        raise UserError(f"{model.name}: is another network than this training's")
    if not keep_last or _shapes(last) != _shapes(state.params[1]):
        last = state.params[1]
    params = (features, last)
    return state._replace(params=params, average=jax.tree.map(jnp.copy, params))


def add_blocks(trained: Any, had: Sequence[int], new: Any, blocks: Sequence[int]) -> Any:
    """The params of a trunk, and those of new blocks at the end of its stages.

    A new block is the identity, since its last convolution is zero: the deeper network starts as
    the same function (Chen et al. 2016, Net2Net, arXiv:1511.05641).  Trunks of which the new one
    is no deeper version give params of another shape.

    Args:
        trained: params of the ``trunk``.
        had: its residual blocks of each stage.
        new: params of a ``trunk`` with at least as many blocks.
        blocks: its residual blocks of each stage.
    """
    params: list[Any] = []
    at, end = 0, 0  # of the trained trunk; of a stage of the new one
    for stage, (count, wanted) in enumerate(zip(had, blocks, strict=False)):
        first = 2 if stage else 1  # the normalization and the convolution before the blocks
        params += trained[at : at + first + count]
        at, end = at + first + count, end + first + wanted
        params += new[end - (wanted - count) : end]
    return (*params, *trained[at:])


def _shapes(tree: Any) -> str:
    return str(jax.tree.map(jnp.shape, tree))


def initialize(config: PhotoConfig, classes: Classes) -> TrainState:
    """The state before the first step, with the weights of ``from_model`` if it is set.

    Raises:
        UserError: this model cannot be read, or is another network.
    """
    state = make_state(config, len(classes.names))
    if not config.from_model:
        return state
    model = Classifier.load(config.from_model)
    if model.architecture["model"] != "photo":
        raise UserError(f"{model.name}: is not a photo network; leave --model photo out")
    same = model.architecture.get("cats", []) == [*classes.cats]
    if len(classes.names) == 2 or not classes.cats:
        same = same and agree(model.classes, classes.names)
    return _load_weights(state, model, config.blocks, same)
