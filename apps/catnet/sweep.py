"""Hyperparameters side by side: many networks trained at once, as one vmapped program."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from catnet import networks
from catnet.datasets import Dataset

TOGETHER = 64  # networks in one program; more take turns


@dataclass(frozen=True)
class Grid:
    """What is varied, and what is the same for all.

    Attributes:
        architecture: of all networks.
        learning_rates: the lecture's α.
        starts: how the weights begin, from ``networks.STARTS``.
        seeds: how many starts of each pair of the two.
        steps: updates of full-batch gradient descent.
    """

    architecture: dict[str, Any]
    learning_rates: tuple[float, ...]
    starts: tuple[str, ...] = ("lecun",)
    seeds: int = 1
    steps: int = 2500

    @property
    def cells(self) -> list[tuple[str, float]]:
        """Every pair of start and learning rate."""
        return list(itertools.product(self.starts, self.learning_rates))


class Cell(NamedTuple):
    """What became of one pair of start and learning rate, over the seeds.

    Attributes:
        start: the first of the pair.
        learning_rate: the second.
        costs: (seeds, steps), before every update.
        train_accuracy: (seeds,).
        test_accuracy: (seeds,).
    """

    start: str
    learning_rate: float
    costs: np.ndarray
    train_accuracy: np.ndarray
    test_accuracy: np.ndarray

    def as_json(self) -> dict[str, Any]:
        """All but the costs of every step."""
        last = self.costs[:, -1].tolist()
        return {
            "start": self.start,
            "learning_rate": self.learning_rate,
            "cost": [cost if np.isfinite(cost) else None for cost in last],
            "train_accuracy": self.train_accuracy.tolist(),
            "test_accuracy": self.test_accuracy.tolist(),
        }


def sweep(
    grid: Grid,
    train_part: Dataset,
    test_part: Dataset,
    report: Callable[[int, int], None] | None = None,
) -> list[Cell]:
    """Train every network of a grid, 64 at a time in one program.

    Args:
        grid: which networks.
        train_part: learnt from.
        test_part: what the accuracies are also computed on.
        report: called with how many are done, and how many there are.

    Returns:
        One cell for each pair of start and learning rate, the best test accuracy first.
    """
    import jax
    import jax.numpy as jnp

    import jaxnn

    net = networks.build(grid.architecture)
    loss = jaxnn.binary_cross_entropy
    x, x_test = (jnp.asarray(part.images, jnp.float32) / 255 for part in (train_part, test_part))
    y, y_test = (part.labels[:, None].astype(np.float32) for part in (train_part, test_part))
    nets = {name: networks.build(grid.architecture, name) for name in grid.starts}

    @jax.jit
    @jax.vmap
    def run(params: Any, learning_rate: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        params, costs = jaxnn.gradient_descent(
            net, loss, params, x, y, learning_rate=learning_rate, steps=grid.steps
        )

        def right(inputs: Any, labels: Any) -> jax.Array:
            return jnp.mean((net.apply(params, inputs) > 0) == labels)

        return costs, right(x, y), right(x_test, y_test)

    every = [(*cell, seed) for cell in grid.cells for seed in range(grid.seeds)]
    found = []
    for start in range(0, len(every), TOGETHER):
        some = every[start : start + TOGETHER]
        begun = [nets[name].init(jax.random.key(seed), x[:1]) for name, _, seed in some]
        together = jax.tree.map(lambda *leaves: jnp.stack(leaves), *begun)
        outcomes = run(together, jnp.array([rate for _, rate, _ in some]))
        found.append([np.asarray(outcome) for outcome in outcomes])
        if report:
            report(start + len(some), len(every))
    columns = [np.concatenate(parts) for parts in zip(*found, strict=True)]
    shaped = [c.reshape(len(grid.cells), grid.seeds, *c.shape[1:]) for c in columns]
    cells = [Cell(*cell, *values) for cell, *values in zip(grid.cells, *shaped, strict=True)]
    return sorted(cells, key=lambda cell: -float(np.median(cell.test_accuracy)))


def table(cells: Sequence[Cell]) -> str:
    """The cells as lines for a terminal: medians over the seeds, and the range of accuracies."""
    lines = [f"{'start':8}  {'learning rate':>13}  {'cost':>8}  {'train':>6}  test accuracy"]
    for cell in cells:
        cost = float(np.median(cell.costs[:, -1]))
        low, middle, high = np.quantile(cell.test_accuracy, [0, 0.5, 1])
        spread = f" ({low:.1%}–{high:.1%})" if len(cell.test_accuracy) > 1 else ""
        lines.append(
            f"{cell.start:8}  {cell.learning_rate:13g}  {cost:8.4f}  "
            f"{np.median(cell.train_accuracy):6.1%}  {middle:.1%}{spread}"
        )
    return "\n".join(lines)
