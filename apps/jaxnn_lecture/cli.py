"""The command line: which chapters, with which numbers, into which file.

The path of the page and a line for each chapter go to stdout, everything else to stderr.  Exit
codes: 0 success; 1 a checked exercise is wrong; 2 wrong usage, data or file; 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from catnet.compile_cache import enable_compile_cache
from catnet.errors import UserError
from catnet.process import Version, exit_fast, run_guarded
from catnet.terminal import format_exactly, log
from jaxnn_lecture.chapters import CHAPTERS
from jaxnn_lecture.data import Data, check_sequences, find_sequences, prepare_images
from jaxnn_lecture.exercises import EXERCISES, TIME_LIMIT, describe, read
from jaxnn_lecture.settings import read_settings

if TYPE_CHECKING:
    from jaxnn_lecture.chapter import Chapter

HEAD = 4096  # bytes of a file in which a page says what made it


def console() -> None:
    """Run ``main`` as the process ``jaxnn-lecture``."""
    enable_compile_cache()
    exit_fast(main())


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the page; return the exit code."""
    return run_guarded("jaxnn-lecture", lambda: run(parser().parse_args(arguments)))


def parser() -> argparse.ArgumentParser:
    """The parser of the command line."""
    top = argparse.ArgumentParser(
        prog="jaxnn-lecture",
        description="Measure the claims of the classic deep learning lecture, and write them with "
        "their figures into one HTML file that opens without a network.",
        epilog=_describe_chapters(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action=Version, nargs=0, help="print the version")
    top.add_argument(
        "--out",
        metavar="FILE",
        help="the page to write (default lecture.html), where only an earlier page is overwritten; "
        "with --exercise, the exercise (default exercise-N.py)",
    )
    top.add_argument(
        "--only",
        action="append",
        choices=CHAPTERS,
        metavar="NAME",
        help="this chapter only; repeat it for more",
    )
    top.add_argument(
        "--set",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME=VALUE",
        help="change numbers of the chapters, such as learning_rate=0.1",
    )
    top.add_argument(
        "--data",
        metavar="DATA",
        help="pictures of cats and others instead of the drawn sample: an image folder, a zip of "
        "one, an .h5 file of the course, or the folder of its two .h5 files",
    )
    top.add_argument(
        "--sequences",
        metavar="FOLDER",
        help="real texts, sounds and digits instead of drawn ones: a folder with some of the "
        f"folders {', '.join(find_sequences())}; this takes minutes",
    )
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
        "--time-limit",
        type=float,
        metavar="SECONDS",
        help=f"with --check, how long the file may run (default {TIME_LIMIT:g})",
    )
    top.add_argument(
        "--no-cache", action="store_true", help="compute all chapters anew, and keep none"
    )
    return top


def run(options: argparse.Namespace) -> int:
    """Write the page, or an exercise; or check an exercise."""
    if options.check is not None or options.exercise is not None:
        for name in ("only", "set", "data", "sequences"):
            if getattr(options, name):
                raise UserError(f"--{name} is for the page; leave it out with an exercise")
    if options.check is None and options.time_limit is not None:
        raise UserError("--time-limit is for --check FILE; leave it out")
    if options.check is not None:
        return check_exercise(options)
    if options.exercise == 0:
        print(describe())
        return 0
    if options.exercise is not None:
        return write_exercise(options.exercise, options.out)
    return write_page(options)


def write_page(options: argparse.Namespace) -> int:
    """Compute the chapters, or take them from the cache; write the page."""
    names = list(dict.fromkeys(options.only or CHAPTERS))
    numbers = read_settings(names, options.set)
    out = Path("lecture.html" if options.out is None else options.out)
    refuse_out(out)
    sequences = check_sequences(options.sequences, names)

    from jaxnn.files import write_atomically
    from jaxnn_lecture.page import render

    data = Data(*prepare_images(options.data), sequences)
    chapters = [_compute(name, numbers[name], data, not options.no_cache) for name in names]
    page = render(chapters).encode()
    refuse_out(out)
    write_atomically(out, page)
    print(out)
    width = max(map(len, names))
    for chapter in chapters:
        count = len(chapter.claims)
        print(f"{chapter.name:{width}}  {chapter.holding} of {count} claims hold")
    return 0


def write_exercise(number: int, name: str | None) -> int:
    """Write an exercise into a new file."""
    from jaxnn.files import write_atomically

    out = Path(f"exercise-{number}.py" if name is None else name)
    if not out.parent.is_dir():
        raise UserError(f"--out {out}: there is no folder {out.parent}; create it first")
    if out.exists() or out.is_symlink():
        raise UserError(f"{out}: exists already; choose another name with --out")
    write_atomically(out, read(number).encode())
    print(out)
    return 0


def check_exercise(options: argparse.Namespace) -> int:
    """Print a line for each gradient of an exercise, and what a wrong one looks like."""
    from jaxnn_lecture.exercises.process import check

    if options.out is not None:
        raise UserError("--out is for the page or --exercise; leave it out with --check")
    limit = TIME_LIMIT if options.time_limit is None else options.time_limit
    if not 0 < limit < float("inf"):
        raise UserError(f"--time-limit {limit:g}: expected a number of seconds above 0")
    result = check(options.check, limit)
    print(result.text)
    return 0 if result.ok else 1


def refuse_out(out: Path) -> None:
    """Refuse a path where the page cannot be written without harm.

    Raises:
        UserError: there is something else than a page of this command, or no folder for it.
    """
    from jaxnn_lecture.page import is_page

    if not out.parent.is_dir():
        raise UserError(f"--out {out}: there is no folder {out.parent}; create it first")
    if not out.exists() and not out.is_symlink():
        return
    if not out.is_file() or out.is_symlink():
        raise UserError(f"--out {out}: exists and is not a file; choose another name")
    with out.open("rb") as file:
        if not is_page(file.read(HEAD)):
            raise UserError(
                f"--out {out}: exists and is not a page of jaxnn-lecture; choose another name"
            )


def _compute(name: str, numbers: dict[str, float], data: Data, use_cache: bool) -> Chapter:
    from jaxnn_lecture import cache, chapters
    from jaxnn_lecture.chapter import Settings

    entry = CHAPTERS[name]
    hashes = [data.hash_images()] if entry.uses_images else []
    if data.sequences:
        hashes += [cache.hash_folder(data.sequences / one) for one in entry.sequences]
    key = cache.make_key(name, numbers, " ".join(hashes))
    chapter = cache.load(key) if use_cache else None
    if chapter:
        log(f"{name}: from an earlier run")
        return chapter
    start = time.monotonic()
    chapter = chapters.run(name, Settings(numbers, data.load_images, data.sequences))
    log(f"{name}: {time.monotonic() - start:.1f} s")
    if use_cache:
        cache.store(key, chapter)
    return chapter


def _describe_chapters() -> str:
    lines = ["chapters and their numbers for --set:"]
    for name, entry in CHAPTERS.items():
        numbers = " ".join(
            f"{key}={format_exactly(setting.default)}" for key, setting in entry.settings.items()
        )
        lines += [f"  {name:15} {entry.title}", f"  {'':15} {numbers}"]
    return "\n".join(lines)
