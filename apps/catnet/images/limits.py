"""Limits on an image, so that decoding any file needs bounded time and memory."""

from __future__ import annotations

import re
from typing import Any

from PIL import Image

from catnet.images import heic
from catnet.images.png_samples import is_read_twice
from catnet.images.reading import ImageError

# With these limits one file takes less than 500 MB (measured on noise, the worst case), and one of
# up to 36 million pixels less than 2 s; a larger one takes time in proportion.
MAX_PIXELS = 36_000_000  # where the whole image is in memory at once
# WebP is held in four copies, AVIF is slow, PNG of 16 bits with a transparent colour is read twice
MAX_COSTLY_PIXELS = 25_000_000
MAX_HEIC_PIXELS = 52_000_000  # phones make 50 million
# Where a part after the other is decoded, or a reduced image: A0 at 600 dpi has 558 million.
MAX_LARGE_PIXELS = 600_000_000
MAX_WIDTH = 2_000_000  # a row is decoded as a whole
MAX_JPEG_WORK = 2_000_000_000  # scans × pixels
MAX_COEFFICIENTS = 216_000_000  # of a progressive JPEG, which is in memory as a whole; 2 bytes each
MAX_SLOW_PIXELS = 1_000_000  # where Pillow decodes in Python: plain PPM, odd depths, BMP's RLE


def refuse_too_large(im: Any, data: bytes) -> None:
    """Refuse an open image that would need too much memory or time.

    Args:
        im: an image that Pillow has opened, and not loaded yet.
        data: its file.

    Raises:
        ImageError: it has too many pixels, or none.
    """
    limit = MAX_PIXELS
    if im.format in ("WEBP", "AVIF") or is_read_twice(im):
        limit = MAX_COSTLY_PIXELS
    elif im.format == heic.FORMAT:
        limit = MAX_HEIC_PIXELS
    elif im.format in ("JPEG", "MPO"):
        limit = MAX_LARGE_PIXELS
        if (scans := _count_jpeg_scans(data)) > 1:
            limit = min(int(MAX_COEFFICIENTS / _coefficients(im)), MAX_JPEG_WORK // scans)
    elif any(tile[0] in Image.DECODERS for tile in getattr(im, "tile", ())):
        limit = MAX_SLOW_PIXELS
    refuse_pixels(im, limit)


def refuse_pixels(im: Any, limit: int) -> None:
    """Refuse an image of no pixels, of more than ``limit``, or of too long rows."""
    if im.width * im.height > limit:
        smaller = "save it smaller" if limit == MAX_LARGE_PIXELS else "save it as baseline JPEG"
        raise ImageError(
            f"{im.width}×{im.height} pixels: more than {limit / 1e6:.3g} million,"
            f" the limit for this kind of {im.format}; {smaller}"
        )
    if im.width > MAX_WIDTH:
        raise ImageError(f"{im.width} pixels wide: more than {MAX_WIDTH // 10**6} million; cut it")
    if min(im.size) < 1:
        raise ImageError("has no pixels")


def _coefficients(im: Any) -> float:
    """The coefficients of a JPEG for each of its pixels: 3 of three channels in full resolution."""
    across, down = ([layer[i] for layer in im.layer] for i in (1, 2))  # samples of a block
    return sum(h * v for h, v in zip(across, down, strict=True)) / (max(across) * max(down))


def _count_jpeg_scans(data: bytes) -> int:
    """The number of scans: one, or several in a progressive JPEG."""
    at, scans = 2, 0
    for _ in range(10_000):
        marker = re.compile(rb"\xff([^\x00\xd0-\xd7\xff])").search(data, at)
        if marker is None or marker[1] == b"\xd9":
            return max(scans, 1)
        scans += marker[1] == b"\xda"
        at = marker.end() + int.from_bytes(data[marker.end() : marker.end() + 2], "big")
    raise ImageError("too many segments")
