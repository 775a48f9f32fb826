"""HDF5 files in the form of the course: the arrays of a training part and a test part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from catnet.data.class_names import enumerate_names
from catnet.errors import UserError
from catnet.images.size import SIZE

if TYPE_CHECKING:
    import h5py

MAX_BYTES = 4 * 2**30  # of one array
MAX_CLASSES = 30_000


class Arrays(NamedTuple):
    """One part of an HDF5 file.

    Attributes:
        path: the file.
        images: (n, 64, 64, 3) uint8.
        labels: (n,) int32, index into ``classes``; at least two classes are present.
        names: the names of the images in messages: ``file.h5[17]``.
        classes: the names of the classes, in the order of the file.
    """

    path: str
    images: np.ndarray
    labels: np.ndarray
    names: list[str]
    classes: tuple[str, ...]


def is_h5(path: str) -> bool:
    """Whether a path has the extension of an HDF5 file."""
    return path.lower().endswith((".h5", ".hdf5"))


def read_parts(path: str, files: Sequence[str]) -> list[Arrays]:
    """Read the parts of HDF5 files, the training part first.

    A part consists of ``train_set_x`` and ``train_set_y`` (or ``test_set_x`` and ``test_set_y``);
    ``list_classes`` names the classes.

    Args:
        path: DATA, for messages.
        files: the HDF5 files of DATA.

    Raises:
        UserError: a file is damaged or has another form, two files have the same part, there is no
            part, or h5py is not installed.
    """
    try:
        import h5py
    except ImportError:
        raise UserError("h5 files need h5py: pip install 'jaxnn[apps]'") from None
    parts: dict[str, Arrays] = {}
    for name in files:
        try:
            with h5py.File(name, "r") as file:
                for part in ("train", "test"):
                    if f"{part}_set_x" not in file and f"{part}_set_y" not in file:
                        continue
                    if part in parts:
                        raise UserError(f"{path}: more than one file has a {part}_set_x")
                    parts[part] = _read_part(name, file, part)
        except (OSError, RuntimeError, KeyError, ValueError, TypeError, MemoryError) as error:
            text = " ".join(str(error).split())
            raise UserError(f"{name}: not an HDF5 file, or a damaged one: {text}") from None
    if not parts:
        raise UserError(f"{path}: has neither train_set_x nor test_set_x")
    return [parts[part] for part in ("train", "test") if part in parts]


def _read_part(name: str, file: h5py.File, part: str) -> Arrays:
    x, y = _open_array(name, file, f"{part}_set_x"), _open_array(name, file, f"{part}_set_y")
    classes = _open_array(name, file, "list_classes")
    if x.dtype.kind == "f" and np.prod(x.shape) and np.isnan(x[()]).any():
        raise UserError(f"{name}: {part}_set_x holds NaN")
    if x.dtype != np.uint8 or x.ndim != 4 or x.shape[1:] != (SIZE, SIZE, 3):
        expected = f"(n, {SIZE}, {SIZE}, 3) uint8"
        raise UserError(f"{name}: {part}_set_x must be {expected}, but is {x.shape} {x.dtype}")
    if y.shape != x.shape[:1]:
        raise UserError(
            f"{name}: {part}_set_y must have the shape {x.shape[:1]}, one label an image;"
            f" its shape is {y.shape}"
        )
    if classes.ndim != 1 or not 2 <= len(classes) <= MAX_CLASSES:
        raise UserError(
            f"{name}: list_classes must name from 2 to {MAX_CLASSES} classes, but its shape is"
            f" {classes.shape}"
        )
    labels, values = y[()], np.arange(len(classes))
    if (wrong := ~np.isin(labels, values)).any():
        few = " or ".join(map(str, values)) if len(values) == 2 else f"from 0 to {values[-1]}"
        raise UserError(f"{name}: {part}_set_y must be {few}, but holds {labels[wrong][0]}")
    if len(present := set(labels.tolist())) < 2:
        raise UserError(f"{name}: {part}_set_y has images of one class only")
    texts = tuple(
        value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
        for value in classes[()]
    )
    absent = [text for label, text in enumerate(texts) if label not in present]
    if absent and part == "train":
        raise UserError(f"{name}: train_set_y has no images of {enumerate_names(absent)}")
    names = [f"{name}[{i}]" for i in range(len(labels))]
    return Arrays(name, x[()], labels.astype(np.int32), names, texts)


def _open_array(name: str, file: h5py.File, key: str) -> h5py.Dataset:
    """Open an array of this file that fits in memory; links to other files are refused."""
    import h5py

    if key not in file:
        raise UserError(f"{name}: has no {key}")
    array = file[key] if isinstance(file.get(key, getlink=True), h5py.HardLink) else None
    if not isinstance(array, h5py.Dataset) or array.external or array.is_virtual:
        raise UserError(f"{name}: {key} must be an array in this file")
    if array.nbytes > MAX_BYTES:
        raise UserError(
            f"{name}: {key} has {array.nbytes / 2**30:.0f} GB;"
            f" the limit is {MAX_BYTES / 2**30:.0f} GB"
        )
    return array
