"""Calibration finds what made the labels; the unsure band leaves the answers right enough."""

from __future__ import annotations

import numpy as np
import pytest

from catnet.photo.calibration import calibrate, unsure_between, weights
from catnet.photo.probe import source_auc

RNG = np.random.default_rng(0)


def drawn(n: int, slope: float) -> tuple[np.ndarray, np.ndarray]:
    """Log-odds that are ``slope`` times too small, of labels that are as often 0 as 1."""
    z = RNG.normal(size=n) * 2
    labels = (RNG.random(n) < 1 / (1 + np.exp(-slope * z))).astype(np.int8)
    return z, labels


def test_finds_the_slope_and_offset_that_made_the_labels() -> None:
    z, labels = drawn(40_000, 2)
    found = calibrate(z, labels, np.zeros(40_000, np.int16))
    assert found.slope == pytest.approx(2, abs=0.1)
    assert found.offset == pytest.approx(0, abs=0.1)


def test_labels_of_a_source_count_alike_and_sources_by_the_root_of_their_size() -> None:
    labels = np.array([0] * 90 + [1] * 10 + [0] * 2 + [1] * 2 + [0] * 7)
    sources = np.repeat([0, 1, 2], [100, 4, 7])
    weight = weights(labels, sources)
    total = [weight[(sources == s) & (labels == y)].sum() for s in (0, 1, 2) for y in (0, 1)]
    np.testing.assert_allclose(total, np.array([10, 10, 2, 2, 0, 0]) / 24)


def test_sources_without_cats_do_not_move_it() -> None:
    z, labels = drawn(4000, 1)
    alone = calibrate(z, labels, np.zeros(4000))
    more = calibrate(np.append(z, [5.0] * 50), np.append(labels, [0] * 50), np.arange(4050) // 4000)
    np.testing.assert_allclose([*alone[:2], *alone.guess], [*more[:2], *more.guess])


def test_sources_of_one_label_each_are_taken_together() -> None:
    z, labels = drawn(4000, 1)
    even = np.concatenate([np.flatnonzero(labels == y)[:1500] for y in (0, 1)])
    together = calibrate(z[even], labels[even], np.zeros(3000))
    assert calibrate(z[even], labels[even], labels[even]) == together
    assert calibrate(z, np.zeros(4000), np.zeros(4000)) == (1.0, 0.0, (0.5, 0.5))


def test_outside_of_the_band_answers_are_right_and_it_is_the_narrowest() -> None:
    z, labels = drawn(20_000, 1)
    p = 1 / (1 + np.exp(-z))
    even = np.full(len(p), 1 / len(p))
    low, high = unsure_between(p, labels, even, right=0.9)
    right = (p >= 0.5) == labels
    assert 0.1 < low < 0.4
    assert low + high == pytest.approx(1)
    assert right[(p <= low) | (p >= high)].mean() >= 0.9
    assert right[(p <= low + 0.02) | (p >= high - 0.02)].mean() < 0.9


def test_no_band_where_all_is_right_and_never_all_is_unsure() -> None:
    labels = np.array([0, 0, 1, 1])
    even = np.full(4, 0.25)
    assert unsure_between(np.array([0.1, 0.2, 0.8, 0.9]), labels, even) == (0.5, 0.5)
    assert unsure_between(np.array([0.99, 0.99, 0.01, 0.01]), labels, even) == (0.05, 0.95)


def test_the_probe_sees_a_source_that_shows_and_none_that_does_not() -> None:
    sources = np.repeat([0, 1], 300)
    noise = RNG.normal(size=(600, 20))
    assert source_auc(noise, sources) == pytest.approx(0.5, abs=0.08)
    shown = noise + 0.5 * sources[:, None] * (np.arange(20) == 3)
    # One feature that is d standard deviations apart: AUC = Φ(d / √2) = 0.638.
    assert source_auc(shown, sources) == pytest.approx(0.638, abs=0.08)
    with pytest.raises(ValueError, match="expected two sources, got 1"):
        source_auc(noise, np.zeros(600))
