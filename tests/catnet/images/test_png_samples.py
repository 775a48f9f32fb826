"""Samples that Pillow scales, drops or takes from the wrong place, in files built by hand."""

from __future__ import annotations

import io
import re
import struct
import zlib

import formats
import numpy as np
import pytest
from PIL import Image

from catnet.images import decode as images
from catnet.images import resize
from catnet.images.decode import ImageError, decode


def row_of(depth: int, *values: int) -> bytes:
    """Samples of so many bits one after the other."""
    bits = "".join(f"{value:0{depth}b}" for value in values)
    return int(bits, 2).to_bytes(-(-len(bits) // 8), "big")


def trns(*values: int) -> bytes:
    return formats.chunk(b"tRNS", struct.pack(f">{len(values)}H", *values))


# ---- the transparent colour of a PNG


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_exactly_the_transparent_value_of_grey_is_white(depth: int) -> None:
    top = 2**depth - 1
    values = sorted({0, 1, top // 3, top // 2, top - 1, top})
    for clear in values:
        for other in values:
            row = row_of(depth, *[clear] * 4, *[other] * 4)
            result = decode(formats.png(8, 8, depth, 0, row, trns(clear)), 8)
            expected = 255 if other == clear else round(255 * other / top)
            assert result[4, 0].tolist() == [255] * 3, (clear, other)
            assert result[4, 7].tolist() == [expected] * 3, (clear, other)


def test_of_a_transparent_value_the_lowest_bits_count() -> None:
    """As the specification says, and libpng does."""
    for depth, clear in ((2, 0xFF01), (4, 0xFF01), (8, 0xFF01)):
        row = row_of(depth, *[1] * 4, *[0] * 4)
        result = decode(formats.png(8, 8, depth, 0, row, trns(clear)), 8)
        assert result[4, [0, 7]].tolist() == [[255] * 3, [0] * 3]
    row = bytes([1, 2, 3]) * 8
    data = formats.png(8, 8, 8, 2, row, trns(0x0101, 0x0102, 0x0103))
    assert (decode(data, 8) == 255).all()


CLEAR = (0x1234, 0x5678, 0x9ABC)
NEAR = [(0x1234, 0x5678, 0x9ABD), (0x1235, 0x5678, 0x9ABC), (0x1234, 0x5600, 0x9ABC)]
FAR = [(0x3400, 0x7800, 0xBC00), (0x3412, 0x7856, 0xBC9A), (0, 0, 0), (0x1234, 0x5678, 0x1ABC)]


@pytest.mark.parametrize("other", [*NEAR, *FAR])
@pytest.mark.parametrize("interlaced", [False, True])
def test_all_16_bits_of_the_transparent_colour_count(other, interlaced: bool) -> None:
    row = struct.pack(">24H", *CLEAR * 4, *other * 4)
    data = formats.png(8, 8, 16, 2, row, trns(*CLEAR))
    if interlaced:
        data = interlace(data, np.frombuffer(row, np.uint8).reshape(8, 6))
    result = decode(data, 8)
    assert result[4, 0].tolist() == [255] * 3
    assert result[4, 7].tolist() == [value >> 8 for value in other]


def interlace(data: bytes, pixels: np.ndarray) -> bytes:
    """The same rows in the seven passes of Adam7."""
    body = b""
    for x, y, dx, dy in [
        *[(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4)],
        *[(0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)],
    ]:
        body += (b"\0" + pixels[x::dx].tobytes()) * len(range(y, 8, dy))
    header = bytearray(data[16:29])
    header[12] = 1
    at = data.index(b"tRNS") - 4
    chunks = data[at : data.index(b"IDAT") - 4]
    return b"".join(
        [
            data[:8] + formats.chunk(b"IHDR", bytes(header)) + chunks,
            formats.chunk(b"IDAT", zlib.compress(body)) + formats.chunk(b"IEND", b""),
        ]
    )


def test_a_transparent_colour_of_16_bits_where_the_image_is_read_in_bands(monkeypatch) -> None:
    rng = np.random.default_rng(0)
    clear = rng.random((300, 200)) < 0.3
    pixels = np.where(clear[..., None], CLEAR, rng.integers(0, 2**16, (300, 200, 3)))
    rows = b"".join(b"\0" + line.astype(">u2").tobytes() for line in pixels)
    head = formats.png(200, 300, 16, 2, b"", trns(*CLEAR))
    data = head[: head.index(b"IDAT") - 4] + formats.chunk(b"IDAT", zlib.compress(rows))
    data += formats.chunk(b"IEND", b"")
    rgba = np.dstack([pixels >> 8, np.where(clear, 0, 255)]).astype(np.uint8)
    expected = images.from_array(rgba, 40)
    np.testing.assert_array_equal(decode(data, 40), expected)
    monkeypatch.setattr(resize, "BAND_PIXELS", 3000)
    np.testing.assert_array_equal(decode(data, 40), expected)


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_opacities_of_a_palette(depth: int) -> None:
    palette = formats.chunk(b"PLTE", bytes([200, 100, 50, 0, 0, 0]))
    row = row_of(depth, *[0] * 4, *[1] * 4)
    for alphas, left, right in (
        (bytes([0]), [255, 255, 255], [0, 0, 0]),
        (bytes([255, 0]), [200, 100, 50], [255, 255, 255]),
        (bytes([128]), [227, 177, 152], [0, 0, 0]),
        (bytes([255, 51]), [200, 100, 50], [204, 204, 204]),
    ):
        data = formats.png(8, 8, depth, 3, row, palette, formats.chunk(b"tRNS", alphas))
        result = decode(data, 8)
        np.testing.assert_allclose(result[4, 0], left, atol=1)
        np.testing.assert_allclose(result[4, 7], right, atol=1)


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("colour", [4, 6])
def test_an_alpha_channel_at_both_depths(depth: int, colour: int) -> None:
    scale = 257 if depth == 16 else 1
    samples = [64, 128] if colour == 4 else [64, 100, 200, 128]
    row = row_of(depth, *[value * scale for value in samples] * 8)
    expected = [v * 128 / 255 + 127 for v in ([64] * 3 if colour == 4 else samples[:3])]
    np.testing.assert_allclose(
        decode(formats.png(8, 8, depth, colour, row), 8)[4, 4], expected, atol=1
    )


# ---- where the first frame does not reach


@pytest.mark.parametrize("frame", [(0, 0, 4, 8), (4, 0, 4, 8), (0, 4, 8, 4), (3, 3, 2, 2)])
def test_around_the_first_frame_of_a_gif_is_white(frame) -> None:
    x, y, width, height = frame
    for clear, blue in ((None, [0, 0, 255]), (1, [0, 0, 255]), (2, [255] * 3)):
        expected = np.full((8, 8, 3), 255)
        expected[y : y + height, x : x + width] = blue
        np.testing.assert_array_equal(decode(formats.gif(8, frame, 2, clear=clear), 8), expected)


def test_around_the_first_frame_in_bands(monkeypatch) -> None:
    data = formats.gif(64, (10, 20, 30, 17), 2, clear=None)
    expected = np.full((64, 64, 3), 255)
    expected[20:37, 10:40] = [0, 0, 255]
    monkeypatch.setattr(resize, "BAND_PIXELS", 64 * 5)
    np.testing.assert_array_equal(decode(data, 64), expected)


def test_around_the_first_frame_of_an_animated_webp_is_white() -> None:
    file = io.BytesIO()
    Image.new("RGB", (4, 8), (0, 0, 255)).save(file, "WEBP", lossless=True)
    still = file.getvalue()[12:]  # the chunk VP8L
    u24 = lambda value: struct.pack("<I", value)[:3]  # noqa: E731
    frame = u24(2 // 2) + u24(0) + u24(3) + u24(7) + u24(100) + b"\0" + still
    parts = {b"VP8X": b"\2\0\0\0" + u24(7) + u24(7), b"ANIM": bytes(6), b"ANMF": frame}
    body = b"".join(name + struct.pack("<I", len(part)) + part for name, part in parts.items())
    data = b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body
    expected = np.full((8, 8, 3), 255)
    expected[:, 2:6] = [0, 0, 255]
    np.testing.assert_array_equal(decode(data, 8), expected)


# ---- TIFF: extra samples, planes, palettes


def words(order: str, *values: int) -> bytes:
    return struct.pack(f"{order}{len(values)}H", *values)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("extra", [0, 1, 2])
def test_extra_samples_say_what_the_fourth_channel_is(order, depth: int, extra: int) -> None:
    r, g, b, a = samples = (64, 32, 16, 128)
    expected = {
        0: [r, g, b],  # something else than opacity
        1: [v + 255 - a for v in (r, g, b)],  # already weighted by it
        2: [v * a / 255 + 255 - a for v in (r, g, b)],
    }[extra]
    pixel = bytes(samples) if depth == 8 else words(order, *[v * 257 for v in samples])
    tags = {258: [depth] * 4, 262: [2], 277: [4], 338: [extra]}
    np.testing.assert_allclose(
        decode(formats.tiff(8, tags, [pixel * 64], order), 8),
        np.broadcast_to(expected, (8, 8, 3)),
        atol=1,
    )


@pytest.mark.parametrize("extra", [0, 1, 2])
def test_extra_samples_beside_grey(extra: int) -> None:
    expected = {0: 64, 1: 64 + 127, 2: 64 * 128 / 255 + 127}[extra]
    tags = {258: [8, 8], 262: [1], 277: [2], 338: [extra]}
    result = decode(formats.tiff(8, tags, [bytes([64, 128]) * 64]), 8)
    np.testing.assert_allclose(result, np.full((8, 8, 3), expected), atol=1)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("compression", [1, 8])
@pytest.mark.parametrize("alpha", [False, True])
def test_16_bit_colours_in_separate_planes(order: str, compression: int, alpha: bool) -> None:
    values = (0x1234, 0x5678, 0x9ABC, 0xFFFF)[: 3 + alpha]
    ramp = np.arange(64) * 64
    planes = [((v + ramp) if v < 0xFFFF else v + 0 * ramp).astype(f"{order}u2") for v in values]
    strips = [plane.tobytes() for plane in planes]
    strips = [zlib.compress(strip) for strip in strips] if compression == 8 else strips
    tags = {258: [16] * len(values), 259: [compression], 262: [2], 277: [len(values)], 284: [2]}
    if alpha:
        tags[338] = [2]
    result = decode(formats.tiff(8, tags, strips, order), 8)
    expected = np.stack([plane.astype(int) >> 8 for plane in planes[:3]], axis=-1)
    np.testing.assert_allclose(result, expected.reshape(8, 8, 3), atol=1)


@pytest.mark.parametrize("compression", [1, 8])
@pytest.mark.parametrize(
    ("photometric", "channels", "extra"), [(1, 2, [1]), (1, 2, [2]), (8, 3, []), (3, 2, [2])]
)
def test_planes_that_pillow_mixes_up_are_refused(compression, photometric, channels, extra) -> None:
    strip = bytes([100]) * 64
    strips = [zlib.compress(strip) if compression == 8 else strip] * channels
    tags = {258: [8] * channels, 259: [compression], 262: [photometric], 277: [channels]}
    tags |= {284: [2], **({338: extra} if extra else {}), 320: [v * 257 for v in range(256)] * 3}
    with pytest.raises(ImageError, match="separate planes; save it with interleaved channels"):
        decode(formats.tiff(8, tags, strips), 8)


def test_colour_maps_of_16_and_of_8_bits() -> None:
    """The specification says 16; what was written as 8, libtiff and all on it show as meant."""
    colours = np.stack([np.arange(256), 255 - np.arange(256), np.full(256, 9)])
    for scale in (1, 257):
        tags = {258: [8], 262: [3], 320: (colours * scale).ravel().tolist()}
        data = formats.tiff(8, tags, [bytes(range(64))])
        np.testing.assert_array_equal(decode(data, 8).reshape(64, 3), colours.T[:64])


# ---- BMP


def bmp(mask: int, pixel: bytes) -> bytes:
    """Eight by eight pixels of 32 bits, blue first, with a mask for opacity (version 4)."""
    header = struct.pack("<IiiHHIIiiII", 108, 8, 8, 1, 32, 3, 256, 0, 0, 0, 0)
    header += struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, mask) + b"BGRs" + bytes(48)
    return b"BM" + struct.pack("<IHHI", 122 + 256, 0, 0, 122) + header + pixel * 64


@pytest.mark.parametrize(
    ("mask", "alpha", "expected"),
    [
        (0xFF000000, 255, [200, 100, 50]),
        (0xFF000000, 128, [227, 177, 152]),
        (0xFF000000, 0, [200, 100, 50]),  # nowhere opaque: never filled in
        (0, 128, [200, 100, 50]),
    ],
)
def test_opacity_in_a_bmp(mask: int, alpha: int, expected: list[int]) -> None:
    result = decode(bmp(mask, bytes([50, 100, 200, alpha])), 8)
    np.testing.assert_allclose(result, np.broadcast_to(expected, (8, 8, 3)), atol=1)


def test_a_bmp_transparent_in_parts_is_so() -> None:
    data = bytearray(bmp(0xFF000000, bytes([50, 100, 200, 0])))
    data[-1] = 255  # the pixel at the top right
    result = decode(bytes(data), 8)
    assert result[0, 7].tolist() == [200, 100, 50]
    assert (result[4] == 255).all()


def test_a_large_image_that_would_be_read_twice_is_refused() -> None:
    data = formats.png(6000, 5000, 16, 2, b"", trns(1, 2, 3))
    with pytest.raises(ImageError) as caught:
        decode(data)
    assert re.fullmatch(
        r"6000×5000 pixels: more than 25 million, .* PNG; save .*", str(caught.value)
    )
