"""``seqnet train``: train a model on DATA."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from catnet.cli.options import seed
from catnet.errors import UserError
from catnet.terminal import one_line, report_left_out

if TYPE_CHECKING:
    from seqnet.data.examples import Data
    from seqnet.models.model import Model

    Trained: TypeAlias = tuple[Model, dict[str, Any], str]  # with the result, also in words

HELP = "train a model on texts, spoken words or names"
EXAMPLES = (
    "seqnet train reviews.csv --out runs/reviews",
    "seqnet train recordings/ --out runs/words",
    "seqnet train names.txt --out runs/names",
)
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
    from seqnet.data.reading import read
    from seqnet.models.model import FILE

    data = read(options.data, report_left_out)
    out = Path(options.out)
    if out.exists():
        raise UserError(f"{out}: exists; choose a new folder for --out")
    out.mkdir(parents=True)  # before the training, which takes long
    start = time.perf_counter()
    try:
        model, result, text = (_train_names if data.kind == "names" else _train_classifier)(
            data, options.seed
        )
    except BaseException:
        out.rmdir()
        raise
    model.save(out / FILE)
    write_atomically(out / "evaluation.json", json.dumps(result, indent=1).encode() + b"\n")
    print(f"{text}, {time.perf_counter() - start:.0f} s, model in {one_line(str(out))}")
    return 0


def _train_classifier(data: Data, seed: int) -> Trained:
    from seqnet.data.examples import split
    from seqnet.evaluation.accuracy import measure
    from seqnet.training import speech, text

    part, test = split(data.train) if data.test is None else (data.train, data.test)
    model = {"text": text, "speech": speech}[data.kind].train(part, seed)
    accuracy = measure(model, test)
    result = {"right": accuracy.right, "examples": accuracy.count}
    return model, result, f"test accuracy {accuracy}"


def _train_names(data: Data, seed: int) -> Trained:
    from seqnet.evaluation.accuracy import bigram_cost, cost_of_a_letter
    from seqnet.training import names

    part, test = names.split(data.train)
    model = names.train(part, seed)
    known = set(model.described["letters"])
    test = [name for name in test if set(name) <= known]
    if not test:
        raise UserError("no name of the held-out tenth has only letters of the others; add names")
    result = {
        "cost of a letter": cost_of_a_letter(model, test),
        "of bigrams": bigram_cost(part, test),
    }
    return model, result, ", ".join(f"{name} {cost:.4f}" for name, cost in result.items())
