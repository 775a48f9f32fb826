"""Two networks on the 209 cat photographs: the costs and accuracies of the course's notebook.

Full-batch gradient descent of the logistic cost in float64, 2,500 steps with the learning rate
0.0075.  W is drawn from NumPy's legacy generator with the seed 1; x is the image divided by 255.

Source: DeepLearning.AI, "Neural Networks and Deep Learning", week 4, "Deep Neural Network:
Application", version 8; run in github:amanchadha/coursera-deep-learning-specialization.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from catnet.course.files import PHOTOS
from catnet.course.networks import Scale, as_params, descend, find_right, initialize, network
from catnet.course.record import Gradient, Number, Options, Set, Table
from catnet.data import dataset
from catnet.data.dataset import Dataset
from catnet.errors import UserError
from jaxnn import Layer

LEARNING_RATE = 0.0075
EVERY = 100  # steps from one published cost to the next
EXAMPLES = (209, 50)  # photos in the course's training and test part


class Photos(NamedTuple):
    """The course's photographs as rows.

    Attributes:
        x, y: (209, 12288) in [0, 1] and (209, 1) of 0 and 1, the training part.
        x_test, y_test: the 50 photographs of the test part.
        duplicates: test images that are identical to a training image: index in the test part
            → index in the training part.
    """

    x: np.ndarray
    y: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    duplicates: dict[int, int]


class Run(NamedTuple):
    """One published run: full-batch gradient descent from a known initialization.

    Attributes:
        name: its name in the table.
        sizes: inputs, units of every hidden layer, one output.
        scale: of the initialization, see ``initialize``.
        costs: at steps 0, 100, 200, …, as printed.
        train: published accuracy on the training part.
        test: published accuracy on the test part.
        tolerance: the largest difference from the published costs that rounding explains; None
            where rounding does not reach the printed digits.
    """

    name: str
    sizes: tuple[int, ...]
    scale: Scale
    costs: str
    train: str
    test: str
    tolerance: float | None = None

    @property
    def steps(self) -> int:
        """The number of updates of the run."""
        return EVERY * len(self.costs.split())


RUNS = (
    Run(
        name="one hidden layer",
        sizes=(12288, 7, 1),
        scale="0.01",
        costs="""
            0.6930497356599888 0.6464320953428849 0.6325140647912677 0.6015024920354665
            0.5601966311605748 0.5158304772764729 0.4754901313943325 0.43391631512257495
            0.4007977536203889 0.3580705011323798 0.3394281538366413 0.3052753636196264
            0.2749137728213016 0.24681768210614832 0.1985073503746612 0.17448318112556635
            0.17080762978095823 0.11306524562164749 0.09629426845937161 0.08342617959726865
            0.07439078704319083 0.0663074813226793 0.05919329501038169 0.05336140348560554
            0.04855478562877018""",
        train="1.0",
        test="0.72",
        tolerance=1e-9,  # rounding in 2500 steps with another order of summation
    ),
    Run(
        name="L layers",
        sizes=(12288, 20, 7, 5, 1),
        scale="sqrt",
        costs="""
            0.771749 0.672053 0.648263 0.611507 0.567047 0.540138 0.527930 0.465477 0.369126
            0.391747 0.315187 0.272700 0.237419 0.199601 0.189263 0.161189 0.148214 0.137775
            0.129740 0.121225 0.113821 0.107839 0.102855 0.100897 0.092878""",
        train="0.985645933014",
        test="0.80",
    ),
)


def load(path: Path) -> Photos:
    """Load the course's photographs from a folder with its two h5 files.

    Raises:
        UserError: the data are not the course's.
    """
    train, test = dataset.load(path)
    counts = (len(train.labels), 0 if test is None else len(test.labels))
    if test is None or counts != EXAMPLES:
        raise UserError(
            f"{path}: has {counts[0]} training and {counts[1]} test images, the course has "
            f"{EXAMPLES[0]} and {EXAMPLES[1]}; name the folder with its two h5 files"
        )
    return as_rows(train, test)


def as_rows(train: Dataset, test: Dataset) -> Photos:
    """Two datasets as ``Photos``."""
    x, x_test = (part.images.reshape(len(part.images), -1) / 255 for part in (train, test))
    y, y_test = (part.labels[:, None].astype(float) for part in (train, test))
    return Photos(x, y, x_test, y_test, duplicates(train.images, test.images))


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


def reproduce(
    run: Run, photos: Photos, gradient: Gradient = "hand", net: Layer | None = None
) -> Table:
    """Repeat a published run; the table of its costs and accuracies.

    Args:
        run: one of ``RUNS``.
        photos: the course's photographs.
        gradient: by hand, or by ``jax.grad``.
        net: a network with the params of ``network(run.sizes)`` that takes its place.
    """
    net = network(run.sizes) if net is None else net
    params, costs = descend(
        net,
        as_params(initialize(run.sizes, run.scale)),
        photos.x,
        photos.y,
        learning_rate=LEARNING_RATE,
        steps=run.steps,
        gradient=gradient,
        title=run.name,
    )
    rows = [
        Number(f"step {step}", cost, float(costs[step]), run.tolerance)
        for step, cost in zip(range(0, run.steps, EVERY), run.costs.split(), strict=True)
    ]
    right = find_right(net, params, photos.x, photos.y)
    right_test = find_right(net, params, photos.x_test, photos.y_test)
    for part, published, answers in (
        ("training", run.train, right),
        ("test", run.test, right_test),
    ):
        counts = f"{answers.sum()} of {len(answers)}"
        rows.append(Number(f"{part} accuracy", published, float(np.mean(answers)), 1e-11, counts))
    means = {"hand": "backpropagation by hand", "jax": "jax.grad"}[gradient]
    title = f"{run.name}: {' → '.join(map(str, run.sizes))}, float64, {means}"
    return Table(title, rows, describe_duplicates(photos.duplicates, right_test))


def describe_duplicates(pairs: dict[int, int], right: np.ndarray) -> list[str]:
    """Remarks about the test images that are also training images, and the accuracy without."""
    lines = [f"Test photo {i} is identical to training photo {j}." for i, j in pairs.items()]
    if pairs:
        rest = np.delete(right, list(pairs))
        what = f"test, without {'it' if len(pairs) == 1 else 'these'}"
        share = f"{np.mean(rest):.12g}" if len(rest) else "nothing left"
        lines.append(f"{what}: accuracy {share}, {rest.sum()} of {len(rest)}")
    return lines


def run(options: Options) -> Iterator[Table]:
    """The tables of both runs."""
    photos = load(options.files[PHOTOS.name])
    for published in RUNS:
        yield reproduce(published, photos, options.gradient)


SET = Set(
    name="cat-photos",
    title="two networks on the cat photographs: 25 costs each, accuracies",
    source="DeepLearning.AI, Neural Networks and Deep Learning, week 4, Application, v8",
    run=run,
    needs=(PHOTOS,),
)
