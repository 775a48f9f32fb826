"""All sets of published numbers: choose them, find their files, print published beside ours."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import jax

from catnet.course import (
    attention,
    bigrams,
    cat_photos,
    convolution,
    cs231n,
    dinosaurs,
    gradient_check,
    housing,
    initialization,
    logistic,
    micrograd,
    mistakes,
    optimizers,
    planar,
    recurrent,
    regularization,
)
from catnet.course.files import Need
from catnet.course.record import Gradient, Options, Set, Table
from catnet.errors import UserError
from catnet.terminal import log

MODULES = (
    cat_photos,
    logistic,
    planar,
    initialization,
    regularization,
    optimizers,
    gradient_check,
    convolution,
    recurrent,
    attention,
    dinosaurs,
    housing,
    cs231n,
    micrograd,
    bigrams,
    mistakes,
)
SETS: tuple[Set, ...] = tuple(module.SET for module in MODULES)


def main(data: Sequence[str] = (), only: Sequence[str] = (), gradient: Gradient = "hand") -> bool:
    """Reproduce the published numbers; tables go to stdout, progress to stderr.

    Args:
        data: folders and files in which the sets find what they need.
        only: the names of the sets to run; empty for all whose files were given.
        gradient: by hand, or by ``jax.grad``.

    Returns:
        Whether every number is reproduced.

    Raises:
        UserError: a name or a path does not exist, a path has nothing that a set needs, or the
            files of a set in ``only`` were not given.
    """
    sets = choose(only)
    files = find_files(data)
    missing = {one.name: _missing(one.needs, files) for one in sets}
    if only:
        for one in sets:
            if needs := missing[one.name]:
                raise UserError(f"{one.name} needs {needs}; name its folder as DATA")
    agrees, summary, not_run = True, [], []
    for one in sets:
        if missing[one.name]:
            not_run.append(f"not run: {one.name} needs {missing[one.name]}")
            continue
        start = time.monotonic()
        print(f"== {one.name}: {one.title}\n   {one.source}\n", flush=True)
        tables = []
        with jax.enable_x64(True):
            for table in one.run(Options(files, gradient)):
                tables.append(table)
                print(f"{table}\n", flush=True)
        log(f"{one.name}: {time.monotonic() - start:.1f} s")
        agrees = agrees and all(table.agrees for table in tables)
        summary.append(f"{one.name}: {summarize(tables)}")
        if needs := _missing(one.optional, files):
            not_run.append(f"not run: a part of {one.name} needs {needs}")
    print("\n".join(summary + not_run), flush=True)
    return agrees


def choose(only: Sequence[str]) -> list[Set]:
    """The sets of these names; all if there are none.

    Raises:
        UserError: there is no set of such a name.
    """
    names = [one.name for one in SETS]
    for name in only:
        if name not in names:
            raise UserError(f"there is no set {name!r}; the sets are {', '.join(names)}")
    return [one for one in SETS if not only or one.name in only]


def find_files(data: Iterable[str]) -> dict[str, Path]:
    """The files that the sets need, by the name of the ``Need``.

    Raises:
        UserError: a path does not exist, or has nothing that a set needs.
    """
    needs = dict.fromkeys(need for one in SETS for need in (*one.needs, *one.optional))
    files: dict[str, Path] = {}
    for path in map(Path, data):
        if not path.exists():
            raise UserError(f"{path}: no such file or folder")
        places = {need.name: place for need in needs if (place := need.find(path))}
        if not places:
            names = ", ".join(map(str, needs))
            raise UserError(f"{path}: has none of the files that the sets need: {names}")
        files = {**places, **files}
    return files


def describe_sets() -> str:
    """A line for each set: its name, what it is, and the files that it needs.

    Example:
        >>> print(describe_sets().splitlines()[2])
        planar          planar data, one hidden layer: costs, and accuracy by the number of hidden
        units
    """
    lines = []
    for one in SETS:
        needs = "; ".join(f"needs {need}" for need in one.needs)
        needs += "; ".join(f"a part needs {need}" for need in one.optional)
        lines.append(f"{one.name:14}  {one.title}" + (f"; {needs}" if needs else ""))
    return "\n".join(lines)


def summarize(tables: Sequence[Table]) -> str:
    """How many numbers of a set are reproduced."""
    rows = [number for table in tables for number in table.numbers]
    wrong = sum(not number.agrees for number in rows)
    if wrong:
        return f"{wrong} of {len(rows)} numbers NOT reproduced"
    return f"{len(rows)} numbers reproduced"


def _missing(needs: Sequence[Need], files: dict[str, Path]) -> str:
    return " and ".join(str(need) for need in needs if need.name not in files)
