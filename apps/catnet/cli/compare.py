"""``catnet compare``: compare runs."""

from __future__ import annotations

import argparse
import json

from catnet.terminal import log

HELP = "compare runs: settings, curves, scores, and the images that one alone gets right"
DESCRIPTION = (
    "Compare runs: the settings that differ, the scores on their test parts with 95% intervals, "
    "and the test images that only the first or only another run gets right. An image is "
    "recognized by its pixels, so that runs of different networks can be compared."
)
EXAMPLES = ("catnet compare runs/mine runs/fine-tuned --plot curves.png",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "runs", nargs="+", metavar="RUN", help="two or more run folders; the first is the base"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--plot", metavar="FILE", help="also draw the curves of all runs in one figure, a new PNG"
    )


def run(options: argparse.Namespace) -> int:
    """Print the comparison; draw the curves."""
    from catnet.evaluation import plots, saliency
    from catnet.training import comparison

    if options.plot:
        plots.check()
        saliency.refuse_out(options.plot, "--plot")
    runs = comparison.read_runs(options.runs)
    for unfinished in (run for run in runs if not run.finished):
        steps = f"{len(unfinished.curves.costs)} of {unfinished.config.get('steps')} steps"
        log(f"{unfinished.name} is not finished: its scores are those after {steps}")
    if options.json:
        print(json.dumps(comparison.as_json(runs)))
    else:
        print(comparison.format_comparison(runs))
    if options.plot:
        curves = {run.name: run.curves for run in runs}
        plots.compare_curves(options.plot, curves, f"{len(runs)} runs: cost and accuracy by step")
        log(f"the curves are in {options.plot}")
    return 0
