"""The data of the command line: pictures of ``--data``, and the folder of ``--sequences``."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from catnet.errors import UserError
from jaxnn_lecture.chapters import CHAPTERS

if TYPE_CHECKING:
    from jaxnn_lecture.chapter import Images


class Data(NamedTuple):
    """The data that the chapters share: pictures, their hash, and the folder of real data sets."""

    load_images: Images
    hash_images: Callable[[], str]
    sequences: Path | None


def prepare_images(source: str | None) -> tuple[Images, Callable[[], str]]:
    """How to load the pictures, and how to hash them; both wait until a chapter needs them."""

    @functools.cache
    def load() -> Any:
        from catnet.cli.inputs import load_parts
        from jaxnn_lecture.mathml import plain

        train, test, words = load_parts(source)
        if len(train.classes) != 2:
            raise UserError(
                f"{source}: has {len(train.classes)} classes; the lecture needs two, such as cat "
                "and non-cat"
            )
        return train, test, plain(words)

    def compute_hash() -> str:
        if source is None:
            return "drawn sample"  # a function of the code alone
        from catnet.data.shard import compute_key
        from catnet.images.geometry import WHOLE

        return compute_key(Path(source), False, WHOLE)  # of names, sizes and times: no decoding

    return load, compute_hash


def find_sequences() -> list[str]:
    """The folders of ``--sequences`` that chapters use."""
    return sorted({folder for entry in CHAPTERS.values() for folder in entry.sequences})


def check_sequences(source: str | None, names: Sequence[str]) -> Path | None:
    """The folder of ``--sequences``.

    Raises:
        UserError: it has none of the data sets, or no chosen chapter uses one of them.
    """
    if source is None:
        return None
    folder = Path(source)
    if not folder.is_dir():
        raise UserError(f"--sequences {source}: no such folder")
    if not any((folder / name).is_dir() for name in find_sequences()):
        raise UserError(
            f"--sequences {source}: has none of the folders {', '.join(find_sequences())}"
        )
    if not any((folder / one).is_dir() for name in names for one in CHAPTERS[name].sequences):
        raise UserError(f"--sequences {source}: no chosen chapter uses a folder of it")
    return folder
