"""Textures: equal for equal seeds, all different, and non-cats."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from catnet.data import cache as caches
from catnet.data.textures import (
    _magnify_piece,
    _scramble_phases,
    _shuffle_blocks,
    add_textures,
    draw_textures,
    scramble_photographs,
)
from catnet.errors import UserError


def test_the_seed_decides() -> None:
    first, again, other = draw_textures(12), draw_textures(12), draw_textures(12, seed=1)
    np.testing.assert_array_equal(first, again)
    assert (first != other).any(axis=(1, 2, 3)).all()
    assert first.shape == (12, 64, 64, 3)
    assert first.dtype == np.uint8
    np.testing.assert_array_equal(draw_textures(6), first[:6])


def test_they_differ_as_photographs_do() -> None:
    parts = draw_textures(120).astype(float)
    brightness, contrast = parts.mean(axis=(1, 2, 3)), parts.std(axis=(1, 2, 3))
    assert brightness.std() > 30
    assert np.quantile(contrast, 0.9) > 3 * np.quantile(contrast, 0.1)
    grey = (np.ptp(parts, axis=-1) < 3).all(axis=(1, 2))
    assert 0.1 < grey.mean() < 0.7


def test_they_join_a_cache_as_one_more_source(tmp_path) -> None:
    for name in ("cat", "non-cat"):
        (tmp_path / "mine" / name).mkdir(parents=True)
        for i in range(6):
            pixels = np.random.default_rng(i).integers(0, 256, (64, 64, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "mine" / name / f"{name}{i}.png")
    cache = caches.build([tmp_path / "mine"], tmp_path / "cache")
    assert add_textures(cache, 0) is cache
    more = add_textures(cache, 5)
    assert len(more) == len(cache) + 5
    assert more.sources == (*cache.sources, "textures")
    added = more.take(np.arange(len(cache), len(more)))
    np.testing.assert_array_equal(
        added, np.concatenate([draw_textures(4), scramble_photographs(cache, 1)])
    )
    here = more.table.sources == 1
    assert here.sum() == 5
    assert not more.table.labels[here].any()
    assert {more.strata[i] for i in more.table.strata[here]} == {"textures/non-cat"}
    np.testing.assert_array_equal(more.take(np.arange(len(cache))), cache.take(np.arange(12)))


def test_they_are_refused_where_no_class_is_of_anything_else(tmp_path) -> None:
    for name in ("dog", "horse"):
        (tmp_path / "animals" / name).mkdir(parents=True)
        Image.new("RGB", (64, 64), "red" if name == "dog" else "blue").save(
            tmp_path / "animals" / name / "0.png"
        )
    cache = caches.build([tmp_path / "animals"], tmp_path / "cache")
    with pytest.raises(UserError, match="textures are none of the classes dog and horse"):
        add_textures(cache, 3)


def test_photographs_taken_apart_keep_their_spectrum_or_their_pixels() -> None:
    """A grey ramp with one bright square, so that each change can be told."""
    image = np.tile(np.linspace(0.3, 0.6, 64)[:, None, None], (1, 64, 3))
    image[10:20, 30:44, 0] = 0.7
    rng = np.random.default_rng(0)
    scrambled = _scramble_phases(rng, image)
    amplitudes = [np.abs(np.fft.rfft2(p, axes=(0, 1))) for p in (scrambled, image)]
    np.testing.assert_allclose(amplitudes[0][1:, 1:-1], amplitudes[1][1:, 1:-1], atol=1e-9)
    assert abs(scrambled - image).mean() > 0.01
    shuffled = _shuffle_blocks(rng, image)
    np.testing.assert_array_equal(np.sort(shuffled, axis=None), np.sort(image, axis=None))
    assert (shuffled != image).any()
    piece = _magnify_piece(rng, image)
    assert piece.shape == image.shape
    assert np.ptp(piece[:, :, 1]) < 0.6 * np.ptp(image[:, :, 1])
