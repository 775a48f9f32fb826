"""Large scans, decoded a part at a time: TIFF, PNG, BMP and PPM of any size within the limits.

Pillow decodes a file as a whole.  Here a part of a file, such as the strips of a TIFF, becomes a
small file of its own, which Pillow decodes: the same code reads samples of every kind.  The memory
is that of one part, and does not grow with the height of the image.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

from PIL import Image

from catnet.images import parts
from catnet.images.limits import MAX_LARGE_PIXELS, MAX_PIXELS, refuse_pixels
from catnet.images.parts import dress, get_stored_size, read_exactly
from catnet.images.png_parts import cut_png
from catnet.images.png_samples import Box, is_read_twice, prepare
from catnet.images.reading import ImageError
from catnet.images.tiff_parts import cut_tiff


class Bands:
    """An image whose pixels are decoded from top to bottom, as they are cropped.

    It has what the decoder needs of a Pillow image: the mode, the size, and so on, of the whole.
    """

    def __init__(self, im: Any, decoded: Iterator[Image.Image]) -> None:
        self.format, self.mode, self.info = im.format, im.mode, im.info
        self.width, self.height = self.size = get_stored_size(im)
        self.has_transparency_data = im.has_transparency_data
        self.tag_v2 = getattr(im, "tag_v2", {})
        self._im = im
        self._parts, self._end = decoded, 0
        self._decoded: deque[tuple[int, Image.Image]] = deque()  # with the row of their top

    def getexif(self) -> Image.Exif:
        """The EXIF data; of a PNG, only those before the pixels, since Pillow would load these."""
        return Image.Image.getexif(self._im)

    def crop(self, box: Box) -> Image.Image:
        """Crop a box; no box may start above the one before it."""
        left, top, right, bottom = box
        while self._end < bottom:
            part = next(self._parts, None)
            if part is None or part.mode != self.mode or part.width != self.width:
                raise ImageError("damaged or unsupported: its parts do not fit together")
            self._decoded.append((self._end, part))
            self._end += part.height
        if self._end >= self.height:
            next(self._parts, None)  # what follows the last part is checked
        while self._decoded[0][0] + self._decoded[0][1].height <= top:
            self._decoded.popleft()
        first = self._decoded[0][1]
        out = Image.new(self.mode, (right - left, bottom - top))
        dress(out, first)
        for start, part in self._decoded:
            out.paste(part.crop((left, 0, right, part.height)), (0, start - top))
        return out


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
    cut = {"TIFF": cut_tiff, "PNG": cut_png, "BMP": _cut_rows, "PPM": _cut_rows}.get(im.format)
    if cut is None or (im.format == "BMP" and im.mode == "RGBA"):
        return None
    prepare(im, b"")
    cut_parts = cut(im)
    if cut_parts is None:
        return None
    refuse_pixels(im, MAX_LARGE_PIXELS)
    return Bands(im, cut_parts)


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
    rows = max(1, parts.PART_PIXELS // im.width)
    for top in range(0, im.height, rows):
        count = min(rows, im.height - top)
        first = top if order == 1 else im.height - top - count
        missing = 3 if first + count == im.height else 0  # the last row may lack its padding
        data = read_exactly(im.fp, offset + first * line, count * line, missing)
        size = (im.width, count)
        part = Image.frombytes(im.mode, size, data, "raw", rawmode, line, order)
        yield dress(part, im)
