"""The cat photographs: published runs by hand and by jax.grad, other data, and the formulas."""

from __future__ import annotations

import numpy as np
import pytest
from lecture import descend

from catnet.course import cat_photos, logistic, networks
from catnet.course.cat_photos import RUNS, Photos, Run
from catnet.course.files import PHOTOS
from catnet.course.record import Options
from catnet.data import dataset
from catnet.data.dataset import Dataset
from catnet.errors import UserError

pytestmark = pytest.mark.usefixtures("x64")


@pytest.fixture(scope="module")
def photos(course_folder) -> Photos:
    pytest.importorskip("h5py", reason="needs h5py, of jaxnn[apps]")
    return cat_photos.load(course_folder)


@pytest.mark.parametrize("gradient", ["hand", "jax"])
@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.name)
def test_published_costs_and_accuracies(photos, run, gradient) -> None:
    table = cat_photos.reproduce(run, photos, gradient)
    assert table.agrees, str(table)
    assert len(table.numbers) == 27
    text = str(table)
    # Two of the published numbers, digit by digit as published; the last line is the verdict.
    assert {"one hidden layer": "0.43391631512257495", "L layers": "0.527930"}[run.name] in text
    assert "Test photo 17 is identical to training photo 146." in text
    assert text.splitlines()[-1].startswith("reproduced: 27 numbers")


def test_logistic_regression(course_folder, photos) -> None:
    [table] = logistic.run(Options({PHOTOS.name: course_folder}), count=1)
    assert len(table.numbers) == 22
    assert table.agrees, str(table)


def test_the_one_duplicate_of_the_course(course_folder, photos) -> None:
    train, test = dataset.load(course_folder)
    assert test is not None
    same = {
        i: j
        for i, a in enumerate(test.images)
        for j, b in enumerate(train.images)
        if (a == b).all()
    }
    assert photos.duplicates == same == {17: 146}


TINY = Run("tiny", (12, 3, 1), "sqrt", "0.5 " * 40, "1.0", "1.0")


def tiny(n: int, seed: int) -> Dataset:
    """Images of 2×2 pixels, of class 1 where red is more than green."""
    images = np.random.default_rng(seed).integers(0, 256, (n, 2, 2, 3), dtype=np.uint8)
    total = images.sum(axis=(1, 2), dtype=np.int32)
    labels = (total[:, 0] > total[:, 1]).astype(np.int32)
    return Dataset(images, labels, [f"{i}.png" for i in range(n)], ("non-cat", "cat"))


@pytest.mark.parametrize("gradient", ["hand", "jax"])
def test_a_run_is_the_numpy_formulas_on_the_images(gradient, capsys) -> None:
    train, test = tiny(40, 0), tiny(30, 1)
    test.images[4] = train.images[7] = train.images[9]
    table = cat_photos.reproduce(TINY, cat_photos.as_rows(train, test), gradient)
    X, Y = (train.images / 255).reshape(40, 12).T, train.labels[None].astype(float)
    start = networks.initialize(TINY.sizes, "sqrt")
    layers, costs = descend(start, X, Y, cat_photos.LEARNING_RATE, 4000)
    *rows, right_train, right_test = table.numbers
    np.testing.assert_allclose(
        np.array([row.ours for row in rows], float), costs[::100], rtol=1e-10
    )
    for part, row in ((train, right_train), (test, right_test)):
        A = part.images.reshape(-1, 12) / 255
        for layer, (W, b) in enumerate(layers):
            Z = A @ W.T + b
            A = np.maximum(Z, 0) if layer == 0 else Z
        right = (A[:, 0] > 0) == part.labels
        assert row.ours == np.mean(right) < 1
        assert row.note == f"{right.sum()} of {len(right)}"
        assert {*np.sign(A[:, 0])} == {-1, 1}
    assert table.notes[0] == "Test photo 4 is identical to training photo 7."
    assert "NOT reproduced" in str(table)
    assert "tiny  step 4000/4000" in capsys.readouterr().err


def test_remarks_about_duplicates() -> None:
    right = np.array([True, True, False, True])
    assert cat_photos.describe_duplicates({}, right) == []
    one = cat_photos.describe_duplicates({1: 9}, right)
    assert one[-1] == "test, without it: accuracy 0.666666666667, 2 of 3"
    two = cat_photos.describe_duplicates({1: 9, 3: 2}, right)
    assert two[-1] == "test, without these: accuracy 0.5, 1 of 2"


def test_initialize_draws_as_numpy_seed_and_randn() -> None:
    state = np.random.get_state()  # noqa: NPY002
    try:
        np.random.seed(1)  # noqa: NPY002
        W1, W2 = np.random.randn(3, 5), np.random.randn(1, 3)  # noqa: NPY002
    finally:
        np.random.set_state(state)  # noqa: NPY002
    (a, b), (c, d) = networks.initialize([5, 3, 1], "0.01")
    np.testing.assert_array_equal(a, W1 * 0.01)
    np.testing.assert_array_equal(c, W2 * 0.01)
    assert b.tolist() == [0, 0, 0]
    assert d.tolist() == [0]
    (a, _), (c, _) = networks.initialize([5, 3, 1], "sqrt")
    np.testing.assert_array_equal(a, W1 / np.sqrt(5))
    np.testing.assert_array_equal(c, W2 / np.sqrt(3))
    with pytest.raises(ValueError, match="scale"):
        networks.initialize([5, 1], "0.5")  # type: ignore[arg-type]


@pytest.mark.parametrize("parts", [(tiny(209, 0), None), (tiny(209, 0), tiny(49, 1))])
def test_other_data_is_refused(monkeypatch, tmp_path, parts) -> None:
    monkeypatch.setattr(dataset, "load", lambda path: parts)
    with pytest.raises(UserError, match="the course has 209 and 50"):
        cat_photos.load(tmp_path)
