"""What pictures a source has, and what each is: the two zips known by their layout, or DATA."""

from __future__ import annotations

import contextlib
import re
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from catnet import datasets
from catnet.errors import UserError
from catnet.images import ImageError, decode_many
from catnet.layouts import TINY_IMAGENET_CATS

TINY_IMAGENET_DOGS = (
    *("n02085620", "n02094433", "n02099601"),  # Chihuahua, Yorkshire terrier, golden retriever
    *("n02099712", "n02106662", "n02113799"),  # Labrador, German shepherd, standard poodle
)
# Its validation part is left alone: those who have it will want to be tested on it.
_TINY_IMAGENET = re.compile(r"(?:.*/)?train/(n\d{8})/images/[^/]+\.JPEG")
_DOGS_VS_CATS = re.compile(r"(?:.*/)?(cat|dog)\.\d+\.jpg")
_DAMAGE = (zipfile.BadZipFile, zlib.error, OSError, EOFError, RuntimeError, NotImplementedError)


class Row(NamedTuple):
    """What a source says of one picture."""

    name: str
    label: int  # 1 = cat, or the second class
    kind: int  # index into Reading.kinds
    fine: int = -1  # index into Reading.fine_names
    held_out: bool = False  # a test picture of the source's own


@dataclass
class Reading:
    """A source being read.

    Attributes:
        total: how many pictures it should give.
        kinds: what kinds of picture it has.
        rows: its pictures in order, (64, 64, 3) uint8, decoded as they are drawn.
        skipped: filled while ``rows`` is drawn: pictures left out, with the reason.
        fine_names: names of the fine labels, if it has any.
        fine_cats: which of them are cats.
    """

    total: int
    kinds: list[str]
    rows: Iterator[tuple[Row, np.ndarray]]
    skipped: list[str] = field(default_factory=list)
    fine_names: list[str] = field(default_factory=list)
    fine_cats: list[int] = field(default_factory=list)


@contextlib.contextmanager
def reading(path: Path) -> Iterator[Reading]:
    """Open a source; zips stay open meanwhile.

    Raises:
        UserError: it is not there, or nothing known.
    """
    with contextlib.ExitStack() as stack:
        archive = _archive(path, stack) if path.suffix.lower() == ".zip" else None
        if archive is not None:
            names = archive.namelist()
            if any(name.endswith("wnids.txt") for name in names):
                yield _tiny_imagenet(path, archive)
                return
            if any(map(_DOGS_VS_CATS.fullmatch, names)):
                yield _dogs_vs_cats(archive)
                return
        yield _dataset(path)


def _archive(path: Path, stack: contextlib.ExitStack) -> zipfile.ZipFile | None:
    """The zip at ``path``, or the ``train.zip`` in it: so the competition packs it."""
    try:
        archive = stack.enter_context(zipfile.ZipFile(path))
        if "train.zip" in archive.namelist():
            inner = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
            with archive.open("train.zip") as packed:
                shutil.copyfileobj(packed, inner, 2**20)
            archive = stack.enter_context(zipfile.ZipFile(inner))
    except _DAMAGE:
        return None  # datasets.load says what is wrong with it
    return archive


def _tiny_imagenet(path: Path, archive: zipfile.ZipFile) -> Reading:
    def lines(name: str) -> list[str]:
        where = next((member for member in archive.namelist() if member.endswith(name)), None)
        if where is None:
            raise UserError(f"{path}: no {name} in it; Tiny ImageNet's zip has one")
        try:
            return archive.read(where).decode().splitlines()
        except (*_DAMAGE, UnicodeDecodeError) as error:
            raise UserError(f"{path}: {name} is damaged: {error}") from None

    wnids = sorted(line.strip() for line in lines("wnids.txt") if line.strip())
    words = dict(line.split("\t", 1) for line in lines("words.txt") if "\t" in line)
    kinds = ["other", "dog", "cat"]

    def row(name: str) -> Row | None:
        match = _TINY_IMAGENET.fullmatch(name)
        if match is None:
            return None
        wnid = match[1]
        if wnid not in wnids:
            raise UserError(f"{path}: {wnid} is not in its wnids.txt")
        kind = 2 if wnid in TINY_IMAGENET_CATS else int(wnid in TINY_IMAGENET_DOGS)
        return Row(name, int(kind == 2), kind, wnids.index(wnid))

    reading = _members(archive, kinds, row)
    reading.fine_names = [words.get(wnid, wnid) for wnid in wnids]
    reading.fine_cats = [i for i, wnid in enumerate(wnids) if wnid in TINY_IMAGENET_CATS]
    return reading


def _dogs_vs_cats(archive: zipfile.ZipFile) -> Reading:
    def row(name: str) -> Row | None:
        match = _DOGS_VS_CATS.fullmatch(name)
        return match and Row(name, int(match[1] == "cat"), int(match[1] == "cat"))

    return _members(archive, ["dog", "cat"], row)


def _members(
    archive: zipfile.ZipFile, kinds: list[str], row: Callable[[str], Row | None]
) -> Reading:
    """The members of a zip that ``row`` knows, in the order of their names."""
    rows = [found for name in sorted(archive.namelist()) if (found := row(name))]
    skipped: list[str] = []

    def decoded() -> Iterator[tuple[Row, np.ndarray]]:
        drawn: list[Row] = []

        def members() -> Iterator[bytes]:
            for row in rows:
                try:
                    data = archive.read(row.name)
                except _DAMAGE as error:
                    skipped.append(f"{row.name}: damaged in the zip: {error}")
                    continue
                drawn.append(row)
                yield data

        for i, (_, picture) in enumerate(decode_many(members())):
            if isinstance(picture, ImageError):
                skipped.append(f"{drawn[i].name}: {picture}")
            else:
                yield drawn[i], picture

    return Reading(len(rows), kinds, decoded(), skipped)


def _dataset(path: Path) -> Reading:
    """Whatever else is DATA; its own test part stays one."""
    skipped: list[str] = []
    parts = [part for part in datasets.load(path, on_problem=skipped.append) if part]

    def rows() -> Iterator[tuple[Row, np.ndarray]]:
        for part, held_out in zip(parts, (False, True), strict=False):
            for name, label, image in zip(part.names, part.labels, part.images, strict=True):
                yield Row(name, int(label), int(label), held_out=held_out), image

    total = sum(len(part.names) for part in parts) + len(skipped)
    return Reading(total, [*parts[0].classes], rows(), skipped)
