"""Errors, warnings and messages of Pillow on damaged files."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import logging
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator

from PIL import Image, _imaging

from catnet.images.limits import MAX_LARGE_PIXELS

# The exceptions that Pillow raises on damaged files.  Its plugins parse in Python with few checks,
# so a wrong byte can cause nearly any error of arithmetic, lookup or type.
DAMAGE = (
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

# Pillow also logs some errors that it raises; without a handler Python would print them.
logging.getLogger("PIL").addHandler(logging.NullHandler())

_strict_lock = threading.Lock()
_strict_count = 0
_strict_filters = warnings.catch_warnings()
_pillow_limit = Image.MAX_IMAGE_PIXELS


@contextlib.contextmanager
def raise_pillow_warnings() -> Iterator[None]:
    """Turn Pillow's warnings into errors, except harmless ones, and raise its limit on the pixels.

    The limits of :mod:`catnet.images.limits` apply instead.

    Warning filters are global to the process.  If each thread used ``catch_warnings``, a thread at
    its end would reset the filters of the others.  So the first thread sets the filters, and the
    last one restores them.
    """
    global _strict_count, _strict_filters, _pillow_limit
    with _strict_lock:
        _strict_count += 1
        if _strict_count == 1:
            _strict_filters = warnings.catch_warnings()
            _strict_filters.__enter__()
            pillow = r"PIL\b"
            warnings.filterwarnings("error", module=pillow)
            warnings.filterwarnings("ignore", _HARMLESS, module=pillow)
            warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
            _pillow_limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, MAX_LARGE_PIXELS
    try:
        yield
    finally:
        with _strict_lock:
            _strict_count -= 1
            if _strict_count == 0:
                _strict_filters.__exit__(None, None, None)
                Image.MAX_IMAGE_PIXELS = _pillow_limit


@functools.cache
def silence_libtiff() -> None:
    """Stop libtiff from printing errors to the C stderr; it also returns them.

    The function is looked up in Pillow's extension module.  If that does not export it (a static
    build), libtiff still prints.
    """
    with contextlib.suppress(OSError, AttributeError):
        set_handler = ctypes.CDLL(_imaging.__file__).TIFFSetErrorHandler
        set_handler.argtypes, set_handler.restype = [ctypes.c_void_p], ctypes.c_void_p
        set_handler(None)
