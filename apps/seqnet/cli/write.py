"""``seqnet write``: write names, letter by letter."""

from __future__ import annotations

import argparse

from catnet.cli.options import count, positive, seed
from catnet.errors import UserError
from catnet.terminal import one_line
from seqnet.cli.eval import MODEL_HELP

HELP = "write names with a model that was trained on names"
EXAMPLES = ("seqnet write runs/names --count 5 --temperature 0.8",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help=MODEL_HELP)
    parser.add_argument("--count", type=count, default=10, metavar="N", help="names (default 10)")
    parser.add_argument("--seed", type=seed, default=0, metavar="N", help="default 0")
    parser.add_argument(
        "--temperature",
        type=positive,
        default=1.0,
        metavar="T",
        help="below 1: likelier names, above 1: more varied ones (default 1)",
    )


def run(options: argparse.Namespace) -> int:
    """Print the names, one a line."""
    import jax

    from seqnet.models import names
    from seqnet.models.model import load

    model = load(options.model)
    if model.kind != "names":
        raise UserError(f"{options.model} is a model of {model.kind}; write needs one of names")
    key = jax.random.key(options.seed)
    for name in names.write(model.described, model.params, options.count, key, options.temperature):
        print(one_line(name))
    return 0
