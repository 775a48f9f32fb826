"""Camera raw: the largest JPEG preview is found in containers built by their specifications."""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from catnet.images import raw
from catnet.images.decode import ImageError, decode, read_dimensions
from catnet.images.decode_many import decode_many
from catnet.images.paths import expand
from catnet.images.raw import find_preview


def jpeg(colour: str, width: int = 40, height: int = 30) -> bytes:
    file = io.BytesIO()
    im = Image.new("RGB", (width, height), colour)
    im.paste("black", (0, 0, width // 2, height // 2))  # the corner that is up and left
    im.save(file, "JPEG", quality=95)
    return file.getvalue()


SMALL, LARGE = jpeg("red", 24, 16), jpeg("lime", 80, 60)
SENSOR = b"\xff\xd8\xff\xc3\0\x0b\x10\x0f\xff\x0f\xff\1\1\x11\0" + bytes(200)  # lossless, 4095²


class Tiff:
    """Writes a TIFF directory by directory; numbers are LONG."""

    def __init__(self, order: str = "<", magic: bytes = b"") -> None:
        self.order = order
        self.data = bytearray((magic or (b"II*\0" if order == "<" else b"MM\0*")) + bytes(12))

    def add(self, content: bytes) -> int:
        """Append bytes; return their offset."""
        self.data += bytes(len(self.data) % 2)
        self.data += content
        return len(self.data) - len(content)

    def directory(self, tags: Mapping[int, int | list[int]], following: int = 0) -> int:
        rows = b""
        for tag, value in sorted(tags.items()):
            values = value if isinstance(value, list) else [value]
            body = struct.pack(f"{self.order}{len(values)}I", *values)
            where = body if len(values) == 1 else self.pack(self.add(body))
            rows += struct.pack(f"{self.order}HHI", tag, 4, len(values)) + where
        count = struct.pack(f"{self.order}H", len(tags))
        return self.add(count + rows + self.pack(following))

    def pack(self, number: int) -> bytes:
        return struct.pack(f"{self.order}I", number)

    def finish(self, first: int) -> bytes:
        self.data[4:8] = self.pack(first)
        return bytes(self.data)


def cr2() -> bytes:
    """Canon: a large preview as a strip, a small one by its own tags, the sensor's last."""
    tiff = Tiff()
    tiff.data[8:12] = b"CR\2\0"
    last = tiff.directory({259: 6, 273: tiff.add(SENSOR), 279: len(SENSOR)})
    second = tiff.directory({513: tiff.add(SMALL), 514: len(SMALL)}, last)
    strip = {259: 6, 273: tiff.add(LARGE), 279: len(LARGE), 274: 6}
    return tiff.finish(tiff.directory(strip, second))


def nef(order: str = ">") -> bytes:
    """Nikon: a thumbnail of raw samples; the preview and the sensor in SubIFDs."""
    tiff = Tiff(order)
    preview = tiff.directory({513: tiff.add(LARGE), 514: len(LARGE)})
    sensor = tiff.directory({256: 4000, 257: 3000, 259: 34713, 262: 32803})
    thumbnail = tiff.add(bytes(8 * 8 * 3))
    tags = {256: 8, 257: 8, 258: [8, 8, 8], 259: 1, 262: 2, 273: thumbnail, 277: 3, 278: 8}
    return tiff.finish(tiff.directory({**tags, 279: 192, 274: 6, 330: [preview, sensor]}))


def dng() -> bytes:
    """Adobe: its version; previews as strips; sensor data as lossless JPEG."""
    tiff = Tiff()
    sensor = tiff.directory({259: 7, 262: 32803, 273: tiff.add(SENSOR), 279: len(SENSOR)})
    large = tiff.directory({259: 7, 262: 6, 273: tiff.add(LARGE), 279: len(LARGE)})
    small = {259: 7, 262: 6, 273: tiff.add(SMALL), 279: len(SMALL), 50706: 0x00000401}
    return tiff.finish(tiff.directory({**small, 274: 6, 330: [sensor, large]}))


def arw() -> bytes:
    tiff = Tiff()
    sensor = tiff.directory({259: 32767, 262: 32803})
    tags = {513: tiff.add(LARGE), 514: len(LARGE), 274: 6, 330: sensor}
    return tiff.finish(tiff.directory(tags))


def rw2() -> bytes:
    """Panasonic: a magic of its own; the JPEG is the value of tag 46, of type UNDEFINED."""
    tiff = Tiff(magic=b"IIU\0")
    at = tiff.add(LARGE)
    entry = struct.pack("<HHII", 46, 7, len(LARGE), at)
    turned = struct.pack("<HHII", 274, 4, 1, 6)
    return tiff.finish(tiff.add(struct.pack("<H", 2) + entry + turned + bytes(4)))


def orf() -> bytes:
    """Olympus: the preview is in a maker note, so it is searched for."""
    tiff = Tiff(magic=b"IIRO")
    tiff.add(b"OLYMPUS\0" + SMALL + bytes(50) + LARGE)
    return tiff.finish(tiff.directory({274: 6, 256: 4000}))


def raf() -> bytes:
    head = b"FUJIFILMCCD-RAW 0201FF000000X-T1".ljust(84, b"\0")
    return head + struct.pack(">II", 200, len(LARGE)) + bytes(108) + LARGE + SENSOR


def box(kind: bytes, *content: bytes) -> bytes:
    body = b"".join(content)
    return struct.pack(">I", 8 + len(body)) + kind + body


def cr3(*, in_track: bool) -> bytes:
    """Canon: boxes; the full preview is the sample of a track, a smaller one is in a uuid box."""
    tiff = Tiff()
    first = tiff.finish(tiff.directory({274: 6}))
    canon = box(b"uuid", bytes(16), box(b"CNCV", bytes(8)), box(b"CMT1", first))
    prvw = box(b"PRVW", bytes(12), struct.pack(">I", len(SMALL)), SMALL)
    preview = box(b"uuid", bytes(16), bytes(8), prvw)

    def track(at: int) -> bytes:
        sizes = box(b"stsz", bytes(4), struct.pack(">II", 0, 1), struct.pack(">I", len(LARGE)))
        table = box(b"stbl", sizes, box(b"co64", bytes(4), struct.pack(">IQ", 1, at)))
        return box(b"trak", box(b"mdia", box(b"minf", table)))

    start = box(b"ftyp", b"crx \0\0\0\1crx isom")
    length = len(start) + len(box(b"moov", canon, track(0))) + len(preview) + 8
    moov = box(b"moov", canon, track(length if in_track else 0))
    return start + moov + preview + box(b"mdat", LARGE if in_track else b"")


def x3f() -> bytes:
    """Sigma: no table that is read; the JPEGs are searched for."""
    return b"FOVb" + bytes(60) + SMALL + bytes(9) + LARGE + SENSOR


KINDS = {
    "cr2": cr2(), "nef": nef(), "nef little": nef("<"), "dng": dng(), "arw": arw(), "rw2": rw2(),
    "orf": orf(), "raf": raf(), "cr3": cr3(in_track=True), "x3f": x3f(),
}  # fmt: skip
TURNED = {"cr2", "nef", "nef little", "dng", "arw", "rw2", "orf", "cr3"}  # orientation 6


@pytest.mark.parametrize("kind", KINDS)
def test_the_largest_preview_counts_and_stands_upright(kind) -> None:
    expected = decode(LARGE)
    if kind in TURNED:
        expected = np.rot90(expected, -1)  # EXIF 6: the top of the scene is at the right
    result = decode(KINDS[kind])
    assert abs(result.astype(int) - expected).mean() < 3
    assert read_dimensions(KINDS[kind]) == (80, 60)
    assert find_preview(KINDS[kind]).jpeg[: len(LARGE)] == LARGE  # type: ignore[union-attr]


@pytest.mark.parametrize("kind", KINDS)
def test_a_large_raw_file_is_not_read_as_a_whole(kind, tmp_path: Path, monkeypatch) -> None:
    path, whole = tmp_path / "raw", decode(KINDS[kind])
    path.write_bytes(KINDS[kind])
    monkeypatch.setattr("catnet.images.reading.MAX_BYTES", 100)
    np.testing.assert_array_equal(decode(path), whole)
    assert read_dimensions(path) == (80, 60)


def test_a_smaller_preview_is_better_than_none() -> None:
    preview = find_preview(cr3(in_track=False))
    assert preview is not None
    assert preview.jpeg == SMALL


def test_an_ordinary_tiff_is_no_raw() -> None:
    for options in ({}, {"compression": "jpeg"}, {"compression": "tiff_lzw"}):
        file = io.BytesIO()
        Image.new("RGB", (90, 70), "blue").save(file, "TIFF", **options)
        assert find_preview(file.getvalue()) is None
        assert abs(decode(file.getvalue()).astype(int) - [0, 0, 255]).max() < 3


def test_a_raw_file_without_a_preview_is_one_reason(tmp_path: Path) -> None:
    tiff = Tiff()
    sensor = {259: 7, 262: 32803, 273: tiff.add(SENSOR), 279: len(SENSOR)}
    for data in (tiff.finish(tiff.directory(sensor)), b"FUJIFILMCCD-RAW", b"FOVb"):
        with pytest.raises(
            ImageError, match=r"^camera raw without a JPEG preview; save it as JPEG"
        ):
            decode(data)


def test_every_raw_file_of_a_folder_is_an_image(tmp_path: Path) -> None:
    for kind, data in KINDS.items():
        (tmp_path / f"photo.{kind.split()[0]}").write_bytes(data)
        (tmp_path / f"{kind} without extension").write_bytes(data)
    images = expand([str(tmp_path)])
    assert len(images) == 2 * len(KINDS) - 1
    assert not [image for image in images if image.error]
    assert all(
        isinstance(result, np.ndarray) for _, result in decode_many(i.source for i in images)
    )


def test_circles_and_endless_lists_end() -> None:
    """Directories that lead to themselves, counts of four billion, boxes of no size."""
    tiff = Tiff()
    tags = {259: 65535, 330: [16] * 500, 513: 2**32 - 1, 514: 2**32 - 1}
    whole = bytearray(tiff.finish(tiff.directory(tags, following=16)))
    assert find_preview is not None
    for data in (
        bytes(whole),
        b"II*\0\x08\0\0\0" + b"\xff" * 5000,
        b"\0\0\0\x18ftypcrx " + bytes(16) + box(b"moov", box(b"trak", b"\0" * 4000)),
        b"\0\0\0\x18ftypcrx " + bytes(16) + b"\0\0\0\1uuid" * 5000,
        b"FOVb" + b"\xff\xd8\xff\xe0" * 100_000,
    ):
        with pytest.raises(ImageError):
            decode(data)


def test_entries_that_are_not_used_are_not_read(monkeypatch) -> None:
    """A thousand entries of a thousand values each, and as many of a tag that is used."""
    read, calls = raw._read, []
    monkeypatch.setattr(raw, "_read", lambda *a: calls.append(a[1]) or read(*a))
    for tag in (700, 330):
        entries = struct.pack("<HHII", tag, 4, 10**6, 8) * 1000
        data = b"II*\0\x08\0\0\0" + struct.pack("<H", 1000) + entries + bytes(4000)
        calls.clear()
        assert find_preview(data) is None
        assert len(calls) < 10_000


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_damage_is_answered_with_an_image_or_a_reason(data) -> None:
    seed = bytearray(data.draw(st.sampled_from(sorted(KINDS.values()))))
    where = st.integers(0, 200) | st.integers(0, len(seed) - 1)
    edits = st.tuples(where, st.integers(0, 255) | st.sampled_from([0, 1, 127, 128, 255]))
    for at, value in data.draw(st.lists(edits, max_size=12)):
        seed[at % len(seed)] = value
    (_, result), *_ = decode_many([bytes(seed)])
    if isinstance(result, ImageError):
        assert str(result).isprintable()
    else:
        assert result.shape == (64, 64, 3)
