"""Parts of a large TIFF: some of its strips, or a row of its tiles."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from PIL import Image

from catnet.images import parts
from catnet.images.limits import MAX_PIXELS
from catnet.images.parts import MAX_STRIP_BYTES, get_stored_size, read_exactly
from catnet.images.png_samples import prepare
from catnet.images.reading import ImageError

# The tags that say how the samples of a strip are written.
_SAMPLE_TAGS = (256, 258, 259, 262, 266, 277, 284, 292, 317, 320, 332, 338, 339, 347, 529, 530, 532)
_TYPES = {1: "B", 3: "H", 4: "I", 5: "I", 13: "I", 16: "Q"}  # of struct
_DEFLATE = (8, 32946)
MAX_OVERLAP = 4  # how often all bytes of the file may be read, where equal strips are stored once


def cut_tiff(im: Any) -> Iterator[Image.Image] | None:
    """Parts of some strips, or of a row of tiles, of a TIFF; None where a strip is too large."""
    tags = im.tag_v2
    width, height = get_stored_size(im)
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
    if min(lengths, default=0) < 0 or sum(lengths) > MAX_OVERLAP * im.fp.seek(0, io.SEEK_END):
        raise ImageError("damaged or unsupported: its strips overlap")
    strips, compression = list(zip(offsets, lengths, strict=True)), tags.get(259, 1)
    line = -(-width * sum(tags.get(258, (1,))) // 8)  # bytes of a row
    plain = 324 not in tags and len(tags.get(258, (1,))) == tags.get(277, 1)
    if compression == 1 and plain:
        rows, strips = _split_rows(strips, rows, line, (width, height))
    if rows * max(width, tags.get(322, 0)) <= MAX_PIXELS:
        return _decode_strips(im, strips, rows, across)
    if compression in _DEFLATE and plain and tags.get(262) != 6:  # else colours may be fewer
        return _inflate_strips(im, strips, rows, line)
    return None


def _split_rows(
    strips: list[tuple[int, int]], rows: int, line: int, size: tuple[int, int]
) -> tuple[int, list[tuple[int, int]]]:
    """Split strips that are not compressed into strips of fewer rows."""
    fewer = max(1, min(rows, parts.PART_PIXELS // size[0]))
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
    """Decode strips, or rows of tiles, as many at once as a part may have."""
    width, height = get_stored_size(im)
    most = across * max(1, parts.PART_PIXELS // (rows * width))
    start = 0
    while start < len(strips):
        count = size = 0
        while count < min(most, len(strips) - start):
            row = strips[start + count : start + count + across]
            size += sum(length for _, length in row)
            if size > MAX_STRIP_BYTES:
                break
            count += across
        if not count:
            raise ImageError("damaged or unsupported: a strip is too long")
        here = min(height - start // across * rows, count // across * rows)
        some = strips[start : start + count]
        contents = (read_exactly(im.fp, offset, length) for offset, length in some)
        yield _decode(_make_tiff(im, contents, rows, here))
        start += count


def _inflate_strips(
    im: Any, strips: list[tuple[int, int]], rows: int, line: int
) -> Iterator[Image.Image]:
    """Decode strips of deflate that are too large for memory, some rows after others."""
    width, left = get_stored_size(im)
    most = max(1, parts.PART_PIXELS // width)
    for offset, length in strips:
        stream, end, until = zlib.decompressobj(), offset + length, max(0, left - rows)
        while left > until:
            here = min(most, left - until)
            pieces, missing = [], here * line
            while missing:
                compressed = stream.unconsumed_tail
                if not compressed:
                    size = min(2**20, end - offset)
                    compressed = read_exactly(im.fp, offset, size) if size > 0 else b""
                    offset += size
                if stream.eof or not compressed:
                    raise ImageError("damaged or unsupported: image file is truncated")
                pieces.append(stream.decompress(compressed, missing))
                missing -= len(pieces[-1])
            yield _decode(_make_tiff(im, [zlib.compress(b"".join(pieces), 0)], here, here))
            left -= here


def _decode(file: io.BytesIO) -> Image.Image:
    with Image.open(file, formats=["TIFF"]) as part:
        prepare(part, b"")
        part.load()
        return part


def _make_tiff(im: Any, contents: Iterable[bytes], rows: int, height: int) -> io.BytesIO:
    """A TIFF with the contents of some strips or tiles of another one."""
    tags, file = im.tag_v2, io.BytesIO()
    file.write(bytes(8))
    offsets, lengths = [], []
    for content in contents:
        offsets.append(file.tell())
        lengths.append(file.write(content))
        file.write(bytes(lengths[-1] % 2))
    made = {tag: (tags.tagtype[tag], tags[tag]) for tag in _SAMPLE_TAGS if tag in tags}
    if 324 in tags:
        places = {322: tags[322], 323: tags[323], 324: offsets, 325: lengths}
    else:
        places = {278: rows, 273: offsets, 279: lengths}
    made |= {tag: (4, value) for tag, value in {257: height, **places}.items()}
    order, at = "<" if tags.prefix == b"II" else ">", file.tell()
    file.write(make_directory(made, at, order))
    file.seek(0)
    file.write(tags.prefix + struct.pack(f"{order}HI", 42, at))
    file.seek(0)
    return file


def make_directory(tags: Mapping[int, tuple[int, Any]], at: int, order: str) -> bytes:
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
            body = struct.pack(f"{order}{len(values)}{_TYPES[kind]}", *values)
            count = len(values) // (2 if kind == 5 else 1)
        where = body.ljust(4, b"\0")
        if len(body) > 4:
            where = struct.pack(f"{order}I", free + len(rest))
            rest += body + bytes(len(body) % 2)
        entries += struct.pack(f"{order}HHI", tag, kind, count) + where
    return struct.pack(f"{order}H", len(tags)) + entries + bytes(4) + rest
