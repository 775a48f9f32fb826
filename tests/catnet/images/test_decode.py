"""The decoder: what every kind of image becomes, and that every other file gets one reason."""

from __future__ import annotations

import io
import os
import socket
import struct
import subprocess
import sys
import threading
import warnings
import zlib
from pathlib import Path

import formats
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageFile

from catnet.images import decode as images
from catnet.images import pillow_errors, reading, resize
from catnet.images.decode import ImageError, decode, from_array, from_image
from catnet.images.decode_many import decode_many
from catnet.images.opening import MAX_HEADER_BYTES


def photo(size: int = 64, height: int | None = None) -> Image.Image:
    """A smooth image with a different colour in every corner."""
    y, x = np.mgrid[0 : height or size, 0:size] / np.array([[[height or size]], [[size]]])
    rgb = np.stack([255 * x, 255 * y, 255 * (1 - x) * (1 - y)], axis=-1)
    return Image.fromarray(rgb.astype(np.uint8))


def encoded(im: Image.Image, form: str, **options) -> bytes:
    file = io.BytesIO()
    im.save(file, form, **options)
    return file.getvalue()


def grey(values, form: str = "TIFF", **options) -> np.ndarray:
    """One channel of the decoded image of a greyscale array, of which all must be equal."""
    result = decode(encoded(Image.fromarray(np.asarray(values)), form, **options))
    assert (result == result[..., :1]).all()
    return result[..., 0]


def reason(source, size: int = 64) -> str:
    with pytest.raises(ImageError) as caught:
        decode(source, size)
    text = str(caught.value)
    assert text
    assert text.isprintable()
    return text


RAMP = np.tile(np.arange(64), (64, 1))  # 0 … 63 from left to right


# ---- formats and modes


