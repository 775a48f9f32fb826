"""Match the class names of a model and of data, or of two sources, by their meaning."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

from catnet.errors import UserError
from catnet.terminal import one_line

Names: TypeAlias = tuple[str, ...]  # the name of each class, by its label

CATS: Names = ("non-cat", "cat")
ANYTHING_ELSE = ("noncat", "notcat", "nocat", "other")
LISTED = 8  # names in a message


class Match(NamedTuple):
    """The classes of data, mapped to those of a model.

    Attributes:
        labels: the model's label for each label of the data.
        notes: one line for each class of the data with another meaning than its class of the model.
    """

    labels: tuple[int, ...]
    notes: tuple[str, ...] = ()


def match(ours: Names, theirs: Names, aliases: Mapping[str, str] = MappingProxyType({})) -> Match:
    """Find the model's label for each class of the data.

    Case, Unicode normalization and a plural s are ignored: ``Cats`` is ``cat``.  For a model of
    ``non-cat`` and ``cat``, one class of the data must be cats; the others count as non-cat.  The
    data of a model with more than two classes may lack some of them.

    Args:
        ours: the classes of the model.
        theirs: the classes of the data.
        aliases: for classes of the data, the classes of the model that they count as.

    Raises:
        UserError: a class of the data is not a class of the model, or a class of a model of two
            classes is not in the data, or a name in ``aliases`` does not exist.

    Example:
        >>> match(("non-cat", "cat"), ("Cats", "Dogs"))
        Match(labels=(1, 0), notes=('Dogs counts as non-cat',))
        >>> match(("ant", "bee", "cat"), ("Cats", "wasp"), {"wasp": "bee"})
        Match(labels=(2, 1), notes=('wasp counts as bee',))
        >>> match(("dog", "cat"), ("non-cat", "cat"))
        Traceback (most recent call last):
        catnet.errors.UserError: the classes of the model are dog and cat, those of the data non-cat
        and cat: neither of them is dog
    """
    fixed = _resolve(ours, theirs, aliases)
    notes = tuple(f"{one_line(theirs[i])} counts as {one_line(ours[j])}" for i, j in fixed.items())
    rest = [name for label, name in enumerate(theirs) if label not in fixed]
    if (labels := _match_names(ours, rest, {*fixed.values()})) is None:
        is_cat = [*map(_is_cat, rest)]
        cats_only = len(ours) == 2 and is_anything_else(ours[0]) and _is_cat(ours[1])
        if not cats_only or sum(is_cat) + (1 in fixed.values()) != 1:
            raise UserError(_explain_mismatch(ours, theirs, rest))
        labels = [int(cat) for cat in is_cat]
        others = [name for name in rest if not _is_cat(name) and not is_anything_else(name)]
        notes += tuple(f"{one_line(name)} counts as {one_line(ours[0])}" for name in others)
    remaining = iter(labels)
    matching = tuple(
        fixed[label] if label in fixed else next(remaining) for label in range(len(theirs))
    )
    return Match(matching, notes)


def _resolve(ours: Names, theirs: Names, aliases: Mapping[str, str]) -> dict[int, int]:
    """The labels of the data that have an alias, each with its label of the model."""
    fixed = {}
    for name, target in aliases.items():
        places = []
        for names, wanted, whose in ((theirs, name, "data"), (ours, target, "model")):
            keys = [*map(_to_singular, names)]
            if _to_singular(wanted) not in keys:
                raise UserError(
                    f"--as {name}={target}: {wanted} is not a class of the {whose}; its classes are"
                    f" {enumerate_names(names)}"
                )
            exact = [*map(fold_case, names)]
            key = fold_case(wanted)
            places.append(exact.index(key) if key in exact else keys.index(_to_singular(wanted)))
        fixed[places[0]] = places[1]
    return fixed


def _match_names(ours: Names, theirs: Sequence[str], done: set[int]) -> list[int] | None:
    """The label of the model for each name of the data; None where the names do not match.

    Args:
        ours: the classes of the model.
        theirs: the classes of the data that are not matched yet.
        done: the labels of the model that are matched already.
    """
    for simplify in (normalize, fold_case, _to_singular):
        mine, other = [*map(simplify, ours)], [*map(simplify, theirs)]
        distinct = len({*mine}) == len(mine) and len({*other}) == len(other)
        if distinct and {*other} <= {*mine}:
            labels = [mine.index(name) for name in other]
            return labels if len(ours) > 2 or len(done.union(labels)) == 2 else None
    return None


def _explain_mismatch(ours: Names, theirs: Names, rest: Sequence[str]) -> str:
    keys, own = [*map(_to_singular, theirs)], [*map(_to_singular, ours)]
    missing = next((name for name in reversed(ours) if _to_singular(name) not in keys), None)
    unknown = next((name for name in rest if _to_singular(name) not in own), None)
    if len(ours) == len(theirs) == 2:
        why = f"neither of them is {missing}" if missing else "they mean the same"
    elif unknown:
        why = f"{unknown} is none of the model's; name its class with --as {unknown!r}=CLASS"
    elif missing and len(ours) == 2:
        why = f"none of them is {missing}"
    else:
        why = "two of them mean the same"
    return (
        f"the classes of the model are {enumerate_names(ours)}, those of the data"
        f" {enumerate_names(theirs)}: {why}"
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
    same = "two classes" if len(classes[first]) == len(classes[other]) == 2 else "classes"
    raise UserError(
        f"{first} has {enumerate_names(classes[first])}, but {other} has"
        f" {enumerate_names(classes[other])}; all sources of a training need the same {same}"
    )


def enumerate_names(names: Sequence[str]) -> str:
    """Enumerate names in a sentence; of many, the first.

    Example:
        >>> enumerate_names(["dog", "cat"]), enumerate_names("abcdefghijkl")
        ('dog and cat', 'a, b, c, d, e, f, g, h and 4 more')
    """
    if len(names) > LISTED + 1:
        names = [*names[:LISTED], f"{len(names) - LISTED} more"]
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def agree(ours: Names, theirs: Names) -> bool:
    """Whether the classes of two data sets mean the same, in the same order.

    Example:
        >>> agree(("dog", "cat"), ("Dogs", "Cats")), agree(("non-cat", "cat"), ("dog", "cat"))
        (True, False)
    """
    same = Match(tuple(range(len(ours))))
    return _matches(ours, theirs) and match(ours, theirs) == same


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
