"""``catnet predict --sort-into FOLDER``: a folder of each label, with copies of its images."""

from __future__ import annotations

import contextlib
import filecmp
import os
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from catnet.cli.answers import UNSURE
from catnet.errors import UserError

if TYPE_CHECKING:
    from catnet.images.paths import ImageFile

MAX_SAME_NAME = 100_000  # images of one name in a folder


def make_sorter(
    folder: str, classes: Sequence[str], link: bool = False
) -> Callable[[ImageFile, str], bool]:
    """Make a function that puts an image into the folder of its label.

    The image is copied, or linked; it is never moved or changed.  No file is overwritten: where
    another file has its name, the copy is named ``NAME-2``, and so on.  Where the same file is
    there already, nothing is written.

    Args:
        folder: it has, or gets, a folder for each label, and one for ``unsure``.
        classes: the labels.
        link: make symbolic links instead of copies.

    Returns:
        A function of an image and its label; it returns whether it has written something, and
        raises OSError where the image cannot be read or written.

    Raises:
        UserError: the folder cannot be made.
    """
    from catnet.images.reading import read

    top = Path(folder)
    try:
        top.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise UserError(f"--sort-into {folder}: is a file; choose a folder") from None
    except OSError as error:
        raise UserError(f"--sort-into {folder}: cannot be made ({error.strerror})") from None
    names = choose_folder_names([*classes, UNSURE])
    put = _link if link else _copy

    def sort(image: ImageFile, label: str) -> bool:
        if not (link or isinstance(image.source, (str, bytes))):
            image = image._replace(data=read(image.source))  # once, not for each name
        here = top / names[label]
        here.mkdir(exist_ok=True)
        name = Path(image.path).name if image.path != "-" else "standard input"
        stem, extension = os.path.splitext(name)  # noqa: PTH122  (pathlib refuses some names)
        for number in range(1, MAX_SAME_NAME):
            target = here / (name if number == 1 else f"{stem}-{number}{extension}")
            if not os.path.lexists(target):
                put(image, target)
                return True
            if _is_same(image, target, link):
                return False
        raise FileExistsError(f"{here} has {MAX_SAME_NAME} files of the name {name}")

    return sort


def choose_folder_names(labels: Sequence[str]) -> dict[str, str]:
    """Choose a folder name for each label; a label may have any characters.

    Example:
        >>> choose_folder_names(["cat", "a/b", "a_b", "../..", "Cat"])
        {'cat': 'cat', 'a/b': 'a_b', 'a_b': 'a_b-2', '../..': '_.._..', 'Cat': 'Cat-2'}
    """
    names: dict[str, str] = {}
    taken: set[str] = set()
    for label in dict.fromkeys(labels):
        name = re.sub(r'[\x00-\x1f/\\:*?"<>|\ud800-\udfff]', "_", label)[:60].strip() or "_"
        name = f"_{name}" if name.startswith(".") else name
        free, number = name, 1
        while free.casefold() in taken:  # some file systems ignore case
            number += 1
            free = f"{name}-{number}"
        taken.add(free.casefold())
        names[label] = free
    return names


def _copy(image: ImageFile, target: Path) -> None:
    """Copy to a new file; a part of a copy is removed."""
    with target.open("xb") as out:
        try:
            if isinstance(image.source, str):
                with Path(image.source).open("rb") as file:
                    shutil.copyfileobj(file, out, 2**20)
            else:
                out.write(_get_content(image))
        except BaseException:
            target.unlink()
            raise
    if isinstance(image.source, str):
        with contextlib.suppress(OSError):  # the copy is complete, but for its time
            shutil.copystat(image.source, target)


def _link(image: ImageFile, target: Path) -> None:
    if not isinstance(image.source, str):
        raise OSError("has no file of its own to link to; leave --link out")
    target.symlink_to(Path(image.source).absolute())


def _is_same(image: ImageFile, target: Path, link: bool) -> bool:
    if link:
        path = Path(image.path).absolute()
        return target.is_symlink() and target.readlink() == path
    if target.is_symlink() or not target.is_file():
        return False
    if isinstance(image.source, str):
        return filecmp.cmp(image.source, target, shallow=False)
    content = _get_content(image)
    return target.stat().st_size == len(content) and target.read_bytes() == content


def _get_content(image: ImageFile) -> bytes:
    """The bytes of an image that has no file of its own."""
    assert isinstance(image.data, bytes)
    return image.data
