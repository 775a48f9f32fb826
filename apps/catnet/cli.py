"""The command line: words in, an exit code out.  Commands are imported when they are asked for.

Results go to stdout, everything else to stderr.  Exit codes: 0 all well; 1 some pictures had no
answer, or a check failed; 2 wrong usage, data, model or configuration; 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence

from catnet.errors import UserError
from catnet.networks import ACTIVATIONS, DEFAULT_HIDDEN, OPTIMIZERS

DATA_HELP = (
    "an image folder (cat/ and non-cat/, or train/ and test/ with those inside), a zip of one, "
    "an .h5 file of the course or the folder with its two"
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # names of files may hold what no encoding has
            stream.reconfigure(errors="backslashreplace")
    options = parser().parse_args(arguments)
    try:
        return run(options)
    except UserError as error:
        print(f"catnet: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        # The reader of stdout has gone; what is still buffered has nowhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        print("catnet: stopped", file=sys.stderr)
        return 130


def run(options: argparse.Namespace) -> int:
    """Import the command that was asked for, and run it."""
    from catnet import commands

    return getattr(commands, options.command)(options)


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = argparse.ArgumentParser(
        prog="catnet",
        description="Says whether a picture shows a cat; trains the networks that do.",
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    train = commands.add_parser("train", help="train a network; without DATA, on drawn pictures")
    train.add_argument(
        "data", nargs="*", metavar="DATA", help=f"{DATA_HELP}; several for --model photo"
    )
    _add_network(train, (*DEFAULT_HIDDEN, "photo"))
    train.add_argument(
        "--learning-rate",
        type=_positive,
        metavar="α",
        help="default 0.0075; 0.002 for logistic, 0.001 for adam, adamw, rmsprop",
    )
    train.add_argument("--steps", type=_count, help="updates (default 2500; photo 12000)")
    train.add_argument(
        "--optimizer", choices=OPTIMIZERS, default="gd", help="default gd: plain gradient descent"
    )
    train.add_argument(
        "--batch-size", type=_count, metavar="N", help="examples a step (default all; photo 128)"
    )
    train.add_argument("--seed", type=int, default=1, help="of weights and order (default 1)")
    train.add_argument(
        "--gradient",
        choices=("hand", "jax"),
        default="hand",
        help="backpropagation by hand, or jax.grad",
    )
    train.add_argument(
        "--out", metavar="RUN", help="the new folder of this run (default runs/MODEL-N)"
    )
    photo = train.add_argument_group("for --model photo")
    photo.add_argument("--resume", metavar="RUN", help="go on with an interrupted run")
    photo.add_argument("--cache", metavar="FOLDER", help="where decoded pictures are kept")
    photo.add_argument(
        "--share",
        type=_named_share,
        action="append",
        default=[],
        metavar="STRATUM=P",
        help="share of every batch from one kind of picture of one source",
    )

    predict = commands.add_parser("predict", help="say what pictures show")
    predict.add_argument(
        "sources", nargs="+", metavar="SOURCE", help="files, folders, patterns; - for stdin"
    )
    predict.add_argument(
        "--model", metavar="FILE", help="a model file or run folder (default: the one shipped)"
    )
    predict.add_argument(
        "--threshold", type=_share, metavar="P", help="answer cat from this probability on"
    )
    predict.add_argument("--json", action="store_true", help="one object a line")

    evaluate = commands.add_parser("eval", help="how good a model is on labelled pictures")
    evaluate.add_argument("model", metavar="MODEL", help="a model file or run folder")
    evaluate.add_argument("data", metavar="DATA", help=DATA_HELP)
    evaluate.add_argument("--json", action="store_true", help="one object")

    gradcheck = commands.add_parser("gradcheck", help="prove the gradients of a network by hand")
    gradcheck.add_argument("data", nargs="?", metavar="DATA", help=DATA_HELP)
    _add_network(gradcheck, (*DEFAULT_HIDDEN, "FILE"))
    gradcheck.add_argument(
        "--examples", type=_count, default=8, metavar="N", help="pictures to check on (default 8)"
    )
    gradcheck.add_argument("--seed", type=int, default=1, help="of the weights (default 1)")

    published = commands.add_parser("published", help="the course's published costs, run again")
    published.add_argument("data", metavar="DATA", help="the folder with the course's two h5 files")
    published.add_argument(
        "--gradient",
        choices=("hand", "jax"),
        default="hand",
        help="backpropagation by hand, or jax.grad",
    )

    demo = commands.add_parser(
        "demo", help="train on drawn pictures, evaluate, predict: the whole in a minute"
    )
    demo.add_argument(
        "--out", metavar="RUN", help="the new folder of this run (default runs/demo-N)"
    )
    return top


def _add_network(command: argparse.ArgumentParser, kinds: Sequence[str]) -> None:
    command.add_argument(
        "--model",
        default="deep",
        choices=kinds if "FILE" not in kinds else None,
        metavar="|".join(kinds),
        help="no, one or several hidden layers (default deep)"
        + ("; photo: convolutions, for photographs" if "photo" in kinds else "")
        + ("; or a model file or run folder" if "FILE" in kinds else ""),
    )
    command.add_argument(
        "--hidden",
        type=_count,
        nargs="*",
        metavar="N",
        help="units of the hidden layers (default 7, or 20 7 5)",
    )
    command.add_argument(
        "--activation",
        choices=ACTIVATIONS,
        default="relu",
        metavar="g",
        help=f"one of {', '.join(ACTIVATIONS)} (default relu)",
    )


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return number


def _positive(text: str) -> float:
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return number


def _share(text: str) -> float:
    number = float(text)
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return number


def _named_share(text: str) -> tuple[str, float]:
    name, equals, share = text.rpartition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text} is not of the form STRATUM=P")
    return name, _share(share)
