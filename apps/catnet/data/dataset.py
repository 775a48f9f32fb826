"""Load DATA of the command line: an image folder, a zip or the HDF5 files of the course."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np

from catnet.data import known_sets
from catnet.data.class_names import Names, enumerate_names, fold_case, normalize
from catnet.data.duplicates import compute_fingerprints, find_groups
from catnet.data.entries import Listing, is_zip, open_listing
from catnet.data.hdf5 import Arrays, is_h5, read_parts
from catnet.data.structure import CATS, LAYOUT, Part, divide
from catnet.errors import UserError
from catnet.images.decode import resize_squares
from catnet.images.decode_many import decode_with_whole
from catnet.images.geometry import WHOLE, Geometry
from catnet.images.kinds import summarize_kinds
from catnet.images.reading import ImageError
from catnet.images.size import SIZE
from catnet.progress import track

MAX_TOTAL_BYTES = 4 * 2**30  # of a zip, unpacked
SHAPE = (SIZE, SIZE, 3)  # of a whole image


class Dataset(NamedTuple):
    """Images of two or more classes, in memory.

    Attributes:
        images: (n, 64, 64, 3) uint8, or of the size of another geometry.
        labels: (n,) int32, index into ``classes``.
        names: the name of each image in messages: a path, or ``file.h5[17]``.
        classes: the names of the classes, in the order of their labels.
        whole: (n, 64, 64, 3) uint8, the whole images, by which they are recognized whatever the
            geometry; None where ``images`` are these.
    """

    images: np.ndarray
    labels: np.ndarray
    names: list[str]
    classes: Names
    whole: np.ndarray | None = None


def get_whole(dataset: Dataset) -> np.ndarray:
    """The whole images at 64×64, (n, 64, 64, 3) uint8."""
    return dataset.images if dataset.whole is None else dataset.whole


Report: TypeAlias = Callable[[str], object]


def _refuse(problem: str) -> None:
    raise UserError(problem)


def _ignore(note: str) -> None:
    pass


def load(
    path: str | os.PathLike[str],
    on_problem: Report = _refuse,
    on_note: Report = _ignore,
    all_classes: bool = False,
    geometry: Geometry = WHOLE,
) -> tuple[Dataset, Dataset | None]:
    """Load DATA: the training part, and the test part if there is one.

    DATA is one of

    - a folder with one folder a class, such as ``cat/`` and ``non-cat/``, searched to any depth;
    - a folder with ``train/`` and ``test/`` (else ``val/``) that have those inside;
    - a folder with one of these inside (see :mod:`catnet.data.structure`);
    - a zip of any of them; it is read in memory, and nothing is unpacked to disk;
    - Tiny ImageNet or dogs-vs-cats, a folder or a zip (see :mod:`catnet.data.known_sets`);
    - an ``.h5`` file in the course's form (``train_set_x``, ``train_set_y``, ``test_set_x``,
      ``test_set_y``, ``list_classes``; one part is enough), or a folder with two such files.

    If there is only a test part, it is returned as the first part.  Names of classes are compared
    without case and in normalized Unicode.  The classes are sorted by their names; of two classes,
    one named cat or cats is class 1.  The test part may lack classes of the training part.

    Args:
        path: DATA.
        on_problem: called with one line for each image that cannot be used: its name and the
            reason.  By default, such an image is an error.
        on_note: called with one line for each remark: files that are not images, two folders
            that are one class.
        all_classes: whether Tiny ImageNet has its 200 classes; else it has cat and non-cat.
        geometry: of the images: the model's.

    Raises:
        UserError: DATA does not exist, is none of the above, or has fewer than two classes.
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
        return _load_h5(path, [path], on_note, geometry)
    if not stat.S_ISDIR(mode) and not is_zip(path):
        raise UserError(f"{path}: not a dataset; {LAYOUT}, a zip of that, or an .h5 file")
    with open_listing(path, MAX_TOTAL_BYTES) as listing:
        for problem in listing.problems:
            on_problem(problem)
        files = sorted(entry.name for entry in listing.others if is_h5(entry.name))
        others = [entry.kind for entry in listing.others if not is_h5(entry.name)]
        if listing.images and files:
            raise UserError(
                f"{path}: has both images and h5 files, such as {files[0]};"
                " give the h5 file or a folder without h5 files"
            )
        if files and is_zip(path):
            raise UserError(f"{path}: h5 files in a zip cannot be read; unpack the zip")
        if files:
            parts = _load_h5(path, files, on_note, geometry)
        else:
            parts = _load_images(listing, on_problem, on_note, all_classes, geometry)
        if others:
            on_note(f"{path}: {summarize_kinds(others)}")
    return parts


