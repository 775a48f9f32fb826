"""To sRGB over white, whatever the file says of its colours: a profile, a gamma, an opacity."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageCms

DISPLAY_EXPONENT = 2.2  # of a screen, in the PNG specification
# A correction smaller than this is left out, as in libpng: files say 1/2.2 and mean sRGB.
GAMMA_THRESHOLD = 0.05
GAMMA_RANGE = 0.00016, 6250.0  # outside of it libpng takes the number for an error
SRGB_CHROMATICITY = (0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)
# From cone responses to XYZ and back, white is brought to white: the Bradford matrix of ICC.
BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)


def to_srgb(im: Image.Image, info: Mapping[Any, Any]) -> Image.Image:
    """Bring the colours of an image to sRGB, then lay it over white.

    Args:
        im: in mode L, RGB, CMYK, LAB, RGBa (weighted by opacity), or F from 0 to 255 (grey).
        info: of the file, as Pillow names it.  What counts is, in this order, ``icc_profile``;
            ``srgb``; ``gamma``, with ``chromaticity`` if there is one (PNG, section 13.13).

    Returns:
        An image in mode RGB.
    """
    if im.mode != "RGBa":
        return _opaque(im, info)
    straight = im.convert("RGBA")
    rgb = _opaque(straight.convert("RGB"), info)
    return Image.composite(rgb, Image.new("RGB", im.size, "white"), straight.getchannel("A"))


def _opaque(im: Image.Image, info: Mapping[Any, Any]) -> Image.Image:
    if im.mode == "LAB":
        return _by_profile(im, ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")))
    if profile := info.get("icc_profile"):
        # One that is broken or made for another kind of image is left aside.
        with contextlib.suppress(ImageCms.PyCMSError, OSError, TypeError, ImportError):
            return _by_profile(im, ImageCms.ImageCmsProfile(io.BytesIO(profile)))
    gamma = info.get("gamma", 0.0)
    if "srgb" not in info and GAMMA_RANGE[0] <= gamma <= GAMMA_RANGE[1]:
        return _by_gamma(im, gamma, info.get("chromaticity", SRGB_CHROMATICITY))
    if im.mode == "F":
        im = Image.fromarray(np.rint(np.asarray(im).clip(0, 255)).astype(np.uint8))
    return im.convert("RGB")


def _by_profile(im: Image.Image, profile: ImageCms.ImageCmsProfile) -> Image.Image:
    if im.mode == "F":
        im = Image.fromarray(np.rint(np.asarray(im).clip(0, 255) * 257).astype(np.uint16))
    elif im.mode == "RGB" and _space(profile) == "GRAY" and _is_grey(im):
        im = im.getchannel(0)
    out = ImageCms.profileToProfile(
        im,
        profile,
        ImageCms.createProfile("sRGB"),
        outputMode="RGB",
        flags=ImageCms.Flags.NOOPTIMIZE,  # the shortcuts of LittleCMS are coarse near black
    )
    assert out is not None  # None is for a conversion in place
    return out


def _space(profile: Any) -> str:
    return profile.profile.xcolor_space


def _is_grey(im: Image.Image) -> bool:
    pixels = np.asarray(im)
    return bool((pixels == pixels[..., :1]).all())


def _by_gamma(im: Image.Image, gamma: float, chromaticity: Sequence[float]) -> Image.Image:
    """Colours of a file that says of its samples: intensity = sample^(1 / gamma)."""
    matrix = _primaries_to_srgb(chromaticity)
    power = 1 / DISPLAY_EXPONENT
    if abs(gamma * DISPLAY_EXPONENT - 1) < GAMMA_THRESHOLD:
        power = gamma
        if matrix is None:
            return _opaque(im, {})
    samples = np.asarray(im if im.mode == "F" else im.convert("RGB"), np.float64).clip(0, 255) / 255
    if samples.ndim == 2:
        samples = np.repeat(samples[..., None], 3, axis=-1)
    light = samples ** (1 / gamma)
    if matrix is not None:
        light = (light @ matrix.T).clip(0, 1)
    return Image.fromarray(np.rint(255 * light**power).astype(np.uint8))


def _primaries_to_srgb(chromaticity: Sequence[float]) -> np.ndarray | None:
    """The (3, 3) matrix from a file's linear colours to those of sRGB; None if they are the same.

    Args:
        chromaticity: x and y of white, red, green and blue.  Impossible ones count as sRGB's.
    """
    if np.allclose(chromaticity, SRGB_CHROMATICITY, atol=0.001):
        return None
    try:
        theirs, their_white = _to_xyz(chromaticity)
        ours, our_white = _to_xyz(SRGB_CHROMATICITY)
        adapted = np.linalg.inv(BRADFORD) @ np.diag(
            (BRADFORD @ our_white) / (BRADFORD @ their_white)
        )
        matrix = np.linalg.inv(ours) @ adapted @ BRADFORD @ theirs
    except (np.linalg.LinAlgError, ZeroDivisionError):
        return None
    return matrix if np.isfinite(matrix).all() else None


def _to_xyz(chromaticity: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """The matrix from linear red, green and blue to XYZ, and white in XYZ (ITU-R BT.709)."""
    white, *primaries = (
        np.array([x / y, 1.0, (1 - x - y) / y])
        for x, y in zip(chromaticity[::2], chromaticity[1::2], strict=True)
    )
    columns = np.stack(primaries, axis=1)
    return columns * np.linalg.solve(columns, white), white
