"""The decoder: it turns an image file into ``(size, size, 3)`` uint8, or raises one reason.

Training, evaluation and prediction all use :func:`decode`, so a network classifies pixels that are
prepared as in its training.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import io
import logging
import os
import re
import struct
import threading
import warnings
import zlib
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeAlias, TypeVar

import numpy as np
from PIL import ExifTags, Image, ImageFile, ImageOps, _imaging

from catnet.images.colours import to_srgb
from catnet.images.geometry import Geometry, find_middle
from catnet.images.paths import MAX_BYTES, ImageError, Source, read
from catnet.images.png_samples import (
    Box,
    Opacity,
    drop_empty_alpha,
    find_hidden_opacity,
    is_read_twice,
    prepare,
)
from catnet.images.size import SIZE
from catnet.terminal import one_line

__all__ = [
    "ImageError",
    "decode",
    "decode_many",
    "enlarge",
    "from_array",
    "from_image",
    "read_dimensions",
]

FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "AVIF")
# With these limits one file takes less than 2 s and 500 MB (measured on noise, the worst case).
MAX_PIXELS = 36_000_000
# WebP is held in four copies, AVIF is slow, PNG of 16 bits with a transparent colour is read twice
MAX_COSTLY_PIXELS = 25_000_000
MAX_JPEG_PIXELS = 120_000_000  # with one scan: scaled down while it is decoded
MAX_JPEG_WORK = 2_000_000_000  # scans × pixels
MAX_SLOW_PIXELS = 1_000_000  # where Pillow decodes in Python: plain PPM, odd depths, BMP's RLE
MAX_HEADER_BYTES = 16 * 2**20  # read before the first pixel
MAX_READS = 250_000
BAND_PIXELS = 2_000_000

# The exceptions that Pillow raises on damaged files.  Its plugins parse in Python with few checks,
# so a wrong byte can cause nearly any error of arithmetic, lookup or type.
_DAMAGE = (
    OSError,
    EOFError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    AssertionError,
    NameError,
    RuntimeError,
    BufferError,
    MemoryError,
    ImportError,
    struct.error,
    zlib.error,
    Warning,
    Image.DecompressionBombError,
)
_HARMLESS = (  # warnings about metadata of an image that is itself undamaged
    r"(possibly )?corrupt EXIF|tag |metadata warning|invalid APNG|"
    r"image appears to be a malformed MPO|palette images with transparency"
)
_STARTS = {  # of the formats that a few bytes identify
    **{b"\xff\xd8\xff": "JPEG", b"\x89PNG\r\n\x1a\n": "PNG", b"GIF8": "GIF"},
    **{b"II*\0": "TIFF", b"MM\0*": "TIFF"},
}

AnySource = TypeVar("AnySource", bound=Source)
Crop: TypeAlias = Callable[[Box], Image.Image]


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
    data = source if isinstance(source, bytes) else read(source)
    if not data:
        raise ImageError("empty file")
    if len(data) > MAX_BYTES:
        raise ImageError(f"larger than {MAX_BYTES // 2**20} MB")
    try:
        with _convert_errors():
            return _decode(data, size, max_aspect)
    except Image.UnidentifiedImageError:
        raise ImageError(_identify(data)) from None


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
    return np.asarray(to_srgb(_resize(im, _make_crop(im), size, max_aspect), {}))


def enlarge(images: np.ndarray, geometry: Geometry) -> np.ndarray:
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
        return _finish(im, _make_crop(im), size, max_aspect)


def read_dimensions(source: Source) -> tuple[int, int]:
    """Read the width and the height of an image, in pixels, from its header, before EXIF rotation.

    Raises:
        ImageError: the source is not an image, or its header is damaged.

    Example:
        >>> read_dimensions(b"P3 2 1 255  255 0 0  255 0 0")
        (2, 1)
    """
    data = source if isinstance(source, bytes) else read(source)
    try:
        with _raise_pillow_warnings(), _open(_Bounded(data)) as im:
            return im.size
    except ImageError:
        raise
    except _DAMAGE as error:
        raise ImageError(f"damaged or unsupported: {type(error).__name__}") from None


def decode_many(
    sources: Iterable[AnySource], size: int = 64, max_aspect: float | None = None
) -> Generator[tuple[AnySource, np.ndarray | ImageError], None, None]:
    """Decode many images on all cores; yield pairs ``(source, image or reason)`` in their order.

    Each result equals that of :func:`decode`.  The sources are iterated lazily, so the memory does
    not grow with their number.
    """
    threads = min(8, os.cpu_count() or 1)
    pool = ThreadPoolExecutor(threads, thread_name_prefix="decode")
    queue = deque()
    try:
        for source in sources:
            queue.append((source, pool.submit(_decode_or_reason, source, size, max_aspect)))
            if len(queue) > 2 * threads:
                first, future = queue.popleft()
                yield first, future.result()
        for first, future in queue:
            yield first, future.result()
    finally:
        # Do not wait: if the caller stops early, the garbage collector may run this line in a
        # thread of the pool, and that thread would wait for itself.
        pool.shutdown(wait=False, cancel_futures=True)


def _decode_or_reason(
    source: Source, size: int, max_aspect: float | None
) -> np.ndarray | ImageError:
    try:
        return decode(source, size, max_aspect)
    except ImageError as error:
        return ImageError(str(error))  # a new exception, because the traceback holds the file


@contextlib.contextmanager
def _convert_errors() -> Iterator[None]:
    """Convert the exceptions of Pillow, except ``UnidentifiedImageError``, to ImageError."""
    try:
        with _raise_pillow_warnings():
            yield
    except (ImageError, Image.UnidentifiedImageError):
        raise
    except Image.DecompressionBombError:
        reason = "too many pixels: more than 120 million of a JPEG, 36 million of others"
    except _DAMAGE as error:
        text = one_line(" ".join(str(error).split())[:200])
        reason = f"damaged or unsupported: {text or type(error).__name__}"
    else:
        return
    raise ImageError(reason)


def _identify(data: bytes) -> str:
    """Say what the bytes are if they are not an image in a known format."""
    for start, name in _STARTS.items():
        if data.startswith(start):
            return f"damaged or unsupported: it starts like a {name}, but cannot be decoded as one"
    if data[4:8] == b"ftyp" and data[8:12] in (b"heic", b"heix", b"hevc", b"mif1", b"msf1"):
        return "a HEIC image, which is not supported; save it as JPEG"
    if data[:1000].lstrip().lower().startswith((b"<!doctype html", b"<html")):
        return "a web page, not an image"
    return f"not an image in a known format ({', '.join(FORMATS)})"


# ---- bytes to pixels


class _Bounded(io.BytesIO):
    """A file in memory with a limit on the number and the size of reads.

    A header of millions of small pieces would keep Pillow's parsers busy for minutes, and a large
    header takes twenty times its size as Python objects.
    """

    reads = 0
    budget = MAX_HEADER_BYTES

    def read(self, size: int | None = -1, /) -> bytes:
        part = super().read(size)
        self.reads += 1
        if size is not None and size >= 0:  # WebP and AVIF read the whole file and parse it in C
            self.budget -= len(part)
        if self.reads > MAX_READS or self.budget < 0:
            raise ImageError("too much metadata")
        return part


def _decode(data: bytes, size: int, max_aspect: float | None) -> np.ndarray:
    file = _Bounded(data)
    with _open(file) as im:
        _refuse_too_large(im, data)
        if im.format == "PNG":
            with _open_all(data) as copy:
                copy.verify()  # compare the checksums; decoding does not
        if im.format == "TIFF":
            _silence_libtiff()
        im.draft(None, _choose_draft(size))
        prepare(im, data)
        opacity = find_hidden_opacity(im, lambda: _open_all(data))
        file.budget = 2 * MAX_BYTES
        im.load()
        drop_empty_alpha(im)
        return _finish(im, _make_crop(im, opacity), size, max_aspect)


def _choose_draft(size: int) -> tuple[int, int]:
    """The least size at which a JPEG is decoded: at least one and a half that of the result."""
    least = max(2 * SIZE, 3 * size // 2)
    return least, least


def _finish(im: Image.Image, crop: Crop, size: int, max_aspect: float | None) -> np.ndarray:
    """Resize the pixels, convert them to sRGB and rotate them as EXIF says."""
    square = _resize(im, crop, size, max_aspect)
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


def _open(file: _Bounded) -> Image.Image:
    Image.init()  # without it, an unregistered format raises KeyError
    return Image.open(file, formats=[name for name in FORMATS if name in Image.OPEN])


def _open_all(data: bytes) -> Image.Image:
    """Open a file whose header was read within the limits before."""
    file = _Bounded(data)
    im = _open(file)
    file.budget = 2 * MAX_BYTES
    return im


def _refuse_too_large(im: Image.Image, data: bytes) -> None:
    pixels, limit = im.width * im.height, MAX_PIXELS
    if im.format in ("WEBP", "AVIF") or is_read_twice(im):
        limit = MAX_COSTLY_PIXELS
    elif im.format in ("JPEG", "MPO"):
        scans = _count_jpeg_scans(data)
        limit = MAX_JPEG_PIXELS if scans == 1 else min(MAX_PIXELS, MAX_JPEG_WORK // scans)
    elif any(tile[0] in Image.DECODERS for tile in getattr(im, "tile", ())):
        limit = MAX_SLOW_PIXELS
    if pixels > limit:
        raise ImageError(
            f"{im.width}×{im.height} pixels: more than {limit / 1e6:.3g} million,"
            f" the limit for this kind of {im.format}"
        )
    if min(im.size) < 1:
        raise ImageError("has no pixels")


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


def _resize(im: Image.Image, crop: Crop, size: int, max_aspect: float | None) -> Image.Image:
    """Resize the middle to ``size × size``, one band at a time to save memory."""
    left, upper, right, lower = find_middle(im.width, im.height, max_aspect)
    fx = max(1, int(right - left) // (2 * size))
    fy = max(1, int(lower - upper) // (2 * size))
    rows = fy * max(1, BAND_PIXELS // (im.width * fy))
    bands = [
        crop((0, top, im.width, min(top + rows, im.height))).reduce((fx, fy))
        for top in range(0, im.height, rows)
    ]
    small = Image.new(bands[0].mode, (bands[0].width, sum(band.height for band in bands)))
    top = 0
    for band in bands:
        small.paste(band, (0, top))
        top += band.height
    box = (left / fx, upper / fy, right / fx, lower / fy)  # the last pixel may be partial
    return small.resize((size, size), Image.Resampling.BICUBIC, box=box)


def _make_crop(im: Image.Image, opacity: Opacity | None = None) -> Crop:
    """A function that crops ``im`` in a mode that can be averaged.

    The mode is L, RGB, RGBa, CMYK, LAB, or F from 0 to 255.
    """
    if im.mode == "F" or im.mode.startswith("I"):
        black, white = _find_range(im)
        return lambda box: _scale_grey(im.crop(box), black, white, im.info.get("transparency"))
    if opacity is not None:
        return lambda box: _premultiply(im.crop(box).convert("RGB"), opacity(box))
    if im.mode == "La":  # Pillow converts this mode to LA only
        return lambda box: _merge_premultiplied_grey(im.crop(box))
    if im.has_transparency_data:
        return lambda box: im.crop(box).convert("RGBA").convert("RGBa")
    mode = {"1": "L", "L": "L", "CMYK": "CMYK", "LAB": "LAB"}.get(im.mode, "RGB")
    return lambda box: im.crop(box).convert(mode)


def _premultiply(im: Image.Image, opacity: Image.Image) -> Image.Image:
    """Premultiply colours by the opacity (mode RGBa), so that they can be averaged."""
    rgba = im.convert("RGB")
    rgba.putalpha(opacity)
    return rgba.convert("RGBa")


def _merge_premultiplied_grey(im: Image.Image) -> Image.Image:
    grey, opacity = im.split()
    return Image.merge("RGBa", (grey, grey, grey, opacity))


def _find_range(im: Image.Image) -> tuple[float, float]:
    """The values of black and white in deep greyscale."""
    tags = getattr(im, "tag_v2", {})  # a TIFF's
    if im.mode.startswith("I;16"):
        low, high = 0.0, 2.0 ** tags.get(258, (16,))[0] - 1  # BitsPerSample
    else:
        low, high = (float(value) for value in im.getextrema())  # type: ignore[arg-type]
        tops = {"F": (1, 255), "I": (65535,) if im.format == "PPM" else (255, 65535)}[im.mode]
        low, high = next(((0.0, top) for top in tops if low >= 0 and high <= top), (low, high))
    return (high, low) if tags.get(262) == 0 else (low, high)  # WhiteIsZero


def _scale_grey(im: Image.Image, black: float, white: float, clear: int | None) -> Image.Image:
    """Scale deep greyscale to 0 … 255; ``clear`` is the transparent value."""
    values = np.asarray(im)
    if not np.isfinite(values).all():
        raise ImageError("holds NaN or infinite values")
    grey = (values.astype(np.float64) - black) * (255 / ((white - black) or 1))
    if clear is None:
        return Image.fromarray(grey.astype(np.float32))
    opaque = Image.fromarray(np.rint(grey).astype(np.uint8))
    return _premultiply(opaque, Image.fromarray(np.where(values == clear, 0, 255).astype(np.uint8)))


# ---- warnings and messages of Pillow

# Pillow also logs some errors that it raises; without a handler Python would print them.
logging.getLogger("PIL").addHandler(logging.NullHandler())

_strict_lock = threading.Lock()
_strict_count = 0
_strict_filters = warnings.catch_warnings()


@contextlib.contextmanager
def _raise_pillow_warnings() -> Iterator[None]:
    """Turn Pillow's warnings into errors, except harmless ones and its limit on the pixels.

    Warning filters are global to the process.  If each thread used ``catch_warnings``, a thread at
    its end would reset the filters of the others.  So the first thread sets the filters, and the
    last one restores them.
    """
    global _strict_count, _strict_filters
    with _strict_lock:
        _strict_count += 1
        if _strict_count == 1:
            _strict_filters = warnings.catch_warnings()
            _strict_filters.__enter__()
            pillow = r"PIL\b"
            warnings.filterwarnings("error", module=pillow)
            warnings.filterwarnings("ignore", _HARMLESS, module=pillow)
            warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
    try:
        yield
    finally:
        with _strict_lock:
            _strict_count -= 1
            if _strict_count == 0:
                _strict_filters.__exit__(None, None, None)


@functools.cache
def _silence_libtiff() -> None:
    """Stop libtiff from printing errors to the C stderr; it also returns them.

    The function is looked up in Pillow's extension module.  If that does not export it (a static
    build), libtiff still prints.
    """
    with contextlib.suppress(OSError, AttributeError):
        set_handler = ctypes.CDLL(_imaging.__file__).TIFFSetErrorHandler
        set_handler.argtypes, set_handler.restype = [ctypes.c_void_p], ctypes.c_void_p
        set_handler(None)
