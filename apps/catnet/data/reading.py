"""What images a source has, and what each is: a well-known data set, or whatever is DATA."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from catnet.data import dataset
from catnet.data.class_names import CATS, Names
from catnet.data.entries import opened
from catnet.data.known_sets import Layout, known
from catnet.images.decode import ImageError, decode_many


class Row(NamedTuple):
    """What a source says of one image."""

    name: str
    label: int  # 1 = cat, or the second class
    kind: int  # index into Reading.kinds
    fine: int = -1  # index into Reading.fine_names
    held_out: bool = False  # a test image of the source's own


@dataclass
class Reading:
    """A source being read.

    Attributes:
        total: how many images it should give.
        kinds: what kinds of image it has.
        rows: its images in order, (64, 64, 3) uint8, decoded as they are drawn.
        skipped: filled while ``rows`` is drawn: images left out, with the reason.
        notes: one line for what is as well to know.
        fine_names: names of the fine labels, if it has any.
        fine_cats: which of them are cats.
        classes: the names of label 0 and label 1.
    """

    total: int
    kinds: list[str]
    rows: Iterator[tuple[Row, np.ndarray]]
    skipped: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    fine_names: list[str] = field(default_factory=list)
    fine_cats: list[int] = field(default_factory=list)
    classes: Names = CATS


@contextlib.contextmanager
def reading(path: Path) -> Iterator[Reading]:
    """Open a source; zips stay open meanwhile.

    Tiny ImageNet's validation part is left alone: those who have it will want to be tested on it.

    Raises:
        UserError: it is not there, or no DATA.
    """
    with opened(str(path)) as listing:
        layout = known(listing)
        yield _dataset(path) if layout is None else _known(layout)


def _known(layout: Layout, parts: tuple[str, ...] = ("train",)) -> Reading:
    """The images of a well-known data set that are in these parts."""
    rows = [(row, "/".join(row.entry.place)) for row in layout.rows if row.part in parts]
    skipped = [f"{name}: {row.entry.problem}" for row, name in rows if row.entry.problem]
    rows = sorted((r for r in rows if not r[0].entry.problem), key=lambda r: r[1])
    total = len(rows) + len(skipped)

    def decoded() -> Iterator[tuple[Row, np.ndarray]]:
        images = decode_many(row.entry.source for row, _ in rows)
        for (row, name), (_, image) in zip(rows, images, strict=True):
            if isinstance(image, ImageError):
                skipped.append(f"{name}: {image}")
            else:
                yield Row(name, int(layout.is_cat(row)), row.kind, row.fine), image

    return Reading(
        *(total, layout.kinds, decoded(), skipped, layout.notes),
        *(layout.fine_names, layout.fine_cats),
    )


def _dataset(path: Path) -> Reading:
    """Whatever else is DATA; its own test part stays one."""
    skipped: list[str] = []
    notes: list[str] = []
    loaded = dataset.load(path, on_problem=skipped.append, on_note=notes.append)
    parts = [part for part in loaded if part]

    def rows() -> Iterator[tuple[Row, np.ndarray]]:
        for part, held_out in zip(parts, (False, True), strict=False):
            for name, label, image in zip(part.names, part.labels, part.images, strict=True):
                yield Row(name, int(label), int(label), held_out=held_out), image

    total = sum(len(part.names) for part in parts) + len(skipped)
    classes = parts[0].classes
    return Reading(total, [*classes], rows(), skipped, notes, classes=classes)
