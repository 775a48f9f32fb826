"""Match the class names of a model and of data, or of two sources, by their meaning."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

from catnet.errors import UserError
from catnet.terminal import one_line

Names: TypeAlias = tuple[str, str]  # of class 0 and class 1

CATS: Names = ("non-cat", "cat")
ANYTHING_ELSE = ("noncat", "notcat", "nocat", "other")


class Match(NamedTuple):
    """The classes of data, mapped to those of a model.

    Attributes:
        labels: the model's label for label 0 and for label 1 of the data.
        notes: one line for each class of the data with another meaning than its class of the model.
    """

    labels: tuple[int, int]
    notes: tuple[str, ...] = ()


def match(ours: Names, theirs: Names) -> Match:
    """Find the model's label for each class of the data.

    Case, Unicode normalization and a plural s are ignored: ``Cats`` is ``cat``.  For a model of
    ``non-cat`` and ``cat``, one class of the data must be cats; the other counts as non-cat.

    Args:
        ours: the classes of the model.
        theirs: the classes of the data.

    Raises:
        UserError: the data does not have a class of the model.

    Example:
        >>> match(("non-cat", "cat"), ("Cats", "Dogs"))
        Match(labels=(1, 0), notes=('Dogs counts as non-cat',))
        >>> match(("dog", "cat"), ("non-cat", "cat"))
        Traceback (most recent call last):
        catnet.errors.UserError: the classes of the model are dog and cat, those of the data non-cat
        and cat: neither of them is dog
    """
    for simplify in (normalize, fold_case, _to_singular):
        mine, other = [*map(simplify, ours)], [*map(simplify, theirs)]
        if mine[0] != mine[1] and sorted(mine) == sorted(other):
            return Match((mine.index(other[0]), mine.index(other[1])))
    is_cat = [*map(_is_cat, theirs)]
    if is_anything_else(ours[0]) and _is_cat(ours[1]) and sum(is_cat) == 1:
        rest = theirs[is_cat.index(False)]
        note = f"{one_line(rest)} counts as {one_line(ours[0])}"
        return Match((int(is_cat[0]), int(is_cat[1])), () if is_anything_else(rest) else (note,))
    names = [*map(_to_singular, theirs)]
    absent = next((name for name in reversed(ours) if _to_singular(name) not in names), None)
    why = f"neither of them is {absent}" if absent else "they mean the same"
    (mine_0, mine_1), (their_0, their_1) = ours, theirs
    raise UserError(
        f"the classes of the model are {mine_0} and {mine_1}, those of the data {their_0} and"
        f" {their_1}: {why}"
    )


def find_common_classes(classes: Mapping[str, Names]) -> Names:
    """Find the classes of several sources together: those of one source that match all others.

    Args:
        classes: the classes of each source, by the name of the source.

    Raises:
        UserError: there are no such classes.

    Example:
        >>> find_common_classes({"a": ("dog", "cat"), "b": ("Dogs", "Cats")})
        ('dog', 'cat')
        >>> find_common_classes({"a": ("dog", "cat"), "b": ("horse", "cat")})
        ('non-cat', 'cat')
    """
    for candidate in (*classes.values(), CATS):
        if all(_matches(candidate, theirs) for theirs in classes.values()):
            return candidate
    first, *others = classes
    other = next(name for name in others if not _matches(classes[first], classes[name]))
    (a, b), (c, d) = classes[first], classes[other]
    raise UserError(
        f"{first} has {a} and {b}, but {other} has {c} and {d}; "
        "all sources of a training need the same two classes"
    )


def agree(ours: Names, theirs: Names) -> bool:
    """Whether the classes of two data sets mean the same, in the same order.

    Example:
        >>> agree(("dog", "cat"), ("Dogs", "Cats")), agree(("non-cat", "cat"), ("dog", "cat"))
        (True, False)
    """
    return _matches(ours, theirs) and match(ours, theirs) == Match((0, 1))


def is_anything_else(name: str) -> bool:
    """Whether a class means everything except cats, such as ``non-cat`` or ``Others``."""
    return re.sub(r"[\W_]", "", _to_singular(name)) in ANYTHING_ELSE


def _matches(ours: Names, theirs: Names) -> bool:
    try:
        match(ours, theirs)
    except UserError:
        return False
    return True


def _is_cat(name: str) -> bool:
    return _to_singular(name) == "cat"


def normalize(name: str) -> str:
    """Normalize a name to composed Unicode (NFC), without spaces around it."""
    return unicodedata.normalize("NFC", name.strip()) or name


def fold_case(name: str) -> str:
    """Normalize a name and fold its case, to compare names of classes and parts.

    Example:
        >>> fold_case("Cafe\\u0301 ") == fold_case("CAF\\u00c9")
        True
    """
    return normalize(normalize(name).casefold())


def _to_singular(name: str) -> str:
    name = fold_case(name)
    return name if name.endswith("ss") else name.removesuffix("s")
