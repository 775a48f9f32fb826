"""The memory of a run: hashes of the images that its model has learnt from.

The file ``learnt.npy`` of a run folder has a sorted uint64 hash of the pixels of each image, at
64×64, so an image is recognized in any file, under any name.  A cropped or compressed copy is
another image.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from catnet.data.duplicates import hash_pixels
from catnet.errors import UserError
from jaxnn.files import write_atomically

FILE = "learnt.npy"


def write(folder: Path, hashes: np.ndarray, parent: Path | None = None) -> None:
    """Write the memory of a run.

    Args:
        folder: of the run.
        hashes: uint64, from ``hash_pixels``, in any order.
        parent: the model file or run folder that the training started from; what it has learnt
            from is added.
    """
    before = read(parent) if parent else None
    if before is not None:
        hashes = np.concatenate([hashes, before])
    file = io.BytesIO()
    np.save(file, np.unique(hashes))
    write_atomically(folder / FILE, file.getvalue())


def read(model: Path) -> np.ndarray | None:
    """Read the hashes of the images that a model has learnt from; None if its run has no file.

    Args:
        model: the run folder, or the model file in it.

    Raises:
        UserError: the file is damaged.
    """
    path = (model if model.is_dir() else model.parent) / FILE
    try:
        hashes = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{path}: cannot be read ({error}); train the model again") from None
    if hashes.dtype != np.uint64 or hashes.ndim != 1:
        raise UserError(f"{path}: is not a list of hashes; train the model again")
    return hashes


def is_learnt(hashes: np.ndarray, images: np.ndarray) -> np.ndarray:
    """Whether a model has learnt from each image: (n,) bool for images (n, 64, 64, 3) uint8."""
    return np.isin(hash_pixels(images), hashes)
