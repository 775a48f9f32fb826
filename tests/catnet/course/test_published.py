"""The runs that the course's notebook published, by hand and by jax.grad; and their table."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from lecture import descend

from catnet.course import published
from catnet.course.published import RUNS, Result, Run
from catnet.data import dataset
from catnet.data.dataset import Dataset
from catnet.errors import UserError


@pytest.fixture(scope="module")
def course(course_folder) -> tuple[Dataset, Dataset]:
    pytest.importorskip("h5py", reason="needs h5py, of jaxnn[apps]")
    train, test = dataset.load(course_folder)
    assert test is not None
    return train, test


@pytest.mark.parametrize("gradient", ["hand", "jax"])
@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.name)
def test_published_costs_and_accuracies(course, run, gradient) -> None:
    train, test = course
    result = published.reproduce(run, train, test, gradient)
    assert result.costs.dtype == np.float64
    assert result.costs.shape == (2500,)
    np.testing.assert_allclose(result.costs[::100], run.costs, rtol=0, atol=run.tolerance)
    assert np.mean(result.train_right) == pytest.approx(run.train, abs=1e-11)
    assert np.mean(result.test_right) == pytest.approx(run.test, abs=1e-11)
    assert result.agrees
    text = published.table(result)
    # Two of the published numbers, digit by digit as published; the last line is the verdict.
    assert {"one hidden layer": "0.43391631512257495", "L layers": "0.527930"}[run.name] in text
    assert "Test photo 17 is identical to training photo 146." in text
    assert text.splitlines()[-1].startswith("reproduced")


def test_the_one_duplicate_of_the_course(course) -> None:
    train, test = course
    same = [
        (i, j)
        for i, a in enumerate(test.images)
        for j, b in enumerate(train.images)
        if (a == b).all()
    ]
    assert list(published.duplicates(train.images, test.images).items()) == same == [(17, 146)]


TINY = Run("tiny", (12, 3, 1), "sqrt", (0.0,) * 40, 6, 1e-6, 1.0, 1.0)


def tiny(n: int, seed: int) -> Dataset:
    """Images of 2×2 pixels, of class 1 where red is more than green."""
    images = np.random.default_rng(seed).integers(0, 256, (n, 2, 2, 3), dtype=np.uint8)
    total = images.sum(axis=(1, 2), dtype=np.int32)
    labels = (total[:, 0] > total[:, 1]).astype(np.int32)
    return Dataset(images, labels, [f"{i}.png" for i in range(n)], ("non-cat", "cat"))


@pytest.mark.parametrize("gradient", ["hand", "jax"])
def test_a_run_is_the_numpy_formulas_on_the_images(gradient) -> None:
    train, test = tiny(40, 0), tiny(30, 1)
    test.images[4] = train.images[7] = train.images[9]
    told = []
    result = published.reproduce(TINY, train, test, gradient, lambda *line: told.append(line))
    X, Y = (train.images / 255).reshape(40, 12).T, train.labels[None].astype(float)
    layers, costs = descend(
        published.initialize(TINY.sizes, "sqrt"), X, Y, published.LEARNING_RATE, 4000
    )
    np.testing.assert_allclose(result.costs, costs, rtol=1e-10)
    for part, right in ((train, result.train_right), (test, result.test_right)):
        A = part.images.reshape(-1, 12) / 255
        for layer, (W, b) in enumerate(layers):
            Z = A @ W.T + b
            A = np.maximum(Z, 0) if layer == 0 else Z
        np.testing.assert_array_equal(right, (A[:, 0] > 0) == part.labels)
        assert {*np.sign(A[:, 0])} == {-1, 1}
        assert not right.all()
    assert result.duplicates == {4: 7}
    assert [step for step, _ in told] == [*range(100, 4001, 100)]
    assert told[-1][1] == result.costs[-1]
    assert not jax.config.jax_enable_x64  # type: ignore[attr-defined] - defined at run time


def test_initialize_draws_as_numpy_seed_and_randn() -> None:
    state = np.random.get_state()  # noqa: NPY002
    try:
        np.random.seed(1)  # noqa: NPY002
        W1, W2 = np.random.randn(3, 5), np.random.randn(1, 3)  # noqa: NPY002
    finally:
        np.random.set_state(state)  # noqa: NPY002
    (a, b), (c, d) = published.initialize([5, 3, 1], "0.01")
    np.testing.assert_array_equal(a, W1 * 0.01)
    np.testing.assert_array_equal(c, W2 * 0.01)
    assert b.tolist() == [0, 0, 0]
    assert d.tolist() == [0]
    (a, _), (c, _) = published.initialize([5, 3, 1], "sqrt")
    np.testing.assert_array_equal(a, W1 / np.sqrt(5))
    np.testing.assert_array_equal(c, W2 / np.sqrt(3))
    with pytest.raises(ValueError, match="scale"):
        published.initialize([5, 1], "he")  # type: ignore[arg-type]


def made_up(shift: float, duplicates: dict[int, int]) -> Result:
    """A run that published 0.5 and 0.25 and was right about 3 of 4, made again with a shift."""
    run = Run("made up", (2, 1), "0.01", (0.5, 0.25), 6, 1e-6, 0.75, 0.75)
    costs = np.repeat([0.5, 0.25 + shift], 100)
    right = np.array([True, True, False, True])
    return Result(run, "jax", costs, right, right, duplicates)


def test_the_table_compares_and_judges() -> None:
    assert published.table(made_up(5e-7, {1: 9})).splitlines() == [
        "made up: 2 → 1, float64, jax.grad",
        "",
        "    step  published       ours            difference",
        "       0  0.500000        0.500000           0.0e+00",
        "     100  0.250000        0.250001           5.0e-07",
        "",
        "training  0.75            0.75            accuracy, 3 of 4",
        "    test  0.75            0.75            accuracy, 3 of 4",
        "Test photo 1 is identical to training photo 9.",
        "test, without it: accuracy 0.666666666667, 2 of 3",
        "reproduced: costs differ by 5.0e-07 at most, 1.0e-06 allowed",
    ]
    assert "photograph" not in published.table(made_up(0, {}))
    assert "test, without these: accuracy 0.5, 1 of 2" in published.table(made_up(0, {1: 9, 3: 2}))


@pytest.mark.parametrize(
    "result",
    [
        made_up(2e-6, {}),
        made_up(np.nan, {}),
        made_up(0, {})._replace(test_right=np.array([True] * 4)),
        made_up(0, {})._replace(train_right=np.array([True, False] * 2)),
    ],
    ids=["cost", "no number", "test accuracy", "training accuracy"],
)
def test_what_differs_is_not_called_reproduced(result) -> None:
    assert not result.agrees
    assert "\nNOT reproduced: " in published.table(result)


def test_main_prints_tables_and_keeps_progress_out_of_them(monkeypatch, capsys) -> None:
    train, test = tiny(209, 0), tiny(50, 1)
    run = TINY._replace(costs=(0.5, 0.5))
    monkeypatch.setattr(dataset, "load", lambda path: (train, test))
    monkeypatch.setattr(published, "RUNS", (run, run._replace(name="second")))
    assert published.main("somewhere") is False
    printed = capsys.readouterr()
    results = [published.reproduce(r, train, test) for r in published.RUNS]
    assert printed.out == "\n\n".join(map(published.table, results)) + "\n"
    assert "step 200/200" in printed.err


@pytest.mark.parametrize("parts", [(tiny(209, 0), None), (tiny(209, 0), tiny(49, 1))])
def test_other_data_is_refused(monkeypatch, capsys, parts) -> None:
    monkeypatch.setattr(dataset, "load", lambda path: parts)
    with pytest.raises(UserError, match="the course has 209 and 50"):
        published.main("elsewhere")
    assert capsys.readouterr().out == ""
