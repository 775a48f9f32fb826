"""The measures of an evaluation against hand-computed and published numbers, and counting."""

from __future__ import annotations

import itertools
import json
import math
from typing import cast

import numpy as np
import pytest

from catnet.errors import UserError
from catnet.evaluation.confusion import confusion
from catnet.evaluation.metrics import auc, balanced_accuracy, calibration_error, wilson
from catnet.evaluation.report import evaluate
from catnet.terminal import one_line

CLASSES = ("non-cat", "cat")


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [
        # Newcombe, "Two-sided confidence intervals for the single proportion", Statistics in
        # Medicine 17 (1998), Table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_is_the_published_interval(successes, n, low, high) -> None:
    assert wilson(successes, n) == pytest.approx((low, high), abs=5.1e-5)
    # What holds of successes holds of failures, mirrored.
    assert wilson(n - successes, n) == pytest.approx((1 - high, 1 - low), abs=5.1e-5)


@pytest.mark.parametrize(("successes", "n"), [(0, 1), (1, 1), (0, 7), (7, 7), (3, 10**6)])
@pytest.mark.parametrize("z", [0.5, 1.96, 5.0])
def test_wilson_ends_solve_the_equation_they_come_from(successes, n, z) -> None:
    """Wilson's ends are the shares p of which the observed one is just z deviations away."""
    p = successes / n
    for end in wilson(successes, n, z):
        assert 0 <= end <= 1
        assert (p - end) ** 2 == pytest.approx(z**2 * end * (1 - end) / n, abs=1e-12)


@pytest.mark.parametrize(("successes", "n"), [(0, 0), (3, 2), (-1, 2)])
def test_wilson_refuses_what_is_no_share(successes, n) -> None:
    with pytest.raises(ValueError, match="successes"):
        wilson(successes, n)


@pytest.mark.parametrize("levels", [2, 5, 1000])
def test_auc_is_the_share_of_pairs_in_the_right_order(levels) -> None:
    rng = np.random.default_rng(levels)
    labels = rng.integers(0, 2, 60)
    scores = rng.integers(0, levels, 60) / levels  # with few levels, many ties
    pairs = itertools.product(scores[labels == 1], scores[labels == 0])
    counted = [1.0 if a > b else 0.5 if a == b else 0.0 for a, b in pairs]
    assert auc(labels, scores) == pytest.approx(np.mean(counted), abs=1e-14)


def test_auc_and_balanced_accuracy_of_one_class_are_undefined() -> None:
    assert math.isnan(auc([1, 1], [0.2, 0.3]))
    assert math.isnan(auc([0, 0], [0.2, 0.3]))
    assert math.isnan(balanced_accuracy([1, 1], [0, 1]))


def test_confusion_and_balanced_accuracy_by_hand() -> None:
    labels, predicted = [0] * 5 + [1] * 10, [0] * 4 + [1] + [1] * 7 + [0] * 3
    assert confusion(labels, predicted).tolist() == [[4, 1], [3, 7]]
    assert balanced_accuracy(labels, predicted) == pytest.approx((4 / 5 + 7 / 10) / 2)


def test_calibration_error_is_the_weighted_gap_of_the_bins() -> None:
    rng = np.random.default_rng(3)
    p = np.concatenate([rng.random(200), [0.0, 1.0, 0.5]])
    labels = rng.integers(0, 2, len(p))
    expected = 0.0
    for k in range(10):
        last = k == 9
        inside = (p >= k / 10) & ((p < (k + 1) / 10) | last)
        expected += inside.mean() * abs(labels[inside].mean() - p[inside].mean())
    assert calibration_error(labels, p, bins=10) == pytest.approx(expected, abs=1e-14)


def test_calibration_error_at_its_ends() -> None:
    assert calibration_error([0, 1, 1], [0.0, 1.0, 1.0]) == 0
    assert calibration_error([1, 0, 0], [0.0, 1.0, 1.0]) == 1
    # In one bin alone, over- and underestimates cancel.
    assert calibration_error([1, 0], [0.2, 0.8], bins=1) == pytest.approx(0)


def course_like() -> tuple[list[int], list[float], list[str]]:
    """50 answers, 33 of them cats: 31 right about cats, 9 about others; mistakes of all sizes."""
    labels = [1] * 33 + [0] * 17
    p = [0.9] * 31 + [0.42, 0.03] + [0.2] * 9 + [0.5, 0.55, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99]
    return labels, p, [f"{i}.png" for i in range(50)]


def test_evaluation_by_hand() -> None:
    result = evaluate(*course_like(), CLASSES)
    assert result.examples == 50
    assert result.accuracy == 0.8
    assert result.interval == pytest.approx((0.6696, 0.8876), abs=5e-5)
    assert result.balanced_accuracy == pytest.approx((31 / 33 + 9 / 17) / 2)
    assert result.majority == ("cat", 0.66)
    assert result.confusion.tolist() == [[9, 8], [2, 31]]
    # The wrong answers, by their distance from the truth; 0.5 is "cat" at a threshold of 0.5.
    assert [m.name for m in result.mistakes] == [
        *("49.png", "32.png", "48.png", "47.png", "46.png", "45.png", "44.png", "31.png"),
        *("43.png", "42.png"),
    ]
    assert result.mistakes[1] == ("32.png", "cat", "non-cat", 0.97)


def test_the_threshold_decides() -> None:
    labels, p, names = course_like()
    strict = evaluate(labels, p, names, CLASSES, threshold=0.91)
    assert strict.confusion.tolist() == [[15, 2], [33, 0]]
    assert strict.auc == evaluate(labels, p, names, CLASSES).auc
    assert strict.majority == ("cat", 0.66)


def test_the_table() -> None:
    lines = str(evaluate(*course_like(), CLASSES)).splitlines()
    assert lines[:3] == [
        "accuracy              80.0%  (95% interval 67.0–88.8%, 50 examples)",
        "balanced accuracy     73.4%",
        'always saying "cat"   66.0%',
    ]
    assert lines[6:9] == [
        "            says non-cat  says cat",
        "is non-cat             9         8",
        "is cat                 2        31",
    ]
    assert lines[10:13] == [
        "         precision  recall  examples",
        "non-cat      81.8%   52.9%        17",
        "cat          79.5%   93.9%        33",
    ]
    assert lines[14:17] == [
        "the mistakes:",
        "cat      99.0%  is non-cat  49.png",
        "non-cat  97.0%  is cat      32.png",
    ]
    assert len(lines) == 25


def test_the_table_names_ten_mistakes_at_most_and_says_so() -> None:
    n = 15
    names = [f"{i}.png" for i in range(n)]
    result = evaluate([1] * n + [0], [i / 100 for i in range(n)] + [0.0], [*names, "z"], CLASSES)
    assert len(result.mistakes) == n
    lines = str(result).splitlines()
    at = lines.index("the worst 10 of 15 mistakes:")
    assert [line.split()[-1] for line in lines[at + 1 :]] == names[:10]


def test_the_table_without_mistakes_and_of_one_class() -> None:
    text = str(evaluate([1, 1], [0.8, 0.9], ["a", "b"], CLASSES))
    assert text.endswith("\nno mistakes")
    assert text.count("undefined") == 2
    assert "nan" not in text


def test_names_cannot_break_the_table() -> None:
    text = str(evaluate([1], [0.1], ["a\nb\x1b[31m\udc80.png"], ("x\ty", "cat")))
    assert text.splitlines()[-1].endswith(r"a\nb\x1b[31m\udc80.png")
    assert r"says x\ty" in text
    assert one_line("ø 猫.png") == "ø 猫.png"


def test_json_has_everything_in_plain_types() -> None:
    result = evaluate(*course_like(), CLASSES, threshold=0.5)
    described = result.as_json()
    assert json.loads(json.dumps(described, allow_nan=False)) == described
    assert list(described) == [
        *("examples", "accuracy", "interval", "balanced_accuracy", "top_5", "auc", "majority"),
        *("confusion", "per_class", "calibration_error", "threshold", "classes", "mistakes"),
    ]
    assert described["majority"] == {"label": "cat", "share": 0.66}
    assert described["mistakes"][0] == {
        "name": "49.png",
        "truth": "non-cat",
        "answer": "cat",
        "probability": 0.99,
    }
    assert described["confusion"] == [[9, 8], [2, 31]]


def test_what_is_undefined_is_null_in_json() -> None:
    labels, p = np.ones(2, np.int32), np.array([0.25, 0.75], np.float32)
    half = cast(float, np.float32(0.5))  # as it comes out of a model file
    described = evaluate(labels, p, ["a", "b"], CLASSES, half).as_json()
    assert described["auc"] is None
    assert described["balanced_accuracy"] is None
    json.dumps(described, allow_nan=False)


def test_no_examples_and_no_probabilities_are_refused_in_one_line() -> None:
    with pytest.raises(UserError, match="no examples"):
        evaluate([], [], [], CLASSES)
    for p in (math.nan, -0.1, 1.5):
        with pytest.raises(UserError, match=r"answer for b\\nc\.png is .*learning rate"):
            evaluate([0, 1], [0.5, p], ["a", "b\nc.png"], CLASSES)


def test_arguments_that_do_not_fit_together_are_refused() -> None:
    with pytest.raises(ValueError, match="one label"):
        evaluate([0, 1], [0.5], ["a", "b"], CLASSES)
    with pytest.raises(ValueError, match="from 0 to 1"):
        evaluate([0, 2], [0.5, 0.5], ["a", "b"], CLASSES)
