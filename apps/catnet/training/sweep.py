"""A sweep over hyperparameters: many networks trained at once, in one vmapped program."""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from catnet.data.dataset import Dataset
from catnet.data.duplicates import hash_pixels
from catnet.models import registry
from catnet.terminal import format_exactly

GROUP = 64  # networks in one program


@dataclass(frozen=True)
class Grid:
    """The hyperparameters of a sweep.

    Attributes:
        architecture: of all networks.
        learning_rates: the lecture's α.
        initializations: of the weights, from ``registry.INITIALIZATIONS``.
        seeds: the number of seeds for each pair of initialization and learning rate.
        steps: updates of full-batch gradient descent.
    """

    architecture: dict[str, Any]
    learning_rates: tuple[float, ...]
    initializations: tuple[str, ...] = ("lecun",)
    seeds: int = 1
    steps: int = 2500

    @property
    def cells(self) -> list[tuple[str, float]]:
        """Every pair of initialization and learning rate."""
        return list(itertools.product(self.initializations, self.learning_rates))


class Cell(NamedTuple):
    """The results of one pair of initialization and learning rate, over the seeds.

    Attributes:
        initialization: of the weights.
        learning_rate: the lecture's α.
        costs: (seeds, steps), before every update; of the seeds that are done.
        train_accuracy: (seeds,).
        test_accuracy: (seeds,).
    """

    initialization: str
    learning_rate: float
    costs: np.ndarray
    train_accuracy: np.ndarray
    test_accuracy: np.ndarray

    def as_json(self) -> dict[str, Any]:
        """A dict for JSON, without the costs of every step."""
        last = self.costs[:, -1].tolist()
        return {
            "initialization": self.initialization,
            "learning_rate": self.learning_rate,
            "cost": [cost if np.isfinite(cost) else None for cost in last],
            "train_accuracy": self.train_accuracy.tolist(),
            "test_accuracy": self.test_accuracy.tolist(),
        }


class Best(NamedTuple):
    """The network of the lowest last cost on the training part.

    The test part is not used: a choice on it would bias its accuracy upwards.
    """

    initialization: str
    learning_rate: float
    seed: int
    cost: float
    test_accuracy: float
    params: Any

    def __str__(self) -> str:
        rate = format_exactly(self.learning_rate)
        return f"initialization {self.initialization}, learning rate {rate}, seed {self.seed}"


class Results(NamedTuple):
    """The results of a sweep so far.

    Attributes:
        done: the number of networks that are trained.
        count: the number of networks of the grid.
        cells: one for each pair of initialization and learning rate, the best test accuracy
            first.
        best: None where no network has a finite cost and finite parameters.
    """

    done: int
    count: int
    cells: list[Cell]
    best: Best | None


def sweep(
    grid: Grid,
    train_part: Dataset,
    test_part: Dataset,
    report: Callable[[int, int], None] | None = None,
) -> list[Cell]:
    """Train every network of a grid.

    Args:
        grid: the hyperparameters.
        train_part: the images to train on.
        test_part: only its accuracies are computed.
        report: called with the number of networks done, and their number in all.

    Returns:
        One cell for each pair of initialization and learning rate, the best test accuracy first.
    """
    cells = []
    for results in train(grid, train_part, test_part):
        cells = results.cells
        if report:
            report(results.done, results.count)
    return cells


def train(grid: Grid, train_part: Dataset, test_part: Dataset) -> Iterator[Results]:
    """Train every network of a grid, 64 at a time in one program.

    Args:
        grid: the hyperparameters.
        train_part: the images to train on.
        test_part: only its accuracies are computed.

    Yields:
        The results so far, after each group of networks.
    """
    import jax
    import jax.numpy as jnp

    import jaxnn
    from catnet.models.targets import choose_loss, make_targets

    net = registry.build(grid.architecture)
    classes = registry.count_classes(grid.architecture)
    loss = choose_loss(classes)
    x, x_test = (jnp.asarray(part.images, jnp.float32) / 255 for part in (train_part, test_part))
    y, y_test = (make_targets(part.labels, classes) for part in (train_part, test_part))
    nets = {name: registry.build(grid.architecture, name) for name in grid.initializations}

    @jax.jit
    @jax.vmap
    def run(params: Any, learning_rate: jax.Array) -> tuple[Any, tuple[jax.Array, ...]]:
        params, costs = jaxnn.gradient_descent(
            net, loss, params, x, y, learning_rate=learning_rate, steps=grid.steps
        )

        def right(inputs: Any, labels: Any) -> jax.Array:
            logits = net.apply(params, inputs)
            answers = logits > 0 if classes == 2 else jnp.argmax(logits, axis=-1)
            return jnp.mean(answers == labels)

        return params, (costs, right(x, y), right(x_test, y_test))

    networks = [(*cell, seed) for cell in grid.cells for seed in range(grid.seeds)]
    parts, best = [], None
    for at in range(0, len(networks), GROUP):
        group = networks[at : at + GROUP]
        each = [nets[name].init(jax.random.key(seed), x[:1]) for name, _, seed in group]
        stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *each)
        params, outcomes = run(stacked, jnp.array([rate for _, rate, _ in group]))
        parts.append([np.asarray(outcome) for outcome in outcomes])
        best = _better(best, group, jax.tree.map(np.asarray, params), *parts[-1])
        columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
        yield Results(at + len(group), len(networks), _cells(grid, columns), best)


