"""Augmentation against Pillow, NumPy and what must stay as it was."""

from __future__ import annotations

import dataclasses
import io

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from catnet.training.augmentation.augment import augment, prepare
from catnet.training.augmentation.colour import random_colour, recolour
from catnet.training.augmentation.crop import resize, resize_weights
from catnet.training.augmentation.jpeg import GREY, TABLES, random_recompress, recompress
from catnet.training.augmentation.mix import mix
from catnet.training.augmentation.noise import random_noise
from catnet.training.augmentation.rectangles import random_erase
from catnet.training.augmentation.rows import to_rows
from catnet.training.augmentation.strength import FULL, LIGHT, Strength

pytestmark = pytest.mark.usefixtures("compiled_quickly")
NOTHING = Strength(
    area=(1.0, 1.0),
    shrink=0.0,
    aspect=(1.0, 1.0),
    softness=(1.0, 1.0),
    sharpen=0.0,
    brightness=0.0,
    contrast=0.0,
    saturation=0.0,
    gain=0.0,
    grey=0.0,
    noise=0.0,
    recompress=0.0,
    erase=0.0,
)


def all_images(n: int, size: int = 64, seed: int = 0) -> np.ndarray:
    """Smooth random colours with some grain: (n, size, size, 3) uint8."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (n, 8, 8, 3), np.uint8)
    large = [Image.fromarray(x).resize((size, size), Image.Resampling.BICUBIC) for x in small]
    grain = rng.normal(0, 4, (n, size, size, 3))
    return np.clip(np.stack([np.asarray(x) for x in large]) + grain, 0, 255).astype(np.uint8)


def from_rows(x: jax.Array) -> np.ndarray:
    return np.asarray(x).swapaxes(2, 3)


def pillow_resize(image: np.ndarray, box: tuple[float, float, float, float]) -> np.ndarray:
    channels = (Image.fromarray(image[..., c].astype(np.float32)) for c in range(3))
    resized = [x.resize((64, 64), Image.Resampling.BILINEAR, box=box) for x in channels]
    return np.stack([np.asarray(x) for x in resized], axis=-1) / 255


@pytest.mark.parametrize("size", [40, 64, 160])
@pytest.mark.parametrize("mirrored", [False, True])
def test_resize_is_pillows_bilinear(size, mirrored):
    images = all_images(4, size)
    rng = np.random.default_rng(1)
    height, width = rng.uniform(0.4, 1.0, (2, 4))
    top, left = rng.uniform(0, 1, (2, 4)) * (1 - np.stack([height, width]))
    columns = (left + width, -width) if mirrored else (left, width)
    ours = from_rows(
        resize(
            to_rows(jnp.asarray(images)),
            (jnp.asarray(top, jnp.float32), jnp.asarray(height, jnp.float32)),
            (jnp.asarray(columns[0], jnp.float32), jnp.asarray(columns[1], jnp.float32)),
            jnp.ones(4),
            jnp.zeros(4),
        )
    )
    for i in range(4):
        box = (left[i], top[i], left[i] + width[i], top[i] + height[i])
        theirs = pillow_resize(images[i], tuple(size * edge for edge in box))
        expected = theirs[:, ::-1] if mirrored else theirs
        np.testing.assert_allclose(ours[i], expected, atol=2e-5)


def test_sharpening_takes_a_wider_kernel_away():
    start, length = jnp.array([0.1]), jnp.array([0.7])
    soft, sharp = jnp.array([0.8]), jnp.array([0.5])
    narrow = resize_weights(start, length, soft, 0 * sharp, 64)
    wide = resize_weights(start, length, 2 * soft, 0 * sharp, 64)
    both = resize_weights(start, length, soft, sharp, 64)
    np.testing.assert_allclose(both, 1.5 * narrow - 0.5 * wide, atol=1e-6)
    np.testing.assert_allclose(both.sum(-1), 1.0, atol=1e-5)


@pytest.mark.parametrize("softness", [0.5, 0.6, 3.0])
def test_no_sample_is_without_pixels(softness):
    rng = np.random.default_rng(0)
    length = jnp.asarray(rng.uniform(0.1, 1, 50), jnp.float32)
    start = jnp.asarray(rng.uniform(0, 1, 50), jnp.float32) * (1 - length)
    weights = resize_weights(start, length, jnp.full(50, softness), jnp.zeros(50), 64)
    np.testing.assert_allclose(weights.sum(-1), 1.0, atol=1e-4)


def test_recolour_is_gain_then_saturation_then_contrast():
    x = all_images(3) / 255
    rng = np.random.default_rng(2)
    gain, (saturation, contrast) = rng.uniform(0.8, 1.2, (3, 3)), rng.uniform(0, 1.5, (2, 3))
    ours = recolour(
        jnp.asarray(x, jnp.float32).swapaxes(2, 3),
        *(jnp.asarray(v, jnp.float32) for v in (gain, saturation, contrast)),
    )
    luma = np.array(GREY)
    for i in range(3):
        y = x[i] * gain[i]
        grey = (y @ luma)[..., None]
        y = grey + saturation[i] * (y - grey)
        mean = (y @ luma).mean()
        expected = np.clip(mean + contrast[i] * (y - mean), 0, 1)
        np.testing.assert_allclose(from_rows(ours)[i], expected, atol=1e-5)


def test_recompress_is_the_formula_of_the_standard():
    x = all_images(1)[:, :16, :16] / 255
    quality = 40
    ycc = x[0] @ np.array([GREY, (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312)]).T
    ycc = ycc * 255 - [128, 0, 0]
    out = np.zeros_like(ycc)
    cosine = np.array([[np.cos((2 * i + 1) * u * np.pi / 16) for i in range(8)] for u in range(8)])
    weight = np.where(np.arange(8) == 0, np.sqrt(0.5), 1.0)
    for top in (0, 8):
        for left in (0, 8):
            for c in range(3):
                block = ycc[top : top + 8, left : left + 8, c]
                f = np.einsum("ij,ui,vj->uv", block, cosine, cosine) / 4
                f *= weight[:, None] * weight
                table = np.clip(
                    np.floor((TABLES[c].reshape(8, 8) * 5000 / quality + 50) / 100), 1, 255
                )
                f = np.round(f / table) * table
                if c:
                    f[4:] = f[:, 4:] = 0
                f *= weight[:, None] * weight
                out[top : top + 8, left : left + 8, c] = (
                    np.einsum("uv,ui,vj->ij", f, cosine, cosine) / 4
                )
    blue, green_blue, green_red, red = 1.772, -0.344136, -0.714136, 1.402
    y, cb, cr = out[..., 0] + 128, out[..., 1], out[..., 2]
    rgb = np.stack([y + red * cr, y + green_blue * cb + green_red * cr, y + blue * cb], axis=-1)
    ours = recompress(jnp.asarray(x, jnp.float32).swapaxes(2, 3), jnp.array([float(quality)]))
    # A coefficient on the edge between two steps may fall either way in float32: none does here.
    np.testing.assert_allclose(from_rows(ours)[0], np.clip(rgb / 255, 0, 1), atol=1e-4)


@pytest.mark.parametrize("quality", [20, 50, 75, 95])
def test_recompress_of_grey_images_is_libjpegs(quality):
    grey = np.repeat(all_images(1)[..., :1], 3, axis=-1)
    file = io.BytesIO()
    Image.fromarray(grey[0, ..., 0]).save(file, "JPEG", quality=quality)
    theirs = np.asarray(Image.open(file)) / 255
    ours = from_rows(recompress(to_rows(jnp.asarray(grey)), jnp.array([float(quality)])))
    # Whole numbers put some coefficients half way between two steps, and libjpeg, which reckons
    # in integers, rounds those its own way: a few blocks may differ by a step.
    error = np.abs(ours[0, ..., 1] - theirs)
    assert (error < 2 / 255).mean() > 0.9
    assert error.mean() < 1 / 255
    other = from_rows(recompress(to_rows(jnp.asarray(grey)), jnp.array([quality / 2 + 2.0])))
    assert np.abs(other[0, ..., 1] - theirs).mean() > 1 / 255


def test_only_a_share_is_recompressed_and_the_grid_moves():
    strength = dataclasses.replace(NOTHING, recompress=0.25, quality=(10.0, 10.0))
    x = to_rows(jnp.asarray(all_images(8)))
    found = [random_recompress(jax.random.key(i), x, strength) - x for i in range(2)]
    for change in found:
        changed = np.abs(change).max(axis=(1, 2, 3)) > 0
        assert changed.tolist() == [True] * 2 + [False] * 6
    assert np.abs(found[0] - found[1]).max() > 0.01


def test_noise_has_the_deviation_it_says():
    x = jnp.full((512, 16, 3, 16), 0.5)
    strength = dataclasses.replace(NOTHING, noise=0.05)
    noisy = np.asarray(random_noise(jax.random.key(0), x, strength))
    deviation = noisy.std(axis=(1, 2, 3))
    assert deviation.max() < 0.05 * 1.1
    # The deviation is uniform on [0, 0.05], so its mean is half of that.
    np.testing.assert_allclose(deviation.mean(), 0.025, rtol=0.1)
    np.testing.assert_allclose(noisy.mean(), 0.5, atol=2e-3)


def test_erased_is_one_rectangle_of_one_colour():
    strength = dataclasses.replace(NOTHING, erase=0.5, erase_area=(0.1, 0.3))
    x = jnp.full((400, 64, 3, 64), -1.0)  # no colour
    y = from_rows(random_erase(jax.random.key(0), x, strength))
    erased = (y != -1).any(axis=-1)
    hit = erased.any(axis=(1, 2))
    assert 0.4 < hit.mean() < 0.6
    for image, mask in zip(y[hit], erased[hit], strict=True):
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        assert mask.sum() == len(rows) * len(columns)
        assert 0.08 < mask.mean() < 0.34
        assert len(np.unique(image[mask], axis=0)) == 1


def test_a_shrunk_image_lies_in_a_frame_of_one_colour_and_keeps_its_own():
    strength = dataclasses.replace(NOTHING, shrink=0.5, frame=(4.0, 4.0))
    grey = np.full((200, 96, 96, 3), 51, np.uint8)
    y = np.asarray(augment(jax.random.key(0), grey, strength))
    photo = np.abs(y - 0.2).max(axis=-1) < 1e-5
    framed = ~photo.all(axis=(1, 2))
    assert 0.4 < framed.mean() < 0.6
    # A frame of four times the area: the image has half of the sides, 32 of 64 pixels.
    assert set(photo[framed].sum(axis=(1, 2)).tolist()) == {32 * 32}
    places = {tuple(np.argwhere(mask)[0].tolist()) for mask in photo[framed]}
    assert len(places) > 20
    colours = [
        np.unique(image[~mask], axis=0)
        for image, mask in zip(y[framed], photo[framed], strict=True)
    ]
    assert all(len(colour) == 1 for colour in colours)
    assert len({tuple(colour[0].tolist()) for colour in colours}) == len(colours)


def test_a_scene_surrounds_the_shrunk_image_after_it_and_what_is_no_scene_surrounds_none():
    strength = dataclasses.replace(NOTHING, shrink=0.5, frame=(4.0, 4.0))
    greys = np.arange(1, 241, dtype=np.uint8)  # every image has a grey of its own
    images = np.broadcast_to(greys[:, None, None, None], (240, 96, 96, 3))
    scenes = greys % 3 != 0
    y = np.asarray(augment(jax.random.key(0), images, strength, jnp.asarray(scenes))) * 255
    own = np.abs(y - greys[:, None, None, None]).max(axis=-1) < 1e-2
    shrunk = ~own.all(axis=(1, 2))
    kinds = set()
    for i in np.flatnonzero(shrunk):
        around = y[i][~own[i]]
        assert own[i].sum() == 32 * 32
        assert np.ptp(around, axis=0).max() < 1e-2
        is_before = np.abs(around[0] - greys[i - 1]).max() < 1e-2
        assert is_before == (scenes[i - 1] and not shrunk[i - 1])
        kinds.add((bool(scenes[i - 1]), bool(shrunk[i - 1])))
    assert len(kinds) == 4  # each of the four cases occurs


@pytest.mark.parametrize("size", [64, 80])
def test_without_strength_an_image_is_itself_or_its_mirror_image(size):
    images = all_images(16, size)
    plain = np.asarray(prepare(images))
    y = np.asarray(augment(jax.random.key(0), images, NOTHING))
    straight = np.abs(y - plain).max(axis=(1, 2, 3)) < 1e-5
    mirrored = np.abs(y - plain[:, :, ::-1]).max(axis=(1, 2, 3)) < 1e-5
    assert (straight ^ mirrored).all()
    assert 3 <= mirrored.sum() <= 13


@pytest.mark.parametrize("strength", [LIGHT, FULL])
def test_augment_gives_images_and_the_key_decides_them(strength):
    images = all_images(8)
    y = augment(jax.random.key(0), images, strength)
    assert y.shape == (8, 64, 64, 3)
    assert y.dtype == jnp.float32
    assert float(y.min()) >= 0
    assert float(y.max()) <= 1
    np.testing.assert_array_equal(y, augment(jax.random.key(0), images, strength))
    other = np.asarray(augment(jax.random.key(1), images, strength))
    assert (np.abs(y - other).mean(axis=(1, 2, 3)) > 0.01).all()
    # Still the same image: nearer to its own original than to another's, on the whole.
    own = np.abs(np.asarray(y) - np.asarray(prepare(images))).mean()
    assert own < np.abs(np.asarray(y) - np.asarray(prepare(images[::-1]))).mean()


def test_augment_takes_one_image():
    assert augment(jax.random.key(0), all_images(1), FULL).shape == (1, 64, 64, 3)


def test_grey_turns_a_share_of_the_images_grey():
    strength = dataclasses.replace(NOTHING, grey=0.5)
    x = to_rows(jnp.asarray(all_images(100)))
    y = from_rows(random_colour(jax.random.key(0), x, strength))
    grey = np.ptp(y, axis=-1).max(axis=(1, 2)) < 1e-6
    assert 30 <= grey.sum() <= 70
    np.testing.assert_allclose(y[~grey], from_rows(x)[~grey], atol=1e-6)


def test_prepare_only_scales_what_the_decoder_gives():
    images = all_images(2)
    np.testing.assert_allclose(prepare(images), images / 255, rtol=2e-7)


def test_prepare_resizes_other_sizes():
    images = all_images(2, 96)
    for ours, image in zip(np.asarray(prepare(images)), images, strict=True):
        np.testing.assert_allclose(ours, pillow_resize(image, (0, 0, 96, 96)), atol=2e-5)


@pytest.mark.parametrize(("mixup", "cutmix"), [(1.0, 0.0), (0.0, 1.0), (0.3, 0.5)])
def test_mix_blends_targets_as_it_blends_pixels(mixup, cutmix):
    values = jnp.linspace(0, 1, 64)
    images = jnp.broadcast_to(values[:, None, None, None], (64, 32, 32, 3))
    targets = {"cat": values, "fine": jnp.stack([values, 1 - values], axis=1)}
    mixed, blended = mix(jax.random.key(0), images, targets, mixup=mixup, cutmix=cutmix)
    mean = np.asarray(mixed, np.float64).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(mean, blended["cat"], atol=1e-6)
    np.testing.assert_allclose(blended["fine"][:, 0], blended["cat"], atol=1e-6)
    np.testing.assert_allclose(blended["fine"].sum(1), 1.0, atol=1e-6)
    flat = np.ptp(np.asarray(mixed), axis=(1, 2, 3)) < 1e-6  # all but cut ones
    assert abs(flat.mean() - (1 - cutmix)) < 0.15
    moved = np.abs(np.asarray(blended["cat"] - values)) > 0
    assert abs(moved.mean() - (mixup + cutmix)) < 0.15


def test_mix_of_nothing_changes_nothing():
    images = prepare(all_images(4))
    mixed, targets = mix(jax.random.key(0), images, jnp.ones(4))
    np.testing.assert_array_equal(mixed, images)
    np.testing.assert_array_equal(targets, np.ones(4))
