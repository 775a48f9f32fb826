"""The runs that the course's notebook published, in float64, by hand and by jax.grad."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from lecture import as_params, initialise, network

import jaxnn

h5py = pytest.importorskip("h5py", reason="needs h5py, of jaxnn[apps]")

# costs at steps 0, 100, … 2400
ONE_HIDDEN = [
    0.6930497356599888, 0.6464320953428849, 0.6325140647912677, 0.6015024920354665,
    0.5601966311605748, 0.5158304772764729, 0.4754901313943325, 0.43391631512257495,
    0.4007977536203889, 0.3580705011323798, 0.3394281538366413, 0.3052753636196264,
    0.2749137728213016, 0.24681768210614832, 0.1985073503746612, 0.17448318112556635,
    0.17080762978095823, 0.11306524562164749, 0.09629426845937161, 0.08342617959726865,
    0.07439078704319083, 0.0663074813226793, 0.05919329501038169, 0.05336140348560554,
    0.04855478562877018,
]  # fmt: skip
L_LAYERS = [
    0.771749, 0.672053, 0.648263, 0.611507, 0.567047, 0.540138, 0.527930, 0.465477, 0.369126,
    0.391747, 0.315187, 0.272700, 0.237419, 0.199601, 0.189263, 0.161189, 0.148214, 0.137775,
    0.129740, 0.121225, 0.113821, 0.107839, 0.102855, 0.100897, 0.092878,
]  # fmt: skip


def photographs(folder: Path, part: str) -> tuple[np.ndarray, np.ndarray]:
    with h5py.File(folder / f"{part}_catvnoncat.h5") as file:
        x = np.asarray(file[f"{part}_set_x"]).reshape(-1, 12288) / 255
        return x, np.asarray(file[f"{part}_set_y"], float)[:, None]


@pytest.mark.parametrize("gradient", ["hand", "jax"])
@pytest.mark.parametrize(
    ("sizes", "scale", "published", "tolerance", "train", "test"),
    [
        # Published to 16 digits, of which 2500 steps in another order of summation keep 9.
        ([12288, 7, 1], "0.01", ONE_HIDDEN, 1e-9, 1.0, 0.72),
        ([12288, 20, 7, 5, 1], "sqrt", L_LAYERS, 5.1e-7, 0.985645933014, 0.80),
    ],
    ids=["one-hidden-layer", "L-layers"],
)
def test_published_costs_and_accuracies(
    course_folder, x64, gradient, sizes, scale, published, tolerance, train, test
) -> None:
    net = network(sizes)
    x, y = photographs(course_folder, "train")
    params, costs = jaxnn.gradient_descent(
        net,
        jaxnn.binary_cross_entropy,
        as_params(initialise(sizes, scale)),
        x,
        y,
        learning_rate=0.0075,
        steps=2500,
        gradient=gradient,
    )
    np.testing.assert_allclose(costs[::100], published, rtol=0, atol=tolerance)
    for part, accuracy in (("train", train), ("test", test)):
        x, y = photographs(course_folder, part)
        predicted = np.asarray(net.apply(params, x)) > 0
        assert np.mean(predicted == y) == pytest.approx(accuracy, abs=1e-11)
