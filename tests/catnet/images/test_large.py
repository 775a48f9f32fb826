"""Large scans: decoded in parts, every kind is what it is when Pillow decodes it as a whole."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import formats
import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from catnet.images import large, parts, reading, tiff_parts
from catnet.images.decode import ImageError, decode
from catnet.images.tiff_parts import make_directory

RNG = np.random.default_rng(0)
NOISE = RNG.integers(0, 256, (157, 131, 4), dtype=np.uint8)
NOISE[40:] //= 2


def encoded(im: Image.Image, form: str, **options) -> bytes:
    file = io.BytesIO()
    im.save(file, form, **options)
    return file.getvalue()


def image(mode: str) -> Image.Image:
    """Noise in a mode."""
    if mode == "I;16":
        return Image.fromarray(NOISE[..., :2].copy().view(np.uint16)[..., 0])
    if mode == "1":
        return Image.fromarray(NOISE[..., 0] > 100)
    rgba = Image.fromarray(NOISE)
    return rgba if mode == "RGBA" else rgba.convert("RGB").convert(mode)


def assert_same_in_parts(data: bytes, monkeypatch: pytest.MonkeyPatch, atol: int = 0) -> None:
    """The oracle is the decoder of whole images."""
    whole = decode(data)
    used = []
    monkeypatch.setattr(large, "MAX_PIXELS", 131 * 64)
    monkeypatch.setattr(parts, "PART_PIXELS", 131 * 10)
    monkeypatch.setattr(large.Bands, "__del__", lambda self: used.append(self._end), raising=False)
    np.testing.assert_allclose(decode(data).astype(int), whole, atol=atol)
    assert used == [157]  # the parts were decoded, and all of them


COMPRESSIONS = ["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "zstd"]


@pytest.mark.parametrize("mode", ["1", "L", "I;16", "P", "LA", "RGB", "RGBA", "CMYK", "YCbCr"])
@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_strips_of_a_tiff(mode, compression, monkeypatch) -> None:
    how = {"compression": compression, "tiffinfo": {278: 8}}
    try:
        data = encoded(image(mode), "TIFF", **how)
    except (OSError, ValueError) as error:
        pytest.skip(f"this Pillow cannot write it: {error}")
    assert_same_in_parts(data, monkeypatch)


@pytest.mark.parametrize("mode", ["1", "L", "I;16", "P", "RGB", "RGBA"])
def test_one_strip_without_compression(mode, monkeypatch) -> None:
    assert_same_in_parts(encoded(image(mode), "TIFF", strip_size=10**9), monkeypatch)


@pytest.mark.parametrize("mode", ["1", "L", "I;16", "P", "RGB", "RGBA", "CMYK"])
@pytest.mark.parametrize("predictor", [1, 2])
def test_one_strip_of_deflate(mode, predictor, monkeypatch) -> None:
    if predictor == 2 and mode == "1":
        pytest.skip("the predictor is for samples of whole bytes")
    how = {"strip_size": 10**9, "tiffinfo": {317: predictor}}
    data = encoded(image(mode), "TIFF", compression="tiff_adobe_deflate", **how)
    monkeypatch.setattr(tiff_parts, "MAX_PIXELS", 131 * 64)
    assert_same_in_parts(data, monkeypatch)


@pytest.mark.parametrize("options", [{"quality": 90}, {"quality": 90, "tiffinfo": {278: 16}}])
def test_jpeg_in_strips_of_a_tiff(options, monkeypatch) -> None:
    for mode in ("L", "RGB", "CMYK", "YCbCr"):
        data = encoded(image(mode), "TIFF", compression="jpeg", strip_size=4000, **options)
        with monkeypatch.context() as patch:
            assert_same_in_parts(data, patch)


@pytest.mark.parametrize("predictor", [1, 2])
@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_predictors_and_orientations_of_a_tiff(predictor, orientation, monkeypatch) -> None:
    info = {278: 8, 274: orientation, 317: predictor}
    data = encoded(image("RGB"), "TIFF", compression="tiff_lzw", tiffinfo=info)
    # Pillow turns the whole before it is reduced, which rounds in another order.
    assert_same_in_parts(data, monkeypatch, atol=3 if orientation == 6 else 0)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("depth", [8, 16])
def test_tiles_of_a_tiff(order, depth, monkeypatch) -> None:
    """Tiles of 48×32, which Pillow cannot write."""
    pixels = NOISE[..., :3].astype(f"{order}u{depth // 8}") * (1 if depth == 8 else 257)
    padded = np.pad(pixels, ((0, 3), (0, 13), (0, 0)))
    tiles = [
        zlib.compress(padded[y : y + 32, x : x + 48].tobytes())
        for y in range(0, 160, 32)
        for x in range(0, 144, 48)
    ]
    at = [8 + sum(map(len, tiles[:i])) for i in range(len(tiles))]
    tags = {256: 131, 257: 157, 258: [depth] * 3, 259: 8, 262: 2, 277: 3, 322: 48, 323: 32}
    body = b"".join(tiles)
    made = {tag: (4, value) for tag, value in {**tags, 324: at, 325: [*map(len, tiles)]}.items()}
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8 + len(body))
    data = head + body + make_directory(made, 8 + len(body), order)
    exact = np.asarray(Image.fromarray(NOISE[..., :3]).resize((64, 64), Image.Resampling.BICUBIC))
    assert abs(decode(data).astype(int) - exact).mean() < 10  # the file is right
    assert_same_in_parts(data, monkeypatch)


PNG_KINDS = [
    *((0, depth, 1) for depth in (1, 2, 4, 8, 16)),
    *((3, depth, 1) for depth in (1, 2, 4, 8)),
    *((colour, depth, n) for colour, n in ((2, 3), (4, 2), (6, 4)) for depth in (8, 16)),
]


@pytest.mark.parametrize(("colour", "depth", "channels"), PNG_KINDS)
def test_every_kind_of_png(colour, depth, channels, monkeypatch) -> None:
    """With all five filters, in many chunks."""
    line = -(-131 * depth * channels // 8)
    rows = RNG.integers(0, 256, (157, 1 + line), dtype=np.uint8)
    rows[:, 0] = np.arange(157) % 5
    pixels = zlib.compress(rows.tobytes())
    parts = [pixels[i : i + 5000] for i in range(0, len(pixels), 5000)]
    header = struct.pack(">IIBBBBB", 131, 157, depth, colour, 0, 0, 0)
    palette = RNG.integers(0, 256, 3 * 2**depth, dtype=np.uint8).tobytes() if colour == 3 else b""
    chunks = [
        formats.chunk(b"IHDR", header),
        *([formats.chunk(b"PLTE", palette)] if palette else []),
        *([formats.chunk(b"tRNS", bytes([9, 200]))] if palette else []),
        *(formats.chunk(b"IDAT", part) for part in parts),
        formats.chunk(b"IEND", b""),
    ]
    assert_same_in_parts(b"\x89PNG\r\n\x1a\n" + b"".join(chunks), monkeypatch)


@pytest.mark.parametrize(("form", "mode"), [("PNG", "L"), ("PNG", "RGB"), ("PNG", "I;16")])
def test_a_transparent_colour_of_a_png(form, mode, monkeypatch) -> None:
    clear = tuple(int(v) for v in NOISE[0, 0, :3]) if mode == "RGB" else 100
    assert_same_in_parts(encoded(image(mode), form, transparency=clear), monkeypatch)


def test_the_orientation_of_a_png_is_read_without_its_pixels(monkeypatch) -> None:
    exif = Image.Exif()
    exif[274] = 3
    xmp = PngInfo()  # as ExifTool writes it
    xmp.add_itxt("XML:com.adobe.xmp", '<x tiff:Orientation="3"/>')
    for how in ({"exif": exif}, {"pnginfo": xmp}):
        data = encoded(image("RGB"), "PNG", **how)
        turned = np.rot90(decode(encoded(image("RGB"), "PNG")), 2)
        np.testing.assert_array_equal(decode(data), turned)
        with monkeypatch.context() as patch:
            assert_same_in_parts(data, patch)
    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", lambda im: pytest.fail("loaded"))
    with Image.open(io.BytesIO(encoded(image("RGB"), "PNG"))) as im:
        bands = large.open_bands(im, whole_fits=False)
        assert bands is not None
        assert not bands.getexif()


@pytest.mark.parametrize("mode", ["1", "L", "RGB", "P"])
@pytest.mark.parametrize("form", ["BMP", "PPM"])
def test_rows_without_compression(form, mode, monkeypatch) -> None:
    if (form, mode) == ("PPM", "P"):
        pytest.skip("there is no such PPM")
    assert_same_in_parts(encoded(image(mode), form), monkeypatch)


@pytest.mark.parametrize("form", ["TIFF", "PNG", "BMP", "PPM"])
def test_a_damaged_file_is_a_reason(form, monkeypatch) -> None:
    options = {"compression": "tiff_lzw", "tiffinfo": {278: 8}} if form == "TIFF" else {}
    data = encoded(image("RGB"), form, **options)
    monkeypatch.setattr(large, "MAX_PIXELS", 131 * 64)
    monkeypatch.setattr(parts, "PART_PIXELS", 131 * 10)
    for cut in (60, 300, len(data) // 2, len(data) - 4):
        with pytest.raises(ImageError) as caught:
            decode(data[:cut])
        assert str(caught.value).isprintable()
    if form == "PNG":
        for at in range(60, len(data) - 12, 6007):
            flipped = bytearray(data)
            flipped[at] ^= 4
            with pytest.raises(ImageError):
                decode(bytes(flipped))


def test_strips_too_large_and_interlaced_files_are_refused(monkeypatch) -> None:
    monkeypatch.setattr(large, "MAX_PIXELS", 131 * 64)
    monkeypatch.setattr("catnet.images.limits.MAX_PIXELS", 131 * 64)
    monkeypatch.setattr(tiff_parts, "MAX_PIXELS", 131 * 64)
    one = encoded(image("RGB"), "TIFF", compression="tiff_lzw", strip_size=10**9)
    with pytest.raises(ImageError, match="this kind of TIFF; save it as baseline JPEG"):
        decode(one)


def test_the_strips_of_a_part_are_limited_together(monkeypatch) -> None:
    """Parts of fewer strips give the same image; strips that share their bytes are refused."""
    data = encoded(image("RGB"), "TIFF", compression="tiff_lzw", tiffinfo={278: 2})
    with Image.open(io.BytesIO(data)) as im:
        longest = max(im.tag_v2[279])  # type: ignore[attr-defined]
    whole = decode(data)
    monkeypatch.setattr(large, "MAX_PIXELS", 131 * 64)
    monkeypatch.setattr(tiff_parts, "MAX_STRIP_BYTES", longest + 1)
    sizes, make = [], tiff_parts._make_tiff
    monkeypatch.setattr(tiff_parts, "_make_tiff", lambda *a: sizes.append(a[3]) or make(*a))
    np.testing.assert_array_equal(decode(data), whole)
    assert max(sizes) <= 4
    assert sum(sizes) == image("RGB").height
    tags = {258: [8], 259: [8], 262: [1], 278: [1], 279: [60_000] * 200}
    shared = formats.tiff(200, tags, [b""] * 200) + bytes(60_000)  # all strips at one place
    with pytest.raises(ImageError, match="its strips overlap"):
        decode(shared)


def test_rows_that_are_too_long_are_refused() -> None:
    for width, height in ((100_000_000, 1), (2_000_001, 3)):
        data = formats.png(width, height, 8, 0, b"")  # without its pixels
        with pytest.raises(ImageError, match=f"^{width} pixels wide: more than 2 million; cut it$"):
            decode(data)


def test_much_data_after_the_last_row_of_a_png(monkeypatch) -> None:
    monkeypatch.setattr(large, "MAX_PIXELS", 131 * 64)
    header = struct.pack(">IIBBBBB", 131, 100, 8, 0, 0, 0, 0)
    for more, refused in ((10_000, False), (10**6, True)):
        pixels = zlib.compress(bytes(132 * 100 + more))
        chunks = ((b"IHDR", header), (b"IDAT", pixels), (b"IEND", b""))
        data = b"\x89PNG\r\n\x1a\n" + b"".join(formats.chunk(*one) for one in chunks)
        if refused:
            with pytest.raises(ImageError, match="it has data after its last row"):
                decode(data)
        else:
            assert not decode(data).any()


def test_a_file_larger_than_memory_is_read_in_parts(tmp_path: Path, monkeypatch) -> None:
    """Not a byte more than needed is read."""
    for form in ("TIFF", "PNG", "BMP", "PPM"):
        path = tmp_path / f"scan.{form}"
        data = encoded(image("RGB"), form)
        path.write_bytes(data)
        whole = decode(path)
        with monkeypatch.context() as patch:
            patch.setattr(reading, "MAX_BYTES", 10_000)
            patch.setattr(reading, "_read_stream", lambda stream: pytest.fail("read as a whole"))
            np.testing.assert_array_equal(decode(str(path)), whole)
    (tmp_path / "a.webp").write_bytes(encoded(image("RGB"), "WEBP", lossless=True))
    monkeypatch.setattr(reading, "MAX_BYTES", 10_000)
    with pytest.raises(ImageError, match=r"larger than .* MB, the limit for this kind of WEBP"):
        decode(tmp_path / "a.webp")
