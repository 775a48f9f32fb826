"""Transfer: a trained network with a new last layer, for two classes of the user's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from catnet.data.dataset import Dataset
from catnet.errors import UserError, diverged
from catnet.evaluation import plots
from catnet.evaluation.metrics import Evaluation
from catnet.models.classifier import Classifier
from catnet.models.features import divided, features
from catnet.training import run_folder
from catnet.training.mlp import fill

if TYPE_CHECKING:
    from jaxnn import Layer

Report = Callable[[int, float], None]  # (steps done, last cost)
Phase = Callable[[str], Report]  # what learns, "last layer" or "all layers", to its own report

WHOLE_RATE = 1e-4  # learning rate of the whole network: small, so that what it knows stays
HEAD_RATE = 1e-2  # of a new last layer by itself
CHUNK = 50


@dataclass(frozen=True)
class Transfer:
    """All that decides a transfer, besides the model and the data.

    Attributes:
        freeze: whether only the new last layer learns.
        steps: updates of the last layer; then as many of the whole network, unless frozen.
        learning_rate: of the part that learns last; None for 0.01 of a last layer alone, and
            0.0001 of a whole network.
        weight_decay: of AdamW.
        batch_size: examples a step, at most.
        seed: of the order of the examples.
    """

    freeze: bool
    steps: int = 300
    learning_rate: float | None = None
    weight_decay: float = 0.01
    batch_size: int = 64
    seed: int = 1


def transferred(architecture: dict[str, Any]) -> dict[str, Any]:
    """The architecture with a last layer for two classes in place of its own.

    Raises:
        UserError: there is nothing below the last layer that could be kept.
    """
    if architecture.get("model") == "photo":
        return {**architecture, "classes": 2, "cats": [1]}
    if not architecture.get("hidden"):
        raise UserError("--from: a model with a single layer has nothing to hand on; train anew")
    return architecture


def run(
    folder: Path,
    config: Transfer,
    model: Classifier,
    train_part: Dataset,
    test_part: Dataset,
    source: str,
    phase: Phase | None = None,
) -> Evaluation:
    """Train, then make and fill the run folder: a transfer that is stopped leaves nothing.

    Returns:
        What the new model does on the test part.
    """
    plots.check()
    transferred(model.architecture)
    described = {"model": "transfer", **asdict(config), "from": model.name, "source": source}
    architecture, params, costs = train(config, model, train_part, phase)
    run_folder.begin(folder, {**described, "classes": list(train_part.classes)})
    classifier = Classifier(
        architecture=architecture,
        params=params,
        classes=train_part.classes,
        name=folder.resolve().name,
        about=f"trained on {len(train_part.labels)} images {source}, from {model.name}",
    )
    return fill(folder, classifier, costs, test_part, f"transfer from {model.name}")


def train(
    config: Transfer, model: Classifier, data: Dataset, phase: Phase | None = None
) -> tuple[dict[str, Any], Any, np.ndarray]:
    """Give a model a new last layer, and train it, or all of it, on a dataset.

    The last layer is trained first, on the features that the layers below make of every
    image and its mirror image; they are computed once.  Then, unless they are frozen, all
    layers together, at a small learning rate: from a last layer that still knows nothing
    they would learn noise (Kumar et al. 2022, arXiv:2202.10054).

    Args:
        config: how.
        model: what is learnt from; not changed.
        data: images of the two classes.
        phase: told what learns from now on, since the two differ in speed; what it gives is called
            with the steps done of this phase and the cost.

    Returns:
        The architecture, the parameters, and the cost before every update.
    """
    import jax
    import jax.numpy as jnp
    import optax

    import jaxnn

    described = transferred(model.architecture)
    body, kept, head, _ = divided(described, model.params)
    x = np.concatenate([data.images, data.images[:, :, ::-1]])  # and mirrored
    y = jnp.asarray(np.tile(data.labels, 2)[:, None], jnp.float32)
    seen = features(body, kept, x)
    new = jax.tree.map(jnp.zeros_like, head.init(jax.random.key(0), seen))
    loss, costs = jaxnn.binary_cross_entropy, []
    batch_size = min(config.batch_size, len(x))

    def descend(what: str, part: Layer, params: Any, inputs: Any, rate: float) -> Any:
        report = phase(what) if phase else None

        def progress(state: jaxnn.State, of_chunk: jax.Array) -> None:
            costs.extend(np.asarray(of_chunk).tolist())
            if len(bad := np.flatnonzero(~np.isfinite(costs))):
                raise diverged(int(bad[0]), costs[bad[0]], rate)
            if report:
                report(state.step, costs[-1])

        how = {"steps": config.steps, "chunk": CHUNK, "progress": progress}
        how |= {"batch_size": batch_size, "key": jax.random.key(config.seed)}
        optimizer = optax.adamw(rate, weight_decay=config.weight_decay)
        return jaxnn.fit(part, loss, params, inputs, y, optimizer=optimizer, **how)[0]

    head_rate = config.learning_rate if config.freeze else None
    params = (*kept, *descend("last layer", head, new, seen, head_rate or HEAD_RATE))
    if not config.freeze:
        pixels = jnp.asarray(x, jnp.float32) / 255
        net = jaxnn.serial(*body.layers, *head.layers)
        rate = config.learning_rate or WHOLE_RATE
        params = descend("all layers", net, params, pixels, rate)
    return described, params, np.array(costs)


def total_steps(config: Transfer) -> int:
    """How many updates ``train`` makes."""
    return config.steps * (1 if config.freeze else 2)
