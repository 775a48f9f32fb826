"""Images in zip and tar archives, read where they are: nothing is unpacked to a folder."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import struct
import tarfile
import tempfile
import threading
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from catnet.images.kinds import HEAD, detect_kind, is_system_folder
from catnet.images.reading import MAX_BYTES, ImageError, Readable, Stored

SNIFF = 512  # bytes that are enough to detect an archive
MAX_MEMBERS = 500_000
MAX_NAME = 200  # bytes of a zip's table for each file, on average
# A compressed tar is decompressed to a temporary file: at most to this size, or to so many times
# its own, because photos are compressed already.
MIN_UNPACKED, MAX_RATIO = 2**32, 4
CHUNK = 2**20

_COMPRESSED: dict[bytes, Callable[[Any], Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\0": lzma.open,
}
_DAMAGE = (
    *(OSError, EOFError, RuntimeError, NotImplementedError, ValueError, OverflowError, LookupError),
    *(tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError),
)


class Kept(io.FileIO):
    """A file that is closed with its last user."""

    def __del__(self) -> None:
        self.close()


class Member(NamedTuple):
    """A file in an archive.

    Attributes:
        name: its path in the archive.
        source: the argument for the decoder.
        problem: why it cannot be decoded, if this is known before decoding.
        kind: of a file that is not an image, the name of its kind in a summary.
    """

    name: str
    source: Stored
    problem: str | None = None
    kind: str = ""


def is_archive(start: bytes) -> bool:
    """Whether the first ``SNIFF`` bytes are those of a zip, a tar or a compressed file.

    Example:
        >>> is_archive(b"PK\\3\\4 and so on"), is_archive(b"GIF89a")
        (True, False)
    """
    return start.startswith((b"PK\3\4", b"PK\5\6", *_COMPRESSED)) or start[257:262] == b"ustar"


def keep(stream: Readable) -> Kept:
    """Copy a stream to a temporary file, so that it can be read in any order.

    Raises:
        ImageError: the temporary folder is full, or the stream is too long or cannot be read.
    """
    try:
        return _copy(stream, MIN_UNPACKED, "is more than {} GB; save it as a file")
    except OSError as error:
        raise ImageError(f"cannot be read: {error.strerror or error}") from None


def list_members(file: Kept) -> list[Member]:
    """List the files of an archive, sorted; hidden files and folders are left out.

    Args:
        file: if a name occurs several times in it, the last one counts, as for programs that
            unpack it; it can be read as long as a member is in use, which closes it in the end.

    Raises:
        ImageError: the archive is damaged, too large, or of another kind.
    """
    file.seek(0)
    start = file.read(SNIFF) or b""
    file.seek(0)
    try:
        if start.startswith(b"PK"):
            _refuse_many(_count_zip(file))
            members = list(_list_zip(zipfile.ZipFile(file)))
        else:
            members = list(_list_tar(_decompress(file, start)))
    except _DAMAGE as error:
        if isinstance(error, ImageError):
            raise
        text = " ".join(str(error).split())[:200] or type(error).__name__
        raise ImageError(f"damaged, or not a zip or tar: {text}; copy it again") from None
    last = {member.name: member for member in members}.values()
    return sorted(last, key=lambda member: PurePosixPath(member.name).parts)


def find_hidden(parts: tuple[str, ...]) -> str | None:
    """The first hidden part of a path, or the first folder of an operating system; or None."""
    for i, part in enumerate(parts):
        if part.startswith(".") and part != "..":
            return part
        if i < len(parts) - 1 and is_system_folder(part):
            return part
    return None


def _make_member(name: str, source: ZipMember | _TarMember) -> Member | None:
    place = PurePosixPath(name)
    if not place.parts or find_hidden(place.parts):
        return None
    what = detect_kind(place.name, lambda: source.head(HEAD))
    return Member(str(place), source, what.problem, "" if what.is_image else what.name)


def _refuse_many(count: int) -> None:
    if count > MAX_MEMBERS:
        raise ImageError(f"has more than {MAX_MEMBERS} files; unpack it and give the folder")


# ---- zip


class ZipMember:
    """A file in a zip, opened on reading; a lock protects the shared archive."""

    def __init__(self, archive: zipfile.ZipFile, info: zipfile.ZipInfo, lock: threading.Lock):
        self.archive, self.info, self.lock = archive, info, lock

    def open(self) -> Readable:
        """Its bytes, up to one more than an image may have."""
        return io.BytesIO(self.head(MAX_BYTES + 1))

    def head(self, size: int) -> bytes:
        """Its first bytes."""
        if self.info.flag_bits & 1:
            raise OSError("has a password; unpack it")
        try:
            with self.lock, self.archive.open(self.info) as file:
                return file.read(size)
        except Exception as error:  # the decompressors of zipfile raise many kinds of errors
            raise OSError(f"damaged in the zip: {error}") from None


def decode_name(info: zipfile.ZipInfo) -> str:
    """The name of a member; macOS and Linux often write UTF-8 without its flag."""
    if info.flag_bits & 0x800:
        return info.filename
    try:
        return info.filename.encode("cp437").decode()
    except UnicodeError:
        return info.filename


def _count_zip(file: Kept) -> int:
    """The number of files, from the end of a zip, before all their names are in memory."""
    start = max(0, os.fstat(file.fileno()).st_size - 2**16 - 100)
    tail = os.pread(file.fileno(), 2**16 + 100, start)
    at = tail.rfind(b"PK\5\6")
    if at < 0:
        return 0  # zipfile says what is wrong
    count, size = struct.unpack_from("<HI", tail.ljust(at + 22, b"\0"), at + 10)
    large = tail[max(0, at - 76) : at]  # of Zip64, with larger numbers
    if large.startswith(b"PK\6\6"):
        count, size = struct.unpack_from("<QQ", large, 32)
    return max(count, size // MAX_NAME)


def _list_zip(archive: zipfile.ZipFile) -> Iterator[Member]:
    lock, infos = threading.Lock(), archive.infolist()
    _refuse_many(len(infos))
    for info in infos:
        if not info.filename.endswith("/"):  # is_dir() fails for a name that is empty
            member = _make_member(decode_name(info), ZipMember(archive, info, lock))
            if member is not None:
                yield member


# ---- tar


class _TarMember:
    """A part of a file, read independently of the place where others read."""

    def __init__(self, file: Kept, offset: int, size: int) -> None:
        self.file, self.offset, self.size = file, offset, size

    def open(self) -> Readable:
        """Its bytes, up to one more than an image may have."""
        return io.BytesIO(self.head(MAX_BYTES + 1))

    def head(self, size: int) -> bytes:
        """Its first bytes."""
        return os.pread(self.file.fileno(), min(size, self.size), self.offset)


def _list_tar(file: Kept) -> Iterator[Member]:
    with tarfile.open(fileobj=file, mode="r:") as archive:
        for count, info in enumerate(archive):
            _refuse_many(count)
            archive.members = []  # type: ignore[attr-defined]  (they would be kept)
            if info.isreg() and not info.issparse():
                member = _make_member(info.name, _TarMember(file, info.offset_data, info.size))
                if member is not None:
                    yield member
            elif info.islnk() and not find_hidden(PurePosixPath(info.name).parts):
                name = str(PurePosixPath(info.name))
                yield Member(name, _TarMember(file, 0, 0), kind="hard link")
    if os.pread(file.fileno(), tarfile.BLOCKSIZE, archive.offset) != bytes(tarfile.BLOCKSIZE):
        raise EOFError("it is truncated")


def _decompress(file: Kept, start: bytes) -> Kept:
    """A compressed file, decompressed to a temporary file; another file as it is."""
    opener = next((_COMPRESSED[head] for head in _COMPRESSED if start.startswith(head)), None)
    if opener is None:
        return file
    limit = max(MIN_UNPACKED, MAX_RATIO * os.fstat(file.fileno()).st_size)
    with opener(file) as unpacked:
        out = _copy(unpacked, limit, "unpacks to more than {} GB; unpack it and give the folder")
    out.seek(0)
    return out


def _copy(stream: Readable, limit: int, refusal: str) -> Kept:
    """Copy a stream to a temporary file; ``refusal`` says that it is longer than the limit."""
    out = _make_temporary()
    while part := stream.read(CHUNK):
        left = memoryview(part)
        try:
            while left:
                left = left[out.write(left) :]  # a part of it, where the disk is nearly full
        except OSError as error:
            raise ImageError(_describe_full(error)) from None
        if out.tell() > limit:
            raise ImageError(refusal.format(round(limit / 2**30)))
    return out


def _make_temporary() -> Kept:
    with tempfile.TemporaryFile() as file:
        return Kept(os.dup(file.fileno()), "r+b")


def _describe_full(error: OSError) -> str:
    folder = tempfile.gettempdir()
    reason = error.strerror or error
    return f"cannot be kept in {folder} ({reason}); save it as a file, or set TMPDIR"
