"""Colours against the formulas of the specifications: profiles, gamma, opacity over white."""

from __future__ import annotations

import io
import struct
import zlib

import formats
import numpy as np
import pytest
from PIL import Image

from catnet.images.decode import decode

LINEAR = formats.grey_profile(1.0)


def middle(data: bytes) -> list[int]:
    """The decoded pixel in the middle of a file of one colour."""
    return decode(data, 8)[4, 4].tolist()


def encoded(im: Image.Image, form: str = "PNG", **options) -> bytes:
    file = io.BytesIO()
    im.save(file, form, **options)
    return file.getvalue()


def srgb(light: float) -> float:
    """IEC 61966-2-1: intensity from 0 to 1 as a value from 0 to 255."""
    return 255 * (12.92 * light if light <= 0.0031308 else 1.055 * light ** (1 / 2.4) - 0.055)


def over_white(value: float, alpha: int) -> float:
    return value * alpha / 255 + 255 - alpha


# ---- profiles

GREYS = {
    "L": lambda v, _: Image.new("L", (8, 8), v),
    "LA": lambda v, alpha: Image.new("LA", (8, 8), (v, alpha)),
    "I;16": lambda v, _: Image.fromarray(np.full((8, 8), v * 257, np.uint16)),
    "F": lambda v, _: Image.fromarray(np.full((8, 8), v / 255, np.float32)),
}


MODES = "L PNG", "L TIFF", "L JPEG", "LA PNG", "LA TIFF", "I;16 PNG", "I;16 TIFF", "F TIFF"


@pytest.mark.parametrize("value", [0, 1, 2, 5, 10, 64, 200, 255])
@pytest.mark.parametrize("mode", MODES)
def test_a_profile_of_grey_holds_in_every_mode_of_grey(mode: str, value: int) -> None:
    mode, form = mode.split()
    # Weighted by opacity, 8 bits hold little of what is nearly black.
    for alpha in (255, 128) if mode == "LA" and value > 9 else (255,):
        data = encoded(GREYS[mode](value, alpha), form, icc_profile=LINEAR)
        expected = over_white(srgb(value / 255), alpha)
        np.testing.assert_allclose(middle(data), expected, atol=1.01)


