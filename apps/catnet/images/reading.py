"""Read the bytes of an image: from a regular file, with a limit, or from a stream."""

# This file uses os.path, because pathlib refuses some names.
# ruff: noqa: PTH114, PTH116

from __future__ import annotations

import errno
import os
import re
import stat
from typing import Protocol, TypeAlias, runtime_checkable

MAX_BYTES = 128 * 2**20
WEB = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)


class Readable(Protocol):
    """An open binary file, or another object that reads bytes."""

    def read(self, size: int = -1, /) -> bytes: ...


@runtime_checkable
class Stored(Protocol):
    """What can be read any number of times, each time from its start."""

    def open(self) -> Readable: ...


Source: TypeAlias = str | os.PathLike[str] | bytes | Readable | Stored


class ImageError(ValueError):
    """Why a source is not an image, in one line, without the name of the source."""


def read(source: str | os.PathLike[str] | Readable | Stored) -> bytes:
    """Read a regular file, or a stream to its end.

    Raises:
        ImageError: the file does not exist, is not regular (a folder, a pipe, a device), cannot be
            read, or is larger than :data:`MAX_BYTES`.
    """
    if not isinstance(source, (str, os.PathLike)):
        return _read_stream(source)
    try:
        mode = os.stat(source).st_mode  # before opening, because opening a device may have effects
        if not stat.S_ISREG(mode):
            raise ImageError(f"{describe_mode(mode)}, not a file")
        with open(source, "rb", opener=open_without_waiting) as file:
            return _read_stream(file)
    except OSError as error:
        raise ImageError(explain(os.fspath(source), error)) from None
    except ImageError:
        raise
    except ValueError:  # the name has a NUL or characters that no file name can have
        raise ImageError("not a possible file name") from None


class Started:
    """A stream whose first bytes are read already; ``read`` gives them again.

    Raises:
        ImageError: the stream cannot be read.
    """

    def __init__(self, stream: Readable, size: int) -> None:
        self.stream, self.head = stream, b""
        try:
            while len(self.head) < size and (part := stream.read(size - len(self.head))):
                self.head += part
        except OSError as error:
            raise ImageError(f"cannot be read: {error.strerror or error}") from None
        self._left = self.head

    def read(self, size: int = -1, /) -> bytes:
        """Read on."""
        if not self._left:
            return self.stream.read(size)
        size = len(self._left) if size < 0 else size
        part, self._left = self._left[:size], self._left[size:]
        return part


def is_pipe(path: str) -> bool:
    """Whether a path is a pipe."""
    try:
        return stat.S_ISFIFO(os.stat(path).st_mode)
    except OSError:
        return False


def read_unless_large(source: Source) -> bytes | str | os.PathLike[str]:
    """The content of a source; the path of a file that is too large to be read as a whole.

    Raises:
        ImageError: it cannot be read; see ``read``.
    """
    if isinstance(source, bytes) or (isinstance(source, (str, os.PathLike)) and is_large(source)):
        return source
    return read(source)


def is_large(path: str | os.PathLike[str]) -> bool:
    """Whether a path is a regular file larger than :data:`MAX_BYTES`."""
    try:
        info = os.stat(path)
    except (OSError, ValueError):
        return False
    return stat.S_ISREG(info.st_mode) and info.st_size > MAX_BYTES


def open_without_waiting(path: str, flags: int) -> int:
    """An opener for ``open`` that does not wait for the other end of a pipe."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def describe_mode(mode: int) -> str:
    """Say what is not a regular file."""
    kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
    return kinds.get(stat.S_IFMT(mode), "a device")


def explain(path: str, error: OSError) -> str:
    """Say why a path cannot be read."""
    if error.errno == errno.ELOOP:
        return "a link to itself"
    if error.errno not in (errno.ENOENT, errno.ENOTDIR):
        return f"cannot be read: {error.strerror or error}"
    if os.path.islink(path):
        return "a link to a missing file"
    if WEB.match(path):
        return "a web address; download the image and name the file"
    return "no such file or folder"


def _read_stream(source: Readable | Stored) -> bytes:
    parts: list[bytes] = []
    budget = MAX_BYTES + 1
    try:
        stream = source.open() if isinstance(source, Stored) else source
        while budget and (part := stream.read(budget)):
            parts.append(part)
            budget -= len(part)
    except OSError as error:
        raise ImageError(f"cannot be read: {error.strerror or error}") from None
    if not budget:
        raise ImageError(f"larger than {MAX_BYTES // 2**20} MB; save it as a file of its own")
    return parts[0] if len(parts) == 1 else b"".join(parts)
