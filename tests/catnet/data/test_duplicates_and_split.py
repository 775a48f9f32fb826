"""Near-duplicates are found, others are not, and no group is on two sides."""

from __future__ import annotations

import dataclasses
import io

import numpy as np
import pytest
from PIL import Image

from catnet.data import duplicates
from catnet.data.duplicates import compute_fingerprints, find_near_duplicates, find_pairs
from catnet.data.split import TEST, TRAIN, VALIDATION, find_groups, split
from catnet.data.table import Table
from catnet.images.decode import decode


def photos(n: int, seed: int = 0) -> np.ndarray:
    """Images with the falling spectrum of photographs, (n, 64, 64, 3) uint8."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(64), np.fft.fftfreq(64)))
    waves = np.fft.fft2(rng.normal(size=(n, 3, 64, 64))) / np.maximum(frequency, 1 / 64) ** 1.2
    x = np.fft.ifft2(waves).real
    x = x / x.std(axis=(2, 3), keepdims=True) * 50 + rng.uniform(80, 170, (n, 3, 1, 1))
    return x.clip(0, 255).astype(np.uint8).transpose(0, 2, 3, 1)


def compressed_again(image: np.ndarray, size: int = 100, quality: int = 50) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(image).resize((size, size)).save(file, "JPEG", quality=quality)
    return decode(file.getvalue(), 64)


def table(images: np.ndarray, **columns: np.ndarray) -> Table:
    n = len(images)
    content, perceptual, thumbs = compute_fingerprints(images)
    filled = Table(
        labels=np.zeros(n, np.int8),
        fine=np.full(n, -1, np.int16),
        sources=np.zeros(n, np.int16),
        strata=np.zeros(n, np.int16),
        held_out=np.zeros(n, bool),
        content=content,
        perceptual=perceptual,
        thumbs=thumbs,
        names=[str(i) for i in range(n)],
    )
    return dataclasses.replace(filled, **columns)


def rows(result: Table, order: np.ndarray) -> Table:
    picked = {
        column.name: getattr(result, column.name)[order]
        for column in dataclasses.fields(Table)
        if column.name != "names"
    }
    return Table(**picked, names=[result.names[i] for i in order])


@pytest.fixture(scope="module")
def some() -> Table:
    """400 photographs, then the first 40 once more, compressed again."""
    images = photos(400)
    return table(np.concatenate([images, [compressed_again(x) for x in images[:40]]]))


def test_exactly_the_near_duplicates_are_found(some):
    expected = [[i, 400 + i] for i in range(40)]
    assert find_near_duplicates(some.perceptual, some.thumbs).tolist() == expected


def test_flat_and_dim_images_are_not_taken_for_one_another():
    rng = np.random.default_rng(0)
    flat = np.stack([np.full((64, 64, 3), c) for c in (10, 90, 170, 250)]).astype(np.uint8)
    noisy = rng.integers(120, 124, (20, 64, 64, 3)).astype(np.uint8)
    shaded = (photos(20, seed=5) // 32 + 100).astype(np.uint8)  # alike in all but the pattern
    result = table(np.concatenate([flat, noisy, shaded]))
    assert find_near_duplicates(result.perceptual, result.thumbs).tolist() == []


def test_a_crowd_of_equal_images_is_one_group():
    images = np.repeat(photos(1), 500, axis=0)
    images[:, 0, 0, 0] = np.arange(500) % 256  # content differs, looks do not
    images[:, 0, 1, 0] = np.arange(500) // 256
    result = table(images)
    assert len(np.unique(result.content)) == 500
    assert len(np.unique(find_groups(result))) == 1


def test_groups_are_named_by_their_smallest_hash(some):
    group = find_groups(some)
    pair = np.minimum(some.content[:40], some.content[400:])
    np.testing.assert_array_equal(group[:40], pair)
    np.testing.assert_array_equal(group[400:], pair)
    np.testing.assert_array_equal(group[40:400], some.content[40:400])


def test_fingerprints_do_not_depend_on_how_many_are_taken_at_a_time(monkeypatch):
    images = photos(7)
    whole = compute_fingerprints(images)
    monkeypatch.setattr(duplicates, "_CHUNK", 3)
    for ours, theirs in zip(compute_fingerprints(images), whole, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_with_pixels_only_what_is_near_at_full_size_is_joined():
    image = photos(1)[0]
    noise = np.random.default_rng(0).normal(size=image.shape)
    noise -= noise.reshape(8, 8, 8, 8, 3).mean(axis=(1, 3)).repeat(8, 0).repeat(8, 1)
    images = np.stack([image.clip(80, 175) + d * noise for d in (0, 10, 40)]).round()
    images = images.clip(0, 255).astype(np.uint8)  # thumbnails are equal; distances 10 and 40
    prints = compute_fingerprints(images)
    assert len(find_near_duplicates(prints.perceptual, prints.thumbs)) == 3
    assert len(np.unique(duplicates.find_groups(prints))) == 1
    group = duplicates.find_groups(prints, images.__getitem__)
    assert group[0] == group[1] != group[2]
    assert list(find_pairs(prints, images.__getitem__, 3)) == [(0, 1, False)]


def test_pairs_join_what_groups_join_and_name_both_sides_of_a_boundary():
    one, other = photos(2)
    near = one // 8 * 8
    images = np.stack([one, one, near, other, one, near, near])
    result = [*find_pairs(compute_fingerprints(images), images.__getitem__, 3)]
    exact = {(a, b) for a, b, same in result if same}
    assert exact == {(0, 1), (1, 4), (2, 5), (5, 6)}
    near_pairs = {(a, b) for a, b, same in result if not same}
    assert near_pairs == {(0, 2), (0, 5), (2, 4), (4, 5)}  # the first of each, on either side


def test_near_duplicates_are_on_one_side(some):
    parts = split(some, validation=0.3, test=0.3)
    np.testing.assert_array_equal(parts[:40], parts[400:])
    assert set(parts[:40].tolist()) == {TRAIN, VALIDATION, TEST}


def test_neither_order_nor_names_matter(some):
    order = np.random.default_rng(1).permutation(len(some))
    shuffled = dataclasses.replace(rows(some, order), names=["?"] * len(some))
    np.testing.assert_array_equal(split(shuffled), split(some)[order])


def test_more_images_leave_the_others_where_they_are(some):
    few = np.arange(40, 200)  # the others have a near-duplicate among those left out
    np.testing.assert_array_equal(split(rows(some, few)), split(some)[few])


def test_parts_have_the_shares_asked_for():
    rng = np.random.default_rng(0)
    n = 20_000
    many = Table(
        *(np.zeros(n, np.int16) for _ in range(4)),
        held_out=np.zeros(n, bool),
        content=rng.integers(0, 2**64, n, np.uint64),
        perceptual=rng.integers(0, 2**64, n, np.uint64),
        thumbs=rng.integers(0, 256, (n, 8, 8, 3), np.uint8),
        names=[""] * n,
    )
    share = np.bincount(split(many, validation=0.1, test=0.05)) / n
    np.testing.assert_allclose(share, [0.85, 0.1, 0.05], atol=0.006)  # 3 standard deviations


def test_what_a_source_holds_out_is_test_and_so_is_its_near_duplicate(some):
    plain = split(some)
    chosen = np.flatnonzero(plain[:40] == TRAIN)[:5]
    held_out = np.zeros(len(some), bool)
    held_out[chosen] = True
    parts = split(dataclasses.replace(some, held_out=held_out))
    both = np.concatenate([chosen, 400 + chosen])
    assert (parts[both] == TEST).all()
    others = np.setdiff1d(np.arange(len(some)), both)
    np.testing.assert_array_equal(parts[others], plain[others])


@pytest.mark.parametrize("shares", [(0.5, 0.5), (-0.1, 0.2)])
def test_shares_must_leave_something(some, shares):
    with pytest.raises(ValueError, match="leave no images for training"):
        split(some, *shares)
