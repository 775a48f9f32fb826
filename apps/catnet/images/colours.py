"""Convert colours to sRGB over white, by the ICC profile, the gamma and the opacity of a file."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageCms

DISPLAY_EXPONENT = 2.2  # of a screen, in the PNG specification
# A smaller correction is omitted, as in libpng: many sRGB files have the gamma 1/2.2.
GAMMA_THRESHOLD = 0.05
GAMMA_RANGE = 0.00016, 6250.0  # libpng ignores a gamma outside of this range
SRGB_CHROMATICITY = (0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)
# Chromatic adaptation to the white of sRGB: the Bradford matrix of ICC.
BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)


def to_srgb(im: Image.Image, info: Mapping[Any, Any]) -> Image.Image:
    """Convert the colours of an image to sRGB, then composite it over white.

    Args:
        im: in mode L, RGB, CMYK, LAB, RGBa (premultiplied alpha), or F from 0 to 255 (grey).
        info: Pillow's ``info`` of the file.  The order of precedence is ``icc_profile``,
            ``srgb``, ``gamma`` with ``chromaticity`` if present (PNG, section 13.13).

    Returns:
        An image in mode RGB.
    """
    if im.mode != "RGBa":
        return _convert_opaque(im, info)
    straight = im.convert("RGBA")
    rgb = _convert_opaque(straight.convert("RGB"), info)
    return Image.composite(rgb, Image.new("RGB", im.size, "white"), straight.getchannel("A"))


def _convert_opaque(im: Image.Image, info: Mapping[Any, Any]) -> Image.Image:
    if im.mode == "LAB":
        return _apply_profile(im, ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")))
    if profile := info.get("icc_profile"):
        # A damaged profile, or one for another kind of image, is ignored.
        with contextlib.suppress(ImageCms.PyCMSError, OSError, TypeError, ImportError):
            return _apply_profile(im, ImageCms.ImageCmsProfile(io.BytesIO(profile)))
    gamma = info.get("gamma", 0.0)
    if "srgb" not in info and GAMMA_RANGE[0] <= gamma <= GAMMA_RANGE[1]:
        return _apply_gamma(im, gamma, info.get("chromaticity", SRGB_CHROMATICITY))
    if im.mode == "F":
        im = Image.fromarray(np.rint(np.asarray(im).clip(0, 255)).astype(np.uint8))
    return im.convert("RGB")


def _apply_profile(im: Image.Image, profile: ImageCms.ImageCmsProfile) -> Image.Image:
    if im.mode == "F":
        im = Image.fromarray(np.rint(np.asarray(im).clip(0, 255) * 257).astype(np.uint16))
    elif im.mode == "RGB" and _read_space(profile) == "GRAY" and _is_grey(im):
        im = im.getchannel(0)
    out = ImageCms.profileToProfile(
        im,
        profile,
        ImageCms.createProfile("sRGB"),
        outputMode="RGB",
        flags=ImageCms.Flags.NOOPTIMIZE,  # the optimizations of LittleCMS are inaccurate near black
    )
    assert out is not None  # None is for a conversion in place
    return out


def _read_space(profile: Any) -> str:
    return profile.profile.xcolor_space


def _is_grey(im: Image.Image) -> bool:
    pixels = np.asarray(im)
    return bool((pixels == pixels[..., :1]).all())


def _apply_gamma(im: Image.Image, gamma: float, chromaticity: Sequence[float]) -> Image.Image:
    """Convert the colours of a file whose samples mean: intensity = sample^(1 / gamma)."""
    matrix = _compute_primaries_to_srgb(chromaticity)
    power = 1 / DISPLAY_EXPONENT
    if abs(gamma * DISPLAY_EXPONENT - 1) < GAMMA_THRESHOLD:
        power = gamma
        if matrix is None:
            return _convert_opaque(im, {})
    samples = np.asarray(im if im.mode == "F" else im.convert("RGB"), np.float64).clip(0, 255) / 255
    if samples.ndim == 2:
        samples = np.repeat(samples[..., None], 3, axis=-1)
    light = samples ** (1 / gamma)
    if matrix is not None:
        light = (light @ matrix.T).clip(0, 1)
    return Image.fromarray(np.rint(255 * light**power).astype(np.uint8))


def _compute_primaries_to_srgb(chromaticity: Sequence[float]) -> np.ndarray | None:
    """The (3, 3) matrix from a file's linear colours to linear sRGB; None for the identity.

    Args:
        chromaticity: x and y of white, red, green and blue.  Impossible values count as sRGB.
    """
    if np.allclose(chromaticity, SRGB_CHROMATICITY, atol=0.001):
        return None
    try:
        file_to_xyz, file_white = _compute_rgb_to_xyz(chromaticity)
        srgb_to_xyz, srgb_white = _compute_rgb_to_xyz(SRGB_CHROMATICITY)
        adaptation = np.linalg.inv(BRADFORD) @ np.diag(
            (BRADFORD @ srgb_white) / (BRADFORD @ file_white)
        )
        matrix = np.linalg.inv(srgb_to_xyz) @ adaptation @ BRADFORD @ file_to_xyz
    except (np.linalg.LinAlgError, ZeroDivisionError):
        return None
    return matrix if np.isfinite(matrix).all() else None


def _compute_rgb_to_xyz(chromaticity: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """The matrix from linear red, green and blue to XYZ, and white in XYZ (ITU-R BT.709)."""
    white, *primaries = (
        np.array([x / y, 1.0, (1 - x - y) / y])
        for x, y in zip(chromaticity[::2], chromaticity[1::2], strict=True)
    )
    columns = np.stack(primaries, axis=1)
    return columns * np.linalg.solve(columns, white), white
