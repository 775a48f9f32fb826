"""A cache of decoded images: memory-mapped uint8 arrays, and a table with one row an image.

A source is Tiny ImageNet, dogs-vs-cats, or anything that :mod:`catnet.data.dataset` loads.  All
images have the geometry of the network, as in prediction.  So the validation scores and the
calibration are valid for prediction, and a network cannot recognize a source by its image size.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from catnet.data.class_names import CATS, Names, find_common_classes, match
from catnet.data.shard import Progress, Shard, open_shard
from catnet.data.table import Table
from catnet.errors import UserError
from catnet.images.geometry import WHOLE, Geometry


@dataclass(frozen=True)
class Cache:
    """Decoded images of several sources, with one index over all sources.

    Attributes:
        images: for each source a memory-mapped uint8 array (n, size, size, 3).
        table: one row an image, in the order of ``images``.
        sources: names of the sources.
        strata: names of the strata, ``"tiny-imagenet-200/dog"``; with more than two classes, a
            source is one stratum, ``"tiny-imagenet-200"``.
        fine_names: names of the fine labels; empty if there are none.
        fine_cats: which fine labels are cats.
        skipped: one line for each image that cannot be decoded, with the reason.
        classes: the names of the labels.
        notes: remarks on the sources, one line each; also which of their classes are mapped to
            one of ``classes``.
    """

    images: tuple[np.ndarray, ...]
    table: Table
    sources: tuple[str, ...]
    strata: tuple[str, ...]
    fine_names: tuple[str, ...] = ()
    fine_cats: tuple[int, ...] = ()
    skipped: tuple[str, ...] = ()
    classes: Names = CATS
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.table)

    def take(self, indices: np.ndarray) -> np.ndarray:
        """The images with these indices, uint8 ``(len(indices), size, size, 3)``."""
        indices = np.asarray(indices)
        starts = np.cumsum([0, *map(len, self.images)])
        if indices.size and (indices.min() < 0 or indices.max() >= starts[-1]):
            raise IndexError(f"the indices must lie between 0 and {starts[-1] - 1}")
        out = np.empty((len(indices), *self.images[0].shape[1:]), np.uint8)
        for images, start in zip(self.images, starts[:-1], strict=True):
            rows = np.flatnonzero((indices >= start) & (indices < start + len(images)))
            out[rows] = images[indices[rows] - start]
        return out


def build(
    sources: Sequence[str | os.PathLike[str]],
    folder: str | os.PathLike[str],
    progress: Progress | None = None,
    all_classes: bool = False,
    geometry: Geometry = WHOLE,
) -> Cache:
    """Open the cache of some sources; decode the sources that are not in it.

    Each source has its own folder in ``folder``.  The name of this folder is a hash of the path,
    the size, the modification time and the result of the decoder, so a changed source is decoded
    again.  Each folder is created atomically: after an interruption, the complete sources remain.

    Args:
        sources: the arguments of :func:`catnet.data.dataset.load`.
        folder: the folder of the cache; it is created if it does not exist.
        progress: called after each chunk of images.
        all_classes: whether Tiny ImageNet has its 200 classes; else it has cat and non-cat.
        geometry: of the images: the network's.

    Raises:
        UserError: a source cannot be read or has no images, or the folder cannot be written.
    """
    if not sources:
        raise UserError("no sources to train on; name at least one zip, folder or h5 file")
    paths = [Path(source) for source in sources]
    names = [path.stem if path.suffix else path.name for path in paths]
    if len(set(names)) < len(names):
        names = [str(path) for path in paths]
    if len(set(names)) < len(names):
        raise UserError(f"{_find_repeated(names)}: is given twice; give each source once")
    folder = Path(folder)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # it contains the user's images
        shards = [
            open_shard(path, name, folder, progress, all_classes, geometry)
            for path, name in zip(paths, names, strict=True)
        ]
    except OSError as error:
        raise UserError(f"{error.filename or folder}: {error.strerror or error}") from None
    return _join(names, shards)


def _join(names: list[str], shards: list[Shard]) -> Cache:
    """Join the sources to one cache, with one index over images, sources and strata."""
    strata: list[str] = []
    columns: dict[str, list] = {column.name: [] for column in fields(Table)}
    image_names = columns.pop("names")
    fine_names: list[str] = []
    source_classes = {
        name: shard.about["classes"] for name, shard in zip(names, shards, strict=True)
    }
    classes = find_common_classes(source_classes)
    notes: list[str] = []
    for index, (name, shard) in enumerate(zip(names, shards, strict=True)):
        image_names += shard.table.names
        for column, values in columns.items():
            values.append(getattr(shard.table, column))
        matching = match(classes, source_classes[name])
        notes += [f"{name}: {note}" for note in matching.notes]
        columns["labels"][-1] = np.array(matching.labels, np.int16)[shard.table.labels]
        columns["sources"][-1] = np.full(len(shard.table), index, np.int16)
        kinds = [f"{name}/{kind}" for kind in shard.about["kinds"]]
        if len(classes) > 2:
            columns["strata"][-1], kinds = np.zeros(len(shard.table), np.int16), [name]
        columns["strata"][-1] = columns["strata"][-1] + np.int16(len(strata))
        strata += kinds
        names_here = shard.about["fine_names"]
        if fine_names and names_here and fine_names != names_here:
            raise UserError(
                f"{name}: its fine labels differ from those of another source; train on one of them"
            )
        fine_names = fine_names or names_here
    return Cache(
        images=tuple(shard.images for shard in shards),
        table=Table(**{name: np.concatenate(columns[name]) for name in columns}, names=image_names),
        sources=tuple(names),
        strata=tuple(strata),
        fine_names=tuple(fine_names),
        fine_cats=tuple(sorted({cat for shard in shards for cat in shard.about["fine_cats"]})),
        skipped=tuple(line for shard in shards for line in shard.about["skipped"]),
        classes=classes,
        notes=(*notes, *(line for shard in shards for line in shard.about["notes"])),
    )


def _find_repeated(names: list[str]) -> str:
    return next(name for i, name in enumerate(names) if name in names[:i])
