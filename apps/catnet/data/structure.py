"""Which folders are parts and which are classes: told by what is in them, not by names alone.

The same for a folder and a zip of it; both are lists of entries that have places.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

from catnet.data.class_names import caseless, composed
from catnet.data.entries import Entry, is_zip
from catnet.errors import UserError

TRAIN = ("train", "training")
TEST = ("test", "testing", "val", "valid", "validation")  # the first that is there
CATS = ("cat", "cats")
LAYOUT = "expected cat/ and non-cat/ with images inside, or train/ and test/ with those inside"

Report: TypeAlias = Callable[[str], object]


class Part(NamedTuple):
    """The training part or the test part.

    Attributes:
        path: what it is called in messages.
        classes: the images of each class, by its name.
    """

    path: str
    classes: dict[str, list[Entry]]


def divide(path: str, entries: Sequence[Entry], on_problem: Report, on_note: Report) -> list[Part]:
    """The parts of DATA, the training part first; one, where it is not divided.

    Folders that stand alone are gone through, down to the first level that has several.  These
    are parts if they are called like parts and one of them holds at least two class folders;
    otherwise they are classes.  Classes that consist of parts (``cat/train``, ``cat/test``, …)
    are turned round.

    Args:
        path: DATA, for messages.
        entries: the images.
        on_problem: called with one line for images that are in no class, or in a part too many.
        on_note: called with one line for folders that are taken for one.

    Raises:
        UserError: both readings are possible, or there are no class folders.
    """
    if is_zip(path):
        entries = _out_of_own_folder(path, entries)
    level = _descend(entries)
    _report_loose(path, level, on_problem)
    where = "/".join([path, *level.through])
    tops = _turned(level.folders)
    names = _names(where, tops, on_note)
    parts = [top for top in tops if top in (*TRAIN, *TEST)]
    inner = {part: _descend(_inside(tops[part])) for part in parts}
    if len(parts) == len(tops) > 1:
        if not any(below.folders for below in inner.values()):
            listed = " and ".join(names.values())
            raise UserError(f"{where}: images of {listed} are not in class folders; {LAYOUT}")
    elif not any(len(below.folders) > 1 for below in inner.values()):
        _refuse_lone_class(path, level.through, tops)
        return [_part(where, tops, names)]
    elif len(tops) == 2:
        [other] = set(tops) - {*parts}
        what = "training" if parts[0] in TRAIN else "test"
        raise UserError(
            f"{where}: {names[parts[0]]} is the {what} part, or a class beside {names[other]};"
            f" if a part, take {names[other]} away; if a class, rename it"
        )
    first = [next((name for name in group if name in tops), None) for group in (TRAIN, TEST)]
    used = [name for name in first if name]
    divided = []
    for part in used:
        below = inner[part]
        place = "/".join([where, names[part], *below.through])
        _report_loose(place, below, on_problem)
        divided.append(_part(place, below.folders, _names(place, below.folders, on_note)))
        _refuse_lone_class(path, [*level.through, *below.through], below.folders)
    for top in tops:
        if top not in used:
            reason = f"in {names[top]}; used are {' and '.join(names[name] for name in used)}"
            _report(tops[top], reason, on_problem)
    return divided


class _Level(NamedTuple):
    """The first level of folders that has several of them.

    Attributes:
        through: the folders that stand alone, through which it is reached.
        folders: by key, the entries of each folder, with places that begin with it.
        loose: images that are in none of them.
    """

    through: list[str]
    folders: dict[str, list[Entry]]
    loose: list[Entry]


def _descend(entries: Sequence[Entry]) -> _Level:
    top = level = _level([], entries)
    while len(level.folders) == 1:
        [inside] = level.folders.values()
        below = _level([*level.through, composed(inside[0].place[0])], _inside(inside))
        if not below.folders:
            return top  # a class, perhaps with a folder in it
        level = below._replace(loose=[*level.loose, *below.loose])
    return level


def _level(through: list[str], entries: Sequence[Entry]) -> _Level:
    folders: dict[str, list[Entry]] = {}
    for entry in entries:
        if len(entry.place) > 1:
            folders.setdefault(caseless(entry.place[0]), []).append(entry)
    return _Level(through, folders, [entry for entry in entries if len(entry.place) == 1])


def _inside(entries: Sequence[Entry]) -> list[Entry]:
    return [entry._replace(place=entry.place[1:]) for entry in entries]


def _out_of_own_folder(path: str, entries: Sequence[Entry]) -> Sequence[Entry]:
    """Without the folder of the zip's own name, from which it was made, where all is in that."""
    own = caseless(Path(path).stem)
    within = all(len(entry.place) > 1 and caseless(entry.place[0]) == own for entry in entries)
    return _inside(entries) if within else entries


def _turned(folders: dict[str, list[Entry]]) -> dict[str, list[Entry]]:
    """Parts of classes, where the folders are classes that consist of the same parts."""
    entries = [entry for inside in folders.values() for entry in inside]
    second = {caseless(entry.place[1]) if len(entry.place) > 2 else None for entry in entries}
    parts = second & {*TRAIN} and second & {*TEST} and second <= {*TRAIN, *TEST}
    if len(folders) != 2 or not parts or {*folders} & {*TRAIN, *TEST}:
        return folders
    turned = [e._replace(place=(e.place[1], e.place[0], *e.place[2:])) for e in entries]
    return _level([], turned).folders


def _part(path: str, folders: dict[str, list[Entry]], names: dict[str, str]) -> Part:
    return Part(path, {names[name]: _inside(inside) for name, inside in folders.items()})


def _names(path: str, folders: dict[str, list[Entry]], on_note: Report) -> dict[str, str]:
    """What to call folders: by the name that the first of those that are one has."""
    names = {}
    for name, inside in folders.items():
        written = [*dict.fromkeys(entry.place[0] for entry in inside)]
        names[name] = composed(written[0])
        if len(written) > 1:
            listed = " and ".join(map(repr, written))
            on_note(f"{path}: the folders {listed} are taken for one, {names[name]}")
    return names


def _refuse_lone_class(path: str, through: Sequence[str], classes: Iterable[str]) -> None:
    """A lone class folder with folders in it must not pass for the folder of those."""
    lone = [name for name in through if _is_catlike(caseless(name))]
    if lone and not any(map(_is_catlike, classes)):
        raise UserError(
            f"{path}: {lone[0]} is the only class, or the folder of the classes"
            f" {' and '.join(sorted(classes)[:8])}; if a class, add the folder of the other class"
            f" beside it; if not, rename it"
        )


def _is_catlike(name: str) -> bool:
    return name in CATS or re.fullmatch(r"(non|not|no)[-_ ]?cats?", name) is not None


def _report_loose(path: str, level: _Level, on_problem: Report) -> None:
    if level.loose and not level.folders:
        raise UserError(f"{path}: its images are not in class folders; {LAYOUT}")
    _report(level.loose, "not in a class folder", on_problem)


def _report(entries: Sequence[Entry], reason: str, on_problem: Report) -> None:
    if entries:
        more = f" and {len(entries) - 1} more" if len(entries) > 1 else ""
        on_problem(f"{entries[0].name}{more}: {reason}")
