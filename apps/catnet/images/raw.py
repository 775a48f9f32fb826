"""Camera raw: the largest JPEG preview that a camera has put into the file.

The sensor's own data are not decoded.  Most raw formats are TIFF files (CR2, NEF, ARW, DNG, ORF,
RW2, PEF, …), whose tags say where previews are; CR3 is a file of boxes like MP4, RAF has a header
of its own.  In the others, previews are found by their first bytes.  All numbers of a file are
untrusted: every loop and every offset is bounded.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple, TypeAlias

from catnet.images.reading import MAX_BYTES, ImageError

EXTENSIONS = frozenset(
    {".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".fff", ".iiq", ".kdc"}
    | {".mef", ".mos", ".mrw", ".nef", ".nrw", ".orf", ".pef", ".raf", ".raw", ".rw2", ".rwl"}
    | {".sr2", ".srf", ".srw", ".x3f"}
)
# The first bytes of raw formats that are no TIFF files.
START = re.compile(rb"FUJIFILMCCD-RAW|IIR[OS]|MMOR|IIU\0|....ftypcrx |FOVb|\0MRM", re.DOTALL)

MAX_DIRECTORIES = 64
MAX_ENTRIES = 1000  # of a directory
MAX_VALUES = 64  # of an entry
MAX_PREVIEWS = 64
MAX_BOXES = 2000
MAX_SEGMENTS = 500  # of a JPEG, before its size
_NOT_SHOWN = b"\xc3\xc5\xc6\xc7\xc9\xca\xcb\xcd\xce\xcf\xd9\xda"  # lossless, or no size

_TAGS = frozenset({46, 259, 262, 273, 274, 279, 330, 513, 514, 50706})  # of TIFF, that are used
_TIFF = {b"II": "<", b"MM": ">"}
_TIFF_MAGIC = (42, 0x4F52, 0x5352, 0x55)  # TIFF, Olympus (2), Panasonic
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 7: 1, 9: 4, 13: 4}  # bytes of a value, by its type
_CFA, _LINEAR_RAW = 32803, 34892  # photometric interpretations of a sensor's data
_SENSOR_COMPRESSIONS = (32767, 34713, 65535, 65000)  # of Sony, Nikon, Pentax, Kodak


Data: TypeAlias = bytes | mmap.mmap


class Preview(NamedTuple):
    """The largest JPEG preview of a raw file.

    Attributes:
        jpeg: its bytes.
        orientation: EXIF's number, from the raw file; 1 where it has none.
    """

    jpeg: bytes
    orientation: int


class _Directory(NamedTuple):
    """A directory (IFD) of a TIFF file: its integers and bytes by tag."""

    tags: dict[int, list[int]]

    def first(self, tag: int, default: int = 0) -> int:
        return (self.tags.get(tag) or [default])[0]


def find_preview(data: Data) -> Preview | None:
    """Find the largest JPEG preview of a raw file.

    Args:
        data: the file, or its map in memory.

    Returns:
        None where the file is no camera raw.

    Raises:
        ImageError: it is, and has no preview.
    """
    if data[:2] in _TIFF and _read(data, 2, 2, _TIFF[data[:2]]) in _TIFF_MAGIC:
        directories = list(_walk(data, _TIFF[data[:2]]))
        if not (START.match(data) or data[8:10] == b"CR" or any(map(_is_sensor, directories))):
            return None
        spots = [spot for one in directories for spot in _spots_of(one)]
        orientation = directories[0].first(274, 1) if directories else 1
    elif not START.match(data):
        return None
    elif data[:4] == b"FUJI":
        spots, orientation = [(_read(data, 84, 4), _read(data, 88, 4))], 1
    elif data[4:8] == b"ftyp":
        spots, orientation = _read_boxes(data)
    else:
        spots, orientation = [], 1
    previews = _find_jpegs(data, spots) or _find_jpegs(data, _scan(data))
    if not previews:
        raise ImageError("camera raw without a JPEG preview; save it as JPEG")
    _, at, length = max(previews)
    return Preview(
        data[at : at + min(length, MAX_BYTES)], orientation if 1 <= orientation <= 8 else 1
    )


def _read(data: Data, at: int, count: int, order: str = ">") -> int:
    """An unsigned integer of some bytes; 0 beyond the end."""
    part = data[at : at + count] if at >= 0 else b""
    return int.from_bytes(part, "little" if order == "<" else "big") if len(part) == count else 0


# ---- TIFF


def _walk(data: Data, order: str) -> Iterator[_Directory]:
    """The directories of a TIFF file and those that they point to, each once."""
    queue, visited = [_read(data, 4, 4, order)], set()
    while queue and len(visited) < MAX_DIRECTORIES:
        at = queue.pop(0)
        if at in visited or not 8 <= at < len(data):
            continue
        visited.add(at)
        count = min(_read(data, at, 2, order), MAX_ENTRIES)
        places = range(at + 2, at + 2 + 12 * count, 12)
        entries = {tag: place for place in places if (tag := _read(data, place, 2, order)) in _TAGS}
        values = {tag: _read_values(data, place, order) for tag, place in entries.items()}
        directory = _Directory({tag: some for tag, some in values.items() if some})
        yield directory
        queue += directory.tags.get(330, [])  # SubIFDs
        queue.append(_read(data, at + 2 + 12 * count, 4, order))


def _read_values(data: Data, at: int, order: str) -> list[int]:
    """Up to ``MAX_VALUES`` values of an entry; none of types like rationals."""
    tag, kind, count = _read(data, at, 2, order), _read(data, at + 2, 2, order), 0
    if size := _SIZES.get(kind, 0):
        count = min(_read(data, at + 4, 4, order), MAX_VALUES)
    where = at + 8 if count * size <= 4 else _read(data, at + 8, 4, order)
    if kind == 7 and tag == 46:  # JpgFromRaw of Panasonic: the JPEG is the value
        return [where, _read(data, at + 4, 4, order)]
    return [_read(data, where + i * size, size, order) for i in range(count)]


def _is_sensor(one: _Directory) -> bool:
    """Whether a directory is of a raw file: DNG's version, or an image of a sensor."""
    return (
        50706 in one.tags
        or one.first(262) in (_CFA, _LINEAR_RAW)
        or one.first(259) in _SENSOR_COMPRESSIONS
    )


