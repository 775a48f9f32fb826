"""``seqnet train``: train a model on DATA."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from catnet.cli.options import seed
from catnet.errors import UserError
from catnet.terminal import log, one_line

HELP = "train a model on texts, spoken words or names"
DATA_HELP = (
    "a CSV with the columns text and label, a folder of WAV files, a file of names, "
    "or the folder of rt-polarity or the Stanford Sentiment Treebank"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("data", metavar="DATA", help=DATA_HELP)
    parser.add_argument("--out", metavar="RUN", required=True, help="a new folder for the model")
    parser.add_argument("--seed", type=seed, default=0, metavar="N", help="default 0")


def run(options: argparse.Namespace) -> int:
    """Train on the training part, and evaluate on the test part: a tenth, if DATA has none."""
    from jaxnn.files import write_atomically
    from seqnet.data.examples import split
    from seqnet.data.reading import read
    from seqnet.evaluation.accuracy import bigram_cost, cost_of_a_letter, measure
    from seqnet.models.model import FILE
    from seqnet.training import names, speech, text

    data = read(options.data, lambda line: log(one_line(f"left out: {line}")))
    out = Path(options.out)
    if out.exists():
        raise UserError(f"{out}: exists; choose a new folder for --out")
    start = time.perf_counter()
    if data.kind == "names":
        part, test = names.split(data.train)
        model = names.train(part, options.seed)
        known = set(model.described["letters"])
        test = [name for name in test if set(name) <= known]
        result = {
            "cost of a letter": cost_of_a_letter(model, test),
            "of the bigrams": bigram_cost(part, test),
        }
        text_of_result = ", ".join(f"{name} {cost:.4f}" for name, cost in result.items())
    else:
        part, test = split(data.train) if data.test is None else (data.train, data.test)
        model = {"text": text, "speech": speech}[data.kind].train(part, options.seed)
        accuracy = measure(model, test)
        result = {"right": accuracy.right, "examples": accuracy.count}
        text_of_result = f"test accuracy {accuracy}"
    out.mkdir(parents=True)
    model.save(out / FILE)
    write_atomically(out / "evaluation.json", json.dumps(result, indent=1).encode() + b"\n")
    print(f"{text_of_result}, {time.perf_counter() - start:.0f} s, model in {out}")
    return 0
