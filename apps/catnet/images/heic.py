"""HEIC, the format of iPhones, by the optional package pillow-heif."""

from __future__ import annotations

import functools

FORMAT = "HEIF"  # its name in Pillow
REMEDY = "a HEIC image; to read it: pip install 'jaxnn[heic]', or save it as JPEG"
_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")


def is_heic(head: bytes) -> bool:
    """Whether a file starts like HEIC; a few AVIF images start in the same way.

    Example:
        >>> is_heic(bytes([0, 0, 0, 28]) + b"ftypheic"), is_heic(b"GIF89a")
        (True, False)
    """
    return head[4:8] == b"ftyp" and head[8:12] in _BRANDS


@functools.cache
def register() -> bool:
    """Teach Pillow to read HEIC; False where pillow-heif is not installed.

    Where an image contains a thumbnail that is large enough for ``draft``, only that is decoded.
    """
    try:
        from pillow_heif import register_heif_opener
    except ImportError:
        return False
    register_heif_opener(decode_threads=1, depth_images=False, aux_images=False)
    return True
