"""``seqnet eval``: evaluate a model on DATA."""

from __future__ import annotations

import argparse

from catnet.errors import UserError
from catnet.terminal import one_line, report_left_out
from seqnet.cli.train import DATA_HELP

HELP = "evaluate a model on labelled data, or on names"
EXAMPLES = ("seqnet eval runs/reviews more-reviews.csv",)
MODEL_HELP = "a run folder of seqnet train, or a model file"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help=MODEL_HELP)
    parser.add_argument("data", metavar="DATA", help=DATA_HELP)


def run(options: argparse.Namespace) -> int:
    """Evaluate on the test part of DATA; on everything, if it has none."""
    from seqnet.data.reading import read
    from seqnet.evaluation.accuracy import cost_of_a_letter, measure
    from seqnet.models.model import load

    data = read(options.data, report_left_out)
    model = load(options.model)
    if model.kind != data.kind:
        raise UserError(
            f"{options.model} is a model of {model.kind}, {options.data} has {data.kind}"
        )
    if data.kind == "names":
        print(f"cost of a letter {cost_of_a_letter(model, data.train):.4f}")
    else:
        which, part = ("all", data.train) if data.test is None else ("test part", data.test)
        print(f"accuracy {measure(model, part)}, {which} of {one_line(options.data)}")
    return 0
