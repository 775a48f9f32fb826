"""What the parts of large images of every format have in common."""

from __future__ import annotations

from typing import Any, BinaryIO

from PIL import Image

from catnet.images.reading import ImageError

PART_PIXELS = 2_000_000  # decoded at once, unless a strip of the file has more
MAX_STRIP_BYTES = 2**27


def get_stored_size(im: Any) -> tuple[int, int]:
    """The size before the rotation by EXIF, which Pillow applies to the size of a TIFF."""
    return getattr(im, "_tile_size", im.size)


def dress(part: Image.Image, im: Any) -> Image.Image:
    """Give the pixels of a part the palette and the transparent colour of the whole."""
    part.info = dict(im.info)
    if im.palette is not None:
        palette = im.palette.copy()
        palette.dirty = 1
        part.palette = palette
    return part


def read_exactly(file: BinaryIO, at: int, size: int, missing: int = 0) -> bytes:
    """Read so many bytes at an offset; zeros stand for the last ``missing`` ones.

    Raises:
        ImageError: the file has fewer.
    """
    file.seek(at)
    data = file.read(size)
    if len(data) < size - missing:
        raise ImageError("damaged or unsupported: image file is truncated")
    return data.ljust(size, b"\0")
