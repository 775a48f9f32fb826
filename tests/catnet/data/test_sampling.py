"""Batches have exact counts, go through all images evenly, and depend on seed and step only."""

from __future__ import annotations

import numpy as np
import pytest

from catnet.data.cache import Cache
from catnet.data.sampling import compute_priors, compute_sampling_weights, make_sampler
from catnet.data.table import Table
from catnet.errors import UserError


def cache(counts: dict[str, int]) -> Cache:
    """A cache without images; strata are named ``source/kind``, ``cat`` has label 1."""
    strata = tuple(counts)
    sources = tuple(dict.fromkeys(name.split("/")[0] for name in strata))
    which = np.repeat(np.arange(len(strata)), list(counts.values())).astype(np.int16)
    n = len(which)
    rng = np.random.default_rng(0)
    which = rng.permutation(which)
    table = Table(
        labels=np.array([name.endswith("/cat") for name in strata], np.int8)[which],
        fine=np.full(n, -1, np.int16),
        sources=np.array([sources.index(s.split("/")[0]) for s in strata], np.int16)[which],
        strata=which,
        held_out=np.zeros(n, bool),
        content=np.zeros(n, np.uint64),
        perceptual=np.zeros(n, np.uint64),
        thumbs=np.zeros((n, 8, 8, 3), np.uint8),
        names=[""] * n,
    )
    return Cache((), table, sources, strata)


PHOTOS = cache({"a/cat": 50, "a/dog": 70, "b/cat": 16, "b/dog": 81, "b/other": 256})
ALL = np.ones(len(PHOTOS), bool)
RECIPE = {"a/cat": 0.25, "a/dog": 0.25, "b/cat": 0.125, "b/dog": 0.125, "b/other": 0.25}


def test_every_batch_has_the_counts_of_the_recipe():
    sampler = make_sampler(PHOTOS, ALL, 32, RECIPE)
    for step in range(50):
        batch = sampler.batch(step)
        assert batch.shape == (32,)
        assert np.bincount(PHOTOS.table.strata[batch]).tolist() == [8, 8, 4, 4, 8]


def test_all_come_once_before_any_comes_twice():
    sampler = make_sampler(PHOTOS, ALL, 32, RECIPE)
    seen = np.zeros(len(PHOTOS), int)
    for step in range(60):
        np.add.at(seen, sampler.batch(step), 1)
        for stratum in range(5):
            times = seen[PHOTOS.table.strata == stratum]
            assert times.max() - times.min() <= 1
    assert seen[PHOTOS.table.strata == 2].min() == 60 * 4 // 16


def test_epochs_come_in_different_orders():
    sampler = make_sampler(PHOTOS, PHOTOS.table.strata == 2, 16)
    first, second = sampler.batch(0), sampler.batch(1)
    assert sorted(first) == sorted(second)
    assert first.tolist() != second.tolist()


def test_a_resumed_run_sees_the_same_and_another_seed_something_else():
    through = [make_sampler(PHOTOS, ALL, 32, RECIPE, seed=3).batch(step) for step in range(20)]
    resumed = make_sampler(PHOTOS, ALL, 32, RECIPE, seed=3)
    for step in (19, 7, 12):
        np.testing.assert_array_equal(resumed.batch(step), through[step])
    assert make_sampler(PHOTOS, ALL, 32, RECIPE, seed=4).batch(7).tolist() != through[7].tolist()


def test_batches_are_in_random_order():
    sampler = make_sampler(PHOTOS, ALL, 32, RECIPE)
    strata = np.stack([PHOTOS.table.strata[sampler.batch(step)] for step in range(200)])
    # At every place of the batch each stratum turns up about as often as its share says.
    often = (strata == 0).mean(axis=0)
    np.testing.assert_allclose(often, 0.25, atol=0.13)  # 4 standard deviations


def test_only_chosen_images_are_drawn():
    chosen = np.random.default_rng(0).random(len(PHOTOS)) < 0.5
    sampler = make_sampler(PHOTOS, chosen, 32)
    assert all(chosen[sampler.batch(step)].all() for step in range(50))


