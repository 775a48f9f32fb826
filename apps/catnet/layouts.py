"""Zips of well-known data sets that are no image folders: where each picture belongs in one."""

from __future__ import annotations

import re
import zipfile
import zlib
from pathlib import PurePosixPath

from catnet.errors import UserError
from catnet.sources import EXTENSIONS

TINY_IMAGENET_CATS = ("n02123045", "n02123394", "n02124075")  # tabby, Persian, Egyptian

_TINY_TRAIN = re.compile(r"(?:[^/]+/)?train/(n\d{8})/images/([^/]+)")
_TINY_VALIDATION = re.compile(r"(?:[^/]+/)?val/images/([^/]+)")
_COMPETITION = re.compile(r"(?:train/)?((cat|dog)\.\d+\.jpg)")
_PETS = re.compile(r"PetImages/(Cat|Dog)/([^/]+\.jpg)")


def places(archive: zipfile.ZipFile) -> dict[str, tuple[str, ...]] | None:
    """The place of each picture in an image folder of cats and non-cats, by its name in the zip.

    Known are Tiny ImageNet (three kinds of cat against everything else; its validation part is
    the test part, its test part has no labels and is left out) and dogs-vs-cats, as in the
    competition (``train/cat.0.jpg``) and as Microsoft gives it (``PetImages/Cat/0.jpg``).

    Returns:
        ``None`` for any other zip.

    Raises:
        UserError: Tiny ImageNet's list of validation labels cannot be read.
    """
    names = archive.namelist()
    if any(name.endswith("wnids.txt") for name in names):
        return _tiny_imagenet(archive, names)
    pictures = [name for name in names if _is_picture(name)]
    found: dict[str, tuple[str, ...]] = {}
    for name in pictures:
        if match := _COMPETITION.fullmatch(name):
            found[name] = (_class(match[2] == "cat"), match[1])
        elif match := _PETS.fullmatch(name):
            found[name] = (_class(match[1] == "Cat"), match[2])
    return found if found and len(found) == len(pictures) else None


def _tiny_imagenet(archive: zipfile.ZipFile, names: list[str]) -> dict[str, tuple[str, ...]]:
    labels: dict[str, str] = {}
    for name in names:
        if name.endswith("val/val_annotations.txt"):
            try:
                lines = archive.read(name).decode().splitlines()
            except (OSError, EOFError, RuntimeError, ValueError, zipfile.BadZipFile, zlib.error):
                raise UserError(f"{archive.filename}: {name} is damaged") from None
            labels = dict(line.split("\t")[:2] for line in lines if "\t" in line)
    found: dict[str, tuple[str, ...]] = {}
    for name in names:
        if match := _TINY_TRAIN.fullmatch(name):
            found[name] = ("train", _class(match[1] in TINY_IMAGENET_CATS), match[2])
        elif (match := _TINY_VALIDATION.fullmatch(name)) and match[1] in labels:
            found[name] = ("test", _class(labels[match[1]] in TINY_IMAGENET_CATS), match[1])
    return found


def _is_picture(name: str) -> bool:
    place = PurePosixPath(name)
    hidden = any(part.startswith((".", "__MACOSX")) for part in place.parts)
    return not hidden and place.suffix.lower() in EXTENSIONS


def _class(is_cat: bool) -> str:
    return "cat" if is_cat else "non-cat"
