"""The command line: words in, an exit code out.  Commands are imported when they are asked for.

Results go to stdout, everything else to stderr.  Exit codes: 0 all well; 1 some pictures had no
answer, or a check failed; 2 wrong usage, data, model or configuration; 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import io
import os
import re
import sys
from collections.abc import Sequence

from catnet.compile_cache import keep_compiled
from catnet.errors import UserError
from catnet.models.registry import ACTIVATIONS, DEFAULT_HIDDEN, OPTIMIZERS, STARTS
from catnet.terminal import one_line

DATA_HELP = (
    "an image folder (cat/ and non-cat/, or train/ and test/ with those inside), a zip of one, "
    "an .h5 file of the course or the folder with its two"
)

MODEL_HELP = "a model file, a run folder, or the word shipped"

# The commands whose compiled programs are kept for the next time.
KEEPERS = ("predict", "eval", "filters", "train", "sweep")

# Those that make a folder: that JAX cannot start is to be said before.
MAKERS = ("train", "sweep", "demo")

EPILOG = """\
catnet COMMAND --help says more.  Compiled programs, and the decoded images of
eval --held-out and train --model photo, are kept in ~/.cache/catnet, or in
$XDG_CACHE_HOME/catnet; that folder may be deleted at any time.  With
JAX_ENABLE_COMPILATION_CACHE=false no compiled programs are kept."""


def console() -> None:
    """``catnet`` as a process: like ``main``, without the wait for Python to take itself apart."""
    gc.set_threshold(100_000)  # JAX makes many objects that stay: searching them takes 0.1 s
    if sys.argv[1:2] in ([name] for name in KEEPERS):
        keep_compiled()
    code = main()
    sys.stderr.flush()
    os._exit(code)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    _replace_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # names of files may hold what no encoding has
            stream.reconfigure(errors="backslashreplace")
    options = parser().parse_args(arguments)
    try:
        code = run(options)
        sys.stdout.flush()
        return code
    except UserError as error:
        _complain(str(error))
        return 2
    except BrokenPipeError:
        _forget_stdout()  # its reader has gone
        return 1
    except OSError as error:
        if error.filename is None:
            _forget_stdout()
        _complain(f"{error.filename or 'the output'}: {error.strerror or error}")
        return 2
    except KeyboardInterrupt as stop:
        _complain(str(stop) or "stopped")
        return 130
    except Exception as error:
        if _jax_starts(error):
            raise
        _complain(_why_jax_does_not_start(error))
        return 2


def _replace_closed_streams() -> None:
    """What was closed at the start, as by ``>&-``, is as if it were /dev/null.

    Otherwise the next file to be opened would take its number, and get what C libraries print.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: PTH123, SIM115


def _jax_starts(error: Exception) -> bool:
    """Whether an error is not because JAX finds no device, or is not installed right."""
    if str(error).startswith("Unable to initialize backend"):
        return False
    if "jaxlib" not in sys.modules and not isinstance(error, ImportError):
        return True  # not used so far
    try:
        import jax

        jax.devices()
    except Exception:
        return False
    return True


def _why_jax_does_not_start(error: Exception) -> str:
    reason = re.sub(r" \([^()]*JAX_PLATFORMS[^()]*\)$", "", " ".join(str(error).split()))
    reason = reason[:300].rstrip(".") or "no such device"
    if platforms := os.environ.get("JAX_PLATFORMS"):
        return (
            f"JAX cannot start: {reason}; JAX_PLATFORMS is {platforms}, unset it to use any device"
        )
    return f"JAX cannot start: {reason}"


