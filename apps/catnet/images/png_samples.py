"""What Pillow leaves undone between a file's samples and its pixels, mended.

Some kinds of transparency get lost on the way (PNG's transparent colour at other depths than 8
bits, the canvas around a first frame), and some samples are read from the wrong places.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from PIL import Image, ImagePalette

from catnet.images.paths import ImageError

Box: TypeAlias = tuple[int, int, int, int]  # left, top, right, bottom
Opacity: TypeAlias = Callable[[Box], Image.Image]  # of a part of the image: mode L, 255 opaque

_TOPS = {"L;2": 3, "L;4": 15}  # the largest sample of PNG's greys; Pillow scales it to 255


def prepare(im: Any, data: bytes) -> None:
    """Correct what an open file is about to be read with; before its pixels are loaded."""
    if im.format == "TIFF":
        _prepare_tiff(im)
    elif im.format == "WEBP" and data[12:16] == b"VP8X" and data[20] & 2 and im.mode == "RGB":
        # An animation: its canvas is transparent where the first frame does not reach.
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
        raise ImageError("holds its channels in separate planes; save it with them interleaved")
    if im.tag_v2.get(258, (1,))[0] == 16 and im.tile[0].codec_name == "raw":
        order = ";16L" if im.tag_v2.prefix == b"II" else ";16B"
        im.tile = [tile._replace(args=(tile.args[0] + order, *tile.args[1:])) for tile in im.tile]


def hidden_opacity(im: Any, reopen: Callable[[], Any]) -> Opacity | None:
    """The opacity that Pillow does not know of; None for all other files.

    Args:
        im: an open file; its pixels not loaded yet.
        reopen: opens the same file once more.
    """
    if im.format == "GIF" and "transparency" not in im.info:
        frame = im.tile[0].extents
        return None if frame == (0, 0, *im.size) else lambda box: _inside(frame, box)
    if is_read_twice(im):
        clear = np.array(im.info.pop("transparency"), np.uint16)
        low = reopen()  # Pillow keeps 8 bits of 16: here the lower ones, as if they were upper
        low.tile = [tile._replace(args="RGB;16L") for tile in low.tile]
        return lambda box: _different(im.crop(box), low.crop(box), clear)
    return None


def is_read_twice(im: Any) -> bool:
    """Whether an open file is a PNG with a transparent colour of 16 bits a channel."""
    return im.format == "PNG" and im.tile[0].args == "RGB;16B" and "transparency" in im.info


def _inside(frame: Box, box: Box) -> Image.Image:
    opacity = Image.new("L", (box[2] - box[0], box[3] - box[1]), 0)
    left, top, right, bottom = frame
    opacity.paste(255, (left - box[0], top - box[1], right - box[0], bottom - box[1]))
    return opacity


def _different(high: Image.Image, low: Image.Image, clear: np.ndarray) -> Image.Image:
    """Opaque where the 16 bits are not the clear colour's."""
    different = np.asarray(high) != (clear >> 8).astype(np.uint8)
    different |= np.asarray(low) != (clear & 255).astype(np.uint8)
    return Image.fromarray(np.where(different.any(axis=-1), 255, 0).astype(np.uint8))


def drop_empty_alpha(im: Image.Image) -> None:
    """A BMP with an alpha channel of nothing but zeros is opaque: its writer left it unused."""
    if im.format == "BMP" and im.mode == "RGBA" and im.getchannel("A").getextrema() == (0, 0):
        im.putalpha(255)
