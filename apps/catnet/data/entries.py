"""What is in a folder or a zip of images: one entry a file, the same for both."""

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
from catnet.images.kinds import HEAD, is_system_folder, kind
from catnet.images.paths import ImageError, OtherFile, Source, list_images

_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError)


class Entry(NamedTuple):
    """A file of a folder or a zip.

    Attributes:
        place: the folders it is in, from the top, and its own name.
        name: what it is called in messages.
        source: where its bytes are.
        problem: why it cannot be decoded, if that is known already.
        kind: of a file that is no image, what a summary counts it as.
    """

    place: tuple[str, ...]
    name: str
    source: Source
    problem: str | None = None
    kind: str = ""


@dataclass
class Listing:
    """What is in DATA.

    Attributes:
        path: DATA.
        images: the images, in the order of their places.
        others: what is passed over, because it is no image.
        problems: folders that cannot be read, with the reason.
    """

    path: str
    images: list[Entry] = field(default_factory=list)
    others: list[Entry] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def is_zip(path: str | os.PathLike[str]) -> bool:
    """Whether a path is that of a zip, by its name."""
    return os.fspath(path).lower().endswith(".zip")


@contextlib.contextmanager
def opened(path: str, max_bytes: int | None = None) -> Iterator[Listing]:
    """List a folder or a zip; what is in a zip can be read until the block ends.

    A zip with ``train.zip`` in it is that one: so the dogs-vs-cats competition packs its images.
    A file that is no zip has nothing in it.

    Args:
        path: a folder or a file.
        max_bytes: the most that a zip may unpack to; None is no limit.

    Raises:
        UserError: the zip cannot be read, is not safe or too large, or the links of the folder
            multiply it.
    """
    if Path(path).is_dir():
        yield _of_folder(path)
    elif is_zip(path):
        with contextlib.ExitStack() as stack:
            yield _of_zip(path, _open_zip(path, stack, max_bytes))
    else:
        yield Listing(path)


def _of_folder(path: str) -> Listing:
    listing, others = Listing(path), list[OtherFile]()
    try:
        for found in list_images(path, others.append):
            place = Path(found.path).relative_to(path).parts
            if found.error and os.path.isdir(found.path):  # noqa: PTH112  (no name is too long)
                listing.problems.append(f"{found.path}: {found.error}")
            else:
                listing.images.append(Entry(place, found.path, found.path, found.error))
    except ImageError as error:
        raise UserError(f"{path}: {error}") from None
    for other in others:
        place = Path(other.path).relative_to(path).parts
        listing.others.append(Entry(place, other.path, other.path, kind=other.kind))
    listing.images.sort(key=lambda entry: entry.place)
    return listing


# ---- zips


class _Member:
    """A file in a zip, opened when it is read; one at a time, since they share the archive."""

    def __init__(self, archive: zipfile.ZipFile, info: zipfile.ZipInfo, lock: threading.Lock):
        self.archive, self.info, self.lock, self.done = archive, info, lock, False

    def read(self, size: int = -1, /) -> bytes:
        if self.done:
            return b""
        self.done = True
        return self.head(size)

    def head(self, size: int) -> bytes:
        try:
            with self.lock, self.archive.open(self.info) as file:
                return file.read(size)
        except Exception as error:  # zipfile's decompressors raise errors of many kinds
            raise OSError(f"damaged in the zip: {error}") from None


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
            f"{path}: unpacks to {total / 2**30:.1f} GB, more than is read from a zip;"
            " unpack it and name the folder"
        )


def _of_zip(path: str, archive: zipfile.ZipFile) -> Listing:
    listing, lock = Listing(path), threading.Lock()
    seen, systems = set(), set()
    for info in archive.infolist():
        name = _member_name(info)
        place = PurePosixPath(name)
        is_link = stat.S_ISLNK(info.external_attr >> 16)
        leads_out = not place.parts or place.is_absolute() or ".." in place.parts
        if leads_out or is_link or re.search(r"^.:|\\", name) or place in seen:
            raise UserError(f"{path}: not safe to read: holds {name!r}")
        seen.add(place)
        folders = place.parts if info.is_dir() else place.parts[:-1]
        system = next((i for i, part in enumerate(folders) if is_system_folder(part)), None)
        if any(part.startswith(".") for part in place.parts[:system]):
            continue
        if system is not None:
            systems.add(folders[: system + 1])
        elif not info.is_dir():
            member = _Member(archive, info, lock)
            what = kind(place.name, lambda member=member: member.head(HEAD))
            entry = Entry(place.parts, f"{path}/{name}", member, what.problem, what.name)
            (listing.images if what.is_image else listing.others).append(entry)
    for parts in sorted(systems):
        name = f"{path}/{'/'.join(parts)}"
        listing.others.append(Entry(parts, name, b"", kind=f"folder {parts[-1]}"))
    listing.images.sort(key=lambda entry: entry.place)
    return listing


def _member_name(info: zipfile.ZipInfo) -> str:
    """A name that is not marked as UTF-8 often is: macOS and Linux write it so all the same."""
    if info.flag_bits & 0x800:
        return info.filename
    try:
        return info.filename.encode("cp437").decode()
    except UnicodeError:
        return info.filename
