"""The one decoder: any file that may be an image becomes ``(size, size, 3)`` uint8, or one reason.

Training, evaluation and prediction all see images through :func:`decode`, so a network
is never asked about pixels prepared in another way than those it learnt from.
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
from catnet.images.paths import MAX_BYTES, ImageError, Source, read
from catnet.images.png_samples import (
    Box,
    Opacity,
    drop_empty_alpha,
    hidden_opacity,
    is_read_twice,
    prepare,
)
from catnet.terminal import one_line

__all__ = ["ImageError", "decode", "decode_many", "dimensions", "from_array", "from_image"]

FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "AVIF")
# The limits keep one file under 2 s and 500 MB (measured on noise, the worst of contents).
MAX_PIXELS = 36_000_000
# WebP: its decoder holds four copies; AVIF: slow; PNG of 16 bits with a transparent colour: twice
MAX_COSTLY_PIXELS = 25_000_000
MAX_JPEG_PIXELS = 120_000_000  # with one scan: shrunk while it is decoded, never held whole
MAX_JPEG_WORK = 2_000_000_000  # scans × pixels
MAX_SLOW_PIXELS = 1_000_000  # where Pillow decodes in Python: plain PPM, odd depths, BMP's RLE
MAX_HEADER_BYTES = 16 * 2**20  # read before the first pixel
MAX_READS = 250_000
BAND_PIXELS = 2_000_000

# What Pillow has been seen to raise on damaged files.  Its plugins parse in Python and check
# little, so a flipped byte can surface as nearly any error of arithmetic, lookup or type.
_DAMAGE = (
    *(OSError, EOFError, SyntaxError, ValueError, TypeError, LookupError, ArithmeticError),
    *(AttributeError, AssertionError, NameError, RuntimeError, BufferError, MemoryError),
    *(ImportError, struct.error, zlib.error, Warning, Image.DecompressionBombError),
)
_HARMLESS = (  # warnings about what surrounds an image that is itself whole
    r"(possibly )?corrupt EXIF|tag |metadata warning|invalid APNG|"
    r"image appears to be a malformed MPO|palette images with transparency"
)
_STARTS = {  # of the formats that can be told by a few bytes
    **{b"\xff\xd8\xff": "JPEG", b"\x89PNG\r\n\x1a\n": "PNG", b"GIF8": "GIF"},
    **{b"II*\0": "TIFF", b"MM\0*": "TIFF"},
}

AnySource = TypeVar("AnySource", bound=Source)
Averageable: TypeAlias = Callable[[Box], Image.Image]


def decode(source: Source, size: int = 64) -> np.ndarray:
    """Decode an image and squash it to a square.

    The first frame, turned as EXIF says, its colours brought to sRGB where the file has a
    profile or PNG's gAMA (with cHRM), over white where it is transparent.  Greyscale deeper than
    8 bits is scaled, never clipped: 16 and 12 bits by their full range; 32-bit integers by 255 or
    65535, floats by 1 or 255, whichever first holds all values, and otherwise from minimum to
    maximum.  Of 16-bit colours the upper 8 bits count, of PNG's transparent colour all 16.
    It is shrunk by box averages to at least twice ``size``, then by a bicubic filter.

    A cut file is refused.  PNG has checksums; in a JPEG, a flipped bit may go unseen, and so may
    half an image onto which someone has put an end mark.

    Args:
        source: a path, the bytes of a file, or an open binary file.
        size: height and width of the result, in pixels.

    Returns:
        ``(size, size, 3)`` uint8, red, green, blue.

    Raises:
        ImageError: there is no image; the message says why.

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
        with _one_reason():
            return _decode(data, size)
    except Image.UnidentifiedImageError:
        raise ImageError(_what_else(data)) from None


