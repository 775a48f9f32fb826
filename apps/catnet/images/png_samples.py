"""Corrections of Pillow between the samples of a file and its pixels.

Pillow loses some kinds of transparency (PNG's transparent colour at depths other than 8 bits, the
canvas around a first frame), and reads some samples of TIFF files from the wrong places.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from PIL import Image, ImagePalette

from catnet.images.reading import ImageError

Box: TypeAlias = tuple[int, int, int, int]  # left, top, right, bottom
Opacity: TypeAlias = Callable[[Box], Image.Image]  # of a part of the image, mode L; 255 is opaque

_TOPS = {"L;2": 3, "L;4": 15}  # the largest grey sample of PNG; Pillow scales it to 255


def prepare(im: Any, data: bytes) -> None:
    """Correct how Pillow will read an open file; call it before the pixels are loaded."""
    if im.format == "TIFF":
        _prepare_tiff(im)
    elif im.format == "WEBP" and data[12:16] == b"VP8X" and data[20] & 2 and im.mode == "RGB":
        # In an animation, the canvas outside of the first frame is transparent.
        im.rawmode = im._mode = "RGBA"
    elif im.format == "PNG" and "transparency" in im.info:
        clear, rawmode = im.info["transparency"], im.tile[0].args
        if rawmode == "RGB":
            im.info["transparency"] = tuple(value & 255 for value in clear)
        elif rawmode.startswith("L"):
            top = _TOPS.get(rawmode, 255)
            im.info["transparency"] = (clear & top) * 255 // top


def _prepare_tiff(im: Any) -> None:
    if im.mode == "P" and max(im.tag_v2[320]) < 256:  # a ColorMap of 8 bits, as libtiff takes it
        im.palette = ImagePalette.raw("RGB;L", bytes(im.tag_v2[320]))
    if im.tag_v2.get(284) != 2:
        return
    if im.mode in ("LA", "La", "PA", "LAB"):
        raise ImageError("has its channels in separate planes; save it with interleaved channels")
    if im.tag_v2.get(258, (1,))[0] == 16 and im.tile[0].codec_name == "raw":
        order = ";16L" if im.tag_v2.prefix == b"II" else ";16B"
        im.tile = [tile._replace(args=(tile.args[0] + order, *tile.args[1:])) for tile in im.tile]


def find_hidden_opacity(im: Any, reopen: Callable[[], Any]) -> Opacity | None:
    """Find an opacity that Pillow ignores; None for files without one.

    Args:
        im: an open file whose pixels are not loaded yet.
        reopen: opens the same file again.
    """
    if im.format == "GIF" and "transparency" not in im.info:
        frame = im.tile[0].extents
        return None if frame == (0, 0, *im.size) else lambda box: _draw_frame(frame, box)
    if is_read_twice(im):
        clear = np.array(im.info.pop("transparency"), np.uint16)
        low = reopen()  # Pillow reads 8 of the 16 bits: here the lower 8
        low.tile = [tile._replace(args="RGB;16L") for tile in low.tile]
        return lambda box: _compare_colour(im.crop(box), low.crop(box), clear)
    return None


def is_read_twice(im: Any) -> bool:
    """Whether an open file is a PNG with a transparent colour of 16 bits a channel."""
    return im.format == "PNG" and im.tile[0].args == "RGB;16B" and "transparency" in im.info


def _draw_frame(frame: Box, box: Box) -> Image.Image:
    opacity = Image.new("L", (box[2] - box[0], box[3] - box[1]), 0)
    left, top, right, bottom = frame
    opacity.paste(255, (left - box[0], top - box[1], right - box[0], bottom - box[1]))
    return opacity


def _compare_colour(high: Image.Image, low: Image.Image, clear: np.ndarray) -> Image.Image:
    """Opaque where the 16-bit colour is not the transparent colour."""
    different = np.asarray(high) != (clear >> 8).astype(np.uint8)
    different |= np.asarray(low) != (clear & 255).astype(np.uint8)
    return Image.fromarray(np.where(different.any(axis=-1), 255, 0).astype(np.uint8))


def drop_empty_alpha(im: Image.Image) -> None:
    """Make a BMP opaque if its alpha channel is all zeros, because its writer did not use it."""
    if im.format == "BMP" and im.mode == "RGBA" and im.getchannel("A").getextrema() == (0, 0):
        im.putalpha(255)
