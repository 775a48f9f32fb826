"""The part of a photo that becomes the square of a network."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from catnet.images.decode import decode, from_array, from_image, resize_squares
from catnet.images.geometry import WHOLE, Geometry, find_middle

SIDES = st.integers(1, 5000)


@given(SIDES, SIDES, st.floats(1, 10))
def test_the_middle_is_as_large_as_the_longest_aspect_allows(width, height, max_aspect) -> None:
    left, top, right, bottom = find_middle(width, height, max_aspect)
    wide, tall = right - left, bottom - top
    assert max(wide / tall, tall / wide) <= max(max_aspect, 1) * (1 + 1e-9)
    assert wide == pytest.approx(width) or tall == pytest.approx(height)
    assert left == pytest.approx(width - right, abs=1e-9 * width)
    assert top == pytest.approx(height - bottom, abs=1e-9 * height)
    if max(width / height, height / width) <= max_aspect:
        assert (left, top, right, bottom) == pytest.approx((0, 0, width, height))


@pytest.mark.parametrize("shape", [(90, 160), (160, 90), (300, 1200)])
@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
def test_every_way_to_decode_shows_the_same_middle(shape, form) -> None:
    """The middle of a photo is what is left when its ends are cut off before."""
    small = np.random.default_rng(0).integers(0, 256, (9, 9, 3), np.uint8)
    photo = Image.fromarray(small).resize(shape[::-1], Image.Resampling.BICUBIC)
    side = min(shape)
    left, top = ((n - side) // 2 for n in photo.size)
    expected = from_image(photo.crop((left, top, left + side, top + side)))
    file = io.BytesIO()
    photo.save(file, form, quality=95)
    square = Geometry(64, 1.0)
    for result, tolerance in (
        (decode(file.getvalue(), *square), 1 if form == "PNG" else 12),
        (from_image(photo, *square), 1),
        (from_array(np.asarray(photo), *square), 1),
    ):
        # The filter reaches a pixel beyond the edge.
        difference = np.abs(result.astype(int) - expected)[2:-2, 2:-2]
        assert difference.max() <= tolerance


def test_a_photo_that_exif_turns_is_cut_along_its_long_side() -> None:
    photo = Image.new("RGB", (300, 100), "red")
    photo.paste("blue", (100, 0, 200, 100))
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    photo.save(file, "PNG", exif=exif)
    square = decode(file.getvalue(), 64, 1.0)
    assert (square[2:-2, 2:-2] == (0, 0, 255)).all()


def test_squares_are_enlarged_as_the_decoder_enlarges_them() -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), np.uint8)
    assert resize_squares(images, WHOLE) is images
    bicubic = Image.fromarray(images[1]).resize((96, 96), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(
        resize_squares(images, Geometry(96, 1.15))[1], np.asarray(bicubic)
    )
