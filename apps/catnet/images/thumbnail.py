"""A small JPEG of an image, with its proportions, for people to look at."""

from __future__ import annotations

import io
from typing import NamedTuple

from PIL import Image

from catnet.images.decode import decode, read_dimensions
from catnet.images.reading import Source, read_unless_large

SIDE = 200  # pixels of the longer side
QUALITY = 75


class Thumbnail(NamedTuple):
    """A small JPEG and its size in pixels."""

    jpeg: bytes
    width: int
    height: int


def make_thumbnail(source: Source, side: int = SIDE) -> Thumbnail:
    """Make a thumbnail, rotated as EXIF says, in sRGB over white.

    Args:
        source: as for :func:`catnet.images.decode.decode`.
        side: its longer side, in pixels.

    Raises:
        ImageError: the source cannot be decoded.

    Example:
        >>> make_thumbnail(b"P6 4 2 255 " + bytes(24), side=8)[1:]
        (8, 4)
    """
    source = read_unless_large(source)  # once
    width, height = read_dimensions(source, upright=True)
    scale = side / max(width, height)
    size = max(1, round(scale * width)), max(1, round(scale * height))
    square = Image.fromarray(decode(source, side))
    file = io.BytesIO()
    square.resize(size, Image.Resampling.BICUBIC).save(file, "JPEG", quality=QUALITY)
    return Thumbnail(file.getvalue(), *size)
