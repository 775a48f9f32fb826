"""The decoder: it turns an image file into ``(size, size, 3)`` uint8, or raises one reason.

Training, evaluation and prediction all use :func:`decode`, so a network classifies pixels that are
prepared as in its training.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import ExifTags, Image, ImageFile, ImageOps

from catnet.images.colours import to_srgb
from catnet.images.geometry import Geometry
from catnet.images.large import Bands, open_bands
from catnet.images.limits import MAX_LARGE_PIXELS, refuse_too_large
from catnet.images.opening import (
    FORMATS,
    LimitedBytes,
    LimitedFile,
    Limits,
    find_preview_of_file,
    identify,
    open_again,
    open_image,
    open_source,
    read_orientation,
)
from catnet.images.pillow_errors import DAMAGE, raise_pillow_warnings, silence_libtiff
from catnet.images.png_samples import drop_empty_alpha, find_hidden_opacity, prepare
from catnet.images.raw import find_preview
from catnet.images.reading import MAX_BYTES, ImageError, Source, read, read_unless_large
from catnet.images.resize import Crop, make_crop, resize
from catnet.images.size import SIZE
from catnet.terminal import one_line

__all__ = [
    "ImageError",
    "decode",
    "from_array",
    "from_image",
    "read_dimensions",
    "resize_squares",
]


def decode(source: Source, size: int = 64, max_aspect: float | None = None) -> np.ndarray:
    """Decode an image and resize its middle to a square; the aspect ratio is not kept.

    - Only the first frame is decoded.  It is rotated as EXIF says.
    - Colours are converted to sRGB if the file has an ICC profile or PNG's gAMA (with cHRM).
    - Transparent images are composited over white.
    - Greyscale deeper than 8 bits is scaled, never clipped: 16 and 12 bits by their full range;
      32-bit integers by 255 or 65535, floats by 1 or 255 (the smallest that holds all values),
      otherwise from minimum to maximum.  Of 16-bit colours the upper 8 bits are used; PNG's
      transparent colour is compared in all 16 bits.
    - The image is scaled down by box averages to at least twice ``size``, then by a bicubic filter.

    A truncated file is an error.  PNG has checksums.  In a JPEG, a wrong bit may stay undetected,
    and so may a truncated file that ends with an end marker.

    Args:
        source: a path, the bytes of a file, or an open binary file.
        size: height and width of the result, in pixels.
        max_aspect: the ends of longer images are cut off; see :func:`~.geometry.find_middle`.

    Returns:
        ``(size, size, 3)`` uint8, red, green, blue.

    Raises:
        ImageError: the source cannot be decoded; the message is the reason.

    Example:
        >>> decode(b"P3 2 1 255  255 0 0  255 0 0", size=1).tolist()
        [[[255, 0, 0]]]
    """
    data = read_unless_large(source)
    if not isinstance(data, bytes):
        return _decode_large(data, Geometry(size, max_aspect))
    if not data:
        raise ImageError("empty file")
    if len(data) > MAX_BYTES:
        raise ImageError(f"larger than {MAX_BYTES // 2**20} MB")
    try:
        with _convert_errors():
            return _decode(data, Geometry(size, max_aspect))
    except Image.UnidentifiedImageError:
        raise ImageError(identify(data)) from None


def from_array(pixels: np.ndarray, size: int = 64, max_aspect: float | None = None) -> np.ndarray:
    """Resize an image that is already decoded, as :func:`decode` does.

    Args:
        pixels: uint8; (H, W) or (H, W, 1) grey, (H, W, 3) red, green, blue, or (H, W, 4) with
            opacity, which is composited over white.
        size: height and width of the result, in pixels.
        max_aspect: as in :func:`decode`.

    Raises:
        ImageError: the shape or the dtype is another one.

    Example:
        >>> from_array(np.full((2, 3), 7, np.uint8), size=1).tolist()
        [[[7, 7, 7]]]
    """
    pixels = np.asarray(pixels)
    actual = f"got {pixels.shape} of {pixels.dtype}"
    if pixels.ndim not in (2, 3) or (*pixels.shape, 1)[2] not in (1, 3, 4) or not pixels.size:
        raise ImageError(f"expected (H, W, 3) of uint8, {actual}")
    if pixels.dtype != np.uint8:
        scale = "multiply by 255 if white is 1, " if pixels.dtype.kind == "f" else ""
        raise ImageError(f"expected (H, W, 3) of uint8, {actual}; {scale}round, astype(uint8)")
    if pixels.shape[2:] == (1,):
        pixels = pixels[..., 0]
    im = Image.fromarray(np.ascontiguousarray(pixels))
    return np.asarray(to_srgb(resize(im, make_crop(im), Geometry(size, max_aspect)), {}))


def resize_squares(images: np.ndarray, geometry: Geometry) -> np.ndarray:
    """Resize squares (n, S, S, 3) to the size of a geometry, as :func:`decode` does."""
    if images.shape[1] == geometry.size or not len(images):
        return images
    return np.stack([from_array(image, *geometry) for image in images])


def from_image(im: Image.Image, size: int = 64, max_aspect: float | None = None) -> np.ndarray:
    """Resize a Pillow image, as :func:`decode` does; the image is not changed.

    An image that Pillow has opened, but not loaded yet, is decoded from its file.

    Raises:
        ImageError: the image has no pixels, or its file is damaged.

    Example:
        >>> from_image(Image.new("L", (2, 3), 7), size=1).tolist()
        [[[7, 7, 7]]]
    """
    if (data := _read_unloaded(im)) is not None:
        return decode(data, size, max_aspect)
    if min(im.size) < 1:
        raise ImageError("has no pixels")
    with _convert_errors():
        im.load()
        return _finish(im, make_crop(im), Geometry(size, max_aspect))


def read_dimensions(source: Source, upright: bool = False) -> tuple[int, int]:
    """Read the width and the height of an image, in pixels, from its header, before EXIF rotation.

    Those of camera raw are of its preview.

    Args:
        source: as for :func:`decode`.
        upright: whether the rotation by EXIF counts.

    Raises:
        ImageError: the source is not an image, or its header is damaged.

    Example:
        >>> read_dimensions(b"P3 2 1 255  255 0 0  255 0 0")
        (2, 1)
    """
    try:
        with raise_pillow_warnings(), open_source(source) as file, open_image(file) as im:
            # Pillow itself turns the size of a TIFF.
            turned = upright and im.format != "TIFF" and read_orientation(im, file) >= 5
            width, height = im.size
            return (height, width) if turned else (width, height)
    except ImageError:
        raise
    except DAMAGE as error:
        raise ImageError(f"damaged or unsupported: {type(error).__name__}") from None


@contextlib.contextmanager
def _convert_errors() -> Iterator[None]:
    """Convert the exceptions of Pillow, except ``UnidentifiedImageError``, to ImageError."""
    try:
        with raise_pillow_warnings():
            yield
    except (ImageError, Image.UnidentifiedImageError):
        raise
    except Image.DecompressionBombError:
        reason = f"too many pixels: more than {MAX_LARGE_PIXELS // 10**6} million"
    except DAMAGE as error:
        text = one_line(" ".join(str(error).split())[:200])
        reason = f"damaged or unsupported: {text or type(error).__name__}"
    else:
        return
    raise ImageError(reason)


def _decode(data: bytes, geometry: Geometry, orientation: int = 1) -> np.ndarray:
    if (preview := find_preview(data)) is not None:
        data, orientation = preview.jpeg, preview.orientation
    file = LimitedBytes(data)
    with open_image(file) as im:
        if (bands := open_bands(im)) is not None:
            return _finish_bands(file, bands, geometry)
        refuse_too_large(im, data)
        if im.format == "PNG":
            with open_again(data) as copy:
                copy.verify()  # compare the checksums; decoding does not
        if im.format == "TIFF":
            silence_libtiff()
        im.draft(None, _choose_draft(geometry.size))
        prepare(im, data)
        opacity = find_hidden_opacity(im, lambda: open_again(data))
        file.release()
        im.load()
        drop_empty_alpha(im)
        return _finish(im, make_crop(im, opacity), geometry, orientation)


def _choose_draft(size: int) -> tuple[int, int]:
    """The least size at which a JPEG is decoded: at least one and a half that of the result."""
    least = max(2 * SIZE, 3 * size // 2)
    return least, least


def _decode_large(path: str | os.PathLike[str], geometry: Geometry) -> np.ndarray:
    """Decode a file that is too large to be read as a whole."""
    try:
        with _convert_errors(), LimitedFile(path) as file:
            if (preview := find_preview_of_file(file)) is not None:
                return _decode(preview.jpeg, geometry, preview.orientation)
            with open_image(file) as im:
                if (bands := open_bands(im, whole_fits=False)) is not None:
                    return _finish_bands(file, bands, geometry)
                kind = f"this kind of {im.format}"
    except Image.UnidentifiedImageError:
        kind = "this kind of file"
    raise ImageError(f"larger than {MAX_BYTES // 2**20} MB, the limit for {kind}")


def _finish_bands(file: Limits, bands: Bands, geometry: Geometry) -> np.ndarray:
    silence_libtiff()
    file.release()
    return _finish(bands, make_crop(bands), geometry)


def _finish(im: Any, crop: Crop, geometry: Geometry, orientation: int = 1) -> np.ndarray:
    """Resize the pixels, convert them to sRGB and rotate them as EXIF, or the raw file, says."""
    square = resize(im, crop, geometry)
    if orientation == 1:
        orientation = im.getexif().get(ExifTags.Base.Orientation, 1)
    rgb = to_srgb(square, im.info)
    rgb.getexif()[ExifTags.Base.Orientation] = orientation
    return np.array(ImageOps.exif_transpose(rgb), dtype=np.uint8)


def _read_unloaded(im: Image.Image) -> bytes | None:
    """Read the file of an image that Pillow has opened, but not loaded; None for other images."""
    if not isinstance(im, ImageFile.ImageFile) or not im.tile or im.fp is None or im.tell():
        return None
    if im.format not in (*FORMATS, "MPO"):
        return None
    at = im.fp.tell()
    im.fp.seek(0)
    data = read(im.fp)
    im.fp.seek(at)
    return data
