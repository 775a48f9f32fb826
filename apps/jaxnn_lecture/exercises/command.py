"""The exercises on the command line: list them, write one, check one."""

from __future__ import annotations

import argparse
from pathlib import Path

from catnet.errors import UserError
from jaxnn_lecture.exercises import EXERCISES, TIME_LIMIT, describe, read

MOST_SEEDS = 10_000  # a new seed is below: short enough to be typed again


def add_options(top: argparse.ArgumentParser) -> None:
    """Add ``--exercise``, ``--check`` and what belongs to them."""
    exercises = top.add_mutually_exclusive_group()
    exercises.add_argument(
        "--exercise",
        type=int,
        nargs="?",
        const=0,
        choices=EXERCISES,
        metavar="N",
        help=f"write exercise N, 1 to {len(EXERCISES)}: a layer with a mistake in its backward "
        "pass; without N, list them",
    )
    exercises.add_argument(
        "--check",
        metavar="FILE",
        help="run the mended exercise in FILE, and compare its gradients with jax.vjp",
    )
    top.add_argument(
        "--seed",
        type=int,
        metavar="N",
        help="with --check, repeat the random inputs of an earlier check (default: new ones)",
    )
    top.add_argument(
        "--time-limit",
        type=float,
        metavar="SECONDS",
        help=f"with --check, how long the file may run (default {TIME_LIMIT:g})",
    )


def run(options: argparse.Namespace) -> int | None:
    """List, write or check an exercise; None where the options ask for none of it.

    Returns:
        The exit code.

    Raises:
        UserError: an option is for something else, or the file cannot be written or checked.
    """
    if options.check is not None or options.exercise is not None:
        for name in ("only", "set", "data", "sequences"):
            if getattr(options, name):
                raise UserError(f"--{name} is for the page; leave it out with an exercise")
    if options.check is not None:
        return _check(options)
    for name in ("time_limit", "seed"):
        if getattr(options, name) is not None:
            option = name.replace("_", "-")
            raise UserError(f"--{option} is for --check FILE; leave it out")
    if options.exercise == 0:
        print(describe())
        return 0
    return None if options.exercise is None else _write(options.exercise, options.out)


def _write(number: int, name: str | None) -> int:
    """Write an exercise into a new file."""
    out = Path(f"exercise-{number}.py" if name is None else name)
    if not out.parent.is_dir():
        raise UserError(f"--out {out}: there is no folder {out.parent}; create it first")
    try:
        with out.open("x", encoding="utf-8") as file:
            file.write(read(number))
    except FileExistsError:
        raise UserError(f"{out}: exists already; choose another name with --out") from None
    print(out)
    return 0


def _check(options: argparse.Namespace) -> int:
    """Print a line for each gradient of an exercise, and what a wrong one looks like."""
    import secrets

    from jaxnn_lecture.exercises.process import check

    if options.out is not None:
        raise UserError("--out is for the page or --exercise; leave it out with --check")
    limit = TIME_LIMIT if options.time_limit is None else options.time_limit
    if not 0 < limit < float("inf"):
        raise UserError(f"--time-limit {limit:g}: expected a number of seconds above 0")
    seed = secrets.randbelow(MOST_SEEDS) if options.seed is None else options.seed
    if seed < 0:
        raise UserError(f"--seed {seed}: expected a whole number from 0")
    result = check(options.check, seed, limit)
    print(result.text)
    return 0 if result.ok else 1
