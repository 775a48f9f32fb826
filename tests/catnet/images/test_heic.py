"""HEIC by pillow-heif; and without it, the remedy."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from catnet.images import heic
from catnet.images.decode import ImageError, decode, from_image, read_dimensions
from catnet.images.paths import expand

REASON = "needs pillow-heif: pip install 'jaxnn[heic]'"
HEAD = b"\0\0\0\x18ftypheic" + bytes(100)


def photo(width: int = 90, height: int = 70) -> Image.Image:
    y, x = np.mgrid[0:height, 0:width] / np.array([[[height]], [[width]]])
    return Image.fromarray(np.stack([255 * x, 255 * y, 128 + 0 * x], -1).astype(np.uint8))


@pytest.fixture
def encoded():
    """Encode an image as HEIC."""
    pytest.importorskip("pillow_heif", reason=REASON)
    assert heic.register()

    def encode(im: Image.Image, **options) -> bytes:
        file = io.BytesIO()
        im.save(file, "HEIF", quality=95, **options)
        return file.getvalue()

    return encode


@pytest.fixture
def without_the_package(monkeypatch) -> Iterator[None]:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    monkeypatch.setattr(Image, "OPEN", {k: v for k, v in Image.OPEN.items() if k != "HEIF"})
    heic.register.cache_clear()
    yield
    heic.register.cache_clear()


def test_it_is_what_its_pixels_are(encoded) -> None:
    for mode in ("RGB", "L", "RGBA"):
        im = photo().convert(mode)
        if mode == "RGBA":
            im.putalpha(100)
        difference = decode(encoded(im)).astype(int) - from_image(im)
        assert abs(difference).mean() < 3
    assert read_dimensions(encoded(photo())) == (90, 70)


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_it_stands_upright(encoded, orientation) -> None:
    exif = Image.Exif()
    exif[274] = orientation
    turns = {3: 2, 6: -1, 8: 1}[orientation]
    expected = np.rot90(from_image(photo()), turns).astype(int)
    im = photo()
    im.info["exif"] = exif.tobytes()  # of this, pillow-heif makes the format's own rotation
    data = encoded(im)
    assert b"irot" in data
    assert abs(decode(data) - expected).mean() < 3


def test_a_large_photo_with_or_without_a_thumbnail(encoded) -> None:
    big = photo(900, 700)
    data = [encoded(big), encoded(big, thumbnails=[200])]
    for one in data:
        assert abs(decode(one).astype(int) - from_image(big)).mean() < 3


def test_its_colours_are_converted(encoded) -> None:
    srgb = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    r, b = srgb.find(b"rXYZ"), srgb.find(b"bXYZ")
    srgb[r : r + 4], srgb[b : b + 4] = b"bXYZ", b"rXYZ"  # red and blue are exchanged
    mirrored = decode(encoded(Image.new("RGB", (64, 64), "red"), icc_profile=bytes(srgb)))
    assert mirrored[32, 32, 2] > 240
    assert mirrored[32, 32, 0] < 15


def test_damage_is_one_reason(encoded) -> None:
    data = encoded(photo())
    for cut in (20, 100, len(data) // 2, len(data) - 50):
        with pytest.raises(ImageError) as caught:
            decode(data[:cut])
        assert str(caught.value).isprintable()
    with pytest.raises(ImageError, match="it starts like a HEIC image, but cannot be decoded"):
        decode(HEAD)


def test_without_the_package_the_remedy_is_named(without_the_package, tmp_path: Path) -> None:
    with pytest.raises(ImageError) as caught:
        decode(HEAD)
    message = "a HEIC image; to read it: pip install 'jaxnn[heic]', or save it as JPEG"
    assert str(caught.value) == message
    (tmp_path / "IMG_0001.HEIC").write_bytes(HEAD)
    assert [image.error for image in expand([str(tmp_path)])] == [None]  # the decoder says it
