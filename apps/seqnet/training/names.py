"""Training of the character model."""

from __future__ import annotations

import jax
import numpy as np

import jaxnn
from seqnet.models import names
from seqnet.models.model import Model
from seqnet.training.descent import descend, first

WIDTH = 128
LOSS = jaxnn.masked_loss(jaxnn.softmax_cross_entropy)


def train(data: list[str], seed: int = 0, *, width: int = WIDTH, epochs: float = 10) -> Model:
    """Train on names.

    Args:
        data: the names; their letters are the alphabet of the model.
        seed: of the initial parameters, the order of examples and dropout.
        width: units of the recurrent layer.
        epochs: how often each name is used.
    """
    described = {"letters": sorted(set("".join(data))), "width": width}
    net = names.build(described)
    x, y = names.encode(described, data)
    params = descend(
        net, LOSS, net.init(jax.random.key(seed), first(x)), x, y,
        epochs=epochs, learning_rate=4e-3, batch_size=128, seed=seed,
        title="names", fewest=100,
    )  # fmt: skip
    return Model("names", described, params)


def split(data: list[str], share: float = 0.1, seed: int = 0) -> tuple[list[str], list[str]]:
    """Split off a random share of the distinct names, at least one, as the test part."""
    distinct = sorted(set(data))
    order = np.random.default_rng(seed).permutation(len(distinct))
    count = max(1, round(share * len(distinct)))
    test = {distinct[i] for i in order[:count]}
    return [name for name in data if name not in test], sorted(test)
