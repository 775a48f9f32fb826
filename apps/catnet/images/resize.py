"""Resize the middle of an image to a square, in a mode that can be averaged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from PIL import Image

from catnet.images.geometry import Geometry, find_middle
from catnet.images.png_samples import Box, Opacity
from catnet.images.reading import ImageError

BAND_PIXELS = 2_000_000

Crop: TypeAlias = Callable[[Box], Image.Image]


def resize(im: Any, crop: Crop, geometry: Geometry) -> Image.Image:
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


def make_crop(im: Any, opacity: Opacity | None = None) -> Crop:
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
