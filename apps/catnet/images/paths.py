"""Find image files from the arguments of the user.

:func:`expand` turns ``SOURCE…`` into one entry for each image, :func:`list_images` lists a folder.
:mod:`catnet.images.reading` reads the files, :mod:`catnet.images.decode` decodes the bytes.
"""

# This file uses os.path, because pathlib would change the names that the user typed.
# ruff: noqa: PTH109, PTH112, PTH113, PTH116, PTH118, PTH123, PTH206, PTH208

from __future__ import annotations

import difflib
import glob
import os
import re
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

from catnet.images import archives
from catnet.images.kinds import HEAD, detect_kind, has_image_extension, is_system_folder
from catnet.images.reading import (
    WEB,
    ImageError,
    Readable,
    Started,
    Stored,
    describe_mode,
    explain,
    is_pipe,
    open_without_waiting,
    read,
)

# Limits on links: n levels of folders, each with two links to the next level, have 2ⁿ paths.
MAX_FOLDERS_AGAIN = 10_000
MAX_FILES_AGAIN = 1_000_000
STREAM = re.compile(r"/dev/stdin|/(dev|proc/self)/fd/\d+")  # the shell's names, as for <(…)


class ImageFile(NamedTuple):
    """One image to decode, or the reason why it cannot be decoded."""

    path: str  # as it is printed; "-" is standard input
    error: str | None = None
    data: bytes | Stored | None = None  # of a stream, or a file in an archive
    archive: str = ""  # the path of the archive that it is in

    @property
    def source(self) -> str | bytes | Stored:
        """The argument for the decoder."""
        return self.path if self.data is None else self.data


class OtherFile(NamedTuple):
    """A file that is not an image, or a folder of the operating system; both are ignored."""

    path: str
    kind: str  # its name in a summary: ``.txt``, ``without extension``, ``folder @eaDir``
    archive: str = ""


OnOtherFile: TypeAlias = Callable[[OtherFile], object]


def _ignore(other: OtherFile) -> None:
    pass


def expand(
    sources: Sequence[str], stdin: Readable | None = None, on_other: OnOtherFile = _ignore
) -> list[ImageFile]:
    """Find the images of files, folders, archives, patterns, pipes and ``-``.

    A file is listed with any extension; of a zip or tar, its images are.  A folder is searched with
    :func:`list_images`.  A name with ``*``, ``?``, ``[…]`` or ``**`` is a pattern, unless a file
    has this name.  The images are in the order of ``sources``, sorted within each.  An image that
    occurs several times is listed once, at its first place; a link is an image of its own.  A
    source without images is an entry with an error.

    Args:
        sources: the names that the user typed.
        stdin: the stream of ``-``; by default standard input.
        on_other: called with every ignored file of a folder.

    Example:
        >>> expand(["no-such-file.jpg"])
        [ImageFile(path='no-such-file.jpg', error='no such file or folder', data=None, archive='')]
    """
    images: dict[tuple[str, str], ImageFile] = {}
    others: dict[tuple[str, str], OtherFile] = {}
    absolute: dict[str, str] = {}
    has_stdin = False

    def key(item: ImageFile | OtherFile) -> tuple[str, str]:
        """The absolute path of a file, and the rest of the path inside an archive."""
        path = item.archive or item.path
        inside = item.path[len(path) :]
        if path == "-":
            return path, inside
        folder, name = os.path.split(path)
        if folder not in absolute:
            absolute[folder] = _make_absolute(folder)
        return os.path.join(absolute[folder], name), inside

    def note(other: OtherFile) -> None:
        others.setdefault(key(other), other)

    for source in sources:
        for item in _expand_one(source, stdin, note, has_stdin):
            images.setdefault(key(item), item)
        has_stdin = has_stdin or source == "-"
    for place, other in others.items():
        if place not in images:  # else it is also a source
            on_other(other)
    return list(images.values())


