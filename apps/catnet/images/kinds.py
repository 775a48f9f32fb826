"""Decide whether a file is an image, by its extension or its first bytes."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable
from typing import NamedTuple

from catnet.images import raw

HEAD = 64  # bytes that are enough to detect a format
MAX_KINDS = 8  # kinds in a summary
# Formats that can be decoded, and formats for which the decoder has a special message.
EXTENSIONS = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".gif", ".bmp", ".webp", ".avif"}
    | {".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm", ".pfm", ".heic", ".heif", ".jxl", ".jp2"}
    | raw.EXTENSIONS
)
# Folders that operating systems create: thumbnails, metadata, deleted files.
SYSTEM_FOLDERS = frozenset(
    {"@eadir", "__macosx", "lost+found", "#recycle", "@recycle", "$recycle.bin", "recycler"}
    | {"#snapshot", "@recently-snapshot", "system volume information"}
)
_UNSUPPORTED = frozenset(
    {".tga", ".psd", ".psb", ".svg", ".svgz", ".ico", ".icns", ".exr", ".dds", ".xcf", ".pcx"}
    | {".j2k", ".jpf", ".jpx", ".jxr", ".qoi", ".eps", ".xpm", ".xbm", ".heics", ".insp"}
)
_IMAGE_START = re.compile(
    rb"\xff\xd8\xff|\x89PNG\r\n\x1a\n|GIF8[79]a|RIFF....WEBP|II[*+]\0|MM\0[*+]"
    rb"|BM.{4}\0{4}.{4}[\x0c\x10\x28\x34\x38\x40\x6c\x7c]\0\0\0"
    rb"|P[1-6fF]\s+[#\d]"
    rb"|....ftyp(?:avi[fs]|hei[cxms]|hev[cx]|mif1|msf1)",  # HEIC: the decoder gives the reason
    re.DOTALL,
)
_UNSUPPORTED_START = {
    rb"8BPS": "a Photoshop file",
    rb"\xff\x4f\xff\x51|\0\0\0\x0cjP  ": "a JPEG 2000 image",
    rb"\0\0\0\x0cJXL ": "a JPEG XL image",
    rb"gimp xcf": "a GIMP file",
    rb"v/1\x01": "an OpenEXR image",
    rb"qoif": "a QOI image",
}


class Kind(NamedTuple):
    """The kind of a file.

    Attributes:
        is_image: whether the file is an image, or looks like one.
        problem: why an image cannot be decoded, if this is known before decoding.
        name: of a file that is not an image, the name of its kind: its extension.
    """

    is_image: bool
    problem: str | None = None
    name: str = ""


def detect_kind(name: str, head: Callable[[], bytes]) -> Kind:
    """Detect the kind of a file.

    A file with the extension of a known format is an image; it is not opened, and the decoder
    reports any damage.  For every other file, the first bytes decide.

    Args:
        name: of the file; ``photo.jpg_large`` and ``img.png?size=200`` count as .jpg and .png.
        head: returns the first ``HEAD`` bytes; may raise OSError.

    Example:
        >>> detect_kind("a.jpg", bytes).is_image, detect_kind("a", lambda: b"GIF89a").is_image
        (True, True)
        >>> detect_kind("notes.TXT", lambda: b"GIF files are small").name
        '.txt'
    """
    if has_image_extension(name):
        return Kind(is_image=True)
    extension = os.path.splitext(name)[1].lower()  # noqa: PTH122  (pathlib refuses some names)
    try:
        start = head()
    except OSError as error:
        return Kind(is_image=False, name=f"that cannot be read ({error.strerror or error})")
    if _IMAGE_START.match(start) or raw.START.match(start):
        return Kind(is_image=True)
    for pattern, what in _UNSUPPORTED_START.items():
        if re.match(pattern, start, re.DOTALL):
            return _make_unsupported(what)
    if extension in _UNSUPPORTED:
        return _make_unsupported(f"{extension}, an image format")
    plain = re.fullmatch(r"\.[\w+-]{1,12}", extension)
    return Kind(is_image=False, name=extension if plain else "without extension")


def has_image_extension(name: str) -> bool:
    """Whether a name has the extension of a known format.

    Example:
        >>> has_image_extension("a.JPG?size=200"), has_image_extension("a.zip")
        (True, False)
    """
    match = re.match(r"\.[a-z0-9]*", os.path.splitext(name)[1].lower())  # noqa: PTH122
    return match is not None and match[0] in EXTENSIONS


def _make_unsupported(what: str) -> Kind:
    return Kind(is_image=True, problem=f"{what}, which is not supported; save it as JPEG or PNG")


def is_system_folder(name: str) -> bool:
    """Whether an operating system created the folder, such as ``@eaDir``."""
    return name.lower() in SYSTEM_FOLDERS


def summarize_kinds(names: Iterable[str]) -> str:
    """Count ignored files by the names of their kinds, in one line.

    Example:
        >>> summarize_kinds([".txt", ".csv", ".txt"])
        'ignored, not images: 2 .txt, 1 .csv'
    """
    counts = sorted(Counter(names).items(), key=lambda item: (-item[1], item[0]))
    parts = [f"{count} {name}" for name, count in counts[:MAX_KINDS]]
    rest = sum(count for _, count in counts[MAX_KINDS:])
    return f"ignored, not images: {', '.join(parts + [f'{rest} others'] * bool(rest))}"
