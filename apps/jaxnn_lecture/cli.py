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
from jaxnn_lecture.exercises.command import add_options
from jaxnn_lecture.exercises.command import run as run_exercise
from jaxnn_lecture.files import write
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
    add_options(top)
    top.add_argument(
        "--no-cache", action="store_true", help="compute all chapters anew, and keep none"
    )
    return top


def run(options: argparse.Namespace) -> int:
    """Write the page, or an exercise; or check an exercise."""
    code = run_exercise(options)
    return write_page(options) if code is None else code


def write_page(options: argparse.Namespace) -> int:
    """Compute the chapters, or take them from the cache; write the page."""
    start = time.monotonic()
    names = list(dict.fromkeys(options.only or CHAPTERS))
    numbers = read_settings(names, options.set)
    out = Path("lecture.html" if options.out is None else options.out)
    refuse_out(out)
    sequences = check_sequences(options.sequences, names)

    from jaxnn_lecture.page import render

    data = Data(*prepare_images(options.data), sequences)
    chapters = [_compute(name, numbers[name], data, not options.no_cache) for name in names]
    page = render(chapters).encode()
    refuse_out(out)
    write(out, page)
    print(out)
    width = max(map(len, names))
    for chapter in chapters:
        count = len(chapter.claims)
        print(f"{chapter.name:{width}}  {chapter.holding} of {count} claims hold")
    log(f"{len(chapters)} chapters: {time.monotonic() - start:.1f} s")
    return 0


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
    key = cache.make_key(numbers, " ".join(hashes))
    chapter = cache.load(name, key) if use_cache else None
    if chapter:
        log(f"{name}: from an earlier run")
        return chapter
    start = time.monotonic()
    chapter = chapters.run(name, Settings(numbers, data.load_images, data.sequences))
    log(f"{name}: {time.monotonic() - start:.1f} s")
    if use_cache:
        cache.store(name, key, chapter)
    return chapter


def _describe_chapters() -> str:
    lines = ["chapters and their numbers for --set:"]
    for name, entry in CHAPTERS.items():
        numbers = " ".join(
            f"{key}={format_exactly(setting.default)}" for key, setting in entry.settings.items()
        )
        lines += [f"  {name:15} {entry.title}", f"  {'':15} {numbers}"]
    return "\n".join(lines)
