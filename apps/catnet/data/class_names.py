"""Names of classes compared by meaning: those of a model with those of data, or of two sources."""

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
    """How the classes of data fit those of a model.

    Attributes:
        labels: the model's label for label 0 and for label 1 of the data.
        notes: one line for each class that only counts as one of the model's.
    """

    labels: tuple[int, int]
    notes: tuple[str, ...] = ()


def match(ours: Names, theirs: Names) -> Match:
    """Find the label that each class of the data has for a model.

    Names agree whatever their case, their Unicode form and a plural s: ``Cats`` is ``cat``.  For
    a model of ``non-cat`` and ``cat`` data needs one class of cats; the other counts as non-cat.

    Args:
        ours: the classes of the model.
        theirs: the classes of the data.

    Raises:
        UserError: a class of the model is not among those of the data.

    Example:
        >>> match(("non-cat", "cat"), ("Cats", "Dogs"))
        Match(labels=(1, 0), notes=('Dogs counts as non-cat',))
        >>> match(("dog", "cat"), ("non-cat", "cat"))
        Traceback (most recent call last):
        catnet.errors.UserError: the model tells dog from cat, the data has non-cat and cat: neither
        of them is dog
    """
    for same in (composed, caseless, _singular):
        mine, other = [*map(same, ours)], [*map(same, theirs)]
        if mine[0] != mine[1] and sorted(mine) == sorted(other):
            return Match((mine.index(other[0]), mine.index(other[1])))
    is_cat = [*map(_is_cat, theirs)]
    if is_anything_else(ours[0]) and _is_cat(ours[1]) and sum(is_cat) == 1:
        rest = theirs[is_cat.index(False)]
        note = f"{one_line(rest)} counts as {one_line(ours[0])}"
        return Match((int(is_cat[0]), int(is_cat[1])), () if is_anything_else(rest) else (note,))
    there = [*map(_singular, theirs)]
    absent = next((name for name in reversed(ours) if _singular(name) not in there), None)
    why = f"neither of them is {absent}" if absent else "they mean the same"
    (mine_0, mine_1), (their_0, their_1) = ours, theirs
    raise UserError(
        f"the model tells {mine_0} from {mine_1}, the data has {their_0} and {their_1}: {why}"
    )


def common(classes: Mapping[str, Names]) -> Names:
    """The classes of several sources together: those of one that the others match.

    Args:
        classes: of each source, by its name.

    Raises:
        UserError: there are none.

    Example:
        >>> common({"a": ("dog", "cat"), "b": ("Dogs", "Cats")})
        ('dog', 'cat')
        >>> common({"a": ("dog", "cat"), "b": ("horse", "cat")})
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
        "sources of one training need the same two classes"
    )


def agree(ours: Names, theirs: Names) -> bool:
    """Whether the classes of two data sets mean the same, in the same order.

    Example:
        >>> agree(("dog", "cat"), ("Dogs", "Cats")), agree(("non-cat", "cat"), ("dog", "cat"))
        (True, False)
    """
    return _matches(ours, theirs) and match(ours, theirs) == Match((0, 1))


def is_anything_else(name: str) -> bool:
    """Whether a class is of all that is no cat, such as ``non-cat`` or ``Others``."""
    return re.sub(r"[\W_]", "", _singular(name)) in ANYTHING_ELSE


def _matches(ours: Names, theirs: Names) -> bool:
    try:
        match(ours, theirs)
    except UserError:
        return False
    return True


def _is_cat(name: str) -> bool:
    return _singular(name) == "cat"


def composed(name: str) -> str:
    """A name as its writer sees it: in composed Unicode, without spaces around it."""
    return unicodedata.normalize("NFC", name.strip()) or name


def caseless(name: str) -> str:
    """What two names share that mean one class or part: case and the form of Unicode are no matter.

    Example:
        >>> caseless("Cafe\\u0301 ") == caseless("CAF\\u00c9")
        True
    """
    return composed(composed(name).casefold())


def _singular(name: str) -> str:
    name = caseless(name)
    return name if name.endswith("ss") else name.removesuffix("s")
