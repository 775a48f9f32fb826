"""Decide which folders are parts and which are classes, by their names and their contents.

A folder and a zip of it give the same result, because both are lists of entries.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

from catnet.data.class_names import enumerate_names, fold_case, normalize
from catnet.data.entries import Entry, is_zip
from catnet.errors import UserError

TRAIN = ("train", "training")
TEST = ("test", "testing", "val", "valid", "validation")  # the first that exists
CATS = ("cat", "cats")
LAYOUT = (
    "expected cat/ and non-cat/, or any other class folders, with images inside,"
    " or train/ and test/ with those inside"
)

Report: TypeAlias = Callable[[str], object]


class Part(NamedTuple):
    """The training part or the test part.

    Attributes:
        path: its name in messages.
        classes: the images of each class, by the name of the class.
    """

    path: str
    classes: dict[str, list[Entry]]


def divide(path: str, entries: Sequence[Entry], on_problem: Report, on_note: Report) -> list[Part]:
    """Divide DATA into its parts, the training part first; one part if DATA has no parts.

    The first level with several folders is used; a folder alone on its level is skipped.  These
    folders are parts if their names are names of parts and one of them has at least two class
    folders.  Otherwise they are classes.  If classes consist of parts (``cat/train``,
    ``cat/test``, …), parts and classes are exchanged.

    Args:
        path: DATA, for messages.
        entries: the images.
        on_problem: called with one line for images outside of classes, or in an unused part.
        on_note: called with one line for folders that are merged.

    Raises:
        UserError: the folders can be parts or classes, or there are no class folders.
    """
    if is_zip(path):
        entries = _strip_own_folder(path, entries)
    level = _descend(entries)
    _report_loose(path, level, on_problem)
    where = "/".join([path, *level.prefix])
    tops = _exchange(level.folders)
    names = _choose_names(where, tops, on_note)
    parts = [top for top in tops if top in (*TRAIN, *TEST)]
    inner = {part: _descend(_strip_top(tops[part])) for part in parts}
    if len(parts) == len(tops) > 1:
        if not any(below.folders for below in inner.values()):
            text = " and ".join(names.values())
            raise UserError(f"{where}: the images of {text} are not in class folders; {LAYOUT}")
    elif not any(len(below.folders) > 1 for below in inner.values()):
        _refuse_lone_class(path, level.prefix, tops)
        return [_make_part(where, tops, names)]
    elif len(parts) == 1:
        others = enumerate_names([names[top] for top in tops if top not in parts])
        what = "training" if parts[0] in TRAIN else "test"
        raise UserError(
            f"{where}: {names[parts[0]]} can be the {what} part, or a class beside {others};"
            f" if it is a part, remove {others}; if it is a class, rename it"
        )
    first = [next((name for name in group if name in tops), None) for group in (TRAIN, TEST)]
    choice = [name for name in first if name]
    result = []
    for part in choice:
        below = inner[part]
        place = "/".join([where, names[part], *below.prefix])
        _report_loose(place, below, on_problem)
        result.append(
            _make_part(place, below.folders, _choose_names(place, below.folders, on_note))
        )
        _refuse_lone_class(path, [*level.prefix, *below.prefix], below.folders)
    for top in tops:
        if top not in choice:
            reason = (
                f"in {names[top]}; only {' and '.join(names[name] for name in choice)} are used"
            )
            _report(tops[top], reason, on_problem)
    return result


class _Level(NamedTuple):
    """The first level with several folders.

    Attributes:
        prefix: the path to this level; each of these folders is alone on its level.
        folders: the entries of each folder, by the folded name; their places begin with the folder.
        loose: the images that are in none of the folders.
    """

    prefix: list[str]
    folders: dict[str, list[Entry]]
    loose: list[Entry]


def _descend(entries: Sequence[Entry]) -> _Level:
    top = level = _make_level([], entries)
    while len(level.folders) == 1:
        [inside] = level.folders.values()
        below = _make_level([*level.prefix, normalize(inside[0].place[0])], _strip_top(inside))
        if not below.folders:
            return top  # a class, possibly with a subfolder
        level = below._replace(loose=[*level.loose, *below.loose])
    return level


def _make_level(prefix: list[str], entries: Sequence[Entry]) -> _Level:
    folders: dict[str, list[Entry]] = {}
    for entry in entries:
        if len(entry.place) > 1:
            folders.setdefault(fold_case(entry.place[0]), []).append(entry)
    return _Level(prefix, folders, [entry for entry in entries if len(entry.place) == 1])


def _strip_top(entries: Sequence[Entry]) -> list[Entry]:
    return [entry._replace(place=entry.place[1:]) for entry in entries]


def _strip_own_folder(path: str, entries: Sequence[Entry]) -> Sequence[Entry]:
    """Remove the folder with the name of the zip, if it contains all entries."""
    own = fold_case(Path(path).stem)
    within = all(len(entry.place) > 1 and fold_case(entry.place[0]) == own for entry in entries)
    return _strip_top(entries) if within else entries


def _exchange(folders: dict[str, list[Entry]]) -> dict[str, list[Entry]]:
    """Exchange parts and classes if the folders are classes that consist of the same parts."""
    entries = [entry for inside in folders.values() for entry in inside]
    second = {fold_case(entry.place[1]) if len(entry.place) > 2 else None for entry in entries}
    parts = second & {*TRAIN} and second & {*TEST} and second <= {*TRAIN, *TEST}
    if len(folders) < 2 or not parts or {*folders} & {*TRAIN, *TEST}:
        return folders
    entries = [e._replace(place=(e.place[1], e.place[0], *e.place[2:])) for e in entries]
    return _make_level([], entries).folders


def _make_part(path: str, folders: dict[str, list[Entry]], names: dict[str, str]) -> Part:
    return Part(path, {names[name]: _strip_top(inside) for name, inside in folders.items()})


def _choose_names(path: str, folders: dict[str, list[Entry]], on_note: Report) -> dict[str, str]:
    """Choose the name of each folder; of merged folders, the name of the first."""
    names = {}
    for name, inside in folders.items():
        variants = [*dict.fromkeys(entry.place[0] for entry in inside)]
        names[name] = normalize(variants[0])
        if len(variants) > 1:
            text = " and ".join(map(repr, variants))
            on_note(f"{path}: the folders {text} are merged to one class, {names[name]}")
    return names


def _refuse_lone_class(path: str, prefix: Sequence[str], classes: Iterable[str]) -> None:
    """Refuse a single class folder whose subfolders could be taken for the classes."""
    lone = [name for name in prefix if _is_catlike(fold_case(name))]
    if lone and not any(map(_is_catlike, classes)):
        raise UserError(
            f"{path}: {lone[0]} can be the only class, or the folder of the classes"
            f" {enumerate_names(sorted(classes))}; if it is a class, add the folder of the other"
            f" class beside it; if not, rename it"
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
