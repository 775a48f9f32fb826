"""The data sets that ``catnet data get`` knows: where they are, what they are, what they become."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from catnet.data.download import Report, download
from catnet.data.unpack import Convert, unpack
from catnet.errors import UserError

Log = Callable[[str], None]
Progress = Callable[[str], Report]  # of the name of a file: who is told of its bytes


class Remote(NamedTuple):
    """A file on the web.

    Attributes:
        name: what it is called here.
        size: in bytes.
        sha256: as published; ``None`` where nobody has published one.
        urls: where it is; the later ones are tried when the first fail.
    """

    name: str
    size: int
    sha256: str | None
    urls: tuple[str, ...]


@dataclass(frozen=True)
class DataSet:
    """A data set.

    Attributes:
        name: what ``catnet data get`` calls it.
        about: one sentence.
        home: the page that describes it.
        licence: what is known of its terms; it is never part of this project.
        files: what is downloaded.
        becomes: the file or folder it becomes; always something that is DATA.
        convert: what unpacking makes of the members of the first file; ``None``: it stays as it is.
        unpacked: how many bytes the first file may unpack to.
    """

    name: str
    about: str
    home: str
    licence: str
    files: tuple[Remote, ...]
    becomes: str
    convert: Callable[[], Convert] | None = None
    unpacked: int = 0

    @property
    def size(self) -> int:
        """Of all its files, in bytes."""
        return sum(file.size for file in self.files)

    def __str__(self) -> str:
        rows = [
            f"{self.name}  {_mb(self.size)}, becomes {self.becomes}",
            self.about,
            f"home: {self.home}",
            f"licence: {self.licence}",
        ]
        for file in self.files:
            known = file.sha256 or "not known; shown after the download"
            rows += [f"{file.urls[0]}", f"  {file.size} bytes, SHA-256 {known}"]
        return "\n    ".join(rows)


def _cifar10() -> Convert:
    from catnet.data.cifar import read_batch

    return read_batch


_COURSE = "https://github.com/ridhimagarg/Cat-vs-Non-cat-Deep-learning-implementation/raw/master"
# Sizes and SHA-256 as published by: tensorflow/datasets (CIFAR-10), huggingface/datasets
# (dogs-vs-cats), several projects that agree (Tiny ImageNet), a Git LFS pointer of the same name
# (the course's training file).  Of the course's test file only a copy was there to be measured.
SETS = {
    found.name: found
    for found in (
        DataSet(
            name="course",
            about="The 209 and 50 images of 64×64 pixels of the course, cats and others.",
            home="https://www.coursera.org/learn/neural-networks-deep-learning",
            licence="none stated; course material",
            files=(
                Remote(
                    "train_catvnoncat.h5",
                    2_572_022,
                    "fbe56ab67c3ae28d564e3a644189117976d6b31af0a3ce9bb17dbf22908af242",
                    (f"{_COURSE}/datasets/train_catvnoncat.h5",),
                ),
                Remote(
                    "test_catvnoncat.h5",
                    616_958,
                    None,
                    (f"{_COURSE}/datasets/test_catvnoncat.h5",),
                ),
            ),
            becomes="catvnoncat",
        ),
        DataSet(
            name="cifar10",
            about="60,000 photographs of 32×32 pixels, one in ten a cat.",
            home="https://www.cs.toronto.edu/~kriz/cifar.html",
            licence="none stated; its authors ask to be cited",
            files=(
                Remote(
                    "cifar-10-binary.tar.gz",
                    170_052_171,
                    "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
                    (
                        "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
                        "https://cave.cs.toronto.edu/kriz/cifar-10-binary.tar.gz",
                    ),
                ),
            ),
            becomes="cifar10",
            convert=_cifar10,
            unpacked=200_000_000,
        ),
        DataSet(
            name="tiny-imagenet",
            about="110,000 labelled photographs of 64×64 pixels, of 200 kinds; three are cats.",
            home="https://www.kaggle.com/c/tiny-imagenet",
            licence="ImageNet's terms: research and teaching, not commerce",
            files=(
                Remote(
                    "tiny-imagenet-200.zip",
                    248_100_043,
                    "6198c8ae015e2b3e007c7841da39ec069199b9aa3bfa943a462022fe5e43c821",
                    (
                        "https://cs231n.stanford.edu/tiny-imagenet-200.zip",
                        "http://cs231n.stanford.edu/tiny-imagenet-200.zip",
                    ),
                ),
            ),
            becomes="tiny-imagenet-200.zip",
        ),
        DataSet(
            name="dogs-vs-cats",
            about="25,000 photographs of cats and dogs in all sizes; some files are damaged.",
            home="https://www.microsoft.com/en-us/download/details.aspx?id=54765",
            licence="Microsoft's terms; see its home page",
            files=(
                Remote(
                    "kagglecatsanddogs_5340.zip",
                    824_887_076,
                    "b7974bd00a84a99921f36ee4403f089853777b5ae8d151c76a86e64900334af9",
                    (
                        "https://download.microsoft.com/download/3/E/1/"
                        "3E1C3F21-ECDB-4869-8368-6DEBA77B919F/kagglecatsanddogs_5340.zip",
                    ),
                ),
            ),
            becomes="dogs-vs-cats.zip",
        ),
    )
}


def named(name: str) -> DataSet:
    """The set of that name.

    Raises:
        UserError: there is none.
    """
    if name not in SETS:
        raise UserError(f"{name}: no such data set; there are {', '.join(SETS)}")
    return SETS[name]


def get(
    wanted: DataSet,
    out: Path,
    log: Log,
    progress: Progress | None = None,
    timeout: float = 30.0,
    pause: float = 1.0,
) -> Path:
    """Download a data set; it appears whole or not at all.

    Meanwhile its files are in a folder with ``.part`` at the end of its name.  That is kept when
    the download is interrupted or fails, and the next call goes on with it.

    Args:
        wanted: which.
        out: the folder it goes into, made if it is not there.
        say: called with what is worth knowing, a line each.
        progress: called with the name of each file; what it gives is told of its bytes.
        timeout, pause: as of :func:`catnet.data.download.download`.

    Returns:
        Where it is: what ``catnet train`` takes as DATA.

    Raises:
        UserError: it is there already, or cannot be downloaded, unpacked or written.
    """
    target = out / wanted.becomes
    work = out / f"{wanted.becomes}.part"
    try:
        if target.exists() or target.is_symlink():
            raise UserError(f"{target}: is there already; it is left as it is")
        work.mkdir(parents=True, exist_ok=True)
        for file in wanted.files:
            if not (work / file.name).exists():  # it has been checked if it has its name
                report = progress(file.name) if progress else None
                _from_anywhere(file, work / file.name, log, report, timeout, pause)
        first = work / wanted.files[0].name
        if wanted.convert:
            log(f"unpacking {first.name}")
            unpack(first, target, wanted.convert(), max_bytes=wanted.unpacked)
            first.unlink()
        elif len(wanted.files) > 1:
            work.rename(target)
        else:
            first.rename(target)
    except OSError as error:
        raise UserError(f"{error.filename or target}: {error.strerror or error}") from None
    finally:
        with contextlib.suppress(OSError):  # gone already, or there is something to go on with
            work.rmdir()
    return target


def _from_anywhere(
    file: Remote, target: Path, log: Log, report: Report | None, timeout: float, pause: float
) -> None:
    for url, following in zip(file.urls, (*file.urls[1:], None), strict=True):
        try:
            digest = download(url, target, file.size, file.sha256, report, timeout, pause)
        except UserError as error:
            if following is None:
                raise
            log(f"{error}\ntrying {following}")
        else:
            if file.sha256 is None:
                log(f"{file.name}: SHA-256 {digest}; none is published to compare it with")
            return


def _mb(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
