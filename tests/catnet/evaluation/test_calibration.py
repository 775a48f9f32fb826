"""Calibration finds what made the labels; the unsure band leaves the answers right enough."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit

from catnet.errors import UserError
from catnet.evaluation.calibration import calibrate, choose_band, weights
from catnet.evaluation.source_probe import source_auc

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
    np.testing.assert_allclose(
        [*alone[:2], *alone.confidence_band], [*more[:2], *more.confidence_band]
    )


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
    low, high = choose_band(p, labels, even, right=0.9)
    right = (p >= 0.5) == labels
    assert 0.1 < low < 0.4
    assert low + high == pytest.approx(1)
    assert right[(p <= low) | (p >= high)].mean() >= 0.9
    assert right[(p <= low + 0.02) | (p >= high - 0.02)].mean() < 0.9


def test_no_band_where_all_is_right_and_never_all_is_unsure() -> None:
    labels = np.array([0, 0, 1, 1])
    even = np.full(4, 0.25)
    assert choose_band(np.array([0.1, 0.2, 0.8, 0.9]), labels, even) == (0.5, 0.5)
    assert choose_band(np.array([0.99, 0.99, 0.01, 0.01]), labels, even) == (0.05, 0.95)


def test_the_probe_sees_a_source_that_shows_and_none_that_does_not() -> None:
    sources = np.repeat([0, 1], 300)
    noise = RNG.normal(size=(600, 20))
    assert source_auc(noise, sources) == pytest.approx(0.5, abs=0.08)
    shown = noise + 0.5 * sources[:, None] * (np.arange(20) == 3)
    # One feature that is d standard deviations apart: AUC = Φ(d / √2) = 0.638.
    assert source_auc(shown, sources) == pytest.approx(0.638, abs=0.08)
    with pytest.raises(ValueError, match="expected two sources, got 1"):
        source_auc(noise, np.zeros(600))


def turned(scale: float) -> tuple[np.ndarray, np.ndarray]:
    """A hundred log-odds of ±scale, of which one in ten has the wrong sign."""
    i = np.arange(100)
    sign = np.where(i % 10 == 0, -1, 1) * np.where(i % 2, 1, -1)
    return scale * sign + np.linspace(-1, 1, 100), i % 2


def shifted() -> tuple[np.ndarray, np.ndarray]:
    labels = np.tile([0, 1], 20)
    return np.where(labels == 1, 54.0, 46.0) + np.linspace(-6, 6, 40), labels


def heavy_tails() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    labels = np.tile([0, 1, 1], 30)
    return rng.standard_cauchy(90) ** 3 + labels, labels


CASES = {
    "one wrong of six": (np.array([-12, -11, 12, -12.5, 11.5, 12]), np.array([0, 0, 0, 1, 1, 1])),
    "separable": (np.array([-3.0, -2, 2, 3]), np.array([0, 0, 1, 1])),
    "shifted by 50": shifted(),
    "heavy tails": heavy_tails(),
    **{f"±{scale}": turned(scale) for scale in (2, 4, 6, 8, 12)},
    **{f"times {scale}": (scale * turned(3)[0], turned(3)[1]) for scale in (1e-3, 30.0, 1e3)},
}


@pytest.mark.parametrize("case", CASES)
def test_it_is_the_minimum_that_scipy_finds(case: str) -> None:
    """Of the cross-entropy with Platt's targets (n + 1) / (n + 2) and 1 / (n + 2), labels alike."""
    z, labels = CASES[case]
    n0, n1 = np.bincount(labels)
    targets = np.where(labels == 1, (n1 + 1) / (n1 + 2), 1 / (n0 + 2))
    weight = np.where(labels == 1, 0.5 / n1, 0.5 / n0)
    unit = (z - z.mean()) / z.std()  # Nelder-Mead wants a simple scale; it uses no derivative

    def cost(line: np.ndarray) -> float:
        s = line[0] * unit + line[1]
        return float(np.sum(weight * (np.logaddexp(0, s) - targets * s)))

    how = {"xatol": 1e-10, "fatol": 1e-15, "maxiter": 10_000, "maxfev": 10_000}
    best = minimize(cost, [0.0, 0.0], method="Nelder-Mead", options=how)
    found = calibrate(z, labels, np.zeros(len(z)))
    slope, offset = best.x[0] / z.std(), best.x[1] - best.x[0] * z.mean() / z.std()
    assert found.slope == pytest.approx(slope, rel=1e-5)
    assert found.offset == pytest.approx(offset, rel=1e-5, abs=1e-5)


def test_targets_count_images_as_kish_does_where_weights_differ() -> None:
    """Two sources of 100 and 4 images: the 52 images of a label count like 36."""
    sources = np.repeat([0, 1], [100, 4])
    labels = np.tile([0, 1], 52)
    z = np.where(labels == 1, 1.0, -1.0)
    w = np.repeat([10 / 50, 2 / 2], [50, 2])  # √100 and √4, divided among the images of a label
    n = w.sum() ** 2 / np.sum(w**2)
    assert n == pytest.approx(36)
    # Where z is ±1 the best line gives exactly the targets.
    assert expit(calibrate(z, labels, sources).slope) == pytest.approx((n + 1) / (n + 2), rel=1e-6)


@pytest.mark.parametrize("z", [np.array([3.0, 2, 1, -2, 0, 1]), np.full(6, 7.0), np.zeros(6)])
def test_a_higher_log_odds_is_never_less_of_a_cat_and_all_is_unsure(z: np.ndarray) -> None:
    labels = np.array([0, 0, 0, 1, 1, 1])
    slope, offset, (low, high) = calibrate(z, labels, np.zeros(6))
    p = expit(slope * z + offset)
    np.testing.assert_allclose(p, 0.5, atol=1e-3)
    assert slope > 0
    assert (np.diff(p[np.argsort(z)]) >= 0).all()
    assert ((low < p) & (p < high)).all()


@pytest.mark.parametrize("scale", [1e-300, 1e300])
def test_log_odds_of_any_size_are_calibrated_without_a_warning(scale: float) -> None:
    labels = np.tile([0, 1], 10)
    found = calibrate(scale * np.where(labels == 1, 1.0, -1.0), labels, np.zeros(20))
    assert expit(found.slope * scale + found.offset) == pytest.approx(11 / 12, rel=1e-6)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_log_odds_that_are_not_finite_are_refused(value: float) -> None:
    with pytest.raises(UserError, match="1 of 4 validation images are NaN or infinite"):
        calibrate(np.array([0.0, 1, value, 2]), np.array([0, 1, 0, 1]), np.zeros(4))


def test_an_answer_at_the_end_of_the_band_is_sure_as_in_the_classifier() -> None:
    """0.57 − 0.5 is less than 0.07 in float64."""
    p, labels = np.array([0.9, 0.57]), np.array([1, 0])
    assert choose_band(p, labels, np.full(2, 0.5)) == (0.42, 0.58)
