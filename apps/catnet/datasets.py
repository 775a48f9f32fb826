"""DATA of the command line: an image folder, the course's HDF5 files, or a zip becomes arrays."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import threading
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from catnet import layouts
from catnet.errors import UserError
from catnet.images import decode_many
from catnet.networks import SIZE
from catnet.sources import EXTENSIONS, ImageError, Source, pictures

if TYPE_CHECKING:
    import h5py

TRAIN = ("train", "training")
TEST = ("test", "testing", "val", "valid", "validation")  # the first that is there
CATS = ("cat", "cats")
MAX_TOTAL_BYTES = 4 * 2**30  # unpacked, of a zip or of the pictures in an h5 file
LAYOUT = "expected cat/ and non-cat/ with pictures inside, or train/ and test/ with those inside"


class Dataset(NamedTuple):
    """Pictures of two classes, in memory.

    Attributes:
        images: (n, 64, 64, 3) uint8.
        labels: (n,) int32; 1 is the second class.
        names: what each picture is called in messages: a path, or ``file.h5[17]``.
        classes: the names of class 0 and class 1.
    """

    images: np.ndarray
    labels: np.ndarray
    names: list[str]
    classes: tuple[str, str]


class _Entry(NamedTuple):
    """A picture of an image folder or zip: its place below the top, its name, its bytes."""

    place: tuple[str, ...]
    name: str
    source: Source


Report: TypeAlias = Callable[[str], None]


def _refuse(problem: str) -> None:
    raise UserError(problem)


def load(
    path: str | os.PathLike[str], on_problem: Report | None = None
) -> tuple[Dataset, Dataset | None]:
    """Load DATA: its training part, and its test part if it has one.

    DATA is one of

    - a folder with one folder a class, ``cat/`` and ``non-cat/``, searched to any depth;
    - a folder with ``train/`` and ``test/`` (else ``val/``) that have those inside;
    - a zip of either, read in memory: nothing is unpacked to disk; also Tiny ImageNet's and
      dogs-vs-cats (see :mod:`catnet.layouts`);
    - an ``.h5`` file in the course's form (``train_set_x``, ``train_set_y``, ``test_set_x``,
      ``test_set_y``, ``list_classes``; one part is enough), or a folder with two such files.

    If there is only a test part, it is the one that comes first.  A class is known by its name,
    never by the order of folders: one called cat or cats is class 1; otherwise the names are
    sorted, and the second is class 1.

    Args:
        path: where DATA is.
        on_problem: called with one line for every picture that is left out, with its name and
            the reason.  Without it, such a picture is an error.

    Raises:
        UserError: DATA is not there, is none of the above, or has other than two classes.
    """
    path = os.fspath(path)
    problem = on_problem or _refuse
    try:
        mode = Path(path).stat().st_mode
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a possible name"
        raise UserError(f"{path}: {reason}") from None
    if stat.S_ISDIR(mode):
        entries = _folder_entries(path, problem)
        files = sorted(str(file) for file in Path(path).glob("*") if _is_h5(file))
        if entries and files:
            raise UserError(f"{path}: has both pictures and h5 files; name the one that is meant")
        return _load_h5(path, files) if files else _load_entries(path, entries, problem)
    if not stat.S_ISREG(mode):
        raise UserError(f"{path}: neither a folder nor a file")
    if _is_h5(Path(path)):
        return _load_h5(path, [path])
    if Path(path).suffix.lower() == ".zip":
        with _open_zip(path) as archive:
            return _load_entries(path, _zip_entries(path, archive), problem)
    raise UserError(f"{path}: not a dataset; {LAYOUT}, a zip of that, or an .h5 file")


def split(dataset: Dataset, fraction: float = 0.2, seed: int = 0) -> tuple[Dataset, Dataset]:
    """Divide a dataset into a training and a test part, each with both classes.

    Who goes where is decided by a hash of the pixels: the same pictures are divided in the same
    way whatever their names and order, and identical ones stay on one side.  About ``fraction``
    of each class becomes the test part.

    Raises:
        UserError: a class has fewer than two different pictures.

    Example:
        >>> images = np.arange(10, dtype=np.uint8)[:, None, None, None] * np.ones((64, 64, 3), "u1")
        >>> labels = np.arange(10, dtype=np.int32) % 2
        >>> names = [f"{i}.png" for i in range(10)]
        >>> train, test = split(Dataset(images, labels, names, ("non-cat", "cat")), 0.2)
        >>> len(train.names), len(test.names), sorted(test.labels.tolist())
        (8, 2, [0, 1])
    """
    if not 0 < fraction < 1:
        raise UserError(f"the test fraction is {fraction}; it must lie between 0 and 1")
    salt = str(seed).encode()
    hashes = [hashlib.sha256(salt + image.tobytes()).digest() for image in dataset.images]
    # One picture under both labels is one group too; it counts for the lower label.
    label_of: dict[bytes, int] = {}
    for digest, label in zip(hashes, dataset.labels.tolist(), strict=True):
        label_of[digest] = min(label, label_of.get(digest, label))
    chosen: set[bytes] = set()
    for label, name in enumerate(dataset.classes):
        group = sorted(digest for digest, its in label_of.items() if its == label)
        if len(group) < 2:
            raise UserError(f"{name}: too few different pictures to keep some for a test part")
        count = min(max(1, round(fraction * len(group))), len(group) - 1)
        chosen.update(group[:count])
    test = np.array([digest in chosen for digest in hashes])
    return _take(dataset, ~test), _take(dataset, test)


def _take(dataset: Dataset, keep: np.ndarray) -> Dataset:
    names = [dataset.names[i] for i in np.flatnonzero(keep)]
    return Dataset(dataset.images[keep], dataset.labels[keep], names, dataset.classes)


# ---- image folders and zips


def _folder_entries(top: str, problem: Report) -> list[_Entry]:
    entries = []
    for found in pictures(top):
        if found.error:
            problem(f"{found.path}: {found.error}")
        else:
            place = Path(found.path).relative_to(top).parts
            entries.append(_Entry(place, found.path, found.path))
    return entries


class _Member:
    """A file in a zip, opened when it is read; one at a time, since they share the archive."""

    def __init__(self, archive: zipfile.ZipFile, info: zipfile.ZipInfo, lock: threading.Lock):
        self.archive, self.info, self.lock, self.done = archive, info, lock, False

    def read(self, size: int = -1, /) -> bytes:
        if self.done:
            return b""
        self.done = True
        try:
            with self.lock, self.archive.open(self.info) as file:
                return file.read(size)
        except Exception as error:  # zipfile's decompressors raise errors of many kinds
            raise OSError(f"damaged in the zip: {error}") from None


def _open_zip(path: str) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from None
    except (zipfile.BadZipFile, ValueError, EOFError, NotImplementedError) as error:
        raise UserError(f"{path}: not a zip, or a damaged one: {error}") from None


def _zip_entries(path: str, archive: zipfile.ZipFile) -> list[_Entry]:
    entries, lock = [], threading.Lock()
    places = layouts.places(archive)
    names = set()
    for info in archive.infolist():
        place = PurePosixPath(info.filename)
        is_link = stat.S_ISLNK(info.external_attr >> 16)
        leads_out = not place.parts or place.is_absolute() or ".." in place.parts
        if leads_out or is_link or re.search(r"^.:|\\", info.filename) or place in names:
            raise UserError(f"{path}: not safe to read: holds {info.filename!r}")
        names.add(place)
        hidden = any(part.startswith((".", "__MACOSX")) for part in place.parts)
        known = place.parts if places is None else places.get(info.filename, ())
        is_picture = known and not info.is_dir() and place.suffix.lower() in EXTENSIONS
        if is_picture and not hidden:
            member = _Member(archive, info, lock)
            entries.append(_Entry(known, f"{path}/{info.filename}", member))
    total = sum(info.file_size for info in archive.infolist())
    if total > MAX_TOTAL_BYTES:
        raise UserError(f"{path}: unpacks to {total / 2**30:.1f} GB, more than is read from a zip")
    tops = {entry.place[0] for entry in entries}
    if len(tops) == 1 and not {name.lower() for name in tops} & {*TRAIN, *TEST, *CATS}:
        entries = [entry._replace(place=entry.place[1:]) for entry in entries]  # a zipped folder
    return sorted((entry for entry in entries if entry.place), key=lambda entry: entry.place)


def _load_entries(
    path: str, entries: list[_Entry], problem: Report
) -> tuple[Dataset, Dataset | None]:
    if not entries:
        raise UserError(f"{path}: no pictures in it; {LAYOUT}")
    tops: dict[str, list[_Entry]] = {}
    for entry in entries:
        tops.setdefault(entry.place[0].casefold(), []).append(entry)
    firsts = [next((name for name in names if name in tops), None) for names in (TRAIN, TEST)]
    parts = [name for name in firsts if name]
    if not parts:
        return _load_part(path, entries, problem), None
    loaded = []
    for part in parts:
        inner = [entry._replace(place=entry.place[1:]) for entry in tops.pop(part)]
        loaded.append(_load_part(f"{path}/{part}", inner, problem))
    for left in tops.values():
        problem(f"{left[0].name}{_more(left)}: left out, not in {' or '.join(parts)}")
    return _checked_pair(path, loaded)


def _load_part(path: str, entries: list[_Entry], problem: Report) -> Dataset:
    stray = [entry for entry in entries if len(entry.place) < 2]
    entries = [entry for entry in entries if len(entry.place) >= 2]
    if stray and not entries:
        raise UserError(f"{path}: its pictures are not in class folders; {LAYOUT}")
    if stray:
        problem(f"{stray[0].name}{_more(stray)}: left out, not in a class folder")
    classes = _classes(path, {entry.place[0] for entry in entries})
    images = np.empty((len(entries), SIZE, SIZE, 3), np.uint8)
    labels, names = [], []
    decoded = decode_many((entry.source for entry in entries), SIZE)
    for entry, (_, image) in zip(entries, decoded, strict=True):
        if isinstance(image, ImageError):
            problem(f"{entry.name}: {image}")
        else:
            images[len(names)] = image
            labels.append(classes.index(entry.place[0]))
            names.append(entry.name)
    for label, name in enumerate(classes):
        if label not in labels:
            raise UserError(f"{path}/{name}: none of its pictures can be read")
    return Dataset(images[: len(names)], np.array(labels, np.int32), names, classes)


def _more(entries: list[_Entry]) -> str:
    return f" and {len(entries) - 1} more" if len(entries) > 1 else ""


def _classes(path: str, names: Iterable[str]) -> tuple[str, str]:
    """The two class names in the order of their labels."""
    found = sorted(set(names), key=lambda name: (name.casefold() in CATS, name.casefold(), name))
    if len(found) != 2:
        listed = ", ".join(found[:8]) + (", …" if len(found) > 8 else "")
        raise UserError(f"{path}: has {len(found)} class(es), {listed}, not two; {LAYOUT}")
    return found[0], found[1]


def _checked_pair(path: str, parts: list[Dataset]) -> tuple[Dataset, Dataset | None]:
    if len(parts) == 1:
        return parts[0], None
    train, test = parts
    if train.classes != test.classes:
        ours, theirs = ", ".join(train.classes), ", ".join(test.classes)
        raise UserError(f"{path}: training classes are {ours}, but test classes {theirs}")
    return train, test


# ---- HDF5


def _is_h5(path: Path) -> bool:
    return path.suffix.lower() in (".h5", ".hdf5")


def _load_h5(path: str, files: list[str]) -> tuple[Dataset, Dataset | None]:
    try:
        import h5py
    except ImportError:
        raise UserError("h5 files need h5py: pip install 'jaxnn[apps]'") from None
    parts: dict[str, Dataset] = {}
    for name in files:
        try:
            with h5py.File(name, "r") as file:
                for part in ("train", "test"):
                    if f"{part}_set_x" not in file and f"{part}_set_y" not in file:
                        continue
                    if part in parts:
                        raise UserError(f"{path}: more than one file has a {part}_set_x")
                    parts[part] = _h5_part(name, file, part)
        except (OSError, RuntimeError, KeyError, ValueError, TypeError, MemoryError) as error:
            text = " ".join(str(error).split())
            raise UserError(f"{name}: not an HDF5 file, or a damaged one: {text}") from None
    if not parts:
        raise UserError(f"{path}: has neither train_set_x nor test_set_x")
    return _checked_pair(path, [parts[part] for part in ("train", "test") if part in parts])


def _h5_part(name: str, file: h5py.File, part: str) -> Dataset:
    x, y = _h5_array(name, file, f"{part}_set_x"), _h5_array(name, file, f"{part}_set_y")
    listed = _h5_array(name, file, "list_classes")
    if x.dtype.kind == "f" and np.prod(x.shape) and np.isnan(x[()]).any():
        raise UserError(f"{name}: {part}_set_x holds NaN")
    if x.dtype != np.uint8 or x.ndim != 4 or x.shape[1:] != (SIZE, SIZE, 3):
        wanted = f"(n, {SIZE}, {SIZE}, 3) uint8"
        raise UserError(f"{name}: {part}_set_x must be {wanted}, but is {x.shape} {x.dtype}")
    if y.shape != x.shape[:1]:
        raise UserError(f"{name}: {part}_set_y must be {x.shape[:1]}, one a picture; is {y.shape}")
    if listed.shape != (2,):
        raise UserError(f"{name}: list_classes must name two classes, but is {listed.shape}")
    labels = y[()]
    if not np.isin(labels, (0, 1)).all():
        odd = labels[~np.isin(labels, (0, 1))][0]
        raise UserError(f"{name}: {part}_set_y must be 0 or 1, but holds {odd}")
    if len(set(labels.tolist())) != 2:
        raise UserError(f"{name}: {part}_set_y has pictures of one class only")
    written = [v.decode("utf-8", "replace") if isinstance(v, bytes) else str(v) for v in listed[()]]
    classes = _classes(name, written)
    if [*classes] != written:
        labels = 1 - labels.astype(np.int32)
    names = [f"{name}[{i}]" for i in range(len(labels))]
    return Dataset(x[()], labels.astype(np.int32), names, classes)


def _h5_array(name: str, file: h5py.File, key: str) -> h5py.Dataset:
    """A dataset that lies in this file and fits in memory; none that leads to another file."""
    import h5py

    if key not in file:
        raise UserError(f"{name}: no {key} in it")
    array = file[key] if isinstance(file.get(key, getlink=True), h5py.HardLink) else None
    if not isinstance(array, h5py.Dataset) or array.external or array.is_virtual:
        raise UserError(f"{name}: {key} must be an array in this file")
    if array.nbytes > MAX_TOTAL_BYTES:
        raise UserError(f"{name}: {key} is {array.nbytes / 2**30:.0f} GB, more than is read")
    return array
