"""Soft labels: between label and teacher, whose classes are found by their order."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from catnet_teacher.blend import Answers, align, blend, cross_fit, one_hot


def test_the_alignment_is_the_best_of_all_increasing_ones() -> None:
    rng = np.random.default_rng(0)
    for rows, columns in ((1, 1), (1, 5), (3, 6), (4, 4)):
        scores = rng.normal(size=(rows, columns))
        best = max(combinations(range(columns), rows), key=lambda c: scores[range(rows), c].sum())
        assert tuple(align(scores)) == best


def test_a_score_is_the_ridge_regression_on_the_other_folds() -> None:
    """Compared with scikit-learn's formula, written as an augmented least-squares problem."""
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 2, 60)
    x = rng.normal(size=(60, 4)) + labels[:, None]
    found = cross_fit(x, labels)
    fold = np.random.default_rng(0).integers(0, 5, 60)
    centred = np.concatenate([x - x.mean(axis=0), np.ones((60, 1))], axis=1)
    weight = np.sqrt(np.where(labels == 1, 1 / labels.mean(), 1 / (1 - labels.mean())))
    for one in range(5):
        train = fold != one
        left = np.concatenate([centred[train] * weight[train, None], np.sqrt(300) * np.eye(5)])
        right = np.concatenate([(2 * labels[train] - 1) * weight[train], np.zeros(5)])
        theta = np.linalg.lstsq(left, right, rcond=None)[0]
        np.testing.assert_allclose(found[fold == one], centred[fold == one] @ theta, atol=1e-9)


def test_the_mass_of_cats_lies_between_label_and_teacher_and_rows_add_up_to_one() -> None:
    rng = np.random.default_rng(2)
    labels = np.repeat([0, 1], 100)
    P = rng.dirichlet(np.ones(6), 200) + np.outer(labels, [0, 0, 0, 0, 2, 2])
    P = (P / P.sum(axis=1, keepdims=True)).astype(np.float16)
    hard = np.arange(200) % 10 == 0
    P[hard] = one_hot(np.where(labels[hard] == 1, 4, 0), 6)
    content = np.arange(200, dtype=np.uint64)
    soft = blend(Answers(content, labels, np.zeros(200), P, hard), (4, 5))
    np.testing.assert_allclose(soft.sum(axis=1, dtype=np.float32), 1, atol=2e-3)
    np.testing.assert_array_equal(soft[hard], P[hard])
    mass = soft[:, 4:].sum(axis=1, dtype=np.float32)
    assert (mass[~hard & (labels == 1)] >= 0.4999).all()
    assert (mass[~hard & (labels == 0)] <= 0.5001).all()
    assert mass[labels == 1].mean() > 0.8
    # Among the others, the teacher decides.
    soft, P = soft[~hard & (labels == 0), :4], P[~hard & (labels == 0), :4]
    of_soft, of_teacher = (x / x.sum(axis=1, keepdims=True, dtype=np.float32) for x in (soft, P))
    np.testing.assert_allclose(of_soft, of_teacher, atol=5e-3)
