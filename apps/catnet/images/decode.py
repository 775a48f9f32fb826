"""The decoder: it turns an image file into ``(size, size, 3)`` uint8, or raises one reason.

Training, evaluation and prediction all use :func:`decode`, so a network classifies pixels that are
prepared as in its training.
"""

from __future__ import annotations

import contextlib
import io
import mmap
import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeAlias, TypeVar

import numpy as np
from PIL import ExifTags, Image, ImageFile, ImageOps

from catnet.images import heic
from catnet.images.colours import to_srgb
from catnet.images.geometry import WHOLE, Geometry, find_middle
from catnet.images.large import Bands, open_bands
from catnet.images.limits import MAX_LARGE_PIXELS, refuse_too_large
from catnet.images.pillow_errors import DAMAGE, raise_pillow_warnings, silence_libtiff
from catnet.images.png_samples import (
    Box,
    Opacity,
    drop_empty_alpha,
    find_hidden_opacity,
    prepare,
)
from catnet.images.raw import Preview, find_preview
from catnet.images.reading import MAX_BYTES, ImageError, Source, read, read_unless_large
from catnet.images.size import SIZE
from catnet.terminal import one_line

__all__ = [
    "ImageError",
    "decode",
    "decode_many",
    "decode_with_whole",
    "from_array",
    "from_image",
    "read_dimensions",
    "resize_squares",
]

FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "AVIF")
MAX_HEADER_BYTES = 16 * 2**20  # read before the first pixel
MAX_READS = 250_000
BAND_PIXELS = 2_000_000

_STARTS = {  # of the formats that a few bytes identify
    **{b"\xff\xd8\xff": "JPEG", b"\x89PNG\r\n\x1a\n": "PNG", b"GIF8": "GIF"},
    **{b"II*\0": "TIFF", b"MM\0*": "TIFF"},
}

AnySource = TypeVar("AnySource", bound=Source)
Result = TypeVar("Result")
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
    return np.asarray(to_srgb(_resize(im, _make_crop(im), Geometry(size, max_aspect)), {}))


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
        return _finish(im, _make_crop(im), Geometry(size, max_aspect))


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
        with raise_pillow_warnings(), _open_source(source) as file, _open(file) as im:
            # Pillow itself turns the size of a TIFF.
            turned = upright and im.format != "TIFF" and _read_orientation(im, file) >= 5
            width, height = im.size
            return (height, width) if turned else (width, height)
    except ImageError:
        raise
    except DAMAGE as error:
        raise ImageError(f"damaged or unsupported: {type(error).__name__}") from None


def decode_many(
    sources: Iterable[AnySource], size: int = 64, max_aspect: float | None = None
) -> Generator[tuple[AnySource, np.ndarray | ImageError], None, None]:
    """Decode many images on all cores; yield pairs ``(source, image or reason)`` in their order.

    Each result equals that of :func:`decode`.  The sources are iterated lazily, so the memory does
    not grow with their number.
    """
    return _map_in_pool(lambda source: decode(source, size, max_aspect), sources)


def decode_with_whole(
    sources: Iterable[AnySource], geometry: Geometry
) -> Generator[tuple[AnySource, tuple[np.ndarray, np.ndarray] | ImageError], None, None]:
    """Decode many images for a network, and as a whole at 64×64; each file is read once.

    An image is recognized by the second, which does not depend on the network.
    """

    def both(source: Source) -> tuple[np.ndarray, np.ndarray]:
        content = read_unless_large(source)
        image = decode(content, *geometry)
        return image, image if geometry == WHOLE else decode(content, *WHOLE)

    return _map_in_pool(both, sources)


def _map_in_pool(
    work: Callable[[Source], Result], sources: Iterable[AnySource]
) -> Generator[tuple[AnySource, Result | ImageError], None, None]:
    threads = min(8, os.cpu_count() or 1)
    pool = ThreadPoolExecutor(threads, thread_name_prefix="decode")

    def result_or_reason(source: Source) -> Result | ImageError:
        try:
            return work(source)
        except ImageError as error:
            return ImageError(str(error))  # a new exception, because the traceback holds the file

    queue = deque()
    try:
        for source in sources:
            queue.append((source, pool.submit(result_or_reason, source)))
            if len(queue) > 2 * threads:
                first, future = queue.popleft()
                yield first, future.result()
        for first, future in queue:
            yield first, future.result()
    finally:
        # Do not wait: if the caller stops early, the garbage collector may run this line in a
        # thread of the pool, and that thread would wait for itself.
        pool.shutdown(wait=False, cancel_futures=True)


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


