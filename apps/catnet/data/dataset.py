"""DATA of the command line: an image folder, the course's HDF5 files, or a zip becomes arrays."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from catnet.data import known_sets
from catnet.data.class_names import caseless, composed
from catnet.data.duplicates import fingerprints, groups
from catnet.data.entries import Listing, is_zip, opened
from catnet.data.structure import CATS, LAYOUT, Part, divide
from catnet.errors import UserError
from catnet.images.decode import decode_many
from catnet.images.kinds import passed_over
from catnet.images.paths import ImageError
from catnet.images.size import SIZE

if TYPE_CHECKING:
    import h5py

MAX_TOTAL_BYTES = 4 * 2**30  # unpacked, of a zip or of the images in an h5 file


class Dataset(NamedTuple):
    """Images of two classes, in memory.

    Attributes:
        images: (n, 64, 64, 3) uint8.
        labels: (n,) int32; 1 is the second class.
        names: what each image is called in messages: a path, or ``file.h5[17]``.
        classes: the names of class 0 and class 1.
    """

    images: np.ndarray
    labels: np.ndarray
    names: list[str]
    classes: tuple[str, str]


Report: TypeAlias = Callable[[str], object]


def _refuse(problem: str) -> None:
    raise UserError(problem)


def _ignore(note: str) -> None:
    pass


def load(
    path: str | os.PathLike[str],
    on_problem: Report = _refuse,
    on_note: Report = _ignore,
) -> tuple[Dataset, Dataset | None]:
    """Load DATA: its training part, and its test part if it has one.

    DATA is one of

    - a folder with one folder a class, ``cat/`` and ``non-cat/``, searched to any depth;
    - a folder with ``train/`` and ``test/`` (else ``val/``) that have those inside;
    - a folder with one of these inside (see :mod:`catnet.data.structure`);
    - a zip of any of them, read in memory: nothing is unpacked to disk;
    - Tiny ImageNet or dogs-vs-cats, a folder or a zip (see :mod:`catnet.data.known_sets`);
    - an ``.h5`` file in the course's form (``train_set_x``, ``train_set_y``, ``test_set_x``,
      ``test_set_y``, ``list_classes``; one part is enough), or a folder with two such files.

    If there is only a test part, it is the one that comes first.  A class is known by its name,
    never by the order of folders, and neither by case nor by the form of Unicode: one called cat
    or cats is class 1; otherwise the names are sorted, and the second is class 1.

    Args:
        path: where DATA is.
        on_problem: called with one line for every image that is left out, with its name and
            the reason.  Without it, such an image is an error.
        on_note: called with one line for what is as well to know: files that are no images, two
            folders that are one class.

    Raises:
        UserError: DATA is not there, is none of the above, or has other than two classes.
    """
    path = os.fspath(path)
    try:
        mode = Path(path).stat().st_mode
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a possible name"
        raise UserError(f"{path}: {reason}") from None
    if not stat.S_ISDIR(mode) and not stat.S_ISREG(mode):
        raise UserError(f"{path}: neither a folder nor a file")
    if not stat.S_ISDIR(mode) and is_h5(path):
        return _load_h5(path, [path])
    if not stat.S_ISDIR(mode) and not is_zip(path):
        raise UserError(f"{path}: not a dataset; {LAYOUT}, a zip of that, or an .h5 file")
    with opened(path, MAX_TOTAL_BYTES) as listing:
        for problem in listing.problems:
            on_problem(problem)
        files = sorted(entry.name for entry in listing.others if is_h5(entry.name))
        others = [entry.kind for entry in listing.others if not is_h5(entry.name)]
        if listing.images and files:
            raise UserError(
                f"{path}: has both images and h5 files, such as {files[0]};"
                " name the one that is meant"
            )
        if files and is_zip(path):
            raise UserError(f"{path}: h5 files in a zip are not read; unpack it")
        loaded = _load_h5(path, files) if files else _load_images(listing, on_problem, on_note)
        if others:
            on_note(f"{path}: {passed_over(others)}")
    return loaded


def split(dataset: Dataset, fraction: float = 0.2, seed: int = 0) -> tuple[Dataset, Dataset]:
    """Divide a dataset into a training and a test part, each with both classes.

    Images that are the same, or nearly (in another size or quality, as ``data check`` finds
    them), stay on one side.  Which side is decided by a hash of their pixels: the same images
    are divided in the same way whatever their names and order.  About ``fraction`` of each class
    becomes the test part.

    Raises:
        UserError: a class has fewer than two different images.

    Example:
        >>> images = np.random.default_rng(0).integers(0, 256, (10, 64, 64, 3), np.uint8)
        >>> labels = np.arange(10, dtype=np.int32) % 2
        >>> names = [f"{i}.png" for i in range(10)]
        >>> train, test = split(Dataset(images, labels, names, ("non-cat", "cat")), 0.2)
        >>> len(train.names), len(test.names), sorted(test.labels.tolist())
        (8, 2, [0, 1])
    """
    if not 0 < fraction < 1:
        raise UserError(f"the test fraction is {fraction}; it must lie between 0 and 1")
    group = groups(fingerprints(dataset.images), dataset.images.__getitem__)
    members, of = np.unique(group, return_inverse=True)
    sizes = np.bincount(of)
    # One image under both labels is one group too; it counts for the lower label.
    lowest = np.ones(len(members), int)
    np.minimum.at(lowest, of, dataset.labels)
    ranks = [hashlib.sha256(b"%d %d" % (seed, member)).digest() for member in members.tolist()]
    chosen = np.zeros(len(members), bool)
    for label, name in enumerate(dataset.classes):
        its = sorted(np.flatnonzero(lowest == label).tolist(), key=ranks.__getitem__)
        if len(its) < 2:
            raise UserError(f"{name}: too few different images to keep some for a test part")
        chosen[_about(sizes, its, max(1, round(fraction * int(sizes[its].sum()))))] = True
    test = chosen[of]
    return _take(dataset, ~test), _take(dataset, test)


def _about(sizes: np.ndarray, groups: list[int], count: int) -> list[int]:
    """The first groups that have about ``count`` members together; at least one, never all."""
    chosen: list[int] = []
    total = 0
    for group in groups:
        more = total + int(sizes[group])
        if abs(more - count) < abs(total - count) and len(chosen) < len(groups) - 1:
            chosen.append(group)
            total = more
    return chosen or [min(groups, key=lambda group: int(sizes[group]))]


def _take(dataset: Dataset, keep: np.ndarray) -> Dataset:
    names = [dataset.names[i] for i in np.flatnonzero(keep)]
    return Dataset(dataset.images[keep], dataset.labels[keep], names, dataset.classes)


# ---- image folders and zips


def _load_images(
    listing: Listing, on_problem: Report, on_note: Report
) -> tuple[Dataset, Dataset | None]:
    path, entries = listing.path, listing.images
    if not entries:
        found = [entry.kind for entry in listing.others]
        raise UserError(
            f"{path}: no images in it{f' ({passed_over(found)})' if found else ''}; {LAYOUT}"
        )
    if layout := known_sets.known(listing):
        entries = layout.image_folder()
        for note in layout.notes:
            on_note(note)
    parts = divide(path, entries, on_problem, on_note)
    return _checked_pair(path, [_load_part(part, on_problem) for part in parts])


def _load_part(part: Part, on_problem: Report) -> Dataset:
    classes = _classes(part.path, part.classes)
    labelled = [(e, label) for label, name in enumerate(classes) for e in part.classes[name]]
    labelled.sort(key=lambda item: item[0].name)
    for entry, _ in labelled:
        if entry.problem:
            on_problem(f"{entry.name}: {entry.problem}")
    labelled = [(entry, label) for entry, label in labelled if not entry.problem]
    images = np.empty((len(labelled), SIZE, SIZE, 3), np.uint8)
    labels, names = [], []
    decoded = decode_many((entry.source for entry, _ in labelled), SIZE)
    for (entry, label), (_, image) in zip(labelled, decoded, strict=True):
        if isinstance(image, ImageError):
            on_problem(f"{entry.name}: {image}")
        else:
            images[len(names)] = image
            labels.append(label)
            names.append(entry.name)
    for label, name in enumerate(classes):
        if label not in labels:
            raise UserError(f"{part.path}/{name}: none of its images can be read")
    return Dataset(images[: len(names)], np.array(labels, np.int32), names, classes)


def _classes(path: str, names: Iterable[str]) -> tuple[str, str]:
    """The two class names in the order of their labels."""
    found = {caseless(name): composed(name) for name in reversed([*names])}
    ordered = sorted(found, key=lambda name: (name in CATS, name))
    if len(found) != 2:
        listed = ", ".join([found[name] for name in ordered[:8]] + ["…"] * (len(found) > 8))
        raise UserError(f"{path}: has {len(found)} class(es), {listed}, not two; {LAYOUT}")
    return found[ordered[0]], found[ordered[1]]


def _checked_pair(path: str, parts: list[Dataset]) -> tuple[Dataset, Dataset | None]:
    if len(parts) == 1:
        return parts[0], None
    train, test = parts
    if [*map(caseless, train.classes)] != [*map(caseless, test.classes)]:
        ours, theirs = ", ".join(train.classes), ", ".join(test.classes)
        raise UserError(f"{path}: training classes are {ours}, but test classes {theirs}")
    return train, test._replace(classes=train.classes)


# ---- HDF5


def is_h5(path: str) -> bool:
    return path.lower().endswith((".h5", ".hdf5"))


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
        raise UserError(f"{name}: {part}_set_y must be {x.shape[:1]}, one an image; is {y.shape}")
    if listed.shape != (2,):
        raise UserError(f"{name}: list_classes must name two classes, but is {listed.shape}")
    labels = y[()]
    if not np.isin(labels, (0, 1)).all():
        odd = labels[~np.isin(labels, (0, 1))][0]
        raise UserError(f"{name}: {part}_set_y must be 0 or 1, but holds {odd}")
    if len(set(labels.tolist())) != 2:
        raise UserError(f"{name}: {part}_set_y has images of one class only")
    written = [v.decode("utf-8", "replace") if isinstance(v, bytes) else str(v) for v in listed[()]]
    classes = _classes(name, written)
    if [*map(caseless, classes)] != [*map(caseless, written)]:
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
