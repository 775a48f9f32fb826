"""Moons and circles are those of scikit-learn, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest

from catnet.course import synthetic


@pytest.mark.parametrize(("n", "noise", "seed"), [(300, 0.2, 3), (100, 0.1, 1337), (7, 0.0, 0)])
def test_moons_and_circles_are_those_of_scikit_learn(n: int, noise: float, seed: int) -> None:
    datasets = pytest.importorskip("sklearn.datasets")
    for ours, theirs in (
        (synthetic.draw_moons, datasets.make_moons),
        (synthetic.draw_circles, datasets.make_circles),
    ):
        x, y = ours(n, noise, np.random.RandomState(seed))
        expected, labels = theirs(n, noise=noise, random_state=np.random.RandomState(seed))
        np.testing.assert_array_equal(x, expected)
        np.testing.assert_array_equal(y[:, 0], labels)
