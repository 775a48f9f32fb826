"""The images that a classifier accepts: paths, bytes, files, Pillow images and arrays."""

from __future__ import annotations

import io
import os
import reprlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias

import numpy as np
from PIL.Image import Image

from catnet.images.decode import ImageError, from_array, from_image
from catnet.images.geometry import Geometry
from catnet.images.paths import ImageFile
from catnet.images.reading import Readable, Stored, read
from catnet.terminal import one_line

# The source of an image: a path, the bytes of a file or a file to read, a decoded image, or why
# there is none.
Source: TypeAlias = str | bytes | Readable | Stored | np.ndarray | ImageError
DECODED = (np.ndarray, ImageError)

_IMAGES = (
    "an image is a path, the bytes of a file, an open binary file, a Pillow image,"
    " or an array (H, W, 3) of uint8"
)


def split_path(item: ImageFile | Source) -> tuple[str | None, Source]:
    """The path of an image, and where its pixels come from; None for an image in memory."""
    if not isinstance(item, ImageFile):
        return None, item
    return item.path, item.source if item.error is None else ImageError(item.error)


def iterate_images(images: Any) -> Iterable[ImageFile | Source | Image]:
    """The images of the argument of ``predict``."""
    if _is_array(images):
        images = np.asarray(images)
        if images.ndim == 4:
            return images
        if images.ndim == 1 and images.dtype.kind in "OUT":  # objects or paths
            images = images.tolist()
    if (image := _image(images)) is not None:
        return [image]
    ordered = isinstance(images, Iterable) and not isinstance(images, (Mapping, set, frozenset))
    if not ordered or _is_array(images):
        raise TypeError(f"cannot predict {_format(images)}: {_IMAGES}; or give a list of images")
    return _check_each(images)


def _check_each(images: Iterable[Any]) -> Iterator[ImageFile | Source | Image]:
    for i, value in enumerate(images):
        if (image := _image(value)) is None:
            raise TypeError(f"cannot predict image {i}, {_format(value)}: {_IMAGES}")
        yield image


def _image(image: Any) -> ImageFile | Source | Image | None:
    """One image of any kind; None if the value is no image."""
    if isinstance(image, (str, os.PathLike)):
        return ImageFile(os.fsdecode(image))
    if isinstance(image, (bytes, bytearray, memoryview)):
        return bytes(image)
    if isinstance(image, Image):
        return image
    if _is_array(image):
        return np.asarray(image) if image.ndim else None
    if callable(getattr(image, "read", None)):  # read here, not in a thread: a file may come twice
        return _read_content(image)
    return None


def _is_array(value: Any) -> bool:
    return hasattr(value, "ndim") and hasattr(value, "dtype")


def _read_content(file: Any) -> bytes | ImageError:
    text = ImageError("a file opened as text; open it as binary, with 'rb'")
    if isinstance(file, io.TextIOBase):
        return text
    try:
        content = read(file)
    except ImageError as error:
        return error
    except ValueError as error:  # the file is closed
        return ImageError(f"cannot be read: {one_line(str(error))}")
    return content if isinstance(content, bytes) else text


def resize_in_memory(image: ImageFile | Source | Image, geometry: Geometry) -> ImageFile | Source:
    """Resize an image in memory, in this thread: Pillow images are not thread-safe."""
    try:
        if isinstance(image, np.ndarray):
            return from_array(image, *geometry)
        if isinstance(image, Image):
            return from_image(image, *geometry)
    except ImageError as error:
        return error
    return image


def _format(value: Any) -> str:
    return f"{one_line(reprlib.repr(value))} ({type(value).__name__})"
