"""Parts of a large PNG: some rows after others."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from catnet.images import parts
from catnet.images.parts import MAX_STRIP_BYTES, dress, read_exactly
from catnet.images.reading import ImageError

MAX_MORE = 2**16  # bytes after the last row, which are ignored
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type
_COLOURS = {1: 0, 2: 4, 3: 2, 4: 6}  # colour type of 8 bits by bytes of a pixel


def cut_png(im: Any) -> Iterator[Image.Image] | None:
    """Parts of some rows of a PNG; None where it is interlaced."""
    im.fp.seek(8)
    length, kind = struct.unpack(">I4s", im.fp.read(8))
    if length != 13 or kind != b"IHDR":
        return None
    _, _, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", im.fp.read(13))
    return None if interlaced else _decode_rows(im, depth, _CHANNELS[colour])


def _decode_rows(im: Any, depth: int, channels: int) -> Iterator[Image.Image]:
    """Decode some rows after others.

    Every byte of a row depends, by the row's filter, on the same byte of the pixel to the left, and
    of the row above.  So rows of any kind become a PNG of 8 bits a channel with as many bytes a
    pixel, whose first row is the last row of the part before it; Pillow undoes its filters.  Of
    colours of 16 bits, which Pillow cuts to 8, the upper bytes alone are used.
    """
    pixel = max(1, depth * channels // 8)  # bytes
    line = -(-im.width * depth * channels // 8)
    rows = max(1, parts.PART_PIXELS // im.width)
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
        yield dress(part, im)
    inflate.finish()


def _undo_filters(filtered: np.ndarray, above: np.ndarray, pixel: int) -> np.ndarray:
    """Undo the filters of rows (rows, 1 + bytes), by Pillow; ``above`` is the row above them."""
    first = np.concatenate([[np.uint8(0)], above])[None]
    width, extra = divmod(above.size, pixel)
    assert not extra
    header = struct.pack(">IIBBBBB", width, len(filtered) + 1, 8, _COLOURS[pixel], 0, 0, 0)
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
        pieces, left = [], size
        while left:
            compressed = self.inflate.unconsumed_tail or self._read_chunk()
            part = self.inflate.decompress(compressed, left)
            pieces.append(part)
            left -= len(part)
            if left and self.inflate.eof:
                raise ImageError("damaged or unsupported: image file is truncated")
        return b"".join(pieces)

    def finish(self) -> None:
        """Read to the end, whose checksum is compared."""
        more = 0
        while not self.inflate.eof:
            compressed = self.inflate.unconsumed_tail or self._read_chunk()
            more += len(self.inflate.decompress(compressed, MAX_MORE))
            if more >= MAX_MORE:
                raise ImageError("damaged or unsupported: it has data after its last row")
        kind = b""
        while kind != b"IEND":
            length, kind = struct.unpack(">I4s", read_exactly(self.file, self.at, 8))
            self.at += 12 + length
        read_exactly(self.file, self.at - 4, 4)

    def _read_chunk(self) -> bytes:
        """The body of the next IDAT chunk."""
        while True:
            length, kind = struct.unpack(">I4s", read_exactly(self.file, self.at, 8))
            start, self.at = self.at + 8, self.at + 12 + length
            if kind == b"IDAT":
                break
            if kind == b"IEND" or self.started:
                raise ImageError("damaged or unsupported: image file is truncated")
        self.started = True
        if length > MAX_STRIP_BYTES:
            raise ImageError("damaged or unsupported: a chunk is too long")
        body = read_exactly(self.file, start, length + 4)
        if zlib.crc32(kind + body[:-4]) != int.from_bytes(body[-4:], "big"):
            raise ImageError("damaged or unsupported: broken PNG file (bad header checksum)")
        return body[:-4]
