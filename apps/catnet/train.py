"""Training: from a dataset to a run folder with the model, its numbers and its pictures."""

from __future__ import annotations

import itertools
import json
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from catnet import networks
from catnet.classifier import Classifier
from catnet.datasets import Dataset
from catnet.errors import UserError
from catnet.evaluate import Evaluation, evaluate
from jaxnn.serialization import write_whole

CHUNK = 100  # steps between two lines of progress


@dataclass(frozen=True)
class Config:
    """All that decides a training, besides the data.

    Attributes:
        model: "logistic", "shallow" or "deep".
        hidden: units of the hidden layers.
        activation: of the hidden layers.
        learning_rate: the lecture's α.
        steps: how many updates.
        optimizer: one of ``catnet.networks.OPTIMIZERS``; "gd" is plain gradient descent.
        batch_size: examples a step; None for all of them.
        seed: of initialisation and order of the data.
        gradient: "hand" or "jax".
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

    @property
    def architecture(self) -> dict[str, Any]:
        """What ``networks.build`` makes the network from."""
        return networks.architecture(self.model, self.hidden, self.activation)


class Diverged(Exception):
    """The cost stopped being a number; ``params`` are the last good ones."""

    def __init__(self, step: int, params: Any, costs: np.ndarray) -> None:
        super().__init__(f"the cost is no number any more at step {step}")
        self.step, self.params, self.costs = step, params, costs


class Interrupted(Exception):
    """Ctrl-C; ``params`` are those after the last finished chunk."""

    def __init__(self, params: Any, costs: np.ndarray) -> None:
        super().__init__(f"stopped after {len(costs)} steps")
        self.steps, self.params, self.costs = len(costs), params, costs


Report = Callable[[int, float], None]  # (steps done, last cost)


def train(config: Config, data: Dataset, report: Report | None = None) -> tuple[Any, np.ndarray]:
    """Train the network of ``config`` on a dataset.

    Returns:
        The parameters, and the cost before every update.

    Raises:
        Diverged: with the last good parameters.
        Interrupted: with the last parameters, when somebody pressed Ctrl-C.
    """
    import jax

    import jaxnn

    net = networks.build(config.architecture)
    loss = jaxnn.binary_cross_entropy
    x = data.images.astype(np.float32) / 255
    y = data.labels.astype(np.float32)[:, None]
    key_of_init, key_of_steps = jax.random.split(jax.random.key(config.seed))
    # The states after the last two chunks: from one of them any good step can be reached again.
    reached = deque([jaxnn.State(0, net.init(key_of_init, x))], maxlen=2)
    costs: list[float] = []

    def advance(state: jaxnn.State, steps: int, progress: Any) -> Any:
        how: dict[str, Any] = {"gradient": config.gradient, "chunk": CHUNK, "progress": progress}
        if config.optimizer == "gd" and config.batch_size is None:
            how |= {"learning_rate": config.learning_rate, "state": state}
            return jaxnn.gradient_descent(net, loss, state.params, x, y, steps=steps, **how)[0]
        how |= {"optimizer": _optimizer(config), "batch_size": config.batch_size or len(x)}
        how |= {"key": key_of_steps, "state": state if state.step else None}
        return jaxnn.fit(net, loss, state.params, x, y, steps=steps, **how)[0]

    def watch(state: jaxnn.State, of_chunk: jax.Array) -> None:
        costs.extend(np.asarray(of_chunk).tolist())
        if not np.isfinite(costs[-1]):
            raise FloatingPointError
        reached.append(state)
        if report:
            report(state.step, costs[-1])

    try:
        params = advance(reached[0], config.steps, watch)
    except KeyboardInterrupt:
        raise Interrupted(reached[-1].params, np.array(costs)) from None
    except FloatingPointError:
        bad = int(np.argmin(np.isfinite(costs)))
        if bad == 0:
            raise UserError("the cost is no number before the first step; see the data") from None
        # The cost of a step is that of the parameters before it: those of bad - 1 are good.
        from_here = max((s for s in reached if s.step < bad), key=lambda s: s.step)
        params = from_here.params
        if from_here.step < bad - 1:
            params = advance(from_here, bad - 1, None)
        raise Diverged(bad, params, np.array(costs[:bad])) from None
    return params, np.array(costs)


def _optimizer(config: Config) -> Any:
    import optax

    made = {
        "gd": optax.sgd,
        "momentum": lambda rate: optax.sgd(rate, momentum=0.9),
        "adam": optax.adam,
        "adamw": optax.adamw,
        "rmsprop": optax.rmsprop,
    }
    return made[config.optimizer](config.learning_rate)


def new_run_folder(out: str | None, model: str) -> Path:
    """Make the folder of a run: the one named, which must not be there, or runs/MODEL-N."""
    numbered = (Path("runs") / f"{model}-{n}" for n in itertools.count(1))
    folder = Path(out) if out else next(path for path in numbered if not path.exists())
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        raise UserError(f"{folder} is there already; choose another --out") from None
    except OSError as error:
        raise UserError(f"{folder}: cannot be made ({error.strerror})") from None
    return folder


def train_run(
    folder: Path,
    config: Config,
    train_part: Dataset,
    test_part: Dataset,
    source: str,
    report: Report | None = None,
) -> tuple[np.ndarray, Evaluation]:
    """Train and fill the run folder: config.json, metrics.csv, model.safetensors, pictures.

    Returns:
        The costs, and what the network does on the test part.

    Raises:
        Diverged, Interrupted: after the folder has been filled with what there is.
    """
    described = {
        **asdict(config),
        "data": source,
        "classes": list(train_part.classes),
        "train_examples": len(train_part.labels),
        "test_examples": len(test_part.labels),
        "versions": {name: version(name) for name in ("jaxnn", "jax", "numpy")},
    }
    write_json(folder / "config.json", described)
    stopped: Diverged | Interrupted | None = None
    try:
        params, costs = train(config, train_part, report)
    except (Diverged, Interrupted) as stop:
        stopped, params, costs = stop, stop.params, stop.costs
    classifier = Classifier(
        architecture=config.architecture,
        params=params,
        classes=train_part.classes,
        name=folder.name,
        about=f"trained on {len(train_part.labels)} pictures {source}",
    )
    classifier.save(folder / "model.safetensors")
    rows = "".join(f"{step},{cost!r}\n" for step, cost in enumerate(costs.tolist()))
    write_whole(folder / "metrics.csv", f"step,cost\n{rows}".encode())
    result = evaluate_on(classifier, test_part)
    write_json(folder / "evaluation.json", result.as_json())
    _draw(folder, config, costs, result, test_part)
    if stopped:
        raise stopped
    return costs, result


def _draw(
    folder: Path, config: Config, costs: np.ndarray, result: Evaluation, part: Dataset
) -> None:
    from catnet import figures

    if len(costs):
        title = f"{config.model}, learning rate {config.learning_rate:g}"
        figures.cost_curve(folder / "cost.png", costs, title)
    figures.confusion_matrix(folder / "confusion.png", result.confusion, part.classes)
    figures.mistakes(
        folder / "mistakes.png", dict(zip(part.names, part.images, strict=True)), result
    )


def write_json(path: Path, described: dict[str, Any]) -> None:
    """A JSON file that people can read, too."""
    write_whole(path, (json.dumps(described, indent=2) + "\n").encode())


def evaluate_on(classifier: Classifier, part: Dataset) -> Evaluation:
    """What a classifier does on a dataset."""
    if classifier.classes != part.classes:
        raise UserError(
            f"the model tells {' from '.join(classifier.classes)}, "
            f"the data has {' and '.join(part.classes)}"
        )
    p = classifier.probabilities(part.images)
    return evaluate(part.labels, p, part.names, part.classes, classifier.threshold)