def list_images(folder: str, on_other: OnOtherFile = _ignore) -> Iterator[ImageFile]:
    """List the images in a folder and its subfolders, sorted.

    :func:`catnet.images.kinds.detect_kind` decides what is an image.  Hidden names are ignored.
    Links to folders are followed, except a link to a folder that contains it.  A folder that cannot
    be read, and an image in an unsupported format, is an entry with an error.

    Args:
        folder: the folder to search.
        on_other: called with every ignored file and every folder of the operating system.

    Raises:
        ImageError: links lead to the same folders too often.
    """
    errors: list[ImageFile] = []
    for here, names in list(_walk(folder, errors, on_other)):
        for name in names:
            path = os.path.join(here, name)
            what = detect_kind(name, lambda path=path: _read_head(path))
            if what.is_image:
                yield ImageFile(path, what.problem)
            else:
                on_other(OtherFile(path, what.name))
    yield from errors


def _walk(
    top: str, errors: list[ImageFile], on_other: OnOtherFile
) -> Iterator[tuple[str, list[str]]]:
    """Yield ``top`` and its subfolders, each with the names of its files, without hidden names."""
    visited: set[tuple[int, int] | str] = set()
    folders_again = files_again = 0
    stack: list[tuple[str, tuple[tuple[int, int] | str, ...]]] = [(top, ())]
    while stack:
        here, above = stack.pop()
        identity = _identify(here)
        if identity in above:  # a loop
            continue
        try:
            with os.scandir(here) as entries:
                names = sorted(
                    (entry.name, _is_folder(entry))
                    for entry in entries
                    if not entry.name.startswith(".")
                )
        except OSError as error:
            errors.append(ImageFile(here, f"folder cannot be read: {error.strerror or error}"))
            continue
        files = [name for name, is_folder in names if not is_folder]
        if identity in visited:
            folders_again += 1
            files_again += len(files)
        if folders_again > MAX_FOLDERS_AGAIN or files_again > MAX_FILES_AGAIN:
            raise ImageError(
                f"its links lead to the same folders more than {MAX_FOLDERS_AGAIN} times, or to"
                f" the same files more than {MAX_FILES_AGAIN} times; remove some of the links"
            )
        visited.add(identity)
        yield here, files
        below = []
        for name, is_folder in names:
            path = os.path.join(here, name)
            if is_folder and is_system_folder(name):
                on_other(OtherFile(path, f"folder {name}"))
            elif is_folder:
                below.append((path, (*above, identity)))
        stack += reversed(below)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _read_head(path: str) -> bytes:
    """Read the first bytes of a regular file; other files are not opened."""
    mode = os.stat(path).st_mode
    if not stat.S_ISREG(mode):
        raise OSError(f"{describe_mode(mode)}, not a file")
    with open(path, "rb", opener=open_without_waiting) as file:
        return file.read(HEAD)


def _expand_one(
    source: str, stdin: Readable | None, on_other: OnOtherFile, has_stdin: bool
) -> Iterator[ImageFile]:
    if source == "-":
        if not has_stdin:  # standard input can be read only once
            yield from _read_stdin(stdin, on_other)
    elif os.path.isdir(source):
        others: list[OtherFile] = []
        try:
            inside = list(list_images(source, others.append))
        except ImageError as error:
            inside = [ImageFile(source, str(error))]
        for other in others:
            on_other(other)
        yield from inside or [ImageFile(source, "a folder without images")]
    elif STREAM.fullmatch(source) and is_pipe(source):
        with open(source, "rb") as stream:  # waits for the other end, as a shell's <(…) needs it
            yield from _read_stream(source, stream, on_other)
    elif os.path.lexists(source):
        yield from _expand_file(source, on_other)
    elif "\0" in source or not _is_encodable(source):
        yield ImageFile(source, "not a possible file name")
    elif glob.has_magic(source) and (matches := _match_pattern(source)):
        for match in matches:
            yield from _expand_one(match, stdin, on_other, has_stdin)
    elif glob.has_magic(source) and not WEB.match(source):
        yield ImageFile(source, "no file matches this pattern")
    else:
        try:
            os.lstat(source)
            yield ImageFile(source)  # it was created just now
        except OSError as error:
            yield ImageFile(source, explain(source, error) + _suggest(source))


