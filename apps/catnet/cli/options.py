"""Options that several commands share: help texts, types, and the options of a network."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Sequence

from catnet.models.registry import ACTIVATIONS

DATA_HELP = (
    "an image folder (a folder for each class, such as cat/ and non-cat/, or train/ and test/ with "
    "these inside), a zip of one, an .h5 file of the course, or the folder of its two .h5 files"
)
MODEL_HELP = "a model file, a run folder, or the word shipped"


def add_network(command: argparse._ActionsContainer, kinds: Sequence[str]) -> None:
    """Add ``--model``, ``--hidden`` and ``--activation``.

    Args:
        command: the parser of a command, or a group of its options.
        kinds: the values of ``--model``; "FILE" stands for a model file or run folder.
    """
    command.add_argument(
        "--model",
        choices=kinds if "FILE" not in kinds else None,
        metavar="|".join(kinds),
        help="the network: no, one or several hidden layers (default deep)"
        + ("; photo: a convolutional network for photos" if "photo" in kinds else "")
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


def add_all_classes(command: argparse.ArgumentParser) -> None:
    """Add ``--all-classes``."""
    command.add_argument(
        "--all-classes",
        action="store_true",
        help="of Tiny ImageNet, its 200 classes instead of cat and non-cat",
    )


def add_aliases(command: argparse.ArgumentParser) -> None:
    """Add ``--as``."""
    command.add_argument(
        "--as",
        dest="aliases",
        type=alias,
        action="append",
        default=[],
        metavar="NAME=CLASS",
        help="the class NAME of DATA counts as the model's CLASS, such as dog=non-cat; repeat it "
        "for other names",
    )


# Functions for ``type=`` of argparse, which prints an ArgumentTypeError with the option's name.


def count(text: str) -> int:
    """Parse a whole number of at least 1."""
    return _whole(text, 1, 2**31 - 1)


def seed(text: str) -> int:
    """Parse a seed below 2³².  JAX uses 32 bits only: larger seeds would repeat smaller ones."""
    return _whole(text, 0, 2**32 - 1)


def positive(text: str) -> float:
    """Parse a finite number above 0."""
    with contextlib.suppress(ValueError):
        if 0 < (number := float(text)) < float("inf"):
            return number
    raise argparse.ArgumentTypeError(f"{text[:50]!r} is not a positive number")


def not_negative(text: str) -> float:
    """Parse a finite number of at least 0."""
    with contextlib.suppress(ValueError):
        if 0 <= (number := float(text)) < float("inf"):
            return number
    raise argparse.ArgumentTypeError(f"{text[:50]!r} is not a number of at least 0")


def part(text: str) -> float:
    """Parse a number above 0 and below 1."""
    with contextlib.suppress(ValueError):
        if 0 < (number := float(text)) < 1:
            return number
    raise argparse.ArgumentTypeError(f"{text[:50]!r} is not a number between 0 and 1")


def fraction(text: str) -> float:
    """Parse a number from 0 to 1."""
    with contextlib.suppress(ValueError):
        if 0 <= (number := float(text)) <= 1:
            return number
    raise argparse.ArgumentTypeError(f"{text[:50]!r} is not a number from 0 to 1")


def named_fraction(text: str) -> tuple[str, float]:
    """Parse ``NAME=P`` with P from 0 to 1."""
    name, equals, number = text.rpartition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text[:50]!r} is not of the form STRATUM=P")
    return name, fraction(number)


def class_weight(text: str) -> str | tuple[str, float]:
    """Parse ``balanced``, or ``NAME=W`` with W at least 0."""
    if text == "balanced":
        return text
    name, equals, number = text.rpartition("=")
    with contextlib.suppress(ValueError):
        if name and equals and 0 <= (weight := float(number)) < float("inf"):
            return name, weight
    raise argparse.ArgumentTypeError(
        f"{text[:50]!r} is neither the word balanced nor of the form CLASS=WEIGHT"
    )


def alias(text: str) -> tuple[str, str]:
    """Parse ``NAME=CLASS``."""
    name, equals, target = text.partition("=")
    if not (name and equals and target):
        raise argparse.ArgumentTypeError(f"{text[:50]!r} is not of the form NAME=CLASS")
    return name, target


def name(text: str) -> str:
    """Parse the name of a file or a folder."""
    if not text:
        raise argparse.ArgumentTypeError("'' is no name; give that of a file or folder")
    return text


def _whole(text: str, low: int, high: int) -> int:
    with contextlib.suppress(ValueError):
        if low <= (number := int(text)) <= high:
            return number
    raise argparse.ArgumentTypeError(f"{text[:50]!r} is not a whole number from {low} to {high}")
