"""Metrics, tables and calibration of more than two classes, against scikit-learn and SciPy."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from catnet.evaluation.confusion import confusion, find_confusions, format_confusion
from catnet.evaluation.metrics import balanced_accuracy, top_accuracy
from catnet.evaluation.report import Evaluation, evaluate
from catnet.evaluation.temperature import choose_threshold, fit_temperature


def answers(classes: int, n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Labels, and logits (n, classes) that are often right."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, n)
    z = rng.normal(size=(n, classes))
    z[np.arange(n), labels] += 2
    return labels, z


def softmax(z: np.ndarray) -> np.ndarray:
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def evaluation(classes: int, n: int, seed: int = 0) -> Evaluation:
    labels, z = answers(classes, n, seed)
    names = [f"{i}.png" for i in range(n)]
    return evaluate(labels, softmax(z), names, [f"class {i}" for i in range(classes)])


@pytest.mark.parametrize("classes", [3, 10])
def test_the_metrics_are_those_of_scikit_learn(classes: int) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    labels, z = answers(classes, 200)
    p = softmax(z)
    predicted = p.argmax(axis=1)
    result = evaluate(labels, p, [str(i) for i in range(200)], [*map(str, range(classes))])
    assert result.accuracy == pytest.approx(metrics.accuracy_score(labels, predicted))
    assert result.balanced_accuracy == pytest.approx(
        metrics.balanced_accuracy_score(labels, predicted)
    )
    np.testing.assert_array_equal(result.confusion, metrics.confusion_matrix(labels, predicted))
    precision, recall, _, support = metrics.precision_recall_fscore_support(labels, predicted)
    ours = np.array([score[1:] for score in result.per_class])
    np.testing.assert_allclose(ours, np.stack([precision, recall, support], axis=1))
    for k in (1, 2, 5):
        if k < classes:
            expected = metrics.top_k_accuracy_score(labels, p, k=k, labels=range(classes))
            assert top_accuracy(labels, p, k) == pytest.approx(expected)
    assert (result.top_5 is None) == (classes <= 5)


def test_a_class_without_examples_or_answers_has_no_score() -> None:
    p = np.eye(4)[[0, 1, 1, 0]]
    result = evaluate([0, 1, 1, 2], p, [*"abcd"], [*"wxyz"])
    assert result.balanced_accuracy == pytest.approx((1 + 1 + 0) / 3)
    assert [score.precision for score in result.per_class[:2]] == [0.5, 1.0]
    assert math.isnan(result.per_class[2].precision)
    assert result.per_class[2].recall == 0
    assert math.isnan(result.per_class[3].recall)
    described = result.as_json()
    assert described["per_class"][3] == {
        "name": "z",
        "precision": None,
        "recall": None,
        "examples": 0,
    }
    assert json.loads(json.dumps(described, allow_nan=False)) == described
    assert "nan" not in str(result)
    assert math.isnan(balanced_accuracy([2, 2], [2, 1]))


def test_three_classes_are_a_matrix_with_names() -> None:
    counts = confusion([0, 0, 1, 2, 2], [0, 2, 1, 2, 2], 3)
    assert format_confusion(counts, ("ant", "bee", "cat")) == [
        "        says ant  says bee  says cat",
        "is ant         1         0         1",
        "is bee         0         1         0",
        "is cat         0         0         2",
    ]


def test_ten_classes_are_a_matrix_with_numbers() -> None:
    result = evaluation(10, 300)
    text = str(result)
    lines = text.splitlines()
    at = next(i for i, line in enumerate(lines) if "says 1" in line)
    for label, line in enumerate(lines[at + 1 : at + 11]):
        assert line.split()[:4] == [str(label + 1), "is", "class", str(label)]
        assert [*map(int, line.split()[4:])] == result.confusion[label].tolist()
    assert "top-5 accuracy" in text
    assert max(map(len, lines)) <= 100


def test_two_hundred_classes_are_readable() -> None:
    result = evaluation(200, 2000)
    lines = str(result).splitlines()
    assert len(lines) < 50
    assert max(map(len, lines)) <= 100
    at = lines.index("the most frequent confusions:")
    worst = find_confusions(result.confusion, result.classes)[0]
    assert lines[at + 1].split() == f"{worst.count} is {worst.truth} says {worst.answer}".split()
    assert "the 10 classes of the lowest recall:" in lines
    mistakes = result.confusion - np.diag(result.confusion.diagonal())
    assert worst.count == mistakes.max()
    pairs = find_confusions(result.confusion, result.classes)
    assert sum(pair.count for pair in pairs) == mistakes.sum() == len(result.mistakes)


def test_the_temperature_is_the_minimum_of_the_cross_entropy() -> None:
    optimize = pytest.importorskip("scipy.optimize")
    special = pytest.importorskip("scipy.special")
    for classes, n, scale in ((3, 50, 0.1), (10, 300, 7.0), (200, 400, 1.0), (2, 40, 30.0)):
        labels, z = answers(classes, n, seed=classes)
        z = scale * z
        t = np.full(z.shape, 1 / (n + 2) / (classes - 1))
        t[np.arange(n), labels] = (n + 1) / (n + 2)

        def cost(log_slope: float, z=z, t=t) -> float:
            return -float(np.mean(np.sum(t * special.log_softmax(np.exp(log_slope) * z, 1), 1)))

        best = optimize.minimize_scalar(cost, bounds=(-9, 9), method="bounded")
        slope = fit_temperature(z, labels)
        assert cost(np.log(slope)) <= best.fun + 1e-9
        assert slope == pytest.approx(np.exp(best.x), rel=1e-3)


def test_the_temperature_at_its_ends() -> None:
    """All right, all wrong, all equal: finite and positive."""
    labels = np.arange(40) % 3
    right = np.eye(3)[labels]
    assert 1 < fit_temperature(right, labels) < 100
    assert 0 < fit_temperature(-right, labels) < 0.01
    assert fit_temperature(0 * right, labels) == 1
    assert fit_temperature(1e6 * right, labels) == pytest.approx(
        fit_temperature(right, labels) / 1e6
    )


def test_the_threshold_is_the_lowest_with_enough_right_answers() -> None:
    p = np.linspace(0.1, 0.99, 90)
    right = p > 0.5
    threshold = choose_threshold(p, right)
    assert np.mean(right[p >= threshold]) >= 0.95 > np.mean(right[p >= threshold - 0.01])
    assert choose_threshold(p, right | True) == 0
    assert choose_threshold(p, ~right) == 0.95