def _expand_file(path: str, on_other: OnOtherFile) -> Iterator[ImageFile]:
    """A file, or the images in an archive."""
    if has_image_extension(path) or not os.path.isfile(path):
        yield ImageFile(path)
        return
    try:
        file = archives.Kept(path)
        start = file.read(archives.SNIFF) or b""
    except OSError:
        yield ImageFile(path)  # the decoder names the reason
        return
    if archives.is_archive(start):
        yield from _expand_archive(path, file, on_other)
    else:
        yield ImageFile(path)


def _expand_archive(path: str, file: archives.Kept, on_other: OnOtherFile) -> Iterator[ImageFile]:
    try:
        members = archives.list_members(file)
    except ImageError as error:
        yield ImageFile(path, str(error))
        return
    images = [member for member in members if not member.kind]
    for member in members:
        if member.kind:
            on_other(OtherFile(f"{path}/{member.name}", member.kind, path))
    for member in images:
        yield ImageFile(f"{path}/{member.name}", member.problem, member.source, path)
    if not images:
        yield ImageFile(path, "an archive without images")


def _read_stdin(stdin: Readable | None, on_other: OnOtherFile) -> Iterator[ImageFile]:
    stream = stdin or getattr(sys.stdin, "buffer", None)
    if stream is None:
        yield ImageFile("-", "there is no standard input")
    elif getattr(stream, "isatty", bool)():
        yield ImageFile("-", "standard input is a terminal; pipe an image into it")
    else:
        yield from _read_stream("-", stream, on_other)


def _read_stream(name: str, stream: Readable, on_other: OnOtherFile) -> Iterator[ImageFile]:
    """An image, or the images of an archive, from a stream, which can be read only once."""
    what = "standard input" if name == "-" else "the pipe"
    try:
        start = Started(stream, archives.SNIFF)
        if archives.is_archive(start.head):
            yield from _expand_archive(name, archives.keep(start), on_other)
            return
        data = read(start)
    except ImageError as error:
        yield ImageFile(name, str(error))
    else:
        yield ImageFile(name, data=data) if data else ImageFile(name, f"{what} is empty")


def _match_pattern(pattern: str) -> list[str]:
    """The names that match a pattern.

    The ``**`` of pathlib, unlike that of glob, does not follow circular links.  As in a shell,
    names with a leading dot match only if the pattern has the dot.
    """
    path = Path(pattern)
    dots = any(part.startswith(".") and part != ".." for part in path.parts)
    try:
        matches = list(Path(path.anchor).glob(str(path.relative_to(path.anchor))))
    except (ValueError, NotImplementedError):  # "**" beside other characters
        return []
    return sorted(
        str(match)
        for match in matches
        if dots or not any(part.startswith(".") and part != ".." for part in match.parts)
    )


def _suggest(path: str) -> str:
    folder, name = os.path.split(path)
    try:
        names = sorted(os.listdir(folder or "."))
    except OSError:
        return ""
    close = difflib.get_close_matches(name, names[:10_000], n=1)
    return f"; did you mean {os.path.join(folder, close[0])}?" if close else ""


def _is_encodable(path: str) -> bool:
    try:
        return bool(os.fsencode(path)) or not path
    except ValueError:
        return False


def _identify(folder: str) -> tuple[int, int] | str:
    try:
        info = os.stat(folder)
    except OSError:  # it was removed meanwhile
        return folder
    return (info.st_dev, info.st_ino) if info.st_ino else os.path.realpath(folder)


def _make_absolute(folder: str) -> str:
    """The absolute path of a folder, without ``.`` and ``..``; other links are not resolved."""
    try:
        parts = os.path.join(os.getcwd(), folder).split(os.sep)
        if os.pardir not in parts:
            return os.path.normpath(os.sep.join(parts))
        last = len(parts) - parts[::-1].index(os.pardir)
        # Only the file system knows the parent of a linked folder.
        return os.path.normpath(
            os.path.join(os.path.realpath(os.sep.join(parts[:last])), *parts[last:])
        )
    except (OSError, ValueError):
        return folder
