"""Archives from elsewhere: read a file at a time, with limits, and unpacked whole or not at all."""

from __future__ import annotations

import contextlib
import gzip
import os
import re
import shutil
import stat
import tarfile
import tempfile
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Generator, Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, TypeAlias

from catnet.errors import UserError
from catnet.images.paths import Readable

MAX_MEMBERS = 500_000
MAX_BYTES = 4 * 2**30  # unpacked, headers included
CHUNK = 2**18
Convert: TypeAlias = Callable[[PurePosixPath, Readable], Iterable[tuple[str, bytes]]]

_DAMAGE = (
    *(OSError, EOFError, RuntimeError, NotImplementedError, ValueError, OverflowError),
    *(tarfile.TarError, zipfile.BadZipFile, zlib.error),
)


def members(
    path: Path, max_members: int = MAX_MEMBERS, max_bytes: int = MAX_BYTES
) -> Generator[tuple[PurePosixPath, Readable], None, None]:
    """The files in a zip, tar or tar.gz, in order; each can be read until the next is drawn.

    Folders are passed over.  Limits hold for what is really unpacked, whatever the headers say.

    Raises:
        UserError: a name leads out of the archive or is there twice (also to a file system that
            takes ``A`` for ``a``); a member is a link, a device or encrypted; there are too many
            members or bytes; or it is damaged, or neither a zip nor a tar.
    """
    bounded = _Bounded(path, max_bytes)
    seen: set[str] = set()
    with contextlib.closing(_files(path, bounded)) as files:
        while True:
            with bounded.damage_is_told():
                member = next(files, None)
            if member is None:
                return
            name, file = member
            place = _safe(path, name)
            key = unicodedata.normalize("NFC", str(place)).casefold()
            if key in seen:
                raise bounded.unsafe(f"holds {name!r} twice")
            seen.add(key)
            if len(seen) > max_members:
                raise bounded.unsafe(f"more than {max_members} members")
            if file is not None:
                yield place, file


def unpack(
    path: Path,
    folder: Path,
    convert: Convert | None = None,
    max_members: int = MAX_MEMBERS,
    max_bytes: int = MAX_BYTES,
) -> None:
    """Unpack an archive into a new folder, which appears when all is in it, or not at all.

    Args:
        path: a zip, tar or tar.gz.
        folder: is not there yet; what it is in, is.
        convert: gives the files (name, content) to write for a member; by default, itself.
        max_members: of the archive.
        max_bytes: of the archive, unpacked.

    Raises:
        UserError: the folder is there, or cannot be written; the archive has no files, or
            :func:`members` refuses it.
    """
    empty = True
    try:
        with appearing(folder) as new:
            for place, file in members(path, max_members, max_bytes):
                made = [(str(place), file)] if convert is None else convert(place, file)
                for name, content in made:
                    target = new / _safe(path, name)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    with target.open("xb") as out:
                        if isinstance(content, bytes):
                            out.write(content)
                        else:
                            shutil.copyfileobj(content, out, CHUNK)
                    empty = False
            if empty:
                raise UserError(f"{path}: nothing in it that is wanted")
    except OSError as error:
        raise UserError(f"{error.filename or folder}: {error.strerror or error}") from None


@contextlib.contextmanager
def appearing(folder: Path) -> Iterator[Path]:
    """A folder to fill: it becomes ``folder`` when the block ends well, and is removed otherwise.

    Raises:
        UserError: ``folder`` is there already.
    """
    if os.path.lexists(folder):
        raise UserError(f"{folder}: is there already; it is left as it is")
    around = Path(tempfile.mkdtemp(prefix=f"{folder.name}.unpacking-", dir=folder.parent))
    try:
        new = around / folder.name  # one level down, where it has the usual permissions
        new.mkdir()
        yield new
        if os.path.lexists(folder):
            raise UserError(f"{folder}: has appeared meanwhile; it is left as it is")
        new.rename(folder)
    finally:
        shutil.rmtree(around, ignore_errors=True)


def _safe(path: Path, name: str) -> PurePosixPath:
    """A name as a place below the folder that is unpacked into."""
    place = PurePosixPath(name)
    leads_out = place.is_absolute() or not place.parts or ".." in place.parts
    if leads_out or re.search(r"^.:|\\|[\x00-\x1f]", name):
        raise UserError(f"{path}: not safe to unpack: holds {name!r}")
    return place


class _Bounded:
    """Counts what is unpacked from one archive, and says in one line what is wrong with it."""

    def __init__(self, path: Path, limit: int) -> None:
        self.path, self.limit, self.left = path, limit, limit

    def read(self, file: IO[bytes], size: int) -> bytes:
        most = self.left + 1  # one more than is allowed shows that there is more
        with self.damage_is_told():
            data = file.read(most if size < 0 else min(size, most))
        self.left -= len(data)
        if self.left < 0:
            raise self.unsafe(f"unpacks to more than {self.limit} bytes")
        return data

    def unsafe(self, what: str) -> UserError:
        return UserError(f"{self.path}: not safe to unpack: {what}")

    @contextlib.contextmanager
    def damage_is_told(self) -> Iterator[None]:
        try:
            yield
        except _DAMAGE as error:
            text = " ".join(str(error).split()) or type(error).__name__
            raise UserError(f"{self.path}: damaged, or no archive: {text}") from None


class _Counted:
    """A file whose bytes count, and the last of them."""

    def __init__(self, file: IO[bytes], bounded: _Bounded) -> None:
        self.file, self.bounded, self.end = file, bounded, b""

    def read(self, size: int = -1, /) -> bytes:
        data = self.bounded.read(self.file, size)
        self.end = (self.end + data)[-tarfile.BLOCKSIZE :]
        return data


class _Told:
    """A file whose bytes have been counted already."""

    def __init__(self, file: IO[bytes], bounded: _Bounded) -> None:
        self.file, self.bounded = file, bounded

    def read(self, size: int = -1, /) -> bytes:
        with self.bounded.damage_is_told():
            return self.file.read(size)


# ---- the two kinds of archive


_Files: TypeAlias = Generator[tuple[str, Readable | None], None, None]  # None for a folder


def _files(path: Path, bounded: _Bounded) -> _Files:
    with path.open("rb") as file:
        start = file.read(2)
        file.seek(0)
        if start == b"PK":
            yield from _zip_files(file, bounded)
        elif start == b"\x1f\x8b":
            with gzip.open(file) as unzipped:
                yield from _tar_files(_Counted(unzipped, bounded), bounded)  # type: ignore[arg-type]
        else:
            yield from _tar_files(_Counted(file, bounded), bounded)


def _zip_files(file: IO[bytes], bounded: _Bounded) -> _Files:
    with zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise bounded.unsafe(f"{info.filename!r} is a link or a device")
            if info.is_dir():
                yield info.filename, None
            else:
                with archive.open(info) as member:
                    yield info.filename, _Counted(member, bounded)


def _tar_files(file: _Counted, bounded: _Bounded) -> _Files:
    # As a stream: headers that claim to be huge are then read through the limit as well.
    with tarfile.open(fileobj=file, mode="r|") as archive:  # type: ignore[call-overload]
        for info in archive:
            if info.isdir():
                yield info.name, None
            elif info.isreg() and not info.issparse():
                member = archive.extractfile(info)
                assert member is not None  # it is a regular file
                yield info.name, _Told(member, bounded)
            else:
                raise bounded.unsafe(f"{info.name!r} is a link or a device")
    while file.read(CHUNK):  # what fills up the last block; checksums come after it
        pass
    if file.end.strip(b"\0"):
        raise EOFError("ends early")
