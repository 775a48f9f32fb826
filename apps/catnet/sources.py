"""From what the user typed to files, and from a file to its bytes; nothing here waits or guesses.

:func:`expand` turns ``SOURCE…`` into one entry a picture, :func:`pictures` lists a folder,
:func:`read` takes a file into memory.  What the bytes show is for :mod:`catnet.images`.
"""

# Names stay the strings that were typed, so os.path; pathlib would tidy them.
# ruff: noqa: PTH112, PTH114, PTH116, PTH118, PTH122, PTH208

from __future__ import annotations

import difflib
import errno
import glob
import os
import re
import stat
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol, TypeAlias

MAX_BYTES = 128 * 2**20
# What a folder is searched for: what can be decoded, and what is worth hearing the reason for.
EXTENSIONS = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".gif", ".bmp", ".webp", ".avif"}
    | {".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm", ".pfm", ".heic", ".heif", ".jxl", ".jp2"}
)
WEB = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)


class Readable(Protocol):
    """An open binary file, or whatever else reads bytes."""

    def read(self, size: int = -1, /) -> bytes: ...


Source: TypeAlias = str | os.PathLike[str] | bytes | Readable


class ImageError(ValueError):
    """Why there is no picture, in one line and without its name: the caller knows it."""


class Found(NamedTuple):
    """One picture to decode, or the reason why there is none under that name."""

    path: str  # as it is shown; "-" is standard input
    error: str | None = None
    data: bytes | None = None  # what came through standard input

    @property
    def source(self) -> str | bytes:
        """What to give to the decoder."""
        return self.path if self.data is None else self.data


def expand(sources: Sequence[str], stdin: Readable | None = None) -> list[Found]:
    """Find the pictures meant by files, folders, patterns and ``-``.

    A file counts whatever its name; folders are searched with :func:`pictures`; a pattern
    (``*``, ``?``, ``[…]``, ``**``) is one only if no file is called that.  The order is that
    of ``sources``, sorted within each; what is named twice is kept once, at its first place.
    A source that gives nothing is an entry with an error.

    Args:
        sources: the names as typed.
        stdin: where ``-`` reads from; by default standard input.

    Example:
        >>> expand(["no-such-file.jpg"])
        [Found(path='no-such-file.jpg', error='no such file or folder', data=None)]
    """
    found: dict[str, Found] = {}
    real: dict[str, str] = {}
    for source in sources:
        for item in _expand_one(source, stdin, seen_stdin="-" in found):
            folder, name = os.path.split(item.path)
            if folder not in real:
                real[folder] = _real(folder)
            key = "-" if item.path == "-" else os.path.join(real[folder], name)
            found.setdefault(key, item)
    return list(found.values())


def pictures(folder: str) -> Iterator[Found]:
    """The pictures in a folder and below, by extension and in sorted order.

    Hidden names are passed over.  Links to folders are followed, each folder once, so loops
    end.  A folder that cannot be read is an entry with an error.
    """
    errors: list[OSError] = []
    seen = set()
    for here, folders, files in os.walk(folder, followlinks=True, onerror=errors.append):
        identity = _identity(here)
        if identity in seen:
            folders.clear()
            continue
        seen.add(identity)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in EXTENSIONS:
                yield Found(os.path.join(here, name))
    for error in errors:
        yield Found(str(error.filename), f"folder cannot be read: {error.strerror}")


def read(source: str | os.PathLike[str] | Readable) -> bytes:
    """The bytes of a regular file, or of a stream to its end.

    Raises:
        ImageError: it is not there, is something else (a folder, a pipe, a device), cannot be
            read, or is larger than :data:`MAX_BYTES`.
    """
    if not isinstance(source, (str, os.PathLike)):
        return _read_stream(source)
    try:
        mode = os.stat(source).st_mode  # before opening: opening a device may do things
        if not stat.S_ISREG(mode):
            raise ImageError(f"{_kind(mode)}, not a file")
        with open(source, "rb", opener=_open_without_waiting) as file:
            return _read_stream(file)
    except OSError as error:
        raise ImageError(_why_not(os.fspath(source), error)) from None
    except ImageError:
        raise
    except ValueError:  # a NUL in the name, or letters that no file name can hold
        raise ImageError("not a possible file name") from None


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _kind(mode: int) -> str:
    kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
    return kinds.get(stat.S_IFMT(mode), "a device")