def from_array(pixels: np.ndarray, size: int = 64) -> np.ndarray:
    """Squash an image that is already decoded, as :func:`decode` does.

    Args:
        pixels: uint8; (H, W) or (H, W, 1) grey, (H, W, 3) red, green, blue, or (H, W, 4) with
            opacity, which is laid over white.
        size: height and width of the result, in pixels.

    Raises:
        ImageError: it is something else.

    Example:
        >>> from_array(np.full((2, 3), 7, np.uint8), size=1).tolist()
        [[[7, 7, 7]]]
    """
    pixels = np.asarray(pixels)
    got = f"got {pixels.shape} of {pixels.dtype}"
    if pixels.ndim not in (2, 3) or (*pixels.shape, 1)[2] not in (1, 3, 4) or not pixels.size:
        raise ImageError(f"expected (H, W, 3) of uint8, {got}")
    if pixels.dtype != np.uint8:
        scale = "multiply by 255 if white is 1, " if pixels.dtype.kind == "f" else ""
        raise ImageError(f"expected (H, W, 3) of uint8, {got}; {scale}round, astype(uint8)")
    if pixels.shape[2:] == (1,):
        pixels = pixels[..., 0]
    im = Image.fromarray(np.ascontiguousarray(pixels))
    return np.asarray(to_srgb(_squash(im, _averageable(im), size), {}))


def from_image(im: Image.Image, size: int = 64) -> np.ndarray:
    """Squash an image of Pillow's, as :func:`decode` does; it is left as it is.

    One that Pillow has opened and not loaded yet is decoded from its file.

    Raises:
        ImageError: it has no pixels, or its file is damaged.

    Example:
        >>> from_image(Image.new("L", (2, 3), 7), size=1).tolist()
        [[[7, 7, 7]]]
    """
    if (data := _unread(im)) is not None:
        return decode(data, size)
    if min(im.size) < 1:
        raise ImageError("has no pixels")
    with _one_reason():
        im.load()
        return _finish(im, _averageable(im), size)


def dimensions(source: Source) -> tuple[int, int]:
    """Width and height of an image in its file, in pixels: what the header says, before turning.

    Raises:
        ImageError: there is no image, or its header is damaged.

    Example:
        >>> dimensions(b"P3 2 1 255  255 0 0  255 0 0")
        (2, 1)
    """
    data = source if isinstance(source, bytes) else read(source)
    try:
        with _pillow_warnings_raise(), _open(_Bounded(data)) as im:
            return im.size
    except ImageError:
        raise
    except _DAMAGE as error:
        raise ImageError(f"damaged or unsupported: {type(error).__name__}") from None


def decode_many(
    sources: Iterable[AnySource], size: int = 64
) -> Generator[tuple[AnySource, np.ndarray | ImageError], None, None]:
    """Decode many images on all cores; pairs ``(source, image or reason)`` in the order given.

    Each result is what :func:`decode` alone gives.  Sources are drawn as they are needed, so
    memory does not grow with their number.
    """
    threads = min(8, os.cpu_count() or 1)
    pool = ThreadPoolExecutor(threads, thread_name_prefix="decode")
    waiting = deque()
    try:
        for source in sources:
            waiting.append((source, pool.submit(_decode_or_reason, source, size)))
            if len(waiting) > 2 * threads:
                first, future = waiting.popleft()
                yield first, future.result()
        for first, future in waiting:
            yield first, future.result()
    finally:
        # Not waiting: whoever stops early leaves this to the garbage collector, which may run in
        # one of the pool's own threads, and that would wait for itself.
        pool.shutdown(wait=False, cancel_futures=True)


def _decode_or_reason(source: Source, size: int) -> np.ndarray | ImageError:
    try:
        return decode(source, size)
    except ImageError as error:
        return ImageError(str(error))  # a new one, without the traceback that holds the file


@contextlib.contextmanager
def _one_reason() -> Iterator[None]:
    """Whatever Pillow raises in here, but for ``UnidentifiedImageError``, is an ImageError."""
    try:
        with _pillow_warnings_raise():
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


def _what_else(data: bytes) -> str:
    """What the bytes are when they are no image in a known format."""
    for start, name in _STARTS.items():
        if data.startswith(start):
            return f"damaged or unsupported: it starts like a {name}, but cannot be read as one"
    if data[4:8] == b"ftyp" and data[8:12] in (b"heic", b"heix", b"hevc", b"mif1", b"msf1"):
        return "a HEIC image, which is not supported; save it as JPEG"
    if data[:1000].lstrip().lower().startswith((b"<!doctype html", b"<html")):
        return "a web page, not an image"
    return f"not an image in a known format ({', '.join(FORMATS)})"


