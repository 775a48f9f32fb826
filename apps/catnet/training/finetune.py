"""Fine-tuning: a trained network gets a new head, for classes of the user's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from catnet.data.dataset import Dataset
from catnet.data.duplicates import hash_pixels
from catnet.errors import UserError, describe_divergence
from catnet.evaluation import plots
from catnet.evaluation.report import Evaluation
from catnet.images.size import SIZE
from catnet.models import registry
from catnet.models.classifier import Classifier
from catnet.models.features import features
from catnet.models.test_time_augmentation import views
from catnet.training import run_folder, seen
from catnet.training.class_weights import ClassWeights, weigh_classes
from catnet.training.mlp import fill

if TYPE_CHECKING:
    from jaxnn import Layer

Report = Callable[[int, float], None]  # (steps done, last cost)
Phase = Callable[[str], Report]  # "last layer" or "all layers" → the report of this phase

WHOLE_RATE = 1e-4  # learning rate of all layers: small, so that the features change little
HEAD_RATE = 1e-2  # of a new last layer by itself
CHUNK = 50


@dataclass(frozen=True)
class FineTuning:
    """The settings of a fine-tuning.

    Attributes:
        freeze: whether only the new last layer is trained.
        steps: updates of the last layer, and then as many of all layers, unless frozen.
        learning_rate: of the last phase; None for 0.01 (last layer) or 0.0001 (all layers).
        weight_decay: of AdamW.
        batch_size: examples a step; all examples, where there are fewer.
        seed: of the order of the examples.
        class_weights: of the cost; see ``weigh_classes``.
    """

    freeze: bool
    steps: int = 300
    learning_rate: float | None = None
    weight_decay: float = 0.01
    batch_size: int = 64
    seed: int = 1
    class_weights: ClassWeights = ()


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


def run(
    folder: Path,
    config: FineTuning,
    model: Classifier,
    train_part: Dataset,
    test_part: Dataset,
    source: str,
    phase: Phase | None = None,
    parent: Path | None = None,
) -> Evaluation:
    """Train, then create and fill the run folder; stopped in training, it leaves no folder.

    Args:
        folder: a path that does not exist.
        config: the settings.
        model: the trained model; not changed.
        train_part: the images to train on.
        test_part: the images to evaluate on.
        source: where the data are from, in words.
        phase: see ``train``.
        parent: the file or run folder of the model.

    Returns:
        The evaluation of the new model on the test part.
    """
    plots.check()
    replace_head(model.architecture, len(train_part.classes))
    described = {"model": "fine-tuning", **asdict(config), "from": model.name, "source": source}
    architecture, params, costs = train(config, model, train_part, phase)
    run_folder.create(folder, {**described, "classes": list(train_part.classes)})
    seen.write(folder, hash_pixels(train_part.images), parent)
    classifier = Classifier(
        architecture=architecture,
        params=params,
        classes=train_part.classes,
        name=folder.resolve().name,
        about=f"trained on {len(train_part.labels)} images {source}, from {model.name}",
    )
    return fill(folder, classifier, costs, test_part, f"fine-tuning of {model.name}")


def train(
    config: FineTuning, model: Classifier, data: Dataset, phase: Phase | None = None
) -> tuple[dict[str, Any], Any, np.ndarray]:
    """Give a model a new head and train it on a dataset.

    First the last layer is trained, on the features of every image, magnified and mirrored as in
    prediction, which are computed once.  Then, unless they are frozen, all layers are trained
    together, at a small learning rate.  All layers from the first step would distort the features,
    since the gradients of a random head are noise (Kumar et al. 2022, arXiv:2202.10054).

    Args:
        config: the settings.
        model: the trained model; not changed.
        data: images of the classes.
        phase: called with the name of each phase; it returns the report of this phase, which is
            called with the steps of the phase that are done, and the last cost.

    Returns:
        The architecture, the parameters, and the cost before every update.

    Raises:
        UserError: the training diverged, or the model has no layer below its head.
    """
    import jax
    import jax.numpy as jnp
    import optax

    import jaxnn
    from catnet.models.targets import choose_loss, make_targets

    classes = len(data.classes)
    weights = weigh_classes(config.class_weights, data.classes, data.labels)
    described = replace_head(model.architecture, classes)
    net, head, _ = registry.network(described)
    x = views(data.images, tuple(described.get("test_time_augmentation", (SIZE,))))
    x = np.concatenate([x, x[:, :, ::-1]])  # and mirrored
    y = jnp.asarray(make_targets(np.resize(data.labels, len(x)), classes, weights))
    inputs = features(net[:head], model.params[:head], x)
    zeros = jax.tree.map(jnp.zeros_like, net[head:].init(jax.random.key(0), inputs))
    loss, costs = choose_loss(classes, weights is not None), []
    batch_size = min(config.batch_size, len(x))

    def descend(title: str, layers: Layer, params: Any, x: Any, rate: float) -> Any:
        report = phase(title) if phase else None

        def progress(state: jaxnn.State, new_costs: jax.Array) -> None:
            costs.extend(np.asarray(new_costs).tolist())
            if len(bad := np.flatnonzero(~np.isfinite(costs))):
                raise describe_divergence(int(bad[0]), costs[bad[0]], rate)
            if report:
                report(state.step, costs[-1])

        how = {"steps": config.steps, "chunk": CHUNK, "progress": progress}
        how |= {"batch_size": batch_size, "key": jax.random.key(config.seed)}
        optimizer = optax.adamw(rate, weight_decay=config.weight_decay)
        return jaxnn.fit(layers, loss, params, x, y, optimizer=optimizer, **how)[0]

    head_rate = config.learning_rate if config.freeze else None
    new_head = descend("last layer", net[head:], zeros, inputs, head_rate or HEAD_RATE)
    params = (*model.params[:head], *new_head)
    if not config.freeze:
        pixels = jnp.asarray(x, jnp.float32) / 255
        rate = config.learning_rate or WHOLE_RATE
        params = descend("all layers", net, params, pixels, rate)
    return described, params, np.array(costs)
