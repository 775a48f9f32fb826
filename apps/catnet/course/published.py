"""Reproduce the training runs that the course's notebook published, in float64."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import jaxnn
from catnet.data import dataset
from catnet.data.dataset import Dataset
from catnet.errors import UserError
from catnet.terminal import log, make_progress_reporter
from jaxnn import Layer

LEARNING_RATE = 0.0075
EVERY = 100  # steps from one published cost to the next
EXAMPLES = (209, 50)  # photos in the course's training and test part


class Run(NamedTuple):
    """One published run: full-batch gradient descent from a known initialization.

    Attributes:
        name: its name in the table.
        sizes: inputs, units of every hidden layer, one output.
        scale: of the initialization, see ``initialize``.
        costs: at steps 0, 100, 200, …, as published.
        digits: the largest number of decimals that were published.
        tolerance: the largest difference from the published costs that rounding explains.
        train: published accuracy on the training part.
        test: published accuracy on the test part.
    """

    name: str
    sizes: tuple[int, ...]
    scale: Literal["0.01", "sqrt"]
    costs: tuple[float, ...]
    digits: int
    tolerance: float
    train: float
    test: float

    @property
    def steps(self) -> int:
        """The number of updates of the run."""
        return EVERY * len(self.costs)


RUNS = (
    Run(
        name="one hidden layer",
        sizes=(12288, 7, 1),
        scale="0.01",
        costs=(
            0.6930497356599888, 0.6464320953428849, 0.6325140647912677, 0.6015024920354665,
            0.5601966311605748, 0.5158304772764729, 0.4754901313943325, 0.43391631512257495,
            0.4007977536203889, 0.3580705011323798, 0.3394281538366413, 0.3052753636196264,
            0.2749137728213016, 0.24681768210614832, 0.1985073503746612, 0.17448318112556635,
            0.17080762978095823, 0.11306524562164749, 0.09629426845937161, 0.08342617959726865,
            0.07439078704319083, 0.0663074813226793, 0.05919329501038169, 0.05336140348560554,
            0.04855478562877018,
        ),
        digits=17,
        tolerance=1e-9,  # rounding in 2500 steps with another order of summation
        train=1.0,
        test=0.72,
    ),
    Run(
        name="L layers",
        sizes=(12288, 20, 7, 5, 1),
        scale="sqrt",
        costs=(
            0.771749, 0.672053, 0.648263, 0.611507, 0.567047, 0.540138, 0.527930, 0.465477,
            0.369126, 0.391747, 0.315187, 0.272700, 0.237419, 0.199601, 0.189263, 0.161189,
            0.148214, 0.137775, 0.129740, 0.121225, 0.113821, 0.107839, 0.102855, 0.100897,
            0.092878,
        ),
        digits=6,
        tolerance=5.1e-7,
        train=0.985645933014,
        test=0.80,
    ),
)  # fmt: skip


class Result(NamedTuple):
    """The reproduction of a published run.

    Attributes:
        run: the published run.
        gradient: "hand" or "jax".
        costs: (steps,) before every update.
        train_right: (n,) whether each answer on the training part is right.
        test_right: (n,) the same on the test part.
        duplicates: test images that are identical to a training image: index in the test part
            → index in the training part.
    """

    run: Run
    gradient: str
    costs: np.ndarray
    train_right: np.ndarray
    test_right: np.ndarray
    duplicates: dict[int, int]

    @property
    def differences(self) -> np.ndarray:
        """Our costs minus the published ones, at steps 0, 100, …"""
        return self.costs[::EVERY] - np.array(self.run.costs)

    @property
    def agrees(self) -> bool:
        """Whether every published number is reproduced, within the run's tolerance."""
        return bool(
            np.all(np.abs(self.differences) <= self.run.tolerance)
            and abs(np.mean(self.train_right) - self.run.train) < 1e-11
            and abs(np.mean(self.test_right) - self.run.test) < 1e-11
        )