def _spots_of(one: _Directory) -> Iterator[tuple[int, int]]:
    """Offset and length of what can be a JPEG: by tags of its own, or as a single strip."""
    if 513 in one.tags:
        yield one.first(513), one.first(514)
    if 46 in one.tags:
        yield one.tags[46][0], one.tags[46][1]
    if one.first(262) in (_CFA, _LINEAR_RAW):
        return
    if one.first(259) in (6, 7) and len(one.tags.get(273, [])) == 1:
        yield one.first(273), one.first(279)


# ---- CR3


def _read_boxes(data: Data) -> tuple[list[tuple[int, int]], int]:
    """Places of previews in the boxes of a CR3, and its orientation."""
    spots: list[tuple[int, int]] = []
    orientation, sizes = 1, [0]
    ends, at, boxes = [len(data)], 0, 0
    while ends and boxes < MAX_BOXES:
        if at + 8 > ends[-1]:
            at = ends.pop()
            continue
        boxes += 1
        length, kind, head = _read(data, at, 4), data[at + 4 : at + 8], 8
        if length == 1:
            length, head = _read(data, at + 8, 8), 16
        if length < head:
            length = ends[-1] - at
        end, body = min(at + length, ends[-1]), at + head
        if kind in (b"moov", b"trak", b"mdia", b"minf", b"stbl"):
            ends.append(end)
            at = body
            continue
        if kind == b"uuid":  # 16 bytes of a name; boxes of Canon follow, the preview's after 8 more
            ends.append(end)
            at = body + 16 + 8 * (data[body + 28 : body + 32] == b"PRVW")
            continue
        if kind == b"stsz":
            sizes = [_read(data, body + 4, 4) or _read(data, body + 12, 4)]
        elif kind in (b"stco", b"co64"):
            spots.append((_read(data, body + 8, 4 if kind == b"stco" else 8), sizes[0]))
        elif kind == b"PRVW":
            spots.append((body + 16, end - body - 16))
        elif kind == b"CMT1":
            tags = data[body : min(end, body + 2**16)]
            if tags[:2] in _TIFF:
                first = next(_walk(tags, _TIFF[tags[:2]]), _Directory({}))
                orientation = first.first(274, 1)
        at = end
    return spots, orientation


# ---- JPEG


def _scan(data: Data) -> Iterator[tuple[int, int]]:
    """Places where the first bytes of a JPEG are."""
    for match in re.finditer(rb"\xff\xd8\xff[\xc0-\xfe]", data):
        yield match.start(), len(data) - match.start()


def _find_jpegs(data: Data, spots: Iterable[tuple[int, int]]) -> list[tuple[int, int, int]]:
    """Pixels, offset and length of the JPEGs at some places."""
    found = [(_count_pixels(data, at), at, length) for at, length in islice(spots, MAX_PREVIEWS)]
    return [one for one in found if one[0]]


def _count_pixels(data: Data, start: int) -> int:
    """Width times height of a JPEG; 0 for anything else, and for lossless JPEG: a sensor's data."""
    if start <= 0 or data[start : start + 2] != b"\xff\xd8":
        return 0
    at = start + 2
    for _ in range(MAX_SEGMENTS):
        marker = data[at + 1 : at + 2]
        if data[at : at + 1] != b"\xff" or not marker or marker in _NOT_SHOWN:
            return 0
        if marker in b"\xc0\xc1\xc2":
            return _read(data, at + 5, 2) * _read(data, at + 7, 2)
        at += 2 + max(2, _read(data, at + 2, 2))
    return 0
