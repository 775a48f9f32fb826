"""Recognize well-known data sets without class folders, and read their labels.

These are Tiny ImageNet and dogs-vs-cats, in the form of the competition (``train/cat.0.jpg``) and
of Microsoft (``PetImages/Cat/0.jpg``); each as a zip or a folder.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from catnet.data.entries import Entry, Listing, is_zip
from catnet.errors import UserError
from catnet.images.reading import ImageError, read

TINY_IMAGENET_CATS = ("n02123045", "n02123394", "n02124075")  # tabby, Persian, Egyptian
TINY_IMAGENET_DOGS = (
    "n02085620",  # Chihuahua
    "n02094433",  # Yorkshire terrier
    "n02099601",  # golden retriever
    "n02099712",  # Labrador
    "n02106662",  # German shepherd
    "n02113799",  # standard poodle
)

_TINY_TRAIN = re.compile(r"(?:.*/)?train/(n\d{8})/images/[^/]+")
_TINY_VALIDATION = re.compile(r"(?:.*/)?val/images/([^/]+)")
_COMPETITION = re.compile(r"(.*/)?(cat|dog)\.\d+\.jpg")
_COMPETITION_TEST = re.compile(r"(?:.*/)?test1?/\d+\.jpg")
_PETS = re.compile(r"(.*/)?PetImages/(Cat|Dog)/[^/]+")


class Row(NamedTuple):
    """The labels of one image in a data set.

    Attributes:
        entry: the image.
        kind: index into ``Layout.kinds``.
        fine: index into ``Layout.fine_names``; -1 where unknown.
        part: ``train`` or ``test``.
    """

    entry: Entry
    kind: int
    fine: int = -1
    part: str = "train"


@dataclass
class Layout:
    """A well-known data set.

    Attributes:
        kinds: the kinds of images; the last one is the cats.
        rows: the images in the order of their places.
        fine_names: names of the fine labels, if there are any.
        fine_cats: which of them are cats.
        notes: one line for images that are not used because they have no label.
    """

    kinds: list[str]
    rows: list[Row]
    fine_names: list[str] = field(default_factory=list)
    fine_cats: list[int] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def is_cat(self, row: Row) -> bool:
        """Whether an image shows a cat."""
        return self.kinds[row.kind] == "cat"

    def image_folder(self, all_classes: bool = False) -> list[Entry]:
        """The entries, with the places of an image folder of cats and non-cats.

        Args:
            all_classes: whether the classes are the fine labels instead, where there are any.
        """
        entries, names = [], shorten(self.fine_names) if all_classes else ()
        for row in self.rows:
            folder = "cat" if self.is_cat(row) else "non-cat"
            folder = names[row.fine] if names else folder
            entries.append(row.entry._replace(place=(row.part, folder, *row.entry.place)))
        return entries


def shorten(names: Sequence[str]) -> list[str]:
    """Shorten lists of synonyms to their first words, where these differ.

    Example:
        >>> shorten(["tabby, tabby cat", "crane, bird", "crane"])
        ['tabby', 'crane, bird', 'crane']
    """
    first = [name.split(",")[0] for name in names]
    return [one if first.count(one) == 1 else name for one, name in zip(first, names, strict=True)]


def recognize(listing: Listing) -> Layout | None:
    """Recognize a well-known data set in a listing; None for any other.

    In Tiny ImageNet, three classes are cats.  Its validation part is the test part; its test part
    has no labels and is not used.

    Raises:
        UserError: a list of labels of Tiny ImageNet cannot be read.
    """
    if any(entry.place[-1] == "wnids.txt" for entry in listing.others):
        return _recognize_tiny_imagenet(listing)
    return _recognize_dogs_vs_cats(listing)


def _recognize_dogs_vs_cats(listing: Listing) -> Layout | None:
    path = Path(listing.path)
    own = path.stem if is_zip(path) else path.name
    names = ["/".join(entry.place) for entry in listing.images]
    for pattern, top in ((_COMPETITION, ""), (_PETS, ""), (_PETS, f"{own}/")):
        matches = [pattern.fullmatch(top + name) for name in names]
        rest = [name for name, match in zip(names, matches, strict=True) if match is None]
        if len({match[1] for match in matches if match}) == 1 and all(
            pattern is _COMPETITION and _COMPETITION_TEST.fullmatch(name) for name in rest
        ):
            rows = [
                Row(entry, int(match[2].lower() == "cat"))
                for entry, match in zip(listing.images, matches, strict=True)
                if match
            ]
            return Layout(["dog", "cat"], rows, notes=_note_missing_labels(listing, len(rest)))
    return None


def _recognize_tiny_imagenet(listing: Listing) -> Layout | None:
    validation = dict(
        line.split("\t")[:2]
        for line in _read_lines(listing, "val", "val_annotations.txt")
        if "\t" in line
    )
    words = dict(line.split("\t", 1) for line in _read_lines(listing, "words.txt") if "\t" in line)
    rows: list[tuple[Entry, str, str]] = []
    for entry in listing.images:
        name = "/".join(entry.place)
        if match := _TINY_TRAIN.fullmatch(name):
            rows.append((entry, match[1], "train"))
        elif (match := _TINY_VALIDATION.fullmatch(name)) and match[1] in validation:
            rows.append((entry, validation[match[1]], "test"))
    if not rows:
        return None
    all_wnids = {line.strip() for line in _read_lines(listing, "wnids.txt")}
    wnids = sorted({wnid for _, wnid, _ in rows} | all_wnids - {""})
    number = {wnid: i for i, wnid in enumerate(wnids)}
    return Layout(
        ["other", "dog", "cat"],
        [Row(entry, _find_tiny_kind(wnid), number[wnid], part) for entry, wnid, part in rows],
        [words.get(wnid, wnid) for wnid in wnids],
        [number[wnid] for wnid in wnids if wnid in TINY_IMAGENET_CATS],
        _note_missing_labels(listing, len(listing.images) - len(rows)),
    )


def _note_missing_labels(listing: Listing, count: int) -> list[str]:
    return [f"{listing.path}: {count} images without a label are not used"] * bool(count)


def _find_tiny_kind(wnid: str) -> int:
    return 2 if wnid in TINY_IMAGENET_CATS else int(wnid in TINY_IMAGENET_DOGS)


def _read_lines(listing: Listing, *place: str) -> Sequence[str]:
    """Read the lines of a text file of the data set; none if the file is missing."""
    for entry in listing.others:
        if entry.place[-len(place) :] == place:
            try:
                source = entry.source
                data = source if isinstance(source, bytes) else read(source)
                return data.decode().splitlines()
            except (ImageError, UnicodeDecodeError) as error:
                raise UserError(
                    f"{entry.name} is damaged: {error}; download the data set again"
                ) from None
    return []
