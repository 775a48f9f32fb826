"""The compiled steps of a photo training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxnn
from catnet.models.resnet import Targets, fine_loss, photo_loss, targets, weigh
from catnet.training.augmentation.augment import augment
from catnet.training.augmentation.choices import FUNCTIONS
from catnet.training.augmentation.mix import mix
from catnet.training.augmentation.strength import FULL, LIGHT
from catnet.training.photo.classes import Classes
from catnet.training.photo.config import PhotoConfig
from catnet.training.photo.state import (
    TrainState,
    network,
    optimizer,
)


def compile_steps(
    config: PhotoConfig, classes: Classes, weights: np.ndarray | None = None
) -> Callable[..., Any]:
    """(state, images (k, n, S, S, 3) uint8, cat, fine, prior (k, n)) → (state, costs (k,)).

    ``fine`` is (k, n, classes) with soft labels.

    Args:
        config: the settings.
        classes: the classes of the network.
        weights: of the labels in the cost, (classes,); None for equal weights.
    """
    count = len(classes.names)
    net = network(config, count)
    loss = photo_loss(classes.cats, count, config.fine_weight) if classes.cats else fine_loss
    cost_and_grads = jaxnn.value_and_grad(net, loss)
    descent = optimizer(config)
    key = jax.random.key(config.seed)
    light_until = int(config.light * config.steps)
    settle_from = config.steps - int(config.settle * config.steps)

    def light(key: Any, images: Any, scenes: Any, y: Targets) -> tuple[Any, Targets]:
        return augment(key, images, LIGHT, scenes), y

    def full(key: Any, images: Any, scenes: Any, y: Targets) -> tuple[Any, Targets]:
        augment_key, mix_key = jax.random.split(key)
        x = augment(augment_key, images, FULL, scenes)
        return mix(mix_key, x, y, config.mixup, config.cutmix)

    def step(state: TrainState, batch: tuple[Any, ...]) -> tuple[TrainState, Any]:
        images, cat, fine, prior = batch
        smoothing = config.smoothing if classes.fine.ndim == 1 else 0.0
        y = targets(cat, fine, prior, count, smoothing)
        if weights is not None:
            of_class = jnp.asarray(weights, jnp.float32)
            label = (cat > 0.5).astype(jnp.int32) if classes.cats else fine
            y = weigh(y, of_class[label], bool(classes.cats))
        is_light = (state.step < light_until) | (state.step >= settle_from)
        key_of_step = jax.random.fold_in(key, state.step)
        if config.augment == "full":
            # A cat stays a cat in a scene without one; other classes have no such scene.
            scenes = cat < 0.5 if classes.cats else None
            x, y = jax.lax.cond(is_light, light, full, key_of_step, images, scenes, y)
        else:
            x = FUNCTIONS[config.augment](key_of_step, images)
        of_dropout = jax.random.fold_in(key_of_step, 1) if config.dropout else None
        cost, grads = cost_and_grads(state.params, x.astype(config.precision), y, of_dropout)
        updates, opt_state = descent.update(grads, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        # The average moves faster at first, to forget the random initialization.
        decay = jnp.minimum(config.average, (1.0 + state.step) / (10.0 + state.step))
        average = jax.tree.map(lambda a, p: decay * a + (1 - decay) * p, state.average, params)
        return TrainState(state.step + 1, params, average, opt_state), cost

    return jax.jit(lambda state, *batches: jax.lax.scan(step, state, batches), donate_argnums=0)