# ---- from bytes to pixels


class _Bounded(io.BytesIO):
    """A file in memory that stops being read once it takes more than an honest file does.

    Headers made of millions of tiny pieces would keep Pillow's parsers busy for minutes, and
    large ones become Python objects twenty times their size.
    """

    reads = 0
    left = MAX_HEADER_BYTES

    def read(self, size: int | None = -1, /) -> bytes:
        part = super().read(size)
        self.reads += 1
        if size is not None and size >= 0:  # WebP and AVIF take the file whole, and parse it in C
            self.left -= len(part)
        if self.reads > MAX_READS or self.left < 0:
            raise ImageError("too much metadata")
        return part


def _decode(data: bytes, size: int) -> np.ndarray:
    file = _Bounded(data)
    with _open(file) as im:
        _refuse_too_large(im, data)
        if im.format == "PNG":
            with _open_all(data) as copy:
                copy.verify()  # checksums, which decoding does not look at
        if im.format == "TIFF":
            _silence_libtiff()
        im.draft(None, (2 * size, 2 * size))
        prepare(im, data)
        opacity = hidden_opacity(im, lambda: _open_all(data))
        file.left = 2 * MAX_BYTES
        im.load()
        drop_empty_alpha(im)
        return _finish(im, _averageable(im, opacity), size)


def _finish(im: Image.Image, averageable: Averageable, size: int) -> np.ndarray:
    """From pixels to the answer: squashed, in sRGB, upright."""
    square = _squash(im, averageable, size)
    orientation = im.getexif().get(ExifTags.Base.Orientation, 1)
    rgb = to_srgb(square, im.info)
    rgb.getexif()[ExifTags.Base.Orientation] = orientation
    return np.array(ImageOps.exif_transpose(rgb), dtype=np.uint8)


def _unread(im: Image.Image) -> bytes | None:
    """The file of an image that Pillow has opened, but not loaded; None for all others."""
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
    Image.init()  # without it, a format not yet registered is a KeyError
    return Image.open(file, formats=[name for name in FORMATS if name in Image.OPEN])


def _open_all(data: bytes) -> Image.Image:
    """Open a file whose header has been found to be honest."""
    file = _Bounded(data)
    im = _open(file)
    file.left = 2 * MAX_BYTES
    return im


def _refuse_too_large(im: Image.Image, data: bytes) -> None:
    pixels, limit = im.width * im.height, MAX_PIXELS
    if im.format in ("WEBP", "AVIF") or is_read_twice(im):
        limit = MAX_COSTLY_PIXELS
    elif im.format in ("JPEG", "MPO"):
        scans = _jpeg_scans(data)
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


def _jpeg_scans(data: bytes) -> int:
    """How often the image is gone through: once, or many times if it is progressive."""
    at, scans = 2, 0
    for _ in range(10_000):
        marker = re.compile(rb"\xff([^\x00\xd0-\xd7\xff])").search(data, at)
        if marker is None or marker[1] == b"\xd9":
            return max(scans, 1)
        scans += marker[1] == b"\xda"
        at = marker.end() + int.from_bytes(data[marker.end() : marker.end() + 2], "big")
    raise ImageError("too many segments")


