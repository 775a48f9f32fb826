"""From what the user typed to files, and from a file to its bytes; nothing here waits or guesses.

:func:`expand` turns ``SOURCE…`` into one entry an image, :func:`images` lists a folder,
:func:`read` takes a file into memory.  What the bytes show is for :mod:`catnet.images.decode`.
"""

# Names stay the strings that were typed, so os.path; pathlib would tidy them.
# ruff: noqa: PTH109, PTH112, PTH114, PTH116, PTH118, PTH206, PTH208

from __future__ import annotations

import difflib
import errno
import glob
import os
import re
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol, TypeAlias

from catnet.images.kinds import HEAD, is_system_folder, kind

MAX_BYTES = 128 * 2**20
# Of what links reach again: n levels of folders with two links each to the next are 2ⁿ paths.
MAX_FOLDERS_AGAIN = 10_000
MAX_FILES_AGAIN = 1_000_000
WEB = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)


class Readable(Protocol):
    """An open binary file, or whatever else reads bytes."""

    def read(self, size: int = -1, /) -> bytes: ...


Source: TypeAlias = str | os.PathLike[str] | bytes | Readable


class ImageError(ValueError):
    """Why there is no image, in one line and without its name: the caller knows it."""


class ImageFile(NamedTuple):
    """One image to decode, or the reason why there is none under that name."""

    path: str  # as it is shown; "-" is standard input
    error: str | None = None
    data: bytes | None = None  # what came through standard input

    @property
    def source(self) -> str | bytes:
        """What to give to the decoder."""
        return self.path if self.data is None else self.data


class OtherFile(NamedTuple):
    """A file, or a folder of the system, that is passed over: no image."""

    path: str
    kind: str  # as a summary counts it: ``.txt``, ``without extension``, ``folder @eaDir``


OnOtherFile: TypeAlias = Callable[[OtherFile], object]


def _ignore(other: OtherFile) -> None:
    pass


def expand(
    sources: Sequence[str], stdin: Readable | None = None, on_other: OnOtherFile = _ignore
) -> list[ImageFile]:
    """Find the images meant by files, folders, patterns and ``-``.

    A file counts whatever its name; folders are searched with :func:`images`; a pattern
    (``*``, ``?``, ``[…]``, ``**``) is one only if no file is called that.  The order is that
    of ``sources``, sorted within each; what is named twice is kept once, at its first place.
    A link is a name of its own.  A source that gives nothing is an entry with an error.

    Args:
        sources: the names as typed.
        stdin: where ``-`` reads from; by default standard input.
        on_other: called with every file of a folder that is passed over.

    Example:
        >>> expand(["no-such-file.jpg"])
        [ImageFile(path='no-such-file.jpg', error='no such file or folder', data=None)]
    """
    found: dict[str, ImageFile] = {}
    others: dict[str, OtherFile] = {}
    absolute: dict[str, str] = {}

    def key(path: str) -> str:
        folder, name = os.path.split(path)
        if folder not in absolute:
            absolute[folder] = _absolute(folder)
        return os.path.join(absolute[folder], name)

    def note(other: OtherFile) -> None:
        others.setdefault(key(other.path), other)

    for source in sources:
        for item in _expand_one(source, stdin, note, seen_stdin="-" in found):
            found.setdefault("-" if item.path == "-" else key(item.path), item)
    for place, other in others.items():
        if place not in found:  # else it has been named, and counts
            on_other(other)
    return list(found.values())


def list_images(folder: str, on_other: OnOtherFile = _ignore) -> Iterator[ImageFile]:
    """The images in a folder and below, in sorted order.

    What is an image, ``kinds.kind`` tells.  Hidden names are passed over.  Links to
    folders are followed; one that leads to a folder which it is in is not, so loops end.  A
    folder that cannot be read, or an image in a format that is not supported, is an entry with
    an error.

    Args:
        folder: where to search.
        on_other: called with every file, and every folder of the system, that is passed over.

    Raises:
        ImageError: links lead to the same folders again and again.
    """
    errors: list[ImageFile] = []
    for here, names in list(_walk(folder, errors, on_other)):
        for name in names:
            path = os.path.join(here, name)
            what = kind(name, lambda path=path: _head(path))
            if what.is_image:
                yield ImageFile(path, what.problem)
            else:
                on_other(OtherFile(path, what.name))
    yield from errors


