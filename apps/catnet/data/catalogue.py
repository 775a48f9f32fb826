"""The data sets of ``catnet data get``: their addresses, checksums, licences and targets."""

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
Progress = Callable[[str], Report]  # from the name of a file to the function that reports its bytes


class Remote(NamedTuple):
    """A file on the web.

    Attributes:
        name: the name of the file after the download.
        size: in bytes.
        sha256: the published SHA-256; ``None`` if none is published.
        urls: its addresses; if one fails, the next is tried.
    """

    name: str
    size: int
    sha256: str | None
    urls: tuple[str, ...]


@dataclass(frozen=True)
class DataSet:
    """A data set.

    Attributes:
        name: its name for ``catnet data get``.
        about: one sentence.
        home: the page that describes it.
        licence: its terms of use, if they are known.
        files: the files to download.
        target: the resulting file or folder, which is valid DATA.
        convert: the conversion of the members of the first file, which is then unpacked; ``None``
            for no unpacking.
        max_bytes: the limit on the unpacked size of the first file.
    """

    name: str
    about: str
    home: str
    licence: str
    files: tuple[Remote, ...]
    target: str
    convert: Callable[[], Convert] | None = None
    max_bytes: int = 0

    @property
    def size(self) -> int:
        """The size of all files, in bytes."""
        return sum(file.size for file in self.files)

    def __str__(self) -> str:
        rows = [
            f"{self.name}  {_format_mb(self.size)}, becomes {self.target}",
            self.about,
            f"home: {self.home}",
            f"licence: {self.licence}",
        ]
        for file in self.files:
            sha256 = file.sha256 or "not published; printed after the download"
            rows += [f"{file.urls[0]}", f"  {file.size} bytes, SHA-256 {sha256}"]
        return "\n    ".join(rows)


def _load_cifar10() -> Convert:
    from catnet.data.cifar import read_batch

    return read_batch


_COURSE = "https://github.com/ridhimagarg/Cat-vs-Non-cat-Deep-learning-implementation/raw/master"
# Sources of the sizes and the SHA-256: tensorflow/datasets (CIFAR-10), huggingface/datasets
# (dogs-vs-cats), several projects with equal values (Tiny ImageNet), a Git LFS pointer of the same
# name (training file of the course).  The size of the test file of the course is that of a copy.
SETS = {
    data_set.name: data_set
    for data_set in (
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
            target="catvnoncat",
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
            target="cifar10",
            convert=_load_cifar10,
            max_bytes=200_000_000,
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
            target="tiny-imagenet-200.zip",
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
            target="dogs-vs-cats.zip",
        ),
    )
}


def find_set(name: str) -> DataSet:
    """Find a data set by its name.

    Raises:
        UserError: there is no such data set.
    """
    if name not in SETS:
        raise UserError(f"{name}: no such data set; there are {', '.join(SETS)}")
    return SETS[name]


def get(
    data_set: DataSet,
    out: Path,
    log: Log,
    progress: Progress | None = None,
    timeout: float = 30.0,
    pause: float = 1.0,
) -> Path:
    """Download a data set; the result is created atomically.

    During the download, the files are in a folder with the extension ``.part``.  This folder stays
    after an interruption or an error, and the next call resumes the download.

    Args:
        data_set: the data set.
        out: the folder of the result; it is created if it does not exist.
        log: called with each message.
        progress: called with the name of each file; returns the function that reports its bytes.
        timeout, pause: as in :func:`catnet.data.download.download`.

    Returns:
        The path of the result, which is DATA for ``catnet train``.

    Raises:
        UserError: the result already exists, or cannot be downloaded, unpacked or written.
    """
    target = out / data_set.target
    work = out / f"{data_set.target}.part"
    try:
        if target.exists() or target.is_symlink():
            raise UserError(f"{target}: already exists; remove it or choose another --out")
        work.mkdir(parents=True, exist_ok=True)
        for file in data_set.files:
            if not (work / file.name).exists():  # a file with its final name has been checked
                report = progress(file.name) if progress else None
                _download_file(file, work / file.name, log, report, timeout, pause)
        first = work / data_set.files[0].name
        if data_set.convert:
            log(f"unpacking {first.name}")
            unpack(first, target, data_set.convert(), max_bytes=data_set.max_bytes)
            first.unlink()
        elif len(data_set.files) > 1:
            work.rename(target)
        else:
            first.rename(target)
    except OSError as error:
        raise UserError(f"{error.filename or target}: {error.strerror or error}") from None
    finally:
        with contextlib.suppress(OSError):  # it is removed already, or not empty
            work.rmdir()
    return target


def _download_file(
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
                log(f"{file.name}: SHA-256 {digest}; there is no published value to compare")
            return


def _format_mb(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