def test_without_a_recipe_each_label_makes_half_and_each_source_has_as_much_of_both():
    result = compute_sampling_weights(PHOTOS, ALL)
    a, b = (50 * 70) ** 0.25, (16 * 337) ** 0.25
    assert result["a/cat"] == pytest.approx(0.5 * a / (a + b))
    assert result["a/dog"] == pytest.approx(0.5 * a / (a + b))
    assert result["b/cat"] == pytest.approx(0.5 * b / (a + b))
    # 81 dogs and 256 others: √81 to √256.
    assert result["b/dog"] == pytest.approx(0.5 * b / (a + b) * 9 / 25)
    assert result["b/other"] == pytest.approx(0.5 * b / (a + b) * 16 / 25)


def test_a_source_of_one_label_shares_in_its_half():
    result = compute_sampling_weights(
        cache({"a/cat": 16, "a/dog": 16, "b/other": 64}), np.ones(96, bool)
    )
    assert result == pytest.approx({"a/cat": 0.5, "a/dog": 0.5 * 4 / 12, "b/other": 0.5 * 8 / 12})


def test_a_recipe_may_name_some_and_leave_some_out():
    rule = compute_sampling_weights(PHOTOS, ALL)
    result = compute_sampling_weights(PHOTOS, ALL, {"a/cat": 0.4, "b/other": 0})
    assert "b/other" not in result
    assert result["a/cat"] == 0.4
    assert sum(result.values()) == pytest.approx(1)
    assert result["b/cat"] / result["a/dog"] == pytest.approx(rule["b/cat"] / rule["a/dog"])
    sampler = make_sampler(PHOTOS, ALL, 32, {"a/cat": 0.4, "b/other": 0})
    assert 4 not in PHOTOS.table.strata[sampler.batch(0)]


def test_rounded_counts_add_up_and_none_is_zero():
    recipe = {"a/cat": 0.97, "a/dog": 0.01, "b/cat": 0.01, "b/dog": 0.005, "b/other": 0.005}
    for size in (5, 7, 100, 256):
        counts = make_sampler(PHOTOS, ALL, size, recipe).counts
        assert sum(counts) == size
        assert min(counts) >= 1


def test_the_largest_remainders_are_rounded_up():
    recipe = {"a/cat": 0.22, "a/dog": 0.22, "b/cat": 0.12, "b/dog": 0.08, "b/other": 0.36}
    # 56.32, 56.32, 30.72, 20.48, 92.16
    assert make_sampler(PHOTOS, ALL, 256, recipe).counts == (56, 56, 31, 21, 92)


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ({"a/cats": 0.5}, "a/cats: no such stratum; there are a/cat, a/dog"),
        ({"a/cat": 0.7, "a/dog": 0.7}, "at most 1"),
        ({"a/cat": -0.1}, "between 0 and 1"),
        (dict.fromkeys(RECIPE, 0.1), "must add up to 1, not 0.5"),
    ],
)
def test_a_recipe_that_does_not_fit_is_refused(recipe, message):
    with pytest.raises(UserError, match=message):
        compute_sampling_weights(PHOTOS, ALL, recipe)


def test_too_small_a_batch_and_no_images_are_refused():
    with pytest.raises(UserError, match="a batch of 4 cannot hold"):
        make_sampler(PHOTOS, ALL, 4)
    with pytest.raises(UserError, match="no images"):
        make_sampler(PHOTOS, ~ALL, 32)


def test_priors_are_the_log_odds_of_a_cat_in_what_is_drawn_of_a_source():
    photos = cache({"a/cat": 30, "a/dog": 30, "b/cat": 9, "b/dog": 20, "b/other": 70, "c/other": 5})
    recipe = {"a/cat": 0.25, "a/dog": 0.25, "b/cat": 0.125, "b/dog": 0.125, "b/other": 0.125}
    sampler = make_sampler(photos, np.ones(len(photos), bool), 64, {**recipe, "c/other": 0.125})
    result = compute_priors(photos, sampler)
    expected = np.log([1.0, 8 / 16, 1.0])  # nothing is taken off where there is one label only
    np.testing.assert_allclose(result, expected[photos.table.sources], rtol=1e-6)