def _why_not(path: str, error: OSError) -> str:
    if error.errno == errno.ELOOP:
        return "a link that leads back to itself"
    if error.errno not in (errno.ENOENT, errno.ENOTDIR):
        return f"cannot be read: {error.strerror or error}"
    if os.path.islink(path):
        return "a link to nothing"
    if WEB.match(path):
        return "a web address; download the picture and name the file"
    return "no such file or folder"


def _read_stream(stream: Readable) -> bytes:
    parts: list[bytes] = []
    left = MAX_BYTES + 1
    try:
        while left and (part := stream.read(left)):
            parts.append(part)
            left -= len(part)
    except OSError as error:
        raise ImageError(f"cannot be read: {error.strerror or error}") from None
    if not left:
        raise ImageError(f"larger than {MAX_BYTES // 2**20} MB")
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _expand_one(source: str, stdin: Readable | None, seen_stdin: bool) -> Iterator[Found]:
    if source == "-":
        if not seen_stdin:  # it can be read only once
            yield _from_stdin(stdin)
    elif os.path.isdir(source):
        inside = list(pictures(source))
        yield from inside or [Found(source, "a folder without pictures")]
    elif os.path.lexists(source):
        yield Found(source)
    elif "\0" in source or not _encodable(source):
        yield Found(source, "not a possible file name")
    elif glob.has_magic(source) and (matches := _matches(source)):
        for match in matches:
            yield from _expand_one(match, stdin, seen_stdin)
    elif glob.has_magic(source) and not WEB.match(source):
        yield Found(source, "no file matches this pattern")
    else:
        try:
            os.lstat(source)
            yield Found(source)  # it has appeared just now
        except OSError as error:
            yield Found(source, _why_not(source, error) + _suggestion(source))


def _from_stdin(stdin: Readable | None) -> Found:
    stream = stdin or getattr(sys.stdin, "buffer", None)
    if stream is None:
        return Found("-", "there is no standard input")
    if getattr(stream, "isatty", bool)():
        return Found("-", "standard input is a terminal; pipe a picture into it")
    try:
        data = read(stream)
    except ImageError as error:
        return Found("-", str(error))
    return Found("-", data=data) if data else Found("-", "nothing came through standard input")


def _matches(pattern: str) -> list[str]:
    """What a pattern stands for; pathlib's ``**``, unlike glob's, does not follow links in circles.

    As in a shell, names with a leading dot match only where the pattern has one.
    """
    path = Path(pattern)
    dots = any(part.startswith(".") and part != ".." for part in path.parts)
    try:
        matches = list(Path(path.anchor).glob(str(path.relative_to(path.anchor))))
    except (ValueError, NotImplementedError):  # "**" glued to other letters
        return []
    return sorted(
        str(match)
        for match in matches
        if dots or not any(part.startswith(".") and part != ".." for part in match.parts)
    )


def _suggestion(path: str) -> str:
    folder, name = os.path.split(path)
    try:
        names = sorted(os.listdir(folder or "."))
    except OSError:
        return ""
    close = difflib.get_close_matches(name, names[:10_000], n=1)
    return f"; did you mean {os.path.join(folder, close[0])}?" if close else ""


def _encodable(path: str) -> bool:
    try:
        return bool(os.fsencode(path)) or not path
    except ValueError:
        return False


def _identity(folder: str) -> tuple[int, int] | str:
    try:
        info = os.stat(folder)
    except OSError:  # it went away meanwhile
        return folder
    return info.st_dev, info.st_ino


def _real(folder: str) -> str:
    try:
        return os.path.realpath(folder)
    except (OSError, ValueError):
        return folder