@pytest.mark.parametrize(
    ("form", "options"),
    [
        ("PNG", {}),
        ("BMP", {}),
        ("PPM", {}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("TIFF", {"compression": "tiff_adobe_deflate"}),
        ("WEBP", {"lossless": True}),
    ],
)
def test_lossless_formats_at_the_right_size_come_through_exactly(form, options):
    result = decode(encoded(photo(), form, **options))
    assert result.dtype == np.uint8
    assert result.shape == (64, 64, 3)
    np.testing.assert_array_equal(result, np.asarray(photo()))


@pytest.mark.parametrize("form", ["JPEG", "WEBP", "AVIF"])
def test_lossy_formats_come_through_closely(form):
    if form == "AVIF" and not Image.registered_extensions().get(".avif"):
        pytest.skip("this Pillow has no AVIF")
    difference = decode(encoded(photo(), form, quality=95)).astype(int) - np.asarray(photo())
    assert abs(difference).mean() < 3


MODES = {
    "PNG": "1 L LA P RGB RGBA",
    "GIF": "1 L LA P RGB RGBA",
    "BMP": "1 L P RGB RGBA",
    "TIFF": "1 L LA P PA RGB RGBA CMYK YCbCr LAB",
    "JPEG": "1 L RGB CMYK YCbCr",
    "WEBP": "1 L LA P PA RGB RGBA CMYK YCbCr",
    "PPM": "1 L RGB RGBA",
}


@pytest.mark.parametrize(
    ("form", "mode"), [(form, mode) for form, modes in MODES.items() for mode in modes.split()]
)
def test_every_mode_a_format_can_hold(form, mode):
    if mode == "PA":
        im = photo().convert("P").convert("PA")
    elif mode == "LAB":
        profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        im = ImageCms.profileToProfile(photo(), *profiles, outputMode="LAB")
    else:
        im = photo().convert(mode)
    assert im is not None
    expected = photo().convert("L" if mode in ("1", "L", "LA") else "RGB").convert("RGB")
    # Dithering (1, P) and colour at half resolution (JPEG) are averaged away.
    mean = decode(encoded(im, form)).reshape(8, 8, 8, 8, 3).mean((1, 3))
    wanted = np.asarray(expected).reshape(8, 8, 8, 8, 3).mean((1, 3))
    assert abs(mean - wanted).mean() < 15


# Colour type, channels and depths of PNG; the palette's channel is an index.
PNG_DEPTHS = [
    *((0, 1, depth) for depth in (1, 2, 4, 8, 16)),
    *((2, 3, depth) for depth in (8, 16)),
    *((3, 1, depth) for depth in (1, 2, 4, 8)),
    *((4, 2, depth) for depth in (8, 16)),
    *((6, 4, depth) for depth in (8, 16)),
]


@pytest.mark.parametrize(("colour", "channels", "depth"), PNG_DEPTHS)
def test_every_colour_type_and_bit_depth_of_a_png(colour, channels, depth):
    top = 2**depth - 1
    values = np.repeat((RAMP * top // 63)[..., None], channels, axis=2)
    if channels in (2, 4):
        values[..., -1] = top  # opaque
    palette = b"".join(bytes([255 * i // top] * 3) for i in range(top + 1)) if colour == 3 else b""
    rows = [b"\0" + packed(row, depth) for row in values]
    data = png(
        *(64, 64),
        *([chunk(b"PLTE", palette)] if palette else []),
        chunk(b"IDAT", zlib.compress(b"".join(rows))),
        kind=(depth, colour),
    )
    assert_ramp(decode(data), top)


@pytest.mark.parametrize(
    ("photometric", "channels", "depth"),
    [*((1, 1, depth) for depth in (1, 2, 4, 8, 16, 32)), *((2, 3, depth) for depth in (8, 16))],
)
def test_every_bit_depth_of_a_tiff(photometric, channels, depth):
    top = 2 ** min(depth, 16) - 1
    values = np.repeat((RAMP * top // 63)[..., None], channels, axis=2)
    pixels = values.astype(f"<u{depth // 8}").tobytes() if depth > 8 else packed(values, depth)
    assert_ramp(decode(tiff({258: depth, 262: photometric, 277: channels}, pixels)), top)


def packed(values: np.ndarray, depth: int) -> bytes:
    """Numbers of so many bits each, one after the other, the highest bit first."""
    bits = np.unpackbits(values.astype(">u2").reshape(-1, 1).view(np.uint8), axis=1)
    return np.packbits(bits[:, 16 - depth :]).tobytes()


def assert_ramp(result: np.ndarray, top: int) -> None:
    """Black on the left, white on the right, in steps of so many values."""
    wanted = np.repeat((RAMP * top // 63 * 255 / top)[..., None], 3, axis=2)
    np.testing.assert_allclose(result, wanted, atol=1)


def test_lab_colours_are_converted_not_reinterpreted():
    lab = Image.new("LAB", (8, 8), (136, 208, 195))  # signed a and b: 80, 67 over 128: pure red
    red = decode(encoded(lab, "TIFF"))[32, 32].astype(int)
    assert red[0] > 240
    assert red[1:].max() < 60


def test_adobe_cmyk_jpeg_is_not_inverted():
    white = decode(encoded(Image.new("CMYK", (16, 16), (0, 0, 0, 0)), "JPEG"))
    assert white.min() > 250


# ---- deep greyscale: scaled, never clipped


def test_16_bit_grey_is_scaled_by_its_full_range():
    values = (RAMP * 1040).astype(np.uint16)
    for form in ("TIFF", "PNG"):
        np.testing.assert_array_equal(grey(values, form), np.rint(values / 257))


def test_16_bit_big_endian_tiff():
    values = (RAMP * 1040).astype(">u2")
    im = Image.frombytes("I;16B", (64, 64), values.tobytes())
    np.testing.assert_array_equal(decode(encoded(im, "TIFF"))[..., 0], np.rint(values / 257))


def test_16_bit_pgm():
    values = (RAMP * 4).astype(np.uint16)  # dark, and still by 65535: the format says so
    data = b"P5 64 64 65535\n" + values.astype(">u2").tobytes()
    np.testing.assert_array_equal(decode(data)[..., 0], np.rint(values / 257))


def test_pgm_with_an_odd_maximum():
    data = b"P5 64 64 63\n" + RAMP.astype(np.uint8).tobytes()
    np.testing.assert_allclose(decode(data)[..., 0], RAMP * 255 / 63, atol=1)


def test_12_bit_tiff_is_scaled_by_4095():
    values = np.full((64, 64), 0xFFF)
    packed = bytes([0xFF]) * (64 * 64 * 3 // 2)
    data = tiff({258: 12, 262: 1, 277: 1}, packed)
    assert (decode(data) == 255).all()
    assert values.max() == 4095


def tiff(tags: dict[int, int], pixels: bytes, side: int = 64) -> bytes:
    """A one-strip little-endian TIFF with the given tags (SHORT) besides the size."""
    entries = {256: side, 257: side, 259: 1, 273: 0, 278: side, 279: len(pixels), **tags}
    header = 8 + 2 + 12 * len(entries) + 4
    entries[273] = header
    rows = b"".join(struct.pack("<HHII", tag, 4, 1, v) for tag, v in sorted(entries.items()))
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + rows + b"\0\0\0\0" + pixels


def test_white_is_zero_is_inverted_at_every_depth():
    values = (RAMP * 1040).astype("<u2")
    shown = decode(tiff({258: 16, 262: 0, 277: 1}, values.tobytes()))[..., 0]
    np.testing.assert_array_equal(shown, np.rint((65535 - values.astype(int)) / 257))
    shown = decode(tiff({258: 8, 262: 0, 277: 1}, RAMP.astype(np.uint8).tobytes()))[..., 0]
    np.testing.assert_array_equal(shown, 255 - RAMP)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (RAMP.astype(np.int32), RAMP),  # fits 8 bits
        ((RAMP * 1040).astype(np.int32), np.rint(RAMP * 1040 / 257)),  # fits 16 bits
        ((RAMP * 100_000).astype(np.int32), np.rint(RAMP * 255 / 63)),  # minimum to maximum
        ((RAMP - 10).astype(np.int32), np.rint(RAMP * 255 / 63)),  # negative: likewise
        ((RAMP / 64).astype(np.float32), np.rint(RAMP / 64 * 255)),  # fits 0 to 1
        (RAMP.astype(np.float32), RAMP),  # fits 0 to 255
        ((RAMP * 1e6).astype(np.float32), np.rint(RAMP * 255 / 63)),
        ((RAMP - 99).astype(np.float32), np.rint(RAMP * 255 / 63)),
        (np.full((64, 64), -3, np.float32), np.zeros((64, 64))),
    ],
)
def test_32_bit_tiff(values, expected):
    np.testing.assert_allclose(grey(values).astype(float), expected, atol=0.51)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_float_image_with_nan_is_refused(bad):
    values = np.zeros((64, 64), np.float32)
    values[40, 3] = bad
    assert "NaN" in reason(encoded(Image.fromarray(values), "TIFF"))


# ---- transparency, colour, orientation, frames, shape


@pytest.mark.parametrize("form", ["PNG", "WEBP", "TIFF"])
def test_transparent_pixels_are_white_whatever_colour_they_hide(form):
    rgba = np.zeros((64, 64, 4), np.uint8)
    rgba[..., 0] = 255  # red everywhere, seen on the left only
    rgba[:, :32, 3] = 255
    result = decode(encoded(Image.fromarray(rgba), form, lossless=True))
    np.testing.assert_array_equal(result[0, 0], [255, 0, 0])
    np.testing.assert_array_equal(result[0, 63], [255, 255, 255])


def test_half_transparent_black_is_mid_grey_in_every_mode():
    wanted = 255 - 128
    for im in (Image.new("RGBA", (9, 9), (0, 0, 0, 128)), Image.new("LA", (9, 9), (0, 128))):
        assert abs(decode(encoded(im, "PNG")).astype(int) - wanted).max() <= 1


def test_hidden_colours_do_not_bleed_when_shrunk():
    rgba = np.zeros((768, 768, 4), np.uint8)
    rgba[::2] = (255, 0, 0, 255)  # opaque red lines between transparent green ones
    rgba[1::2] = (0, 255, 0, 0)
    result = decode(encoded(Image.fromarray(rgba), "PNG"))
    assert abs(result.astype(int) - [255, 128, 128]).max() <= 2


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
def test_a_transparent_colour_or_palette_entry_is_white(mode):
    im = Image.new(mode, (8, 8), 0)
    data = encoded(im, "PNG", transparency=(0, 0, 0) if mode == "RGB" else 0)
    assert (decode(data) == 255).all()


def test_a_transparent_value_of_16_bit_grey_is_white_and_its_neighbours_are_not():
    values = (RAMP * 1040).astype(np.uint16)
    shown = grey(values, "PNG", transparency=10 * 1040)
    np.testing.assert_array_equal(shown, np.where(RAMP == 10, 255, np.rint(values / 257)))


def test_palette_with_alpha_table_and_transparent_gif():
    im = Image.new("P", (8, 8), 0)
    im.putpalette([0, 0, 0, 255, 0, 0])
    half = decode(encoded(im, "PNG", transparency=bytes([128, 255])))
    assert abs(half.astype(int) - 127).max() < 2
    assert (decode(encoded(im, "GIF", transparency=0)) == 255).all()


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_exif_orientation_turns_the_image_upright(form):
    if form == "AVIF" and not Image.registered_extensions().get(".avif"):
        pytest.skip("this Pillow has no AVIF")
    upright = np.asarray(photo()).astype(int)
    # How a camera held so stores the image: the inverse of what EXIF 2.32 (tag 274) asks for.
    stored = {
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, 1),
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }
    for orientation, pixels in stored.items():
        im = Image.fromarray(pixels.astype(np.uint8))
        exif = Image.Exif()
        exif[274] = orientation
        data = encoded(im, form, exif=exif, quality=95)
        assert abs(decode(data).astype(int) - upright).mean() < 4, orientation


def test_nonsense_orientation_and_corrupt_exif_leave_the_image_as_it_is():
    exif = Image.Exif()
    exif[274] = 99
    np.testing.assert_array_equal(decode(encoded(photo(), "PNG", exif=exif)), np.asarray(photo()))
    tags = struct.pack("<H", 2) + struct.pack("<HHII", 270, 2, 9999, 9999)  # text beyond the end
    tags += struct.pack("<HHIHH", 274, 3, 1, 3, 0) + b"\0\0\0\0"
    exif = b"Exif\0\0II*\0" + struct.pack("<I", 8) + tags
    turned = decode(encoded(photo(), "JPEG", exif=exif, quality=95)).astype(int)
    assert abs(turned - np.asarray(photo())[::-1, ::-1]).mean() < 4  # what is readable counts


def test_embedded_profile_is_brought_to_srgb():
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    plain = decode(encoded(photo(), "PNG")).astype(int)
    same = decode(encoded(photo(), "PNG", icc_profile=srgb)).astype(int)
    assert abs(plain - same).max() <= 2
    swapped = bytearray(srgb)  # a profile whose red and blue primaries are exchanged
    r, b = swapped.find(b"rXYZ"), swapped.find(b"bXYZ")
    swapped[r : r + 4], swapped[b : b + 4] = b"bXYZ", b"rXYZ"
    mirrored = decode(encoded(Image.new("RGB", (8, 8), "red"), "PNG", icc_profile=bytes(swapped)))
    assert mirrored[0, 0, 2] > 250
    assert mirrored[0, 0, 0] < 5


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_broken_or_unfitting_profile_is_left_aside(mode):
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    im = photo().convert(mode)
    plain = decode(encoded(im, "TIFF"))
    np.testing.assert_array_equal(decode(encoded(im, "TIFF", icc_profile=b"junk")), plain)
    if mode != "RGB":
        np.testing.assert_array_equal(decode(encoded(im, "TIFF", icc_profile=srgb)), plain)


@pytest.mark.parametrize("form", ["GIF", "PNG", "WEBP", "TIFF", "MPO"])
def test_first_frame_of_an_animation(form):
    frames = [Image.new("RGB", (32, 32), colour) for colour in ("red", "blue", "lime")]
    data = encoded(frames[0], form, save_all=True, append_images=frames[1:])
    assert abs(decode(data)[16, 16].astype(int) - [255, 0, 0]).max() <= 3


@pytest.mark.parametrize("size", [(1, 1), (20_000, 1), (1, 20_000), (63, 65), (129, 400), (127, 1)])
def test_any_shape_of_one_colour_keeps_its_colour(size):
    for mode, colour in (("RGB", (10, 200, 90)), ("RGBA", (10, 200, 90, 255)), ("L", 77)):
        result = decode(encoded(Image.new(mode, size, colour), "PNG"))
        assert (result == np.array(colour[:3] if isinstance(colour, tuple) else colour)).all()


def test_large_images_are_squashed_like_an_exact_resize():
    big = photo(1000, 700)
    exact = np.asarray(big.resize((64, 64), Image.Resampling.LANCZOS)).astype(int)
    for data in (encoded(big, "PNG"), encoded(big, "JPEG", quality=95)):
        assert abs(decode(data) - exact).mean() < 2.5
    stripes = np.zeros((768, 768, 3), np.uint8)
    stripes[:, ::2] = 255
    assert abs(decode(encoded(Image.fromarray(stripes), "PNG")).astype(int) - 127).max() <= 2


def test_the_last_partial_box_counts_for_its_part_only():
    ramp = np.repeat(np.arange(0, 220, 20, dtype=np.uint8)[:, None], 3, axis=1)
    im = Image.fromarray(np.broadcast_to(ramp, (11, 11, 3)).copy())  # boxes of 2, 2, 2, 2, 2, 1
    result = decode(encoded(im, "PNG"), size=2)
    assert abs(result.mean() - 100) < 4  # the ramp's mean; boxes of equal weight give 108


def test_bands_make_no_difference(monkeypatch):
    rng = np.random.default_rng(0)
    im = Image.fromarray(rng.integers(0, 256, (2100, 1300, 4), dtype=np.uint8))
    data = encoded(im, "TIFF")  # 2.7 million pixels: two bands
    monkeypatch.setattr(resize, "BAND_PIXELS", 10**9)
    whole = decode(data)
    monkeypatch.undo()
    np.testing.assert_array_equal(decode(data), whole)


def test_other_sizes_and_kinds_of_source(tmp_path):
    data = encoded(photo(200), "PNG")
    path = tmp_path / "katze\n\udcff ü.txt"  # the content counts, not the name
    path.write_bytes(data)
    wanted = decode(data, 32)
    assert wanted.shape == (32, 32, 3)
    with path.open("rb") as file:
        for source in (path, str(path), io.BytesIO(data), file):
            np.testing.assert_array_equal(decode(source, 32), wanted)


def test_pixels_in_memory_are_squashed_like_a_file():
    for im in (photo(), photo(500, 333), photo(20)):
        wanted = decode(encoded(im, "PNG"), 48)
        np.testing.assert_array_equal(from_array(np.asarray(im), 48), wanted)


def test_arrays_of_grey_and_with_opacity_are_what_they_are_as_files():
    rng = np.random.default_rng(0)
    grey = rng.integers(0, 256, (70, 90), dtype=np.uint8)
    rgba = rng.integers(0, 256, (70, 90, 4), dtype=np.uint8)
    for pixels, as_file in ((grey, grey), (grey[..., None], grey), (rgba, rgba)):
        wanted = decode(encoded(Image.fromarray(as_file), "PNG"), 48)
        np.testing.assert_array_equal(from_array(pixels, 48), wanted)
        np.testing.assert_array_equal(
            from_array(pixels[::-1], 48), from_array(pixels[::-1].copy(), 48)
        )
    clear = np.zeros((8, 8, 4), np.uint8)
    clear[:, :4] = (10, 20, 30, 255)
    assert from_array(clear, 8)[4, [0, 7]].tolist() == [[10, 20, 30], [255] * 3]


@pytest.mark.parametrize(
    "bad",
    [
        np.zeros((8, 8, 2), np.uint8),
        np.zeros((3, 8, 8), np.uint8),
        np.zeros((8, 8), bool),
        np.zeros((8, 8), np.uint16),
        np.zeros(8, np.uint8),
        np.zeros((8, 0), np.uint8),
        np.zeros((0, 8, 3), np.uint8),
        np.zeros((1, 8, 8, 3), np.uint8),
        np.zeros((8, 8, 3)),
        np.full((8, 8, 3), np.nan),
        "x",
        None,
    ],
)
def test_other_arrays_are_not_guessed_at(bad):
    with pytest.raises(ImageError, match=r"expected \(H, W, 3\) of uint8, got"):
        from_array(bad)


def test_an_image_of_pillow_is_what_it_is_as_a_file(tmp_path):
    exif = Image.Exif()
    exif[274] = 6
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    rgba = photo(90, 70).convert("RGBA")
    rgba.putalpha(photo(90, 70).convert("L"))
    two_bits = png(
        8, 8, chunk(b"tRNS", b"\0\1"), chunk(b"IDAT", zlib.compress(b"\0\x55\0" * 8)), kind=(2, 0)
    )
    files = [
        encoded(photo(90, 70), "JPEG", exif=exif, icc_profile=srgb),
        encoded(photo(900, 700), "JPEG"),  # shrunk while it is decoded
        encoded(photo(90, 70), "TIFF", exif=exif),
        encoded(rgba, "PNG"),
        encoded(rgba, "WEBP", lossless=True, exif=exif),
        encoded(photo(90, 70).convert("P"), "GIF", transparency=3),
        encoded(photo(90, 70).convert("CMYK"), "TIFF"),
        encoded(Image.fromarray((RAMP * 1040).astype(np.uint16)), "PNG", transparency=1040),
        two_bits,
    ]
    for data in files:
        wanted = decode(data)
        with Image.open(io.BytesIO(data)) as im:
            np.testing.assert_array_equal(from_image(im), wanted)
            im.load()  # still possible after that
            if data not in (files[1], two_bits):  # where Pillow's own pixels are others
                np.testing.assert_array_equal(from_image(im), wanted)
                info, pixels = dict(im.info), np.asarray(im).copy()
                from_image(im.copy())
                assert im.info == info
                np.testing.assert_array_equal(np.asarray(im), pixels)
        path = tmp_path / "file"
        path.write_bytes(data)
        with Image.open(path) as im:
            np.testing.assert_array_equal(from_image(im), wanted)


def test_an_image_of_pillow_counts_as_it_is_now():
    file = encoded(photo(), "GIF", save_all=True, append_images=[photo().rotate(90)])
    with Image.open(io.BytesIO(file)) as im:
        im.seek(1)
        np.testing.assert_array_equal(from_image(im), from_array(np.asarray(im.convert("RGB"))))
    with Image.open(io.BytesIO(encoded(photo(), "PNG"))) as im:
        im.paste((1, 2, 3), (0, 0, 64, 64))
        assert (from_image(im) == [1, 2, 3]).all()
    with Image.open(io.BytesIO(encoded(photo(), "TGA"))) as im:  # not a format of decode's
        np.testing.assert_array_equal(from_image(im), np.asarray(photo()))


@pytest.mark.parametrize(
    "mode",
    [
        "1",
        "L",
        "LA",
        "La",
        "P",
        "PA",
        "RGB",
        "RGBA",
        "RGBa",
        "RGBX",
        "CMYK",
        "YCbCr",
        "HSV",
        "LAB",
        "I",
        "F",
        "I;16",
        "I;16B",
        "I;16L",
    ],
)
def test_an_image_of_pillow_in_every_mode(mode):
    assert (from_image(Image.new(mode, (9, 7))) == from_image(Image.new(mode, (9, 7)))[0, 0]).all()


def test_an_image_of_pillow_without_pixels_or_a_file_is_refused():
    with pytest.raises(ImageError, match="has no pixels"):
        from_image(Image.new("RGB", (0, 5)))
    im = Image.open(io.BytesIO(encoded(photo(), "PNG")[:-200]))
    with pytest.raises(ImageError):
        from_image(im)
    closed = Image.open(io.BytesIO(encoded(photo(), "PNG")))
    closed.close()
    with pytest.raises(ImageError):
        from_image(closed)


# ---- what is refused


def test_not_a_image():
    assert reason(b"") == "empty file"
    assert "known format" in reason(b"hello world, this is text")
    assert "web page" in reason(b"\n<!DOCTYPE html><html></html>")
    assert "HEIC" in reason(b"\0\0\0\x18ftypheic" + bytes(100))
    assert "known format" in reason(encoded(photo(), "ICO"))  # outside the list
    assert "known format" in reason(encoded(photo(), "EPS"))  # would start Ghostscript


@pytest.mark.parametrize("form", ["JPEG", "PNG", "GIF", "TIFF"])
def test_only_the_start_of_a_format_is_called_damaged(form):
    start = encoded(photo(), form)[:8]
    assert f"it starts like a {form}" in reason(start + b"and is something else")


@pytest.mark.parametrize("form", ["JPEG", "PNG", "GIF", "BMP", "PPM", "WEBP", "AVIF", "TIFF"])
def test_cut_files_are_refused_or_whole(form):
    if form == "AVIF" and not Image.registered_extensions().get(".avif"):
        pytest.skip("this Pillow has no AVIF")
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 256, (90, 90, 3), dtype=np.uint8))
    data = encoded(noise, form)
    whole = decode(data)
    refused = 0
    for cut in range(1, len(data), max(1, len(data) // 60)):
        try:
            np.testing.assert_array_equal(decode(data[:cut]), whole)
        except ImageError:
            refused += 1
    assert refused > 55
    assert reason(data[: len(data) // 2])


def test_half_a_progressive_jpeg_is_refused_though_it_could_be_shown():
    data = encoded(photo(256), "JPEG", progressive=True)
    assert "truncated" in reason(data[: len(data) // 2])


@pytest.mark.parametrize("form", ["PNG"])
def test_a_flipped_bit_is_seen_where_there_are_checksums(form):
    data = encoded(photo(), form)
    for at in range(40, len(data) - 12, 97):  # from the pixels on
        flipped = bytearray(data)
        flipped[at] ^= 4
        assert reason(bytes(flipped))


def png(width: int, height: int, *chunks: bytes, kind: tuple[int, int] = (8, 2)) -> bytes:
    """A PNG of these chunks; ``kind`` is bit depth and colour type."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, *kind, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + chunk(b"IEND", b"")


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def interlaced(side: int, *chunks: bytes) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 1))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + chunk(b"IEND", b"")


def test_too_many_pixels_are_refused_before_they_are_unpacked():
    idat = chunk(b"IDAT", zlib.compress(b"\0"))
    for side in (25_000, 34_000):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert "600 million" in reason(png(side, side, idat))
    assert reason(png(60_000, 60_000, idat)) == "too many pixels: more than 600 million"
    assert "36 million" in reason(interlaced(7000, idat))
    assert reason(png(0, 5, idat))
    jpeg = bytearray(encoded(photo(), "JPEG"))
    at = jpeg.find(b"\xff\xc0")
    jpeg[at + 5 : at + 9] = struct.pack(">HH", 25_000, 25_000)
    assert "600 million" in reason(bytes(jpeg))
    progressive = bytearray(encoded(photo(), "JPEG", progressive=True))
    at = progressive.find(b"\xff\xc2")
    progressive[at + 5 : at + 9] = struct.pack(">HH", 13_000, 13_000)
    assert "more than 144 million" in reason(bytes(progressive))  # colours at a quarter of them
    assert "1 million" in reason(b"P3 2000 1000 255\n" + b"0 " * 100)


def test_a_progressive_jpeg_of_too_many_scans_is_refused():
    data = encoded(Image.new("L", (1000, 1000), 128), "JPEG", progressive=True)
    last = data.rfind(b"\xff\xda")
    assert "pixels" in reason(data[:last] + data[last:-2] * 5000 + data[-2:])
    assert "segments" in reason(data[:last] + data[last:-2] * 20_000 + data[-2:])
    assert decode(data[:last] + data[last:-2] * 5 + data[-2:]).min() > 100


def test_a_header_in_millions_of_pieces_or_bytes_is_refused():
    idat = chunk(b"IDAT", zlib.compress(b"\0\0\0\0"))
    assert "metadata" in reason(png(1, 1, chunk(b"abCd", b"") * 150_000, idat))
    assert "metadata" in reason(png(1, 1, chunk(b"abCd", bytes(17 * 2**20)), idat))
    jpeg = encoded(photo(), "JPEG")
    assert "metadata" in reason(jpeg[:2] + b"\xff\xe5\0\2" * 300_000 + jpeg[2:])


def test_a_large_honest_file_is_not_taken_for_such():
    noise = np.random.default_rng(2).integers(0, 256, (2600, 2600, 3), dtype=np.uint8)
    for form in ("PNG", "TIFF", "BMP"):
        data = encoded(Image.fromarray(noise), form, compress_level=0)
        assert len(data) > MAX_HEADER_BYTES
        assert abs(decode(data).astype(int) - 127).max() < 40


def test_a_file_that_is_too_large_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "big.png"
    with path.open("wb") as file:
        file.truncate(reading.MAX_BYTES + 1)  # a hole
    assert "larger than 128 MB" in reason(path)
    monkeypatch.setattr(reading, "MAX_BYTES", 100)
    assert "larger than" in reason(io.BytesIO(bytes(101)))


def test_paths_that_are_no_files(tmp_path, monkeypatch):
    folder = tmp_path / "folder.jpg"
    folder.mkdir()
    assert "folder" in reason(folder)
    fifo = tmp_path / "fifo.jpg"
    os.mkfifo(fifo)
    assert "pipe" in reason(fifo)
    assert "device" in reason("/dev/zero")
    with socket.socket(socket.AF_UNIX) as server:
        monkeypatch.chdir(tmp_path)  # socket paths are short
        server.bind("s.jpg")
        assert "socket" in reason("s.jpg")
    (tmp_path / "broken.jpg").symlink_to("nowhere")
    assert "link to a missing file" in reason(tmp_path / "broken.jpg")
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    assert "a link to itself" in reason(tmp_path / "loop.jpg")
    assert "web address" in reason("https://example.org/cat.jpg")
    assert reason(str(tmp_path / "missing.jpg")) == "no such file or folder"
    assert "possible file name" in reason("nul\0.jpg")
    assert "possible file name" in reason("\ud800.jpg")
    assert "cannot be read" in reason("x" * 5000)
    (tmp_path / "empty.jpg").touch()
    assert reason(tmp_path / "empty.jpg") == "empty file"


def test_unreadable_file(tmp_path):
    path = tmp_path / "secret.png"
    path.write_bytes(encoded(photo(), "PNG"))
    path.chmod(0)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        assert "ermission" in reason(path)
    finally:
        if root:
            os.seteuid(0)


def test_a_reason_is_one_printable_line_whatever_pillow_says(monkeypatch):
    def fail(*_):
        raise OSError("two\nlines\x1b[2J and \0\u2028" + "x" * 999)

    monkeypatch.setattr(images, "_decode", fail)
    text = reason(b"x")
    assert text.startswith(r"damaged or unsupported: two lines\x1b[2J and \x00 xxx")
    assert text.isprintable()
    assert len(text) < 300


def test_nothing_but_the_reason_is_said(tmp_path):
    """libtiff writes to the C stderr, Pillow logs, NumPy warns: seen in a process of its own."""
    lzw = bytearray(encoded(Image.effect_noise((100, 100), 50), "TIFF", compression="tiff_lzw"))
    for at in range(20, 400, 7):
        lzw[at] ^= 0x55
    samples = tiff({258: 8, 262: 1, 277: 2048}, bytes(64 * 64))
    signalling = struct.pack("<I", 0x7FA00000) * 64 * 64  # NaN that NumPy warns about
    nan = tiff({258: 32, 262: 1, 277: 1, 339: 3}, signalling)
    for name, data in {"lzw": lzw, "samples": samples, "nan": nan}.items():
        (tmp_path / name).write_bytes(data)
    code = """if True:
        from catnet.images.decode_many import decode_many
        for path, result in decode_many(["lzw", "samples", "nan"]):
            print(path, repr(result))
    """
    path = str(Path(images.__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert done.stderr == ""
    assert [line.split(" ", 1)[1][:10] for line in done.stdout.splitlines()] == ["ImageError"] * 3


# ---- fuzzing

SEEDS = [
    encoded(photo(24), "PNG"),
    encoded(photo(24).convert("P"), "PNG", transparency=bytes(9)),
    encoded(Image.fromarray((RAMP[:9, :9] * 900).astype(np.uint16)), "PNG"),
    encoded(photo(24), "JPEG"),
    encoded(photo(24), "JPEG", progressive=True, exif=b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0"),
    encoded(photo(24).convert("CMYK"), "JPEG"),
    encoded(photo(24), "MPO", save_all=True, append_images=[photo(24)]),
    encoded(photo(24), "GIF", save_all=True, append_images=[photo(24).rotate(90)]),
    formats.gif(9, (2, 0, 4, 8), 2, clear=None),
    formats.png(9, 9, 16, 2, bytes(54), chunk(b"tRNS", bytes(6)), chunk(b"gAMA", b"\0\1\0\0")),
    encoded(photo(24), "BMP"),
    encoded(photo(24), "WEBP"),
    encoded(photo(24), "TIFF"),
    encoded(photo(24), "TIFF", compression="tiff_lzw"),
    encoded(photo(24), "TIFF", compression="jpeg"),
    encoded(photo(24).convert("1"), "TIFF", compression="group4"),
    encoded(Image.fromarray(RAMP.astype(np.float32)), "TIFF"),
    encoded(photo(24), "PPM"),
    b"P3 2 2 9\n" + b"1 2 3 " * 4,
    b"P7\nWIDTH 2\nHEIGHT 2\nDEPTH 1\nMAXVAL 255\nTUPLTYPE GRAYSCALE\nENDHDR\nabcd",
    *([encoded(photo(24), "AVIF")] if Image.registered_extensions().get(".avif") else []),
]


def answer(data: bytes) -> np.ndarray | ImageError:
    (_, result), *_ = decode_many([data])
    return result


def is_answer(result: np.ndarray | ImageError) -> bool:
    if isinstance(result, ImageError):
        return bool(str(result)) and str(result).isprintable()
    return result.shape == (64, 64, 3) and result.dtype == np.uint8


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_damage_is_answered_with_an_image_or_a_reason(data):
    seed = bytearray(data.draw(st.sampled_from(SEEDS)))
    where = st.integers(0, 200) | st.integers(0, len(seed) - 1)
    edits = st.tuples(where, st.integers(0, 255) | st.sampled_from([0, 1, 127, 128, 255]))
    for at, value in data.draw(st.lists(edits, max_size=12)):
        seed[at % len(seed)] = value
    cut = data.draw(st.none() | st.integers(0, len(seed)))
    assert is_answer(answer(bytes(seed[:cut])))


@settings(max_examples=100, deadline=None)
@given(st.sampled_from([seed[:12] for seed in SEEDS]), st.binary(max_size=300))
def test_any_bytes_behind_a_true_signature_are_answered(start, rest):
    assert is_answer(answer(start + rest))


# ---- many


def test_many_are_decoded_in_order_as_they_are_alone(tmp_path):
    paths = []
    for i in range(40):
        path = tmp_path / f"{i}.img"
        path.write_bytes(SEEDS[i % len(SEEDS)] if i % 7 else b"nothing")
        paths.append(str(path))
    paths.insert(20, str(tmp_path / "missing"))
    results = list(decode_many(paths))
    assert [path for path, _ in results] == paths
    for path, result in results:
        if isinstance(result, ImageError):
            assert reason(path) == str(result)
        else:
            np.testing.assert_array_equal(result, decode(path))
    assert sum(isinstance(result, ImageError) for _, result in results) >= 7


def test_many_draws_sources_as_it_goes_and_can_be_left():
    parts = []

    def endless():
        while True:
            parts.append(SEEDS[0])
            yield parts[-1]

    results = decode_many(endless())
    next(results)
    results.close()
    assert len(parts) < 40
    for thread in threading.enumerate():
        if thread.name.startswith("decode"):
            thread.join(timeout=10)
            assert not thread.is_alive()


def test_filters_of_warnings_are_left_as_they_were():
    before = list(warnings.filters)
    list(decode_many(SEEDS * 5))
    reason(b"junk")
    assert list(warnings.filters) == before
    assert not ImageFile.LOAD_TRUNCATED_IMAGES


def test_decoding_that_is_given_up_never_waits_for_its_own_threads(tmp_path):
    """An abandoned generator is collected anywhere, in a decoding thread too."""
    path = tmp_path / "a.png"
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(path)
    all_images = decode_many([str(path)] * 50)
    next(all_images)
    pool_threads = [t for t in threading.enumerate() if t.name.startswith("decode")]
    assert pool_threads
    closer = threading.Thread(target=all_images.close)
    with pillow_errors._strict_lock:  # where a decoding thread was when the collector struck
        closer.start()
        closer.join(timeout=10)
        assert not closer.is_alive()
    for thread in pool_threads:
        thread.join(timeout=10)
