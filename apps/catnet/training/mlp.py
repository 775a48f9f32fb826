"""Train the lecture's networks: from a dataset to a run folder with model, metrics and plots."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from catnet.data.dataset import Dataset
from catnet.errors import UserError
from catnet.evaluation.report import Evaluation
from catnet.models import registry
from catnet.terminal import format_exactly
from catnet.training import checkpoints, curves, descent
from catnet.training.checkpoints import Checkpoint
from catnet.training.class_weights import ClassWeights, weigh_classes
from catnet.training.curves import Curves
from catnet.training.dataset_run import Images, Training, run
from catnet.training.descent import Outcome, Report, Track
from catnet.training.measuring import choose_measured, make_rule, measure_with

if TYPE_CHECKING:
    from jaxnn import Layer

DESCENT = {"gd": 0.0, "momentum": 0.9}  # full-batch gradient descent: optimizer → momentum
VALIDATION = 0.2  # of the training images, where a training stops early


@dataclass(frozen=True)
class Config:
    """The settings of a training.

    Attributes:
        model: "logistic", "shallow" or "deep".
        hidden: units of the hidden layers.
        activation: of the hidden layers.
        learning_rate: the lecture's α.
        steps: the number of updates.
        optimizer: one of ``catnet.models.registry.OPTIMIZERS``; "gd" is plain gradient descent.
        batch_size: examples a step; None for all of them.
        seed: of the initialization, the order of the examples, dropout and augmentation.
        gradient: "hand" or "jax".
        class_count: the number of classes.
        class_weights: of the cost; see ``weigh_classes``.
        init: of the weights, one of ``registry.INITIALIZATIONS``.
        dropout: the fraction of the hidden units that is dropped in a step.
        weight_decay: λ: λ W is added to the gradient of W, not of b; with adamw, W shrinks instead
            by the factor 1 − α λ in every step.  None for 0, and for adamw 0.0001.
        augment: one of ``registry.AUGMENTATIONS``.
        validation: the fraction of the training images that is the validation part.
        patience: the training ends when so many steps have not improved the validation cost.
        validate_every: steps between two measures.
        extended_at: the steps at which the training was extended.
    """

    model: str
    hidden: tuple[int, ...]
    activation: str
    learning_rate: float
    steps: int
    optimizer: str = "gd"
    batch_size: int | None = None
    seed: int = 1
    gradient: str = "hand"
    class_count: int = 2
    class_weights: ClassWeights = ()
    init: str = "lecun"
    dropout: float = 0.0
    weight_decay: float | None = None
    augment: str = "none"
    validation: float = 0.0
    patience: int | None = None
    validate_every: int = descent.CHUNK
    extended_at: tuple[int, ...] = ()

    @property
    def architecture(self) -> dict[str, Any]:
        """The description that ``registry.build`` builds the network from."""
        return registry.architecture(self.model, self.hidden, self.activation, self.class_count)

    @property
    def descends(self) -> bool:
        """Whether every step is on all images as they are: ``jaxnn.gradient_descent``."""
        return (self.optimizer in DESCENT and self.batch_size is None) and self.augment == "none"


def train(
    config: Config,
    data: Dataset,
    checkpoint: Checkpoint,
    report: Report | None = None,
    measured: tuple[Dataset, str] | None = None,
) -> Outcome:
    """Train the network of ``config`` on a dataset, from the checkpoint if there is one.

    Args:
        config: the settings.
        data: the images to train on.
        checkpoint: of the run.
        report: called after every chunk of steps.
        measured: the images that are measured beside, and the name of their part; the default is
            the training images, as part "test".

    Raises:
        UserError: the first cost is NaN or infinite, or the checkpoint cannot be used here.
    """
    import jax
    import jax.numpy as jnp

    import jaxnn
    from catnet.models.targets import choose_loss, make_targets
    from jaxnn.training.gradient_descent import begin
    from jaxnn.training.row_space import Projected

    other, part = measured or (data, curves.TEST)
    net = registry.build(config.architecture, config.init)
    in_training = _in_training(config)
    weights = weigh_classes(config.class_weights, data.classes, data.labels)
    loss = choose_loss(config.class_count, weights is not None)
    as_inputs = lambda images: jnp.asarray(images.astype(np.float32) / 255)  # noqa: E731
    x = as_inputs(data.images) if config.augment == "none" else jnp.asarray(data.images)
    y = make_targets(data.labels, config.class_count, weights)
    key_of_init, key_of_steps = jax.random.split(jax.random.key(config.seed))
    params = in_training.init(key_of_init, x)
    # A run that was started in the row space of its examples stays there when it is extended.
    in_row_space = checkpoints.read_progress(checkpoint.folder).get("in_row_space")
    if config.descends:
        momentum = DESCENT[config.optimizer]
        start = begin(in_training, params, x, config.steps, momentum, in_row_space)
        in_row_space = isinstance(getattr(start.opt_state, "params", None), Projected)
    else:
        start = jaxnn.State(0, params, _optimizer(config).init(params))
    track = Track(Curves(part), start.params)
    states = [start]
    if saved := checkpoint.load((start.params, start.opt_state, np.zeros(0), start.params)):
        (params, opt_state, costs, best), about = saved
        measures = curves.from_json(about["measures"])
        track = Track(Curves(part, np.asarray(costs).tolist(), measures), best)
        states.append(jaxnn.State(about["step"], params, opt_state))
        if config.descends and not _fits(net, x, states[-1]):
            raise UserError(
                f"{checkpoint.folder}: NumPy factorizes the examples differently on this machine; "
                "resume on the machine where the run was started, or start a new run"
            )

    def advance(state: jaxnn.State, steps: int, progress: Any) -> Any:
        chunk = min(descent.CHUNK, config.validate_every)
        how: dict[str, Any] = {"gradient": config.gradient, "chunk": chunk}
        how |= {"steps": steps, "state": state, "progress": progress}
        if config.descends:
            how |= {"learning_rate": config.learning_rate, "momentum": DESCENT[config.optimizer]}
            how |= {"weight_decay": config.weight_decay or 0.0}
            how |= {"key": key_of_steps if config.dropout else None}
            return jaxnn.gradient_descent(in_training, loss, state.params, x, y, **how)[0]
        how |= {"optimizer": _optimizer(config), "batch_size": config.batch_size or len(x)}
        return jaxnn.fit(in_training, loss, state.params, x, y, key=key_of_steps, **how)[0]

    def save(state: jaxnn.State, now: bool) -> None:
        def current() -> tuple[Any, dict[str, Any]]:
            costs = np.array(track.curves.costs, np.float32)
            tree = (state.params, state.opt_state, costs, track.best)
            measures = curves.as_json(track.curves.measures)
            return tree, {"measures": measures, "in_row_space": in_row_space}

        checkpoint.save_if_due(state.step, config.steps, current, now)

    chosen = choose_measured(len(x))
    scores = measure_with(
        jax.jit(net.apply),
        (as_inputs(data.images[chosen]), data.labels[chosen]),
        (as_inputs(other.images), other.labels),
    )
    rule = make_rule(config)
    how = {"rule": rule, "every": config.validate_every, "learning_rate": config.learning_rate}
    remark = f"; the parameters before it are in {checkpoint.folder}"
    params, stopped = descent.descend(
        states, advance, config.steps, track, scores, **how, save=save, report=report, remark=remark
    )
    if rule.selects and rule.best(track.curves.measures):
        params = track.best
    return Outcome(params, track.curves, stopped)


def _in_training(config: Config) -> Layer:
    """The network with dropout of its hidden units, and augmentation of its images."""
    from catnet.models.regularized import augmented, dropped, replace

    net = registry.network(config.architecture, config.init).layers
    if config.dropout:
        for index in range(3, len(net), 2):  # every dense layer but the first
            net = replace(net, index, dropped(net[index], config.dropout))
    if config.augment != "none":
        from catnet.training.augmentation.choices import FUNCTIONS

        net = replace(net, 0, augmented(net[0], FUNCTIONS[config.augment], config.augment))
    return net


def _fits(net: Any, x: Any, state: Any) -> bool:
    """Whether gradient descent can resume from the state of a checkpoint.

    In the row space of the examples, the state has weights in the coordinates of a factorization
    of the examples.  Another LAPACK may choose other coordinates: then the weights computed from
    them differ from those in the checkpoint.
    """
    import jax

    from jaxnn.training.gradient_descent import Descent
    from jaxnn.training.row_space import Projected, row_space

    descent = state.opt_state
    if not isinstance(descent, Descent) or not isinstance(descent.params, Projected):
        return True
    lifted = row_space(net, x).lift(descent.params, descent.start)
    again, saved, old = (
        np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(params)])
        for params in (lifted, state.params, descent.start)
    )
    if np.array_equal(again, saved, equal_nan=True):
        return True
    return bool(np.abs(again - saved).max() <= 1e-3 * np.abs(saved - old).max())


def find_weights(params: Any) -> Any:
    """Which of the params are weights, not biases: those decay."""
    import jax

    return jax.tree.map(lambda leaf: leaf.ndim > 1, params)


def _optimizer(config: Config) -> Any:
    import optax

    rate, decay = config.learning_rate, config.weight_decay
    if config.optimizer == "adamw":
        return optax.adamw(rate, weight_decay=1e-4 if decay is None else decay, mask=find_weights)
    constructors = {
        "gd": optax.sgd,
        "momentum": lambda rate: optax.sgd(rate, momentum=0.9),
        "adam": optax.adam,
        "rmsprop": optax.rmsprop,
    }
    optimizer = constructors[config.optimizer](rate)
    return (
        optax.chain(optax.add_decayed_weights(decay, find_weights), optimizer)
        if decay
        else optimizer
    )


def train_run(
    folder: Path,
    config: Config,
    images: Images,
    report: Report | None = None,
    *,
    resume: bool = False,
    every: float = checkpoints.EVERY,
) -> tuple[Curves, Evaluation]:
    """Train in a run folder; see ``dataset_run.run``.

    Args:
        folder: a new folder; with ``resume``, the folder of an earlier ``train_run``.
        config: the settings.
        images: to train and to evaluate on.
        report: called after every chunk of steps.
        resume: continue from the checkpoint in the folder.
        every: seconds between two checkpoints.

    Returns:
        The curves, and the evaluation on the test part.
    """

    def train_on(
        data: Dataset, measured: tuple[Dataset, str], checkpoint: Checkpoint
    ) -> tuple[dict[str, Any], Outcome]:
        return config.architecture, train(config, data, checkpoint, report, measured)

    title = f"{config.model}, learning rate {format_exactly(config.learning_rate)}"
    training = Training(config, train_on, title, {}, batch_size=config.batch_size)
    outcome, result = run(folder, training, images, resume=resume, every=every)
    return outcome.curves, result
