"""Open an image file, within limits on the size of its header."""

from __future__ import annotations

import io
import mmap
from typing import Any

from PIL import ExifTags, Image

from catnet.images import heic
from catnet.images.raw import Preview, find_preview
from catnet.images.reading import ImageError, Source, read_unless_large

FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "AVIF")
MAX_HEADER_BYTES = 16 * 2**20  # read before the first pixel
MAX_READS = 250_000

_STARTS = {  # of the formats that a few bytes identify
    **{b"\xff\xd8\xff": "JPEG", b"\x89PNG\r\n\x1a\n": "PNG", b"GIF8": "GIF"},
    **{b"II*\0": "TIFF", b"MM\0*": "TIFF"},
}


class Limits:
    """A file with a limit on the number and the size of reads.

    A header of millions of small pieces would keep Pillow's parsers busy for minutes, and a large
    header takes twenty times its size as Python objects.
    """

    reads = 0
    budget = MAX_HEADER_BYTES
    orientation = 1  # of the raw file that this is the preview of

    def release(self) -> None:
        """Lift the limits, once the header is read."""
        self.reads, self.budget = -(10**9), 10**15

    def read(self, size: int | None = -1, /) -> bytes:
        part = super().read(size)  # type: ignore[misc]  (of the file that is limited)
        self.reads += 1
        if size is not None and size >= 0:  # WebP and AVIF read the whole file and parse it in C
            self.budget -= len(part)
        if self.reads > MAX_READS or self.budget < 0:
            raise ImageError("too much metadata")
        return part


class LimitedBytes(Limits, io.BytesIO):
    """A file in memory with these limits."""


class LimitedFile(Limits, io.FileIO):
    """A regular file with these limits."""


def open_source(source: Source) -> LimitedBytes | LimitedFile:
    """Open the file of a source, or its preview if it is camera raw."""
    data = read_unless_large(source)
    if isinstance(data, bytes):
        preview = find_preview(data)
    else:
        with LimitedFile(data) as whole:
            preview = find_preview_of_file(whole)
    if preview:
        file = LimitedBytes(preview.jpeg)
        file.orientation = preview.orientation
        return file
    return LimitedBytes(data) if isinstance(data, bytes) else LimitedFile(data)


def read_orientation(im: Any, file: Limits) -> int:
    """EXIF's orientation, or that of the raw file, without loading the pixels of a PNG."""
    if file.orientation != 1:
        return file.orientation
    value = Image.Image.getexif(im).get(ExifTags.Base.Orientation, 1)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def open_image(file: LimitedBytes | LimitedFile) -> Image.Image:
    """Open an image in one of the known formats; its pixels are not decoded yet."""
    Image.init()  # without it, an unregistered format raises KeyError
    if heic.is_heic(file.read(12)):
        heic.register()
    file.seek(0)
    formats = (*FORMATS, heic.FORMAT)
    return Image.open(file, formats=[name for name in formats if name in Image.OPEN])


def open_again(data: bytes) -> Image.Image:
    """Open an image whose header was read within the limits before."""
    file = LimitedBytes(data)
    im = open_image(file)
    file.release()
    return im


def find_preview_of_file(file: LimitedFile) -> Preview | None:
    """The preview in a raw file that is too large to be read as a whole; None for other files."""
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return find_preview(data)


def identify(data: bytes) -> str:
    """Say what the bytes are if they are not an image in a known format."""
    for start, name in _STARTS.items():
        if data.startswith(start):
            return f"damaged or unsupported: it starts like a {name}, but cannot be decoded as one"
    if heic.is_heic(data):
        if not heic.register():
            return heic.REMEDY
        return "damaged or unsupported: it starts like a HEIC image, but cannot be decoded as one"
    if data[:1000].lstrip().lower().startswith((b"<!doctype html", b"<html")):
        return "a web page, not an image"
    return f"not an image in a known format ({', '.join(FORMATS)})"