def initialize(
    sizes: Sequence[int], scale: Literal["0.01", "sqrt"], seed: int = 1
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Initialize the parameters as the course does: (W, b) of every layer.

    Args:
        sizes: inputs, and units of every layer.
        scale: "0.01" multiplies W by 0.01, "sqrt" divides it by √(number of inputs).
        seed: of NumPy's legacy generator; W of the first layer comes first; b is 0.

    Example:
        >>> [(W, b)] = initialize([2, 1], "0.01")
        >>> W.round(4).tolist(), b.tolist()
        ([[0.0162, -0.0061]], [0.0])
    """
    if scale not in ("0.01", "sqrt"):
        raise ValueError(f"expected scale to be '0.01' or 'sqrt', got {scale!r}")
    rng = np.random.RandomState(seed)
    layers = []
    for n_in, n_out in itertools.pairwise(sizes):
        W = rng.randn(n_out, n_in)
        layers.append((W * 0.01 if scale == "0.01" else W / np.sqrt(n_in), np.zeros(n_out)))
    return layers


def network(sizes: Sequence[int], activation: Layer = jaxnn.relu) -> Layer:
    """The lecture's network: dense, activation, dense, activation, …, dense; ends in logits.

    Example:
        >>> network([12288, 7, 1])
        serial(dense(7), relu, dense(1))
    """
    layers = [layer for n_out in sizes[1:] for layer in (jaxnn.dense(n_out), activation)]
    return jaxnn.serial(*layers[:-1])


def as_params(layers: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[Any, ...]:
    """The result of ``initialize`` as params of ``network``."""
    params = [params for W, b in layers for params in ({"W": W, "b": b}, ())]
    return tuple(params[:-1])


def reproduce(
    run: Run,
    train: Dataset,
    test: Dataset,
    gradient: Literal["hand", "jax"] = "hand",
    report: Callable[[int, float], None] | None = None,
) -> Result:
    """Reproduce a published run, in float64.

    Args:
        run: one of ``RUNS``.
        train: the course's training part.
        test: its test part.
        gradient: by hand, or by ``jax.grad``.
        report: called after every chunk with the steps done and the last cost.
    """
    net = network(run.sizes)
    with jax.enable_x64(True):
        (x, y), (x_test, _) = _rows(train), _rows(test)
        params, costs = jaxnn.gradient_descent(
            net,
            jaxnn.binary_cross_entropy,
            as_params(initialize(run.sizes, run.scale)),
            x,
            y,
            learning_rate=LEARNING_RATE,
            steps=run.steps,
            gradient=gradient,
            progress=report and (lambda state, costs: report(state.step, float(costs[-1]))),
        )
        # The output is 0.5 or less, "non-cat", where the logit is 0 or less.
        cat, cat_test = (np.asarray(net.apply(params, part)) > 0 for part in (x, x_test))
    return Result(
        run=run,
        gradient=gradient,
        costs=np.asarray(costs),
        train_right=cat[:, 0] == train.labels,
        test_right=cat_test[:, 0] == test.labels,
        duplicates=duplicates(train.images, test.images),
    )


def duplicates(train: np.ndarray, test: np.ndarray) -> dict[int, int]:
    """Test images that are identical to a training image: index in test → first index in train.

    Example:
        >>> images = np.arange(4)[:, None]
        >>> duplicates(images, images[2:3])
        {0: 2}
    """
    places = {image.tobytes(): i for i, image in reversed(list(enumerate(train)))}
    pairs = ((i, places.get(image.tobytes())) for i, image in enumerate(test))
    return {i: j for i, j in pairs if j is not None}


def table(result: Result) -> str:
    """Format the published numbers, ours, and their differences."""
    run, digits = result.run, result.run.digits
    means = {"hand": "backpropagation by hand", "jax": "jax.grad"}[result.gradient]
    column = max(digits + 2, 14)  # as wide as the costs, and as the accuracies
    ours = result.costs[::EVERY]
    steps = range(0, run.steps, EVERY)
    lines = [
        f"{run.name}: {' → '.join(map(str, run.sizes))}, float64, {means}",
        "",
        f"{'step':>8}  {'published':{column}}  {'ours':{column}}  difference",
    ]
    for step, *costs, difference in zip(steps, run.costs, ours, result.differences, strict=True):
        texts = "  ".join(_decimals(cost, digits).ljust(column) for cost in costs)
        lines.append(f"{step:8}  {texts}  {difference:10.1e}")
    lines.append("")
    for part, published, right in (
        ("training", run.train, result.train_right),
        ("test", run.test, result.test_right),
    ):
        texts = f"{published:<{column}.12g}  {np.mean(right):<{column}.12g}"
        lines.append(f"{part:>8}  {texts}  accuracy, {right.sum()} of {len(right)}")
    for i, j in result.duplicates.items():
        lines.append(f"Test photo {i} is identical to training photo {j}.")
    if result.duplicates:
        right = np.delete(result.test_right, list(result.duplicates))
        what = f"test, without {'it' if len(result.duplicates) == 1 else 'these'}"
        share = f"{np.mean(right):.12g}" if len(right) else "nothing left"
        lines.append(f"{what}: accuracy {share}, {right.sum()} of {len(right)}")
    largest = np.abs(result.differences).max()
    verdict = "reproduced" if result.agrees else "NOT reproduced"
    lines.append(f"{verdict}: costs differ by {largest:.1e} at most, {run.tolerance:.1e} allowed")
    return "\n".join(lines)


def main(data: str, gradient: Literal["hand", "jax"] = "hand") -> bool:
    """Reproduce all published runs; tables go to stdout, progress to stderr.

    Args:
        data: the folder with the course's two h5 files.
        gradient: by hand, or by ``jax.grad``.

    Returns:
        Whether every number is reproduced.

    Raises:
        UserError: the data are not the course's.
    """
    train, test = dataset.load(data)
    counts = (len(train.labels), 0 if test is None else len(test.labels))
    if test is None or counts != EXAMPLES:
        raise UserError(
            f"{Path(data)}: has {counts[0]} training and {counts[1]} test images, the course has "
            f"{EXAMPLES[0]} and {EXAMPLES[1]}; name the folder with its two h5 files"
        )
    results = []
    for run in RUNS:
        log(f"{run.name}, {run.steps} steps")
        results.append(reproduce(run, train, test, gradient, make_progress_reporter(run.steps)))
        print(table(results[-1]), end="\n\n" if run is not RUNS[-1] else "\n", flush=True)
    return all(result.agrees for result in results)


def _decimals(number: float, digits: int) -> str:
    """A number in the published format: the shortest decimals of the float, at least 6."""
    return np.format_float_positional(number, precision=digits, min_digits=6)


def _rows(part: Dataset) -> tuple[jax.Array, jax.Array]:
    """Images as rows in [0, 1], (n, pixels · 3), and labels (n, 1), both float64."""
    x = part.images.reshape(len(part.images), -1) / 255
    return jnp.asarray(x), jnp.asarray(part.labels[:, None], float)