def _better(
    best: Best | None,
    group: Sequence[tuple[str, float, int]],
    params: Any,
    costs: np.ndarray,
    train_accuracy: np.ndarray,
    test_accuracy: np.ndarray,
) -> Best | None:
    """The best network of a group and the best one before."""
    import jax

    last = costs[:, -1]
    usable = np.isfinite(last)
    for leaf in jax.tree.leaves(params):
        usable &= np.isfinite(leaf).reshape(len(leaf), -1).all(axis=1)
    i = int(np.argmin(np.where(usable, last, np.inf)))
    if not usable[i] or (best and best.cost <= last[i]):
        return best
    own = jax.tree.map(lambda leaf: leaf[i].copy(), params)
    return Best(*group[i], float(last[i]), float(test_accuracy[i]), own)


def _cells(grid: Grid, columns: list[np.ndarray]) -> list[Cell]:
    """The cells with at least one network done, from the results of all networks in order."""
    cells = [
        Cell(*cell, *(column[i * grid.seeds : (i + 1) * grid.seeds] for column in columns))
        for i, cell in enumerate(grid.cells)
        if i * grid.seeds < len(columns[0])
    ]
    return sorted(cells, key=lambda cell: -float(np.median(cell.test_accuracy)))


def write(
    folder: Path, grid: Grid, results: Results, part: Dataset, test_part: Dataset, source: str
) -> list[str]:
    """Write the results of a sweep into its folder, each file atomically.

    Args:
        folder: of the run.
        grid: the hyperparameters.
        results: so far.
        part: the training part.
        test_part: the model is calibrated on it.
        source: where the data are from, in words.

    Returns:
        The names of the files.
    """
    from catnet.evaluation import plots
    from catnet.models.classifier import Classifier
    from catnet.training import curves, measuring, seen
    from catnet.training import results as files
    from catnet.training.run_folder import write_json
    from jaxnn.files import write_atomically

    write_json(folder / "sweep.json", [cell.as_json() for cell in results.cells])
    by_cell = {(cell.initialization, cell.learning_rate): cell for cell in results.cells}
    costs = {f"{name} {format_exactly(rate)}": of.costs for (name, rate), of in by_cell.items()}
    file = io.BytesIO()
    np.savez_compressed(file, **costs)  # type: ignore[arg-type]
    write_atomically(folder / "costs.npz", file.getvalue())
    plots.sweep_curves(folder / "sweep.png", {at: cell.costs for at, cell in by_cell.items()})
    names = ["sweep.json", "costs.npz", "sweep.png"]
    if best := results.best:
        about = f"trained on {len(part.labels)} images {source}, of {results.done} networks the "
        classifier = Classifier(
            architecture=grid.architecture,
            params=best.params,
            classes=part.classes,
            name=folder.resolve().name,
            about=f"{about}one of the lowest training cost: {best}",
        )
        cell = by_cell[best.initialization, best.learning_rate]
        scores = measuring.compute_scores(test_part.labels, classifier.logits(test_part.images))
        accuracy = float(cell.train_accuracy[best.seed])
        last = curves.Measure(grid.steps, accuracy, *scores)
        its = curves.Curves(curves.TEST, cell.costs[best.seed].tolist(), [last])
        seen.write(folder, hash_pixels(part.images))
        how = (its, curves.Rule(), test_part, test_part, str(best))
        files.calibrate_and_write(folder, classifier, *how)
        names += [seen.FILE, *files.FILES]
    return names


def table(cells: Sequence[Cell]) -> str:
    """Format the cells for a terminal: medians over the seeds, and the range of accuracies."""
    rates = [format_exactly(cell.learning_rate) for cell in cells]
    width = max(map(len, ("learning rate", *rates)))
    first = max(map(len, ("initialization", *(cell.initialization for cell in cells))))
    lines = [
        f"{'initialization':{first}}  {'learning rate':>{width}}  {'cost':>8}  {'train':>6}  "
        "test accuracy"
    ]
    for cell, rate in zip(cells, rates, strict=True):
        cost = float(np.median(cell.costs[:, -1]))
        low, middle, high = np.quantile(cell.test_accuracy, [0, 0.5, 1])
        spread = f" ({low:.1%}–{high:.1%})" if len(cell.test_accuracy) > 1 else ""
        lines.append(
            f"{cell.initialization:{first}}  {rate:>{width}}  {cost:8.4f}  "
            f"{np.median(cell.train_accuracy):6.1%}  {middle:.1%}{spread}"
        )
    return "\n".join(lines)
