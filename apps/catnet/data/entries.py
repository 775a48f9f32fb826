"""List a folder or a zip of images as one entry for each file."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import stat
import tempfile
import threading
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from catnet.errors import UserError
from catnet.images.archives import ZipMember, decode_name
from catnet.images.kinds import HEAD, detect_kind, is_system_folder
from catnet.images.paths import OtherFile, list_images
from catnet.images.reading import ImageError, Source

_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError)


class Entry(NamedTuple):
    """A file of a folder or a zip.

    Attributes:
        place: the path below DATA, as its parts.
        name: the name in messages.
        source: the argument for the decoder.
        problem: why it cannot be decoded, if this is known before decoding.
        kind: of a file that is not an image, the name of its kind in a summary.
    """

    place: tuple[str, ...]
    name: str
    source: Source
    problem: str | None = None
    kind: str = ""


@dataclass
class Listing:
    """The files of DATA.

    Attributes:
        path: DATA.
        images: the images, in the order of their places.
        others: the ignored files, which are not images.
        problems: one line for each folder that cannot be read, with the reason.
    """

    path: str
    images: list[Entry] = field(default_factory=list)
    others: list[Entry] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def is_zip(path: str | os.PathLike[str]) -> bool:
    """Whether a path has the extension of a zip."""
    return os.fspath(path).lower().endswith(".zip")


@contextlib.contextmanager
def open_listing(path: str, max_bytes: int | None = None) -> Iterator[Listing]:
    """List a folder or a zip; the entries of a zip can be read until the block ends.

    A zip that contains ``train.zip`` is listed as that inner zip, because the dogs-vs-cats
    competition packs its images in this way.  The listing of another file is empty.

    Args:
        path: a folder or a file.
        max_bytes: the limit on the unpacked size of a zip; None is no limit.

    Raises:
        UserError: the zip cannot be read, is not safe, or is too large; or the links of the folder
            lead to the same folders too often.
    """
    if Path(path).is_dir():
        yield _list_folder(path)
    elif is_zip(path):
        with contextlib.ExitStack() as stack:
            yield _list_zip(path, _open_zip(path, stack, max_bytes))
    else:
        yield Listing(path)


def _list_folder(path: str) -> Listing:
    listing, others = Listing(path), list[OtherFile]()
    try:
        for image in list_images(path, others.append):
            place = Path(image.path).relative_to(path).parts
            if image.error and os.path.isdir(image.path):  # noqa: PTH112  (no name is too long)
                listing.problems.append(f"{image.path}: {image.error}")
            else:
                listing.images.append(Entry(place, image.path, image.path, image.error))
    except ImageError as error:
        raise UserError(f"{path}: {error}") from None
    for other in others:
        place = Path(other.path).relative_to(path).parts
        listing.others.append(Entry(place, other.path, other.path, kind=other.kind))
    listing.images.sort(key=lambda entry: entry.place)
    return listing


# ---- zips


def _open_zip(path: str, stack: contextlib.ExitStack, max_bytes: int | None) -> zipfile.ZipFile:
    try:
        archive = stack.enter_context(zipfile.ZipFile(path))
        _refuse_too_large(path, archive, max_bytes)
        if "train.zip" in archive.namelist():
            inner = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
            with archive.open("train.zip") as packed:
                shutil.copyfileobj(packed, inner, 2**20)
            archive = stack.enter_context(zipfile.ZipFile(inner))
            _refuse_too_large(path, archive, max_bytes)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from None
    except _DAMAGE as error:
        raise UserError(f"{path}: not a zip, or a damaged one: {error}") from None
    return archive


def _refuse_too_large(path: str, archive: zipfile.ZipFile, limit: int | None) -> None:
    total = sum(info.file_size for info in archive.infolist())
    if limit is not None and total > limit:
        raise UserError(
            f"{path}: unpacks to {total / 2**30:.1f} GB; the limit is {limit / 2**30:.1f} GB;"
            " unpack it and give the folder"
        )


def _list_zip(path: str, archive: zipfile.ZipFile) -> Listing:
    listing, lock = Listing(path), threading.Lock()
    places, systems = set(), set()
    for info in archive.infolist():
        name = decode_name(info)
        place = PurePosixPath(name)
        is_link = stat.S_ISLNK(info.external_attr >> 16)
        leads_out = not place.parts or place.is_absolute() or ".." in place.parts
        if leads_out or is_link or re.search(r"^.:|\\", name) or place in places:
            raise UserError(
                f"{path}: not safe to read: {name!r} is a link, leads out of the zip,"
                " or occurs twice; create the zip again"
            )
        places.add(place)
        folders = place.parts if info.is_dir() else place.parts[:-1]
        system = next((i for i, part in enumerate(folders) if is_system_folder(part)), None)
        if any(part.startswith(".") for part in place.parts[:system]):
            continue
        if system is not None:
            systems.add(folders[: system + 1])
        elif not info.is_dir():
            member = ZipMember(archive, info, lock)
            what = detect_kind(place.name, lambda member=member: member.head(HEAD))
            entry = Entry(place.parts, f"{path}/{name}", member, what.problem, what.name)
            (listing.images if what.is_image else listing.others).append(entry)
    for parts in sorted(systems):
        name = f"{path}/{'/'.join(parts)}"
        listing.others.append(Entry(parts, name, b"", kind=f"folder {parts[-1]}"))
    listing.images.sort(key=lambda entry: entry.place)
    return listing