def _forget_stdout() -> None:
    """What is still buffered has nowhere to go."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _complain(text: str) -> None:
    """One line; at a terminal in the place of a line of progress that is still there."""
    clear = "\r\x1b[K" if sys.stderr.isatty() else ""
    print(f"{clear}catnet: {one_line(text)}", file=sys.stderr, flush=True)


def run(options: argparse.Namespace) -> int:
    """Import the command that was asked for, and run it."""
    from catnet.cli import commands

    if options.command in MAKERS:
        import jax

        jax.devices()
    return getattr(commands, options.command)(options)


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = argparse.ArgumentParser(
        prog="catnet",
        description="Says whether a picture shows a cat; trains the networks that do.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action=_Version, nargs=0, help="print the version")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    train = commands.add_parser("train", help="train a network; without DATA, on drawn pictures")
    train.add_argument(
        "data", nargs="*", metavar="DATA", help=f"{DATA_HELP}; several for --model photo"
    )
    # No option of train has a default here: what was not given is filled in by the command,
    # from the run that goes on or from the kind of model.
    _add_network(train, (*DEFAULT_HIDDEN, "photo"))
    train.add_argument(
        "--learning-rate",
        type=_positive,
        metavar="α",
        help="default 0.0075; 0.002 for logistic, 0.001 for adam, adamw, rmsprop; photo 0.003",
    )
    train.add_argument(
        "--steps",
        type=_count,
        help="updates (default 2500; photo: every picture 20 times, from 1000 to 12000 steps)",
    )
    train.add_argument("--optimizer", choices=OPTIMIZERS, help="default gd: plain gradient descent")
    train.add_argument(
        "--batch-size",
        type=_count,
        metavar="N",
        help="examples a step (default all; photo 128 at most)",
    )
    train.add_argument(
        "--seed", type=_seed, metavar="N", help="of weights and order, below 2³² (default 1)"
    )
    train.add_argument(
        "--gradient", choices=("hand", "jax"), help="backpropagation by hand (default), or jax.grad"
    )
    train.add_argument(
        "--out", metavar="RUN", help="the new folder of this run (default runs/MODEL-N)"
    )
    train.add_argument(
        "--resume", metavar="RUN", help="go on with a run that was stopped; needs nothing else"
    )
    train.add_argument(
        "--save-every",
        type=_positive,
        metavar="SECONDS",
        help="between two saves of the state to resume from (default 5; photo 30)",
    )
    train.add_argument(
        "--from",
        dest="from_model",
        metavar="MODEL",
        help="begin with a trained model (a file, a run folder, or the word shipped) and give it "
        "a new last layer for the two classes of DATA; with --model photo, go on training all of "
        "its weights",
    )
    train.add_argument(
        "--freeze", action="store_true", help="with --from: train the new last layer only"
    )
    photo = train.add_argument_group("for --model photo")
    photo.add_argument("--cache", metavar="FOLDER", help="where decoded pictures are kept")
    photo.add_argument(
        "--precision",
        choices=("float32", "bfloat16"),
        help="what the network computes in (default float32); its parameters stay float32",
    )
    photo.add_argument(
        "--textures",
        type=_count,
        metavar="N",
        help="add drawn pictures of nothing, such as noise and bricks, to the class non-cat",
    )
    photo.add_argument(
        "--share",
        type=_named_share,
        action="append",
        dest="shares",
        metavar="STRATUM=P",
        help="share of every batch from one kind of picture of one source",
    )

    sweep = commands.add_parser(
        "sweep",
        help="train many networks at once: learning rates × starts × seeds",
        description="Train many networks at once: learning rates × starts × seeds. What is done is "
        "written after every 64 networks. The one of the lowest training cost becomes the model of "
        "the run folder; it is not chosen on the test part, whose accuracy would flatter it then.",
    )
    sweep.add_argument("data", nargs="?", metavar="DATA", help=DATA_HELP)
    _add_network(sweep, tuple(DEFAULT_HIDDEN))
    sweep.set_defaults(model="deep", activation="relu")
    sweep.add_argument(
        "--learning-rate",
        type=_positive,
        nargs="+",
        default=[0.001, 0.003, 0.0075, 0.02],
        metavar="α",
        help="default 0.001 0.003 0.0075 0.02",
    )
    sweep.add_argument(
        "--start",
        nargs="+",
        choices=STARTS,
        default=["lecun"],
        metavar="W",
        help=f"how weights begin, of {', '.join(STARTS)} (default lecun)",
    )
    sweep.add_argument("--seeds", type=_count, default=4, help="of each pair (default 4)")
    sweep.add_argument("--steps", type=_count, default=2500, help="updates (default 2500)")
    sweep.add_argument(
        "--out", metavar="RUN", help="the new folder of this sweep (default runs/sweep-N)"
    )

    predict = commands.add_parser("predict", help="say what pictures show")
    predict.add_argument(
        "sources", nargs="+", metavar="SOURCE", help="files, folders, patterns; - for stdin"
    )
    predict.add_argument("--model", metavar="FILE", help=f"{MODEL_HELP} (default shipped)")
    predict.add_argument(
        "--threshold",
        type=_share,
        metavar="P",
        help="answer the second class (cat) from this probability of it on",
    )
    predict.add_argument("--json", action="store_true", help="one object a line")
    predict.add_argument(
        "--explain",
        metavar="FOLDER",
        help="a new folder for pictures of what the network saw and which pixels mattered",
    )

    evaluate = commands.add_parser("eval", help="how good a model is on labelled pictures")
    evaluate.add_argument("model", metavar="MODEL", help=MODEL_HELP)
    evaluate.add_argument("data", nargs="+", metavar="DATA", help=DATA_HELP)
    evaluate.add_argument("--json", action="store_true", help="one object")
    evaluate.add_argument(
        "--held-out",
        action="store_true",
        help="only the pictures that train --model photo never learns from; DATA may be several",
    )
    evaluate.add_argument("--cache", metavar="FOLDER", help="where decoded pictures are kept")

    filters = commands.add_parser("filters", help="draw what the first layer of a model looks for")
    filters.add_argument(
        "model", nargs="?", metavar="MODEL", help=f"{MODEL_HELP} (default shipped)"
    )
    filters.add_argument(
        "--out", default="filters.png", metavar="FILE", help="a new PNG (default filters.png)"
    )

    gradcheck = commands.add_parser("gradcheck", help="prove the gradients of a network by hand")
    gradcheck.add_argument("data", nargs="?", metavar="DATA", help=DATA_HELP)
    _add_network(gradcheck, (*DEFAULT_HIDDEN, "FILE"))
    gradcheck.set_defaults(model="deep", activation="relu")
    gradcheck.add_argument(
        "--examples", type=_count, default=8, metavar="N", help="pictures to check on (default 8)"
    )
    gradcheck.add_argument(
        "--seed", type=_seed, default=1, metavar="N", help="of the weights (default 1)"
    )

    _add_data(commands.add_parser("data", help="download data sets, and look through your own"))

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


def _add_data(data: argparse.ArgumentParser) -> None:
    actions = data.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions.add_parser("list", help="which data sets there are to download")
    get = actions.add_parser("get", help="download one; after a break, go on with it")
    get.add_argument("name", metavar="NAME", help="as catnet data list says")
    get.add_argument("--out", default="data", metavar="FOLDER", help="default data")
    check = actions.add_parser(
        "check", help="unreadable files, duplicates, class balance, sizes, doubtful labels"
    )
    check.add_argument("data", metavar="DATA", help=DATA_HELP)
    check.add_argument(
        "--model", metavar="MODEL", help="a model file or run folder, asked about the labels"
    )
    check.add_argument("--json", action="store_true", help="one object")


def _add_network(command: argparse.ArgumentParser, kinds: Sequence[str]) -> None:
    command.add_argument(
        "--model",
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
        metavar="g",
        help=f"one of {', '.join(ACTIVATIONS)} (default relu)",
    )


# What ``type=`` of argparse calls: an ArgumentTypeError is shown behind the option's name.


def _count(text: str) -> int:
    return _whole(text, 1, 2**31 - 1)


def _seed(text: str) -> int:  # of larger ones JAX takes the last 32 bits only
    return _whole(text, 0, 2**32 - 1)


def _whole(text: str, low: int, high: int) -> int:
    with contextlib.suppress(ValueError):
        if low <= (number := int(text)) <= high:
            return number
    raise argparse.ArgumentTypeError(f"{text[:50]!r} is not a whole number from {low} to {high}")


def _positive(text: str) -> float:
    with contextlib.suppress(ValueError):
        if 0 < (number := float(text)) < float("inf"):
            return number
    raise argparse.ArgumentTypeError(f"{text[:50]!r} is not a positive number")


def _share(text: str) -> float:
    with contextlib.suppress(ValueError):
        if 0 <= (number := float(text)) <= 1:
            return number
    raise argparse.ArgumentTypeError(f"{text[:50]!r} is not a number from 0 to 1")


def _named_share(text: str) -> tuple[str, float]:
    name, equals, share = text.rpartition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text[:50]!r} is not of the form STRATUM=P")
    return name, _share(share)


class _Version(argparse.Action):
    """Like argparse's own, but the version is looked up only when it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib import metadata

        try:
            print(f"catnet {metadata.version('jaxnn')}")
        except metadata.PackageNotFoundError:
            print("catnet, of a jaxnn that is not installed")
        parser.exit()
