"""What the options of several commands share: their help, their types, and network options."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Sequence

from catnet.models.registry import ACTIVATIONS

DATA_HELP = (
    "an image folder (cat/ and non-cat/, or train/ and test/ with those inside), a zip of one, "
    "an .h5 file of the course or the folder with its two"
)
MODEL_HELP = "a model file, a run folder, or the word shipped"


def add_network(command: argparse.ArgumentParser, kinds: Sequence[str]) -> None:
    """Add ``--model``, ``--hidden`` and ``--activation``.

    Args:
        command: the parser of a command.
        kinds: the values of ``--model``; "FILE" stands for a model file or run folder.
    """
    command.add_argument(
        "--model",
        choices=kinds if "FILE" not in kinds else None,
        metavar="|".join(kinds),
        help="no, one or several hidden layers (default deep)"
        + ("; photo: convolutions, for photographs" if "photo" in kinds else "")
        + ("; or a model file or run folder" if "FILE" in kinds else ""),
    )
    command.add_argument(
        "--hidden",
        type=count,
        nargs="*",
        metavar="N",
        help="units of the hidden layers (default 7, or 20 7 5)",
    )
    command.add_argument(
        "--activation",
        choices=ACTIVATIONS,
        metavar="g",
        help=f"one of {', '.join(ACTIVATIONS)} (default relu)",
    )


# What ``type=`` of argparse calls: an ArgumentTypeError is shown behind the option's name.


def count(text: str) -> int:
    """A whole number of at least 1."""
    return _whole(text, 1, 2**31 - 1)


def seed(text: str) -> int:
    """A seed.  Of larger ones JAX takes the last 32 bits only: two seeds would be the same run."""
    return _whole(text, 0, 2**32 - 1)


def positive(text: str) -> float:
    """A finite number above 0."""
    with contextlib.suppress(ValueError):
        if 0 < (number := float(text)) < float("inf"):
            return number
    raise argparse.ArgumentTypeError(f"{text[:50]!r} is not a positive number")


def share(text: str) -> float:
    """A number from 0 to 1."""
    with contextlib.suppress(ValueError):
        if 0 <= (number := float(text)) <= 1:
            return number
    raise argparse.ArgumentTypeError(f"{text[:50]!r} is not a number from 0 to 1")


def named_share(text: str) -> tuple[str, float]:
    """``NAME=P`` with P from 0 to 1."""
    name, equals, number = text.rpartition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text[:50]!r} is not of the form STRATUM=P")
    return name, share(number)


def _whole(text: str, low: int, high: int) -> int:
    with contextlib.suppress(ValueError):
        if low <= (number := int(text)) <= high:
            return number
    raise argparse.ArgumentTypeError(f"{text[:50]!r} is not a whole number from {low} to {high}")
