"""``python -m catnet_bench``: measure every claim about speed on this machine."""

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

# One module each, with a function ``rows``; imported when it is chosen.
CASES = {
    "lecture": "the lecture's training run against six other implementations",
    "sweep": "64 deep networks as one program against two in PyTorch, one after another",
    "cold_start": "catnet predict and catnet --help as whole processes",
    "folder": "a folder of large photos, decode included",
    "photo": "the photo network in training and inference",
    "classes": "200 classes from a zip: training beside the same network in PyTorch",
    "tax": "what the library costs over the same mathematics in plain JAX",
    "growth": "time and memory against examples, width, depth and batch",
    "rules": "every rule by hand against jax.vjp, layer by layer",
    "sequences": "gradients of recurrent layers and of attention against four peers",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the chosen cases; 1 when one of them misses a goal."""
    words = parser().parse_args(arguments)
    options = Options(words.data, words.rounds, words.quick, words.plot, words.tiny_imagenet)
    try:
        success = run(list(dict.fromkeys(words.cases)) or list(CASES), options, words.json)
        return 0 if success else 1
    except UserError as error:
        log(f"catnet_bench: {error}")
        return 2
    except KeyboardInterrupt:
        log("catnet_bench: stopped")
        return 130


def run(cases: Sequence[str], options: Options, file: Path | None) -> bool:
    """Print the tables, write the JSON; whether every goal is met."""
    results = {}
    print(machine_line(), end="\n\n")
    if options.quick:
        print(
            "Quick: small sizes, so these numbers only show that the benchmark works.", end="\n\n"
        )
    machine_json = machine()
    for case in cases:
        log(f"{case}: {CASES[case]}")
        results[case] = importlib.import_module(f"catnet_bench.cases.{case}").rows(options)
        print(f"### {case}: {CASES[case]}\n\n{markdown(results[case])}\n", flush=True)
        if file:  # after every case: an interrupted run keeps its results
            cases_json = {name: [row.as_json() for row in rows] for name, rows in results.items()}
            text = json.dumps(
                {"machine": machine_json, "quick": options.quick, "cases": cases_json}
            )
            file.write_text(text + "\n")
    misses = [row.what for rows in results.values() for row in rows if row.meets_goal is False]
    log(f"missed: {'; '.join(misses)}" if misses else "every goal is met")
    return not misses


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(
        prog="python -m catnet_bench",
        description="jaxnn and catnet against their peers in alternating rounds: medians, ratios.",
        epilog="cases: " + "; ".join(f"{name}: {about}" for name, about in CASES.items()),
    )
    top.add_argument("cases", nargs="*", type=_case, metavar="CASE", help="default: all of them")
    top.add_argument(
        "--data", type=Path, metavar="FOLDER", help="the folder with the course's two h5 files"
    )
    top.add_argument(
        "--tiny-imagenet", type=Path, metavar="ZIP", help="Tiny ImageNet, for the case classes"
    )
    top.add_argument("--rounds", type=_count, default=5, metavar="N", help="default 5")
    top.add_argument("--quick", action="store_true", help="small sizes: only checks that it works")
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
