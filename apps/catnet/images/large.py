"""Large scans, decoded a part at a time: TIFF, PNG, BMP and PPM of any size within the limits.

Pillow decodes a file as a whole.  Here a part of a file, such as the strips of a TIFF, becomes a
small file of its own, which Pillow decodes: the same code reads samples of every kind.  The memory
is that of one part, and does not grow with the height of the image.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from catnet.images.limits import MAX_LARGE_PIXELS, MAX_PIXELS, refuse_pixels
from catnet.images.png_samples import Box, is_read_twice, prepare
from catnet.images.reading import ImageError

PART_PIXELS = 2_000_000  # decoded at once, unless a strip of the file has more
MAX_STRIP_BYTES = 2**27

# The tags of a TIFF that say how the samples of a strip are written.
_SAMPLE_TAGS = (256, 258, 259, 262, 266, 277, 284, 292, 317, 320, 332, 338, 339, 347, 529, 530, 532)
_TIFF_TYPES = {1: "B", 3: "H", 4: "I", 5: "I", 13: "I", 16: "Q"}  # of struct
_PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type
_PNG_COLOURS = {1: 0, 2: 4, 3: 2, 4: 6}  # colour type of 8 bits by bytes of a pixel


class Bands:
    """An image whose pixels are decoded from top to bottom, as they are cropped.

    It has what the decoder needs of a Pillow image: the mode, the size, and so on, of the whole.
    """

    def __init__(self, im: Any, parts: Iterator[Image.Image]) -> None:
        self.format, self.mode, self.info = im.format, im.mode, im.info
        self.width, self.height = self.size = _stored_size(im)
        self.has_transparency_data = im.has_transparency_data
        self.tag_v2 = getattr(im, "tag_v2", {})
        self._im = im
        self._parts, self._end = parts, 0
        self._decoded: deque[tuple[int, Image.Image]] = deque()  # with the row of their top

    def getexif(self) -> Image.Exif:
        """The EXIF data; of a PNG, only those before the pixels, since Pillow would load these."""
        if self.format != "PNG":
            return self._im.getexif()
        exif = Image.Exif()
        exif.load(self.info.get("exif", b""))
        return exif

    def crop(self, box: Box) -> Image.Image:
        """Crop a box; no box may start above the one before it."""
        left, top, right, bottom = box
        while self._end < bottom:
            part = next(self._parts, None)
            if part is None or part.mode != self.mode or part.width != self.width:
                raise ImageError("damaged or unsupported: its parts do not fit together")
            self._decoded.append((self._end, part))
            self._end += part.height
        while self._decoded[0][0] + self._decoded[0][1].height <= top:
            self._decoded.popleft()
        first = self._decoded[0][1]
        out = Image.new(self.mode, (right - left, bottom - top))
        _dress(out, first)
        for start, part in self._decoded:
            out.paste(part.crop((left, 0, right, part.height)), (0, start - top))
        return out


def _stored_size(im: Any) -> tuple[int, int]:
    """The size before the rotation by EXIF, which Pillow applies to the size of a TIFF."""
    return getattr(im, "_tile_size", im.size)


def open_bands(im: Any, whole_fits: bool = True) -> Bands | None:
    """Prepare to decode an open image a part at a time, from ``im.fp``.

    Args:
        im: an image that Pillow has opened, and not loaded yet.
        whole_fits: whether an image of few pixels is left to Pillow.

    Returns:
        None for an image of few pixels, and for the kinds that only Pillow as a whole can decode.

    Raises:
        ImageError: it has more pixels than ``MAX_LARGE_PIXELS``.
    """
    if whole_fits and im.width * im.height <= MAX_PIXELS:
        return None
    if im.mode in ("F", "I") or is_read_twice(im):  # their range is known at the end only
        return None
    cut = {"TIFF": _cut_tiff, "PNG": _cut_png, "BMP": _cut_rows, "PPM": _cut_rows}.get(im.format)
    if cut is None or (im.format == "BMP" and im.mode == "RGBA"):
        return None
    prepare(im, b"")
    parts = cut(im)
    if parts is None:
        return None
    refuse_pixels(im, MAX_LARGE_PIXELS)
    return Bands(im, parts)


# ---- TIFF


def _cut_tiff(im: Any) -> Iterator[Image.Image] | None:
    """Parts of some strips, or of a row of tiles, of a TIFF; None where a strip is too large."""
    tags = im.tag_v2
    width, height = _stored_size(im)
    if tags.get(284, 1) != 1 or tags.get(259) == 6:
        return None
    if 324 in tags:
        rows, across, spots = tags[323], -(-width // tags[322]), (tags[324], tags.get(325, ()))
    else:
        rows, across, spots = min(tags.get(278, height), height), 1, (tags[273], tags.get(279, ()))
    offsets, lengths = (value if isinstance(value, tuple) else (value,) for value in spots)
    count = across * -(-height // max(1, rows))
    if len(offsets) != len(lengths) or len(offsets) != count:
        return None
    strips = list(zip(offsets, lengths, strict=True))
    if tags.get(259, 1) == 1 and 324 not in tags:
        line = -(-width * sum(tags.get(258, (1,))) // 8)
        if len(tags.get(258, (1,))) != tags.get(277, 1):
            return None
        rows, strips = _split_rows(strips, rows, line, (width, height))
    if rows * width > MAX_PIXELS:
        return None
    return _decode_strips(im, strips, rows, across)


def _split_rows(
    strips: list[tuple[int, int]], rows: int, line: int, size: tuple[int, int]
) -> tuple[int, list[tuple[int, int]]]:
    """Split strips that are not compressed into strips of fewer rows."""
    fewer = max(1, min(rows, PART_PIXELS // size[0]))
    while rows % fewer and len(strips) > 1:
        fewer -= 1  # all strips but the last one have the same number of rows
    split, left = [], size[1]
    for offset, length in strips:
        here = min(rows, left)
        if length < here * line:
            raise ImageError("damaged or unsupported: a strip is too short")
        for row in range(0, here, fewer):
            split.append((offset + row * line, min(fewer, here - row) * line))
        left -= here
    return fewer, split


def _decode_strips(
    im: Any, strips: list[tuple[int, int]], rows: int, across: int
) -> Iterator[Image.Image]:
    width, height = _stored_size(im)
    step = across * max(1, PART_PIXELS // (rows * width))
    for start in range(0, len(strips), step):
        some = strips[start : start + step]
        top = start // across * rows
        here = min(height - top, len(some) // across * rows)
        with Image.open(_make_tiff(im, some, rows, here), formats=["TIFF"]) as part:
            prepare(part, b"")
            part.load()
            yield part


def _make_tiff(im: Any, strips: list[tuple[int, int]], rows: int, height: int) -> io.BytesIO:
    """A TIFF of some strips or tiles of another one."""
    tags, file = im.tag_v2, io.BytesIO()
    file.write(bytes(8))
    offsets = []
    for offset, length in strips:
        if length > MAX_STRIP_BYTES:
            raise ImageError("damaged or unsupported: a strip is too long")
        offsets.append(file.tell())
        file.write(_read_exactly(im.fp, offset, length) + bytes(length % 2))
    made = {tag: (tags.tagtype[tag], tags[tag]) for tag in _SAMPLE_TAGS if tag in tags}
    spots = offsets, [length for _, length in strips]
    if 324 in tags:
        places = {322: tags[322], 323: tags[323], 324: spots[0], 325: spots[1]}
    else:
        places = {278: rows, 273: spots[0], 279: spots[1]}
    made |= {tag: (4, value) for tag, value in {257: height, **places}.items()}
    order, at = "<" if tags.prefix == b"II" else ">", file.tell()
    file.write(_make_directory(made, at, order))
    file.seek(0)
    file.write(tags.prefix + struct.pack(f"{order}HI", 42, at))
    file.seek(0)
    return file


def _make_directory(tags: Mapping[int, tuple[int, Any]], at: int, order: str) -> bytes:
    """A directory of a TIFF, at an offset: a type and values for each tag."""
    entries, rest = b"", b""
    free = at + 2 + 12 * len(tags) + 4
    for tag, (kind, value) in sorted(tags.items()):
        values = value if isinstance(value, (tuple, list)) else (value,)
        if isinstance(value, bytes):
            body, count = value, len(value)
        else:
            if kind == 5:  # fractions
                values = [n for v in values for n in (v.numerator, v.denominator)]
            body = struct.pack(f"{order}{len(values)}{_TIFF_TYPES[kind]}", *values)
            count = len(values) // (2 if kind == 5 else 1)
        where = body.ljust(4, b"\0")
        if len(body) > 4:
            where = struct.pack(f"{order}I", free + len(rest))
            rest += body + bytes(len(body) % 2)
        entries += struct.pack(f"{order}HHI", tag, kind, count) + where
    return struct.pack(f"{order}H", len(tags)) + entries + bytes(4) + rest


# ---- PNG


def _cut_png(im: Any) -> Iterator[Image.Image] | None:
    """Parts of some rows of a PNG; None where it is interlaced."""
    im.fp.seek(8)
    length, kind = struct.unpack(">I4s", im.fp.read(8))
    if length != 13 or kind != b"IHDR":
        return None
    _, _, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", im.fp.read(13))
    return None if interlaced else _decode_rows(im, depth, _PNG_CHANNELS[colour])


def _decode_rows(im: Any, depth: int, channels: int) -> Iterator[Image.Image]:
    """Decode some rows after others.

    Every byte of a row depends, by the row's filter, on the same byte of the pixel to the left, and
    of the row above.  So rows of any kind become a PNG of 8 bits a channel with as many bytes a
    pixel, whose first row is the last row of the part before it; Pillow undoes its filters.  Of
    colours of 16 bits, which Pillow cuts to 8, the upper bytes alone are used.
    """
    pixel = max(1, depth * channels // 8)  # bytes
    line = -(-im.width * depth * channels // 8)
    rows = max(1, PART_PIXELS // im.width)
    rawmode, deep = im.tile[0].args, depth == 16 and channels > 1
    if deep:
        pixel //= 2
        rawmode = {2: "LA", 3: "RGB", 4: "RGBA"}[channels]
    inflate = _Inflater(im.fp)
    above = np.zeros(line // 2 if deep else line, np.uint8)
    for top in range(0, im.height, rows):
        count = min(rows, im.height - top)
        filtered = np.frombuffer(inflate.read(count * (1 + line)), np.uint8).reshape(count, -1)
        if deep:
            filtered = np.concatenate([filtered[:, :1], filtered[:, 1::2]], axis=1)
        plain = _undo_filters(filtered, above, pixel)
        above = plain[-1]
        part = Image.frombytes(im.mode, (im.width, count), plain.tobytes(), "raw", rawmode)
        yield _dress(part, im)
    inflate.finish()


def _undo_filters(filtered: np.ndarray, above: np.ndarray, pixel: int) -> np.ndarray:
    """Undo the filters of rows (rows, 1 + bytes), by Pillow; ``above`` is the row above them."""
    first = np.concatenate([[np.uint8(0)], above])[None]
    width, extra = divmod(above.size, pixel)
    assert not extra
    header = struct.pack(">IIBBBBB", width, len(filtered) + 1, 8, _PNG_COLOURS[pixel], 0, 0, 0)
    pixels = zlib.compress(np.concatenate([first, filtered]).tobytes(), 0)
    file = io.BytesIO()
    file.write(b"\x89PNG\r\n\x1a\n")
    for kind, body in ((b"IHDR", header), (b"IDAT", pixels), (b"IEND", b"")):
        file.write(struct.pack(">I", len(body)) + kind + body)
        file.write(struct.pack(">I", zlib.crc32(kind + body)))
    with Image.open(file, formats=["PNG"]) as part:
        return np.asarray(part).reshape(len(filtered) + 1, -1)[1:]


class _Inflater:
    """Reads the pixels of a PNG; it compares the checksums."""

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.inflate, self.at, self.started = file, zlib.decompressobj(), 8, False

    def read(self, size: int) -> bytes:
        """Read so many bytes."""
        parts, left = [], size
        while left:
            compressed = self.inflate.unconsumed_tail or self._read_chunk()
            part = self.inflate.decompress(compressed, left)
            parts.append(part)
            left -= len(part)
            if left and self.inflate.eof:
                raise ImageError("damaged or unsupported: image file is truncated")
        return b"".join(parts)

    def finish(self) -> None:
        """Read to the end, whose checksum is compared."""
        while not self.inflate.eof:
            self.inflate.decompress(self.inflate.unconsumed_tail or self._read_chunk(), 2**16)

    def _read_chunk(self) -> bytes:
        """The body of the next IDAT chunk."""
        while True:
            length, kind = struct.unpack(">I4s", _read_exactly(self.file, self.at, 8))
            start, self.at = self.at + 8, self.at + 12 + length
            if kind == b"IDAT":
                break
            if kind == b"IEND" or self.started:
                raise ImageError("damaged or unsupported: image file is truncated")
        self.started = True
        if length > MAX_STRIP_BYTES:
            raise ImageError("damaged or unsupported: a chunk is too long")
        body = _read_exactly(self.file, start, length + 4)
        if zlib.crc32(kind + body[:-4]) != int.from_bytes(body[-4:], "big"):
            raise ImageError("damaged or unsupported: broken PNG file (bad header checksum)")
        return body[:-4]


# ---- BMP and PPM


def _cut_rows(im: Any) -> Iterator[Image.Image] | None:
    """Parts of some rows of a file that is not compressed; None for other files."""
    if len(im.tile) != 1:
        return None
    codec, extents, offset, args = im.tile[0]
    if codec != "raw" or extents != (0, 0, *im.size):
        return None
    rawmode, line, order = (args, 0, 1) if isinstance(args, str) else args
    line = line or len(Image.new(im.mode, (im.width, 1)).tobytes("raw", rawmode))
    return _read_rows(im, offset, rawmode, line, order)


def _read_rows(im: Any, offset: int, rawmode: str, line: int, order: int) -> Iterator[Image.Image]:
    """The rows from top to bottom; with ``order`` -1, the file has the bottom row first."""
    rows = max(1, PART_PIXELS // im.width)
    for top in range(0, im.height, rows):
        count = min(rows, im.height - top)
        first = top if order == 1 else im.height - top - count
        data = _read_exactly(im.fp, offset + first * line, count * line)
        size = (im.width, count)
        part = Image.frombytes(im.mode, size, data, "raw", rawmode, line, order)
        yield _dress(part, im)


def _dress(part: Image.Image, im: Any) -> Image.Image:
    """Give the pixels of a part the palette and the transparent colour of the whole."""
    part.info = dict(im.info)
    if im.palette is not None:
        palette = im.palette.copy()
        palette.dirty = 1
        part.palette = palette
    return part


def _read_exactly(file: BinaryIO, at: int, size: int) -> bytes:
    file.seek(at)
    data = file.read(size)
    if len(data) != size:
        raise ImageError("damaged or unsupported: image file is truncated")
    return data
