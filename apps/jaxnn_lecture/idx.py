"""The reader of handwritten digits in the IDX format of MNIST."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import numpy as np

from catnet.errors import UserError

IMAGES, LABELS = "images-idx3-ubyte", "labels-idx1-ubyte"


def read_digits(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read the pairs of ``*images-idx3-ubyte`` and ``*labels-idx1-ubyte``, with or without ``.gz``.

    Of a file that is there with and without ``.gz``, the one without is read.

    Returns:
        Images (n, height, width, 1) uint8, and digits (n,) int32 from 0 to 9.

    Raises:
        UserError: there is no such pair, or a file is damaged; one line.
    """
    images, labels = [], []
    stems = {
        path.with_name(path.name.removesuffix(".gz"))
        for pattern in (f"*{IMAGES}", f"*{IMAGES}.gz")
        for path in folder.glob(pattern)
    }
    for stem in sorted(stems):
        path = _find(stem)
        other = _find(stem.with_name(stem.name.removesuffix(IMAGES) + LABELS))
        if path is None:
            continue  # a folder of this name
        if other is None:
            missing = f"{stem.name.removesuffix(IMAGES)}{LABELS}"
            raise UserError(f"{path}: {missing} is missing beside it; add it, or with .gz")
        images.append(_read(path, 3))
        labels.append(_read(other, 1))
        if len(images[-1]) != len(labels[-1]) or labels[-1].max(initial=0) > 9:
            raise UserError(
                f"{other}: expected {len(images[-1])} digits from 0 to 9, one for each image"
            )
    if not images:
        raise UserError(f"{folder}: has no file *{IMAGES} or *{IMAGES}.gz")
    if len({part.shape[1:] for part in images}) > 1:
        raise UserError(f"{folder}: its images have different sizes; keep those of one size")
    return np.concatenate(images)[..., None], np.concatenate(labels).astype(np.int32)


def _find(stem: Path) -> Path | None:
    """The file of this name, else the one with ``.gz``."""
    files = (stem, stem.with_name(f"{stem.name}.gz"))
    return next((file for file in files if file.is_file()), None)


def _read(path: Path, axes: int) -> np.ndarray:
    """An array of bytes: 0, 0, 8, the number of axes, their lengths (big-endian), the content."""
    try:
        content = path.read_bytes()
        content = gzip.decompress(content) if path.suffix == ".gz" else content
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path}: cannot be read ({error}); get it again") from None
    head = 4 + 4 * axes
    shape = tuple(np.frombuffer(content[4:head], ">u4").tolist()) if len(content) >= head else ()
    if content[:4] != bytes((0, 0, 8, axes)) or len(content) - head != np.prod(shape, dtype=object):
        raise UserError(f"{path}: not an IDX file of bytes with {axes} axes; get it again")
    return np.frombuffer(content, np.uint8, offset=head).reshape(shape)
