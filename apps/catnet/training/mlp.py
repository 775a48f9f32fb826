"""Train the lecture's networks: from a dataset to a run folder with model, metrics and plots."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from catnet.data.dataset import Dataset
from catnet.data.duplicates import hash_pixels
from catnet.errors import UserError, describe_divergence
from catnet.evaluation.evaluate import evaluate_on, match_labels
from catnet.evaluation.report import Evaluation
from catnet.evaluation.temperature import calibrate_on
from catnet.models import registry
from catnet.models.classifier import Classifier
from catnet.terminal import format_exactly, log
from catnet.training import run_folder, seen
from catnet.training.class_weights import ClassWeights, weigh_classes
from catnet.training.run_folder import Checkpoint, Stopped, write_json
from jaxnn.files import write_atomically

DESCENT = {"gd": 0.0, "momentum": 0.9}  # full-batch gradient descent: optimizer → momentum
CHUNK = 100  # steps between two reports, and at least between two checkpoints


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
        seed: of the initialization and the order of the examples.
        gradient: "hand" or "jax".
        class_count: the number of classes.
        class_weights: of the cost; see ``weigh_classes``.
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

    @property
    def architecture(self) -> dict[str, Any]:
        """The description that ``registry.build`` builds the network from."""
        return registry.architecture(self.model, self.hidden, self.activation, self.class_count)


class Outcome(NamedTuple):
    """The result of a training.

    Attributes:
        params: the last parameters with a finite cost.
        costs: the cost before every update that led to them, and their own if it is known.
        stopped: why the training ended before its last step, if it did.
    """

    params: Any
    costs: np.ndarray
    stopped: UserError | Stopped | None = None


Report = Callable[[int, float], None]  # (steps done, last cost)


class _Diverged(Exception):
    """Ends a training at a step whose cost is NaN or infinite."""

    def __init__(self, step: int, cost: float) -> None:
        self.step, self.cost = step, cost


def train(
    config: Config, data: Dataset, checkpoint: Checkpoint, report: Report | None = None
) -> Outcome:
    """Train the network of ``config`` on a dataset, from the checkpoint if there is one.

    Raises:
        UserError: the first cost is NaN or infinite, or the checkpoint cannot be used here.
    """
    import jax
    import jax.numpy as jnp

    import jaxnn
    from catnet.models.targets import choose_loss, make_targets
    from jaxnn.training.gradient_descent import begin

    net = registry.build(config.architecture)
    weights = weigh_classes(config.class_weights, data.classes, data.labels)
    loss = choose_loss(config.class_count, weights is not None)
    x = jnp.asarray(data.images.astype(np.float32) / 255)
    y = make_targets(data.labels, config.class_count, weights)
    key_of_init, key_of_steps = jax.random.split(jax.random.key(config.seed))
    params = net.init(key_of_init, x)
    descent = config.optimizer in DESCENT and config.batch_size is None
    if descent:
        start = begin(net, params, x, config.steps, DESCENT[config.optimizer])
    else:
        start = jaxnn.State(0, params, _optimizer(config).init(params))
    states = deque([start], maxlen=2)  # any step since can be computed again from one of two
    costs: list[float] = []
    if saved := checkpoint.load((start.params, start.opt_state, np.zeros(0))):
        (params, opt_state, saved_costs), about = saved
        costs = np.asarray(saved_costs).tolist()
        states.append(jaxnn.State(about["step"], params, opt_state))
        if descent and not _fits(net, x, states[-1]):
            raise UserError(
                f"{checkpoint.folder}: NumPy factorizes the examples differently on this machine; "
                "resume on the machine where the run was started, or start a new run"
            )

    def advance(state: jaxnn.State, steps: int, progress: Any) -> Any:
        how: dict[str, Any] = {"gradient": config.gradient, "chunk": CHUNK, "progress": progress}
        how |= {"steps": steps, "state": state}
        if descent:
            how |= {"learning_rate": config.learning_rate, "momentum": DESCENT[config.optimizer]}
            return jaxnn.gradient_descent(net, loss, state.params, x, y, **how)[0]
        how |= {"optimizer": _optimizer(config), "batch_size": config.batch_size or len(x)}
        return jaxnn.fit(net, loss, state.params, x, y, key=key_of_steps, **how)[0]

    def progress(state: jaxnn.State, new_costs: jax.Array) -> None:
        costs.extend(np.asarray(new_costs).tolist())
        if len(bad := np.flatnonzero(~np.isfinite(new_costs))):
            step = state.step - len(new_costs) + int(bad[0])
            raise _Diverged(step, costs[step])
        states.append(state)
        if report:
            report(state.step, costs[-1])

        def current() -> tuple[Any, dict[str, Any]]:
            return (state.params, state.opt_state, np.array(costs, np.float32)), {}

        checkpoint.save_if_due(state.step, config.steps, current)

    try:
        params = advance(states[-1], config.steps, progress)
        if not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(params)):
            raise _Diverged(config.steps, np.nan)  # in the last update, after the last cost
    except Stopped as stop:
        return Outcome(states[-1].params, np.array(costs), stop)
    except _Diverged as bad:
        remark = f"; the parameters before it are in {checkpoint.folder}"
        why = describe_divergence(bad.step, bad.cost, config.learning_rate, remark)
        if bad.step == 0:
            raise why from None
        # The cost of a step is that of the parameters before it: the step before has good ones.
        good = bad.step - 1
        near = next(state for state in reversed(states) if state.step <= good)
        params = near.params if near.step == good else advance(near, good, lambda *_: None)
        return Outcome(params, np.array(costs[: bad.step]), why)
    return Outcome(params, np.array(costs))


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


def _optimizer(config: Config) -> Any:
    import optax

    constructors = {
        "gd": optax.sgd,
        "momentum": lambda rate: optax.sgd(rate, momentum=0.9),
        "adam": optax.adam,
        "adamw": optax.adamw,
        "rmsprop": optax.rmsprop,
    }
    return constructors[config.optimizer](config.learning_rate)


def train_run(
    folder: Path,
    config: Config,
    train_part: Dataset,
    test_part: Dataset,
    source: str,
    report: Report | None = None,
    *,
    data: str | None = None,
    all_classes: bool = False,
    resume: bool = False,
    every: float = run_folder.EVERY,
) -> tuple[np.ndarray, Evaluation]:
    """Train and fill the run folder: config.json, metrics.csv, model.safetensors, plots.

    Args:
        folder: a new folder; with ``resume``, the folder of an earlier ``train_run``.
        config: the settings.
        train_part: the images to train on.
        test_part: the images to evaluate on.
        source: where the data are from, in words.
        report: called after every chunk of steps.
        data: the path of the data, for a resumed run; None for the drawn sample.
        all_classes: how the data were loaded, for a resumed run.
        resume: continue from the checkpoint in the folder.
        every: seconds between two checkpoints.

    Returns:
        The costs, and the evaluation on the test part.

    Raises:
        UserError: the data do not fit; or the training diverged, after its last good parameters
            are written.
        Stopped: Ctrl-C was pressed, after the parameters so far are written.
    """
    from catnet.evaluation import plots

    plots.check()
    if (config.batch_size or 1) > len(train_part.labels):
        raise UserError(
            f"--batch-size {config.batch_size}: there are {len(train_part.labels)} images only"
        )
    weigh_classes(config.class_weights, train_part.classes, train_part.labels)  # refuse wrong ones
    arrays = (train_part.images, train_part.labels, test_part.images, test_part.labels)
    content = run_folder.digest(*arrays, train_part.classes)
    if resume:
        run_folder.refuse_other_data(folder, data or "the drawn sample", content)
    else:
        described = {
            **asdict(config),
            "data": data,
            "source": source,
            "content": content,
            "all_classes": all_classes,
            "classes": list(train_part.classes),
            "train_examples": len(train_part.labels),
            "test_examples": len(test_part.labels),
        }
        run_folder.create(folder, described)
    with run_folder.lock(folder):
        with Checkpoint(folder, every) as checkpoint:
            params, costs, stopped = train(config, train_part, checkpoint, report)
        classifier = Classifier(
            architecture=config.architecture,
            params=params,
            classes=train_part.classes,
            name=folder.resolve().name,
            about=f"trained on {len(train_part.labels)} images {source}",
        )
        seen.write(folder, hash_pixels(train_part.images))
        title = f"{config.model}, learning rate {format_exactly(config.learning_rate)}"
        result = fill(folder, classifier, costs, test_part, title)
        if stopped:
            raise stopped
        run_folder.finish(folder)
    return costs, result


def fill(
    folder: Path, classifier: Classifier, costs: np.ndarray, part: Dataset, title: str
) -> Evaluation:
    """Calibrate a trained model; write the model, its costs, its evaluation, and plots.

    The temperature and the limit of sure answers are fitted on the test part, since the lecture's
    trainings have no validation part.  They change no label.

    Returns:
        The evaluation on the test part.
    """
    from catnet.evaluation import plots

    labels = match_labels(classifier, part)
    classifier = calibrate_on(classifier, part.images, labels, "test part", log)
    classifier.save(folder / "model.safetensors")
    rows = "".join(f"{step},{cost!r}\n" for step, cost in enumerate(costs.tolist()))
    write_atomically(folder / "metrics.csv", f"step,cost\n{rows}".encode())
    result = evaluate_on(classifier, part)
    write_json(folder / "evaluation.json", result.as_json())
    if len(costs):
        plots.cost_curve(folder / "cost.png", costs, title)
    plots.confusion_matrix(folder / "confusion.png", result.confusion, part.classes)
    plots.mistakes(folder / "mistakes.png", dict(zip(part.names, part.images, strict=True)), result)
    return result