def test_16_bits_of_grey_stay_16_until_their_profile_has_been_used() -> None:
    for value in (20, 100, 300, 999):  # up to 4 of 255
        data = encoded(Image.fromarray(np.full((8, 8), value, np.uint16)), icc_profile=LINEAR)
        np.testing.assert_allclose(middle(data), srgb(value / 65535), atol=0.6)


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_a_profile_of_grey_beside_a_transparent_value(depth: int) -> None:
    """The left pixel is transparent, the right one is grey; 4 pixels of each."""
    top, clear = 2**depth - 1, 0
    value = max(1, top // 5)
    bits = "".join(f"{v:0{depth}b}" for v in [clear] * 4 + [value] * 4)
    row = int(bits, 2).to_bytes(depth, "big")
    profile = b"p\0\0" + zlib.compress(LINEAR)
    chunks = formats.chunk(b"iCCP", profile), formats.chunk(b"tRNS", struct.pack(">H", clear))
    result = decode(formats.png(8, 8, depth, 0, row, *chunks), 8)
    assert result[4, 0].tolist() == [255] * 3
    np.testing.assert_allclose(result[4, 7], srgb(value / top), atol=1.01)


@pytest.mark.parametrize("form", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("alpha", [255, 100])
def test_a_profile_of_colours_is_used_before_they_are_laid_over_white(form, alpha) -> None:
    profile = formats.rgb_profile(1.0, "bgr")  # linear, red and blue exchanged
    im = Image.new("RGBA", (8, 8), (64, 128, 200, alpha))
    data = encoded(im, form, icc_profile=profile, lossless=True, exact=True)
    expected = [over_white(srgb(v / 255), alpha) for v in (200, 128, 64)]
    np.testing.assert_allclose(middle(data), expected, atol=2)


@pytest.mark.parametrize("transparency", [None, 1, bytes([255, 255, 0])])
def test_a_profile_holds_for_palettes(transparency) -> None:
    im = Image.new("P", (8, 8), 0)
    im.putpalette([64, 128, 200, 9, 9, 9, 5, 5, 5])
    options = {} if transparency is None else {"transparency": transparency}
    data = encoded(im, icc_profile=formats.rgb_profile(1.0), **options)
    np.testing.assert_allclose(middle(data), [srgb(v / 255) for v in (64, 128, 200)], atol=1.01)


def test_a_profile_holds_for_16_bit_colours() -> None:
    for colour, channels in ((2, 3), (6, 4)):
        row = struct.pack(">4H", 64 * 257, 128 * 257, 200 * 257, 65535)[: 2 * channels] * 8
        profile = b"p\0\0" + zlib.compress(formats.rgb_profile(1.0))
        data = formats.png(8, 8, 16, colour, row, formats.chunk(b"iCCP", profile))
        np.testing.assert_allclose(middle(data), [srgb(v / 255) for v in (64, 128, 200)], atol=1.01)


@pytest.mark.parametrize("form", ["TIFF", "JPEG"])
def test_a_profile_of_inks_decides_what_they_look_like(form: str) -> None:
    im = Image.new("CMYK", (8, 8), (40, 80, 120, 0))
    data = encoded(im, form, icc_profile=formats.cmyk_profile(50))
    light = ((50 + 16) / 116) ** 3  # CIE 1976 L*
    np.testing.assert_allclose(middle(data), srgb(light), atol=1.5)


def test_a_profile_of_grey_does_not_fit_colours() -> None:
    im = Image.new("RGB", (8, 8), (64, 128, 200))
    assert middle(encoded(im, icc_profile=LINEAR)) == [64, 128, 200]


# ---- PNG's gAMA, cHRM, sRGB

SRGB_POINTS = (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)


def gamma(value: float, *chunks: bytes, colour: int = 2, row: bytes = b"\x40\x80\xc8" * 8) -> bytes:
    chunks = (formats.chunk(b"gAMA", struct.pack(">I", round(value * 100_000))), *chunks)
    return formats.png(8, 8, 8, colour, row, *chunks)


@pytest.mark.parametrize("value", [1.0, 0.5, 0.3, 0.55])
def test_a_gamma_is_brought_to_the_screens(value: float) -> None:
    expected = [255 * (v / 255) ** (1 / (value * 2.2)) for v in (64, 128, 200)]  # PNG, 13.13
    np.testing.assert_allclose(middle(gamma(value)), expected, atol=0.51)


@pytest.mark.parametrize("value", [0.45455, 0.45, 0.465, 0.0, 0.0001, 21474.0])
def test_a_gamma_of_nearly_the_screens_and_an_impossible_one_change_nothing(value: float) -> None:
    points = formats.chunk(b"cHRM", struct.pack(">8I", *SRGB_POINTS))
    for chunks in ((), (points,)):
        assert middle(gamma(value, *chunks)) == [64, 128, 200]


def test_srgb_and_profiles_come_before_a_gamma() -> None:
    assert middle(gamma(1.0, formats.chunk(b"sRGB", b"\0"))) == [64, 128, 200]
    srgb_like = b"p\0\0" + zlib.compress(formats.rgb_profile(2.2))
    by_profile = middle(gamma(1.0, formats.chunk(b"iCCP", srgb_like)))
    np.testing.assert_allclose(by_profile, [64, 128, 200], atol=2)
    broken = formats.chunk(b"iCCP", b"p\0\0" + zlib.compress(b"junk"))
    assert middle(gamma(1.0, broken)) == middle(gamma(1.0))


def test_a_gamma_of_grey_at_16_bits_and_beside_opacity() -> None:
    row = struct.pack(">H", 700) * 8
    chunks = [formats.chunk(b"gAMA", struct.pack(">I", 100_000))]
    deep = middle(formats.png(8, 8, 16, 0, row, *chunks))
    np.testing.assert_allclose(deep, 255 * (700 / 65535) ** (1 / 2.2), atol=0.51)
    half = middle(gamma(1.0, colour=4, row=b"\x40\x80" * 8))
    np.testing.assert_allclose(half, over_white(255 * (64 / 255) ** (1 / 2.2), 128), atol=1.5)


def test_primaries_are_brought_to_those_of_srgb() -> None:
    exchanged = (*SRGB_POINTS[:2], *SRGB_POINTS[6:], *SRGB_POINTS[4:6], *SRGB_POINTS[2:4])
    points = formats.chunk(b"cHRM", struct.pack(">8I", *exchanged))
    np.testing.assert_allclose(middle(gamma(0.45455, points)), [200, 128, 64], atol=0.51)
    # Adobe RGB (1998): its matrix to XYZ and that of sRGB from XYZ, both as published.
    adobe = (31270, 32900, 64000, 33000, 21000, 71000, 15000, 6000)
    points = formats.chunk(b"cHRM", struct.pack(">8I", *adobe))
    light = np.array([64, 128, 200]) / 255
    to_xyz = [[0.57667, 0.18556, 0.18823], [0.29734, 0.62736, 0.07529], [0.02703, 0.07069, 0.99134]]
    to_srgb = [
        [3.24097, -1.53738, -0.49861],
        [-0.96924, 1.87597, 0.04156],
        [0.05563, -0.20398, 1.05697],
    ]
    linear = np.array(to_srgb) @ np.array(to_xyz) @ light ** (1 / 0.45455)
    expected = 255 * linear.clip(0, 1) ** 0.45455
    np.testing.assert_allclose(middle(gamma(0.45455, points)), expected, atol=1)


@pytest.mark.parametrize("points", [(0,) * 8, (31270, 32900, *(30000, 30000) * 3)])
def test_impossible_primaries_change_nothing(points) -> None:
    data = gamma(0.45455, formats.chunk(b"cHRM", struct.pack(">8I", *points)))
    assert middle(data) == [64, 128, 200]


def test_white_of_another_temperature_stays_white() -> None:
    d50 = (34567, 35850, 73470, 26530, 11420, 82640, 15650, 4370)
    points = formats.chunk(b"cHRM", struct.pack(">8I", *d50))
    for value in (255, 128):
        data = gamma(0.45455, points, row=bytes([value] * 3) * 8)
        np.testing.assert_allclose(middle(data), value, atol=0.51)
