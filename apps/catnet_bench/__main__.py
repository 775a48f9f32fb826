"""``python -m catnet_bench``: every claim about speed, measured here and now."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from catnet.errors import UserError
from catnet.terminal import log
from catnet_bench.harness.case import Options
from catnet_bench.harness.report import machine, machine_line, markdown

# One module each, with a function ``rows``; imported when it is asked for.
CASES = {
    "lecture": "the lecture's training run against six other ways to make it",
    "sweep": "64 deep networks as one program against two in PyTorch, one after another",
    "cold_start": "catnet predict and catnet --help as whole processes",
    "folder": "a folder of large photos, decode included",
    "photo": "the photo network in training and inference",
    "tax": "what the library costs over the same mathematics in plain JAX",
    "growth": "time and memory against examples, width, depth and batch",
    "rules": "every rule by hand against jax.vjp, layer by layer",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the cases that are asked for; 1 when one of them misses a goal."""
    options = parser().parse_args(arguments)
    given = Options(options.data, options.rounds, options.quick, options.plot)
    try:
        reached = run(list(dict.fromkeys(options.cases)) or list(CASES), given, options.json)
        return 0 if reached else 1
    except UserError as error:
        log(f"catnet_bench: {error}")
        return 2
    except KeyboardInterrupt:
        log("catnet_bench: stopped")
        return 130


def run(cases: Sequence[str], options: Options, file: Path | None) -> bool:
    """Print the tables, write the JSON; whether every goal was reached."""
    found = {}
    print(machine_line(), end="\n\n")
    if options.quick:
        print("Quick: small sizes, so these numbers only show that it works.", end="\n\n")
    about = machine()
    for case in cases:
        log(f"{case}: {CASES[case]}")
        found[case] = importlib.import_module(f"catnet_bench.cases.{case}").rows(options)
        print(f"### {case}: {CASES[case]}\n\n{markdown(found[case])}\n", flush=True)
        if file:  # after every case, so that a long run that is stopped has left something
            cases_json = {name: [row.as_json() for row in rows] for name, rows in found.items()}
            text = json.dumps({"machine": about, "quick": options.quick, "cases": cases_json})
            file.write_text(text + "\n")
    missed = [row.what for rows in found.values() for row in rows if row.reached is False]
    log(f"missed: {'; '.join(missed)}" if missed else "every goal was reached")
    return not missed


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(
        prog="python -m catnet_bench",
        description="jaxnn and catnet against their peers, in turns: medians and ratios.",
        epilog="cases: " + "; ".join(f"{name}: {about}" for name, about in CASES.items()),
    )
    top.add_argument("cases", nargs="*", type=_case, metavar="CASE", help="default: all of them")
    top.add_argument(
        "--data", type=Path, metavar="FOLDER", help="the folder with the course's two h5 files"
    )
    top.add_argument("--rounds", type=_count, default=5, metavar="N", help="default 5")
    top.add_argument("--quick", action="store_true", help="small sizes: whether it works")
    top.add_argument("--json", type=Path, metavar="FILE", help="all rounds of all numbers")
    top.add_argument("--plot", type=Path, metavar="FILE", help="growth as an image (PNG)")
    return top


def _case(text: str) -> str:
    if text not in CASES:
        raise argparse.ArgumentTypeError(f"{text} is not one of {', '.join(CASES)}")
    return text


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return number


if __name__ == "__main__":
    sys.exit(main())
