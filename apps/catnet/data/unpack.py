"""Read and unpack untrusted archives, with limits; unpacking is atomic."""

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
from catnet.images.reading import Readable

MAX_MEMBERS = 500_000
MAX_BYTES = 4 * 2**30  # of the unpacked archive, with its headers
CHUNK = 2**18
Convert: TypeAlias = Callable[[PurePosixPath, Readable], Iterable[tuple[str, bytes]]]

_DAMAGE = (
    OSError,
    EOFError,
    RuntimeError,
    NotImplementedError,
    ValueError,
    OverflowError,
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
)


def read_members(
    path: Path, max_members: int = MAX_MEMBERS, max_bytes: int = MAX_BYTES
) -> Generator[tuple[PurePosixPath, Readable], None, None]:
    """Iterate over the files of a zip, tar or tar.gz, in order; folders are skipped.

    Each file can be read until the next iteration.  The limits apply to the bytes that are really
    unpacked, not to the sizes in the headers.

    Raises:
        UserError: a name leads out of the archive or occurs twice (case is ignored); a member is
            a link, a device or encrypted; there are too many members or bytes; or the archive is
            damaged, or neither a zip nor a tar.
    """
    bounded = _Bounded(path, max_bytes)
    keys: set[str] = set()
    with contextlib.closing(_iterate_files(path, bounded)) as files:
        while True:
            with bounded.convert_errors():
                member = next(files, None)
            if member is None:
                return
            name, file = member
            place = _check_name(path, name)
            key = unicodedata.normalize("NFC", str(place)).casefold()
            if key in keys:
                raise bounded.make_error(f"has {name!r} twice")
            keys.add(key)
            if len(keys) > max_members:
                raise bounded.make_error(f"more than {max_members} members")
            if file is not None:
                yield place, file


def unpack(
    path: Path,
    folder: Path,
    convert: Convert | None = None,
    max_members: int = MAX_MEMBERS,
    max_bytes: int = MAX_BYTES,
) -> None:
    """Unpack an archive into a new folder; this is atomic.

    Args:
        path: a zip, tar or tar.gz.
        folder: the new folder; its parent folder exists.
        convert: returns the files (name, content) to write for a member; by default, the member.
        max_members: the limit on the number of members.
        max_bytes: the limit on the unpacked size.

    Raises:
        UserError: the folder exists, or cannot be written; the archive has no files, or
            :func:`read_members` refuses it.
    """
    empty = True
    try:
        with create_folder(folder) as new:
            for place, file in read_members(path, max_members, max_bytes):
                files = [(str(place), file)] if convert is None else convert(place, file)
                for name, content in files:
                    target = new / _check_name(path, name)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    with target.open("xb") as out:
                        if isinstance(content, bytes):
                            out.write(content)
                        else:
                            shutil.copyfileobj(content, out, CHUNK)
                    empty = False
            if empty:
                raise UserError(f"{path}: has no files for the data set")
    except OSError as error:
        raise UserError(f"{error.filename or folder}: {error.strerror or error}") from None


@contextlib.contextmanager
def create_folder(folder: Path) -> Iterator[Path]:
    """Create a folder atomically.

    The block fills a temporary folder.  When the block ends, it is renamed to ``folder``; if the
    block raises an exception, it is removed.

    Raises:
        UserError: ``folder`` already exists.
    """
    if os.path.lexists(folder):
        raise UserError(f"{folder}: already exists; remove it or choose another --out")
    temporary = Path(tempfile.mkdtemp(prefix=f"{folder.name}.unpacking-", dir=folder.parent))
    try:
        new = temporary / folder.name  # a subfolder, because mkdtemp sets private permissions
        new.mkdir()
        yield new
        if os.path.lexists(folder):
            raise UserError(f"{folder}: another process has created it; it was not changed")
        new.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _check_name(path: Path, name: str) -> PurePosixPath:
    """Check a name; return it as a path below the new folder."""
    place = PurePosixPath(name)
    leads_out = place.is_absolute() or not place.parts or ".." in place.parts
    if leads_out or re.search(r"^.:|\\|[\x00-\x1f]", name):
        raise UserError(f"{path}: not safe to unpack: has the unsafe name {name!r}")
    return place


class _Bounded:
    """Limits the unpacked bytes of one archive, and converts its errors to UserError."""

    def __init__(self, path: Path, limit: int) -> None:
        self.path, self.limit, self.budget = path, limit, limit

    def read(self, file: IO[bytes], size: int) -> bytes:
        most = self.budget + 1  # one byte more than the limit shows that the archive is larger
        with self.convert_errors():
            data = file.read(most if size < 0 else min(size, most))
        self.budget -= len(data)
        if self.budget < 0:
            raise self.make_error(f"unpacks to more than {self.limit} bytes")
        return data

    def make_error(self, what: str) -> UserError:
        return UserError(f"{self.path}: not safe to unpack: {what}")

    @contextlib.contextmanager
    def convert_errors(self) -> Iterator[None]:
        try:
            yield
        except _DAMAGE as error:
            text = " ".join(str(error).split()) or type(error).__name__
            raise UserError(f"{self.path}: damaged, or not a zip or tar: {text}") from None


class _CountingFile:
    """A file whose bytes count toward the limit; ``end`` has the last block."""

    def __init__(self, file: IO[bytes], bounded: _Bounded) -> None:
        self.file, self.bounded, self.end = file, bounded, b""

    def read(self, size: int = -1, /) -> bytes:
        data = self.bounded.read(self.file, size)
        self.end = (self.end + data)[-tarfile.BLOCKSIZE :]
        return data


class _TarMember:
    """A member of a tar; its bytes are already counted in the tar."""

    def __init__(self, file: IO[bytes], bounded: _Bounded) -> None:
        self.file, self.bounded = file, bounded

    def read(self, size: int = -1, /) -> bytes:
        with self.bounded.convert_errors():
            return self.file.read(size)


# ---- zip and tar


_Files: TypeAlias = Generator[tuple[str, Readable | None], None, None]  # None for a folder


def _iterate_files(path: Path, bounded: _Bounded) -> _Files:
    with path.open("rb") as file:
        start = file.read(2)
        file.seek(0)
        if start == b"PK":
            yield from _iterate_zip(file, bounded)
        elif start == b"\x1f\x8b":
            with gzip.open(file) as unzipped:
                yield from _iterate_tar(_CountingFile(unzipped, bounded), bounded)  # type: ignore[arg-type]
        else:
            yield from _iterate_tar(_CountingFile(file, bounded), bounded)


def _iterate_zip(file: IO[bytes], bounded: _Bounded) -> _Files:
    with zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise bounded.make_error(f"{info.filename!r} is a link or a device")
            if info.is_dir():
                yield info.filename, None
            else:
                with archive.open(info) as member:
                    yield info.filename, _CountingFile(member, bounded)


def _iterate_tar(file: _CountingFile, bounded: _Bounded) -> _Files:
    # As a stream, so that the limit also applies to large headers.
    with tarfile.open(fileobj=file, mode="r|") as archive:  # type: ignore[call-overload]
        for info in archive:
            if info.isdir():
                yield info.name, None
            elif info.isreg() and not info.issparse():
                member = archive.extractfile(info)
                assert member is not None  # it is a regular file
                yield info.name, _TarMember(member, bounded)
            else:
                raise bounded.make_error(f"{info.name!r} is a link or a device")
    while file.read(CHUNK):  # the padding of the last block; the checksum follows it
        pass
    if file.end.strip(b"\0"):
        raise EOFError("it is truncated")