def _walk(
    top: str, errors: list[ImageFile], on_other: OnOtherFile
) -> Iterator[tuple[str, list[str]]]:
    """Every folder from ``top`` down, with the names of its files, hidden ones left out."""
    seen: set[tuple[int, int] | str] = set()
    folders_again = files_again = 0
    waiting: list[tuple[str, tuple[tuple[int, int] | str, ...]]] = [(top, ())]
    while waiting:
        here, above = waiting.pop()
        identity = _identity(here)
        if identity in above:  # a loop
            continue
        try:
            with os.scandir(here) as entries:
                listed = sorted(
                    (entry.name, _is_folder(entry))
                    for entry in entries
                    if not entry.name.startswith(".")
                )
        except OSError as error:
            errors.append(ImageFile(here, f"folder cannot be read: {error.strerror or error}"))
            continue
        files = [name for name, is_folder in listed if not is_folder]
        if identity in seen:
            folders_again += 1
            files_again += len(files)
        if folders_again > MAX_FOLDERS_AGAIN or files_again > MAX_FILES_AGAIN:
            raise ImageError(
                f"its links lead to the same folders more than {MAX_FOLDERS_AGAIN} times, or to"
                f" more than {MAX_FILES_AGAIN} files again; remove links that repeat each other"
            )
        seen.add(identity)
        yield here, files
        below = []
        for name, is_folder in listed:
            path = os.path.join(here, name)
            if is_folder and is_system_folder(name):
                on_other(OtherFile(path, f"folder {name}"))
            elif is_folder:
                below.append((path, (*above, identity)))
        waiting += reversed(below)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads back to itself
        return False


def _head(path: str) -> bytes:
    """The first bytes of a regular file; nothing else is opened."""
    mode = os.stat(path).st_mode
    if not stat.S_ISREG(mode):
        raise OSError(f"{_kind(mode)}, not a file")
    with open(path, "rb", opener=_open_without_waiting) as file:
        return file.read(HEAD)


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
        return "a web address; download the image and name the file"
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


def _expand_one(
    source: str, stdin: Readable | None, on_other: OnOtherFile, seen_stdin: bool
) -> Iterator[ImageFile]:
    if source == "-":
        if not seen_stdin:  # it can be read only once
            yield _from_stdin(stdin)
    elif os.path.isdir(source):
        others: list[OtherFile] = []
        try:
            inside = list(list_images(source, others.append))
        except ImageError as error:
            inside = [ImageFile(source, str(error))]
        for other in others:
            on_other(other)
        yield from inside or [ImageFile(source, "a folder without images")]
    elif os.path.lexists(source):
        yield ImageFile(source)
    elif "\0" in source or not _encodable(source):
        yield ImageFile(source, "not a possible file name")
    elif glob.has_magic(source) and (matches := _matches(source)):
        for match in matches:
            yield from _expand_one(match, stdin, on_other, seen_stdin)
    elif glob.has_magic(source) and not WEB.match(source):
        yield ImageFile(source, "no file matches this pattern")
    else:
        try:
            os.lstat(source)
            yield ImageFile(source)  # it has appeared just now
        except OSError as error:
            yield ImageFile(source, _why_not(source, error) + _suggestion(source))


def _from_stdin(stdin: Readable | None) -> ImageFile:
    stream = stdin or getattr(sys.stdin, "buffer", None)
    if stream is None:
        return ImageFile("-", "there is no standard input")
    if getattr(stream, "isatty", bool)():
        return ImageFile("-", "standard input is a terminal; pipe an image into it")
    try:
        data = read(stream)
    except ImageError as error:
        return ImageFile("-", str(error))
    return (
        ImageFile("-", data=data) if data else ImageFile("-", "nothing came through standard input")
    )


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
    return (info.st_dev, info.st_ino) if info.st_ino else os.path.realpath(folder)


def _absolute(folder: str) -> str:
    """The folder from the root, without ``.`` and ``..``; links stay names of their own."""
    try:
        parts = os.path.join(os.getcwd(), folder).split(os.sep)
        if os.pardir not in parts:
            return os.path.normpath(os.sep.join(parts))
        last = len(parts) - parts[::-1].index(os.pardir)
        # What is above a folder that a link leads to, only the file system knows.
        return os.path.normpath(
            os.path.join(os.path.realpath(os.sep.join(parts[:last])), *parts[last:])
        )
    except (OSError, ValueError):
        return folder
