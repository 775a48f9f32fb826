"""Fine-tuning: a trained network gets a new head, for classes of the user's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from catnet.data.dataset import Dataset
from catnet.errors import UserError
from catnet.evaluation.report import Evaluation
from catnet.images.size import SIZE
from catnet.models import registry
from catnet.models.classifier import Classifier
from catnet.models.features import features
from catnet.models.inference import in_batches
from catnet.models.test_time_augmentation import views
from catnet.training import checkpoints, curves, dataset_run, descent
from catnet.training.checkpoints import Checkpoint
from catnet.training.class_weights import ClassWeights, weigh_classes
from catnet.training.curves import Curves
from catnet.training.dataset_run import Images, Training
from catnet.training.descent import Outcome, Report, Track
from catnet.training.measuring import choose_measured, make_rule, measure_with
from catnet.training.mlp import find_weights

if TYPE_CHECKING:
    from jaxnn import Layer

Phase = Callable[[str], Report]  # "last layer" or "all layers" → the report of this phase

WHOLE_RATE = 1e-4  # learning rate of all layers: small, so that the features change little
HEAD_RATE = 1e-2  # of a new last layer by itself
CHUNK = 50
STEPS = 300
MEASURES = 6  # of each phase, by default


@dataclass(frozen=True)
class FineTuning:
    """The settings of a fine-tuning.

    Attributes:
        freeze: whether only the new last layer is trained.
        steps: updates of the last layer, and then as many of all layers, unless frozen.
        learning_rate: of the last phase; None for 0.01 (last layer) or 0.0001 (all layers).
        weight_decay: of AdamW.
        batch_size: examples a step; all examples, where there are fewer.
        seed: of the last layer, the order of the examples, dropout and augmentation.
        class_weights: of the cost; see ``weigh_classes``.
        init: of the new last layer, one of ``registry.INITIALIZATIONS``.
        dropout: the fraction of the features that is dropped in a step.
        augment: one of ``registry.AUGMENTATIONS``.  "mirror" trains on every image and its mirror
            image.  "light" and "full" change the images of the second phase; the features of the
            first are those of "mirror".
        validation: the fraction of the training images that is the validation part.
        patience: the last phase ends when so many steps have not improved the validation cost.
        validate_every: steps between two measures.
        extended_at: the steps of the last phase at which the training was extended.
    """

    freeze: bool
    steps: int = STEPS
    learning_rate: float | None = None
    weight_decay: float = 0.01
    batch_size: int = 64
    seed: int = 1
    class_weights: ClassWeights = ()
    init: str = "zeros"
    dropout: float = 0.0
    augment: str = "mirror"
    validation: float = 0.0
    patience: int | None = None
    validate_every: int = CHUNK
    extended_at: tuple[int, ...] = ()


def choose_every(steps: int) -> int:
    """The steps between two measures, which take longer than for the lecture's networks.

    Example:
        >>> choose_every(60), choose_every(300), choose_every(3000)
        (50, 50, 500)
    """
    return CHUNK * -(-steps // (CHUNK * MEASURES))


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
    images: Images,
    phase: Phase | None = None,
    parent: Path | None = None,
    *,
    resume: bool = False,
    every: float = checkpoints.EVERY,
) -> Evaluation:
    """Train in a run folder; see ``dataset_run.run``.

    Args:
        folder: a new folder; with ``resume``, the folder of an earlier ``run``.
        config: the settings.
        model: the trained model; not changed.
        images: to train and to evaluate on.
        phase: see ``train``.
        parent: the file or run folder of the model.
        resume: continue from the checkpoint in the folder.
        every: seconds between two checkpoints.

    Returns:
        The evaluation of the new model on the test part.

    Raises:
        UserError: the model does not fit.
    """
    import jax

    replace_head(model.architecture, len(images.train.classes))  # refuse a model without features

    def train_on(
        data: Dataset, measured: tuple[Dataset, str], checkpoint: Checkpoint
    ) -> tuple[dict[str, Any], Outcome]:
        return train(config, model, data, phase, checkpoint, measured)

    training = Training(
        config,
        train_on,
        f"fine-tuning of {model.name}: last layer{'' if config.freeze else ', then all layers'}",
        {
            "model": "fine-tuning",
            "from": model.name,
            "from_model": parent and str(parent.absolute()),
        },
        parent,
        model.name,
        [np.asarray(leaf) for leaf in jax.tree.leaves(model.params)],
    )
    return dataset_run.run(folder, training, images, resume=resume, every=every)[1]


def train(
    config: FineTuning,
    model: Classifier,
    data: Dataset,
    phase: Phase | None = None,
    checkpoint: Checkpoint | None = None,
    measured: tuple[Dataset, str] | None = None,
) -> tuple[dict[str, Any], Outcome]:
    """Give a model a new head and train it on a dataset, from the checkpoint if there is one.

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
        checkpoint: of the run; None for none.
        measured: the images that are measured beside, and the name of their part; the default is
            the training images, as part "test".

    Returns:
        The architecture and the outcome.

    Raises:
        UserError: the first cost is not finite, or the model has no layer below its head.
    """
    import jax
    import jax.numpy as jnp
    import optax

    import jaxnn
    from catnet.models.regularized import augmented, dropped, replace
    from catnet.models.targets import choose_loss, make_targets
    from catnet.training.augmentation.choices import FUNCTIONS

    classes, rule = len(data.classes), make_rule(config)
    other, part = measured or (data, curves.TEST)
    weights = weigh_classes(config.class_weights, data.classes, data.labels)
    described = replace_head(model.architecture, classes)
    net, head, _ = registry.network(described, config.init)
    below = model.params[:head]
    in_training = net
    if config.dropout:
        in_training = replace(net, head, dropped(net[head], config.dropout))
    mirrored = config.augment != "none"
    images = views(data.images, tuple(described.get("test_time_augmentation", (SIZE,))))
    if mirrored:
        images = np.concatenate([images, images[:, :, ::-1]])
    loss = choose_loss(classes, weights is not None)
    initial = net[head:].init(
        jax.random.key(config.seed), jax.eval_shape(net[:head].apply, below, _pixels(images[:1]))
    )
    whole_start = (*below, *initial)
    track = Track(Curves(part), whole_start)
    about: dict[str, Any] = checkpoints.read_progress(checkpoint.folder) if checkpoint else {}
    at_phase = about.get("phase", 0)
    stopped = None

    def descend(
        index: int, layers: Layer, start: Any, x: Any, y: Any, rate: float, **how: Any
    ) -> tuple[Any, Any]:
        optimizer = optax.adamw(rate, weight_decay=config.weight_decay, mask=find_weights)
        states = [jaxnn.State(0, start, optimizer.init(start))]
        offset = len(track.curves.costs)
        if checkpoint and about and about.get("phase") == index:
            like = (start, states[0].opt_state, np.zeros(0), whole_start)
            if saved := checkpoint.load(like):
                (params, opt_state, costs, best), its = saved
                track.curves.costs = np.asarray(costs).tolist()
                track.curves.measures = curves.from_json(its["measures"])
                track.best, offset = best, its["offset"]
                states = [jaxnn.State(its["step"], params, opt_state)]
        at_last = config.freeze or index == 1

        def advance(state: jaxnn.State, steps: int, progress: Any) -> Any:
            fit = {"batch_size": min(config.batch_size, len(x)), "key": jax.random.key(config.seed)}
            fit |= {"optimizer": optimizer, "steps": steps, "chunk": CHUNK}
            return jaxnn.fit(
                layers, loss, state.params, x, y, **fit, state=state, progress=progress
            )[0]

        def save(state: jaxnn.State, now: bool) -> None:
            def current() -> tuple[Any, dict[str, Any]]:
                costs = np.array(track.curves.costs, np.float32)
                its = {"phase": index, "offset": offset}
                its["measures"] = curves.as_json(track.curves.measures)
                return (state.params, state.opt_state, costs, track.best), its

            if checkpoint:
                checkpoint.save_if_due(state.step, config.steps, current, now)

        patience = config.patience if at_last else None
        return descent.descend(
            states,
            advance,
            config.steps,
            track,
            rule=rule._replace(patience=patience, since=offset + rule.since),
            every=config.validate_every,
            learning_rate=rate,
            save=save,
            report=phase(("last layer", "all layers")[index]) if phase else None,
            offset=offset,
            remark=f"; the parameters before it are in {checkpoint.folder}" if checkpoint else "",
            **how,
        )

    params = whole_start
    targets = lambda labels: jnp.asarray(make_targets(labels, classes, weights))  # noqa: E731
    labels = np.resize(data.labels, len(images))  # of every view and mirror image
    chosen = choose_measured(len(data.labels))
    if at_phase == 0:
        as_features = lambda images: features(net[:head], below, images)  # noqa: E731
        inputs = as_features(images)
        new_head, stopped = descend(
            0,
            in_training[head:],
            initial,
            inputs,
            targets(labels),
            (config.learning_rate if config.freeze else None) or HEAD_RATE,
            scores=measure_with(
                jax.jit(net[head:].apply),
                (inputs[chosen], data.labels[chosen]),
                (as_features(_whole(other.images)), other.labels),
            ),
            whole=lambda params: (*below, *params),
        )
        params = (*below, *new_head)
    if not config.freeze and not stopped:
        x, y = _pixels(images), targets(labels)
        if config.augment in ("light", "full"):
            x, y = jnp.asarray(data.images), targets(data.labels)
            change = augmented(in_training[0], FUNCTIONS[config.augment], config.augment)
            in_training = replace(in_training, 0, change)
        apply = jax.jit(lambda params, images: net.apply(params, images.astype("float32") / 255))
        params, stopped = descend(
            1,
            in_training,
            params,
            x,
            y,
            config.learning_rate or WHOLE_RATE,
            scores=measure_with(
                lambda params, images: in_batches(lambda batch: apply(params, batch), images),
                (_whole(data.images[chosen]), data.labels[chosen]),
                (_whole(other.images), other.labels),
            ),
        )
    if rule.selects and rule.best(track.curves.measures):
        params = track.best
    return described, Outcome(params, track.curves, stopped)


def _whole(images: np.ndarray) -> np.ndarray:
    """Whole images at the size of the network."""
    return views(images, (images.shape[1],)) if len(images) else images


def _pixels(images: np.ndarray) -> Any:
    import jax.numpy as jnp

    return jnp.asarray(images, jnp.float32) / 255
