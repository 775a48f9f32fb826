"""Read the images and labels of a source: a well-known data set, or any other DATA."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from catnet.data import dataset
from catnet.data.class_names import CATS, Names
from catnet.data.entries import open_listing
from catnet.data.known_sets import Layout, recognize, shorten
from catnet.images.decode_many import decode_with_whole
from catnet.images.geometry import WHOLE, Geometry
from catnet.images.reading import ImageError


class Row(NamedTuple):
    """The labels of one image in a source."""

    name: str
    label: int  # index into Reading.classes
    kind: int  # index into Reading.kinds
    fine: int = -1  # index into Reading.fine_names
    held_out: bool = False  # whether it is in the test part of the source


@dataclass
class Reading:
    """An open source.

    Attributes:
        total: the number of images, with those that cannot be decoded.
        kinds: the kinds of images.
        rows: the images in order, uint8 squares of the geometry, and whole at 64×64, decoded
            during the iteration.
        skipped: one line for each image that cannot be decoded, added during the iteration.
        notes: remarks, one line each.
        fine_names: names of the fine labels, if there are any.
        fine_cats: which of them are cats.
        classes: the names of the labels.
    """

    total: int
    kinds: list[str]
    rows: Iterator[tuple[Row, np.ndarray, np.ndarray]]
    skipped: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    fine_names: list[str] = field(default_factory=list)
    fine_cats: list[int] = field(default_factory=list)
    classes: Names = CATS


@contextlib.contextmanager
def open_source(
    path: Path, all_classes: bool = False, geometry: Geometry = WHOLE
) -> Iterator[Reading]:
    """Open a source; a zip stays open until the block ends.

    The validation part of Tiny ImageNet is not read, so that it can be used as a test part.

    Args:
        path: DATA.
        all_classes: whether Tiny ImageNet has its 200 classes; else it has cat and non-cat.
        geometry: of the images.

    Raises:
        UserError: the path does not exist, or is not DATA.
    """
    with open_listing(str(path)) as listing:
        layout = recognize(listing)
        if layout is None:
            yield _read_dataset(path, geometry)
        else:
            yield _read_layout(layout, all_classes, geometry)


def _read_layout(
    layout: Layout, all_classes: bool, geometry: Geometry, parts: tuple[str, ...] = ("train",)
) -> Reading:
    """Read the images of a well-known data set that are in these parts."""
    all_classes = all_classes and bool(layout.fine_names)
    names = shorten(layout.fine_names)
    rows = [(row, "/".join(row.entry.place)) for row in layout.rows if row.part in parts]
    skipped = [f"{name}: {row.entry.problem}" for row, name in rows if row.entry.problem]
    rows = sorted((r for r in rows if not r[0].entry.problem), key=lambda r: r[1])
    total = len(rows) + len(skipped)

    def decode_rows() -> Iterator[tuple[Row, np.ndarray, np.ndarray]]:
        images = decode_with_whole((row.entry.source for row, _ in rows), geometry)
        for (row, name), (_, result) in zip(rows, images, strict=True):
            if isinstance(result, ImageError):
                skipped.append(f"{name}: {result}")
            else:
                kind = row.fine if all_classes else row.kind
                label = kind if all_classes else int(layout.is_cat(row))
                yield Row(name, label, kind, -1 if all_classes else row.fine), *result

    if all_classes:
        notes = layout.notes
        return Reading(total, names, decode_rows(), skipped, notes, classes=tuple(names))
    return Reading(
        total,
        layout.kinds,
        decode_rows(),
        skipped,
        layout.notes,
        layout.fine_names,
        layout.fine_cats,
    )


def _read_dataset(path: Path, geometry: Geometry) -> Reading:
    """Read any other DATA; its test part is held out."""
    skipped: list[str] = []
    notes: list[str] = []
    train, test = dataset.load(
        path, on_problem=skipped.append, on_note=notes.append, geometry=geometry
    )
    parts = [part for part in (train, test) if part]

    def rows() -> Iterator[tuple[Row, np.ndarray, np.ndarray]]:
        for part, held_out in zip(parts, (False, True), strict=False):
            columns = (part.names, part.labels, part.images, dataset.get_whole(part))
            for name, label, image, whole in zip(*columns, strict=True):
                yield Row(name, int(label), int(label), held_out=held_out), image, whole

    total = sum(len(part.names) for part in parts) + len(skipped)
    classes = parts[0].classes
    return Reading(total, [*classes], rows(), skipped, notes, classes=classes)