def _identify(data: bytes) -> str:
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


# ---- bytes to pixels


class _Limits:
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


class _Bounded(_Limits, io.BytesIO):
    """A file in memory with these limits."""


class _BoundedFile(_Limits, io.FileIO):
    """A regular file with these limits."""


def _decode(data: bytes, geometry: Geometry, orientation: int = 1) -> np.ndarray:
    if (preview := find_preview(data)) is not None:
        data, orientation = preview.jpeg, preview.orientation
    file = _Bounded(data)
    with _open(file) as im:
        if (bands := open_bands(im)) is not None:
            return _finish_bands(file, bands, geometry)
        refuse_too_large(im, data)
        if im.format == "PNG":
            with _open_all(data) as copy:
                copy.verify()  # compare the checksums; decoding does not
        if im.format == "TIFF":
            silence_libtiff()
        im.draft(None, _choose_draft(geometry.size))
        prepare(im, data)
        opacity = find_hidden_opacity(im, lambda: _open_all(data))
        file.release()
        im.load()
        drop_empty_alpha(im)
        return _finish(im, _make_crop(im, opacity), geometry, orientation)


def _choose_draft(size: int) -> tuple[int, int]:
    """The least size at which a JPEG is decoded: at least one and a half that of the result."""
    least = max(2 * SIZE, 3 * size // 2)
    return least, least


def _decode_large(path: str | os.PathLike[str], geometry: Geometry) -> np.ndarray:
    """Decode a file that is too large to be read as a whole."""
    try:
        with _convert_errors(), _BoundedFile(path) as file:
            if (preview := _find_preview_of_file(file)) is not None:
                return _decode(preview.jpeg, geometry, preview.orientation)
            with _open(file) as im:
                if (bands := open_bands(im, whole_fits=False)) is not None:
                    return _finish_bands(file, bands, geometry)
                kind = f"this kind of {im.format}"
    except Image.UnidentifiedImageError:
        kind = "this kind of file"
    raise ImageError(f"larger than {MAX_BYTES // 2**20} MB, the limit for {kind}")


def _find_preview_of_file(file: _BoundedFile) -> Preview | None:
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return find_preview(data)


def _finish_bands(file: _Limits, bands: Bands, geometry: Geometry) -> np.ndarray:
    silence_libtiff()
    file.release()
    return _finish(bands, _make_crop(bands), geometry)


def _finish(im: Any, crop: Crop, geometry: Geometry, orientation: int = 1) -> np.ndarray:
    """Resize the pixels, convert them to sRGB and rotate them as EXIF, or the raw file, says."""
    square = _resize(im, crop, geometry)
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


def _open_source(source: Source) -> _Bounded | _BoundedFile:
    """Open the file of a source, or its preview if it is camera raw."""
    data = read_unless_large(source)
    if isinstance(data, bytes):
        preview = find_preview(data)
    else:
        with _BoundedFile(data) as whole:
            preview = _find_preview_of_file(whole)
    if preview:
        file = _Bounded(preview.jpeg)
        file.orientation = preview.orientation
        return file
    return _Bounded(data) if isinstance(data, bytes) else _BoundedFile(data)


def _read_orientation(im: Any, file: _Limits) -> int:
    """EXIF's orientation, or that of the raw file, without loading the pixels of a PNG."""
    if file.orientation != 1:
        return file.orientation
    value = Image.Image.getexif(im).get(ExifTags.Base.Orientation, 1)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _open(file: _Bounded | _BoundedFile) -> Image.Image:
    Image.init()  # without it, an unregistered format raises KeyError
    if heic.is_heic(file.read(12)):
        heic.register()
    file.seek(0)
    formats = (*FORMATS, heic.FORMAT)
    return Image.open(file, formats=[name for name in formats if name in Image.OPEN])


def _open_all(data: bytes) -> Image.Image:
    """Open a file whose header was read within the limits before."""
    file = _Bounded(data)
    im = _open(file)
    file.release()
    return im


def _resize(im: Any, crop: Crop, geometry: Geometry) -> Image.Image:
    """Resize the middle to a square, one band at a time to save memory."""
    size, max_aspect = geometry
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


def _make_crop(im: Any, opacity: Opacity | None = None) -> Crop:
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


def _find_range(im: Any) -> tuple[float, float]:
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