def split(
    dataset: Dataset, fraction: float = 0.2, seed: int = 0, part: str = "test"
) -> tuple[Dataset, Dataset]:
    """Divide a dataset into a training and a test part, each with all classes.

    Duplicates and near-duplicates (in another size or quality, as ``data check`` reports
    them) are in the same part.  A hash of the pixels decides the part, so the result does not
    depend on the names and the order of the images.  About ``fraction`` of each class is the test
    part; ``part`` is its name in messages.

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
        raise UserError(f"the {part} fraction is {fraction}; it must lie between 0 and 1")
    whole = get_whole(dataset)
    group = find_groups(compute_fingerprints(whole), whole.__getitem__)
    members, index = np.unique(group, return_inverse=True)
    sizes = np.bincount(index)
    # A group with several labels counts for the lowest label.
    lowest = np.full(len(members), len(dataset.classes))
    np.minimum.at(lowest, index, dataset.labels)
    ranks = [hashlib.sha256(b"%d %d" % (seed, member)).digest() for member in members.tolist()]
    is_test = np.zeros(len(members), bool)
    for label, name in enumerate(dataset.classes):
        groups = sorted(np.flatnonzero(lowest == label).tolist(), key=ranks.__getitem__)
        if len(groups) < 2:
            raise UserError(f"{name}: has too few different images for a {part} part; add images")
        count = max(1, round(fraction * int(sizes[groups].sum())))
        is_test[_choose_groups(sizes, groups, count)] = True
    test = is_test[index]
    return take(dataset, ~test), take(dataset, test)


def _choose_groups(sizes: np.ndarray, groups: list[int], count: int) -> list[int]:
    """Choose the first groups with about ``count`` images in total; at least one, never all."""
    choice: list[int] = []
    total = 0
    for group in groups:
        more = total + int(sizes[group])
        if abs(more - count) < abs(total - count) and len(choice) < len(groups) - 1:
            choice.append(group)
            total = more
    return choice or [min(groups, key=lambda group: int(sizes[group]))]


def fit(dataset: Dataset, geometry: Geometry) -> Dataset:
    """The same images for a network of another geometry; they are whole squares of 64×64."""
    if geometry == WHOLE:
        return dataset
    return dataset._replace(images=resize_squares(dataset.images, geometry), whole=dataset.images)


def take(dataset: Dataset, mask: np.ndarray) -> Dataset:
    """The images of a dataset where ``mask``, (n,) bool, is true."""
    names = [dataset.names[i] for i in np.flatnonzero(mask)]
    whole = None if dataset.whole is None else dataset.whole[mask]
    return Dataset(dataset.images[mask], dataset.labels[mask], names, dataset.classes, whole)


# ---- image folders and zips


def _load_images(
    listing: Listing, on_problem: Report, on_note: Report, all_classes: bool, geometry: Geometry
) -> tuple[Dataset, Dataset | None]:
    path, entries = listing.path, listing.images
    if not entries:
        kinds = [entry.kind for entry in listing.others]
        summary = f" ({summarize_kinds(kinds)})" if kinds else ""
        raise UserError(f"{path}: has no images{summary}; {LAYOUT}")
    if layout := known_sets.recognize(listing):
        entries = layout.image_folder(all_classes)
        for note in layout.notes:
            on_note(note)
    parts = divide(path, entries, on_problem, on_note)
    loaded = [_load_part(part, on_problem, 2 - i, geometry) for i, part in enumerate(parts)]
    return _pair_parts(path, loaded, on_note)


def _load_part(part: Part, on_problem: Report, least: int, geometry: Geometry) -> Dataset:
    classes = _order_classes(part.path, part.classes, least)
    pairs = [(e, label) for label, name in enumerate(classes) for e in part.classes[name]]
    pairs.sort(key=lambda item: item[0].name)
    for entry, _ in pairs:
        if entry.problem:
            on_problem(f"{entry.name}: {entry.problem}")
    pairs = [(entry, label) for entry, label in pairs if not entry.problem]
    images = np.empty((len(pairs), geometry.size, geometry.size, 3), np.uint8)
    wholes = images if geometry == WHOLE else np.empty((len(pairs), *SHAPE), np.uint8)
    labels, names = [], []
    results = decode_with_whole((entry.source for entry, _ in pairs), geometry)
    decoded = track(zip(pairs, results, strict=True), len(pairs), "images", "decoding  ")
    for (entry, label), (_, result) in decoded:
        if isinstance(result, ImageError):
            on_problem(f"{entry.name}: {result}")
        else:
            images[len(names)], wholes[len(names)] = result
            labels.append(label)
            names.append(entry.name)
    present = {*labels}
    for label, name in enumerate(classes):
        if label not in present:
            raise UserError(f"{part.path}/{name}: none of its images can be read")
    whole = None if wholes is images else wholes[: len(names)]
    return Dataset(images[: len(names)], np.array(labels, np.int32), names, classes, whole)


def _order_classes(path: str, names: Iterable[str], least: int = 2) -> Names:
    """The class names in the order of their labels: sorted; of two, cats are the second."""
    classes = {fold_case(name): normalize(name) for name in reversed([*names])}
    if len(classes) < least:
        text = enumerate_names([*classes.values()])
        raise UserError(f"{path}: has one class, {text}, and two are needed at least; {LAYOUT}")
    keys = sorted(classes, key=lambda key: (len(classes) == 2 and key in CATS, key))
    return tuple(classes[key] for key in keys)


def _pair_parts(path: str, parts: list[Dataset], on_note: Report) -> tuple[Dataset, Dataset | None]:
    """The training and the test part, with the classes of the training part."""
    if len(parts) == 1:
        return parts[0], None
    train, test = parts
    keys = {fold_case(name): label for label, name in enumerate(train.classes)}
    labels = [keys.get(fold_case(name)) for name in test.classes]
    if None in labels:
        ours, theirs = enumerate_names(train.classes), enumerate_names(test.classes)
        raise UserError(f"{path}: training classes are {ours}, but test classes {theirs}")
    absent = [name for label, name in enumerate(train.classes) if label not in labels]
    if absent:
        on_note(f"{path}: the test part has no images of {enumerate_names(absent)}")
    labels = np.array(labels, np.int32)[test.labels]
    return train, test._replace(labels=labels, classes=train.classes)


# ---- HDF5


def _load_h5(
    path: str, files: list[str], on_note: Report, geometry: Geometry
) -> tuple[Dataset, Dataset | None]:
    parts = [fit(_order_labels(part), geometry) for part in read_parts(path, files)]
    return _pair_parts(path, parts, on_note)


def _order_labels(part: Arrays) -> Dataset:
    """The same images, with the label that the class name has in this program."""
    classes = _order_classes(part.path, part.classes)
    keys = [*map(fold_case, classes)]
    if len(keys) < len(part.classes):
        raise UserError(f"{part.path}: list_classes has the same name twice")
    order = np.array([keys.index(fold_case(name)) for name in part.classes], np.int32)
    return Dataset(part.images, order[part.labels], part.names, classes)
