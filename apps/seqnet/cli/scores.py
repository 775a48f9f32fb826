"""``seqnet scores``: repeat the measured experiments."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from catnet.errors import UserError

HELP = "train on known data sets and print every score, with its interval and time"
EXAMPLES = ("seqnet scores sequences --only sst",)
NAMES = ("rt-polarity", "sst", "digits", "speakers", "names")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "folder",
        metavar="FOLDER",
        help="it has some of the folders rt-polarity, sst, fsdd and names",
    )
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES, help="some of them")


def run(options: argparse.Namespace) -> int:
    """Print a block of lines for each experiment whose data are there."""
    from seqnet.evaluation.scores import EXPERIMENTS

    chosen = {name: EXPERIMENTS[name] for name in options.only}
    there = [e for e in chosen.values() if (Path(options.folder) / e.folder).is_dir()]
    if not there:
        folders = ", ".join(sorted({e.folder for e in chosen.values()}))
        raise UserError(f"{options.folder}: has none of the folders {folders}")
    for experiment in there:
        start = time.perf_counter()
        print(f"{experiment.title}; others: {experiment.others}", flush=True)
        for line in experiment.measure(Path(options.folder) / experiment.folder):
            print(f"  {line}, {time.perf_counter() - start:.0f} s", flush=True)
    return 0
