"""``seqnet predict``: classify texts or WAV files."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from catnet.errors import UserError
from catnet.terminal import one_line, report_problem
from seqnet.cli.eval import MODEL_HELP

HELP = "classify texts or WAV files"
EXAMPLES = (
    'seqnet predict runs/reviews "A splendid film." "Dull."',
    "seqnet predict runs/words one.wav --json",
)
LONGEST = 10_000  # characters of a text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help=MODEL_HELP)
    parser.add_argument(
        "inputs", nargs="+", metavar="INPUT", help="texts or WAV files; - for a line each of stdin"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")


def run(options: argparse.Namespace) -> int:
    """Print label, probability and input, one a line; 1 when some have no answer."""
    from seqnet.data.wav import read_wav
    from seqnet.models.model import load

    model = load(options.model)
    if not model.classes:
        raise UserError(f"{options.model} is a model of names; use seqnet write")
    names = [line for name in options.inputs for line in (_lines() if name == "-" else [name])]
    items: list[Any] = []
    answered = []
    for number, name in enumerate(names, 1):
        try:
            items.append(_text(name, number) if model.kind == "text" else read_wav(Path(name)))
            answered.append(name)
        except (UserError, OSError) as error:
            reason = f"{name}: {error.strerror}" if isinstance(error, OSError) else str(error)
            report_problem(f"seqnet: {one_line(reason)}")
    width = max(map(len, map(one_line, model.classes)))
    for name, row in zip(answered, model.probabilities(items) if items else [], strict=True):
        label = model.classes[row.argmax()]
        if options.json:
            p = dict(zip(model.classes, row.tolist(), strict=True))
            print(json.dumps({"input": name, "label": label, "probabilities": p}))
        else:
            print(f"{one_line(label):{width}}  {row.max():6.1%}  {one_line(name)}")
    return 0 if len(answered) == len(names) else 1


def _lines() -> list[str]:
    try:
        return sys.stdin.read().splitlines()
    except UnicodeDecodeError as error:
        raise UserError(f"standard input: not {error.encoding.upper()}; convert it") from None


def _text(text: str, number: int) -> str:
    if not text.strip():
        raise UserError(f"text {number}: is empty")
    if len(text) > LONGEST:
        raise UserError(f"text {number}: has {len(text)} characters, at most {LONGEST}")
    return text