def _squash(im: Image.Image, averageable: Averageable, size: int) -> Image.Image:
    """To ``size × size`` in a mode that can be averaged; a band at a time, to copy little."""
    fx, fy = max(1, im.width // (2 * size)), max(1, im.height // (2 * size))
    rows = fy * max(1, BAND_PIXELS // (im.width * fy))
    bands = [
        averageable((0, top, im.width, min(top + rows, im.height))).reduce((fx, fy))
        for top in range(0, im.height, rows)
    ]
    small = Image.new(bands[0].mode, (bands[0].width, sum(band.height for band in bands)))
    top = 0
    for band in bands:
        small.paste(band, (0, top))
        top += band.height
    box = (0, 0, im.width / fx, im.height / fy)  # the last box may be a partial one
    return small.resize((size, size), Image.Resampling.BICUBIC, box=box)


def _averageable(im: Image.Image, opacity: Opacity | None = None) -> Averageable:
    """The function that gives parts of ``im`` in L, RGB, RGBa, CMYK, LAB, or F from 0 to 255."""
    if im.mode == "F" or im.mode.startswith("I"):
        black, white = _range(im)
        return lambda box: _grey(im.crop(box), black, white, im.info.get("transparency"))
    if opacity is not None:
        return lambda box: _weighted(im.crop(box).convert("RGB"), opacity(box))
    if im.mode == "La":  # which Pillow converts to nothing but LA
        return lambda box: _of_weighted_grey(im.crop(box))
    if im.has_transparency_data:
        return lambda box: im.crop(box).convert("RGBA").convert("RGBa")
    mode = {"1": "L", "L": "L", "CMYK": "CMYK", "LAB": "LAB"}.get(im.mode, "RGB")
    return lambda box: im.crop(box).convert(mode)


def _weighted(im: Image.Image, opacity: Image.Image) -> Image.Image:
    """RGBa: colours weighted by opacity, as they have to be to be averaged."""
    rgba = im.convert("RGB")
    rgba.putalpha(opacity)
    return rgba.convert("RGBa")


def _of_weighted_grey(im: Image.Image) -> Image.Image:
    grey, opacity = im.split()
    return Image.merge("RGBa", (grey, grey, grey, opacity))


def _range(im: Image.Image) -> tuple[float, float]:
    """The values of deep greyscale that mean black and white."""
    tags = getattr(im, "tag_v2", {})  # a TIFF's
    if im.mode.startswith("I;16"):
        low, high = 0.0, 2.0 ** tags.get(258, (16,))[0] - 1  # BitsPerSample
    else:
        low, high = (float(value) for value in im.getextrema())  # type: ignore[arg-type]
        tops = {"F": (1, 255), "I": (65535,) if im.format == "PPM" else (255, 65535)}[im.mode]
        low, high = next(((0.0, top) for top in tops if low >= 0 and high <= top), (low, high))
    return (high, low) if tags.get(262) == 0 else (low, high)  # WhiteIsZero


def _grey(im: Image.Image, black: float, white: float, clear: int | None) -> Image.Image:
    """Deep greyscale from 0 to 255; ``clear`` is the value that stands for no colour."""
    values = np.asarray(im)
    if not np.isfinite(values).all():
        raise ImageError("holds NaN or infinite values")
    scaled = (values.astype(np.float64) - black) * (255 / ((white - black) or 1))
    if clear is None:
        return Image.fromarray(scaled.astype(np.float32))
    grey = Image.fromarray(np.rint(scaled).astype(np.uint8))
    return _weighted(grey, Image.fromarray(np.where(values == clear, 0, 255).astype(np.uint8)))


# ---- the surroundings of Pillow

# Pillow logs some errors besides raising them; without a handler Python would print them.
logging.getLogger("PIL").addHandler(logging.NullHandler())

_strict_lock = threading.Lock()
_strict_count = 0
_strict_filters = warnings.catch_warnings()


@contextlib.contextmanager
def _pillow_warnings_raise() -> Iterator[None]:
    """Pillow's warnings are errors in here, but for harmless ones; its bomb limit is not ours.

    Filters belong to the process.  With a plain ``catch_warnings`` in every thread, one that
    leaves would undo those of the others; so the first in sets them and the last out restores.
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
    """libtiff prints errors to the C stderr besides returning them; once is enough.

    The function is found through Pillow's own extension module; where it is not exported
    (a static build), the lines stay.
    """
    with contextlib.suppress(OSError, AttributeError):
        set_handler = ctypes.CDLL(_imaging.__file__).TIFFSetErrorHandler
        set_handler.argtypes, set_handler.restype = [ctypes.c_void_p], ctypes.c_void_p
        set_handler(None)
