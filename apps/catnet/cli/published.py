"""``catnet published``: published numbers beside ours."""

from __future__ import annotations

import argparse

HELP = "reproduce published numbers of courses and demos, and compare each"
EXAMPLES = ("catnet published --only attention",)

DESCRIPTION = (
    "Compute published numbers of courses and demos with jaxnn, in float64, and print published, "
    "ours and the difference.  Sets that need no files always run; the others run when DATA has "
    "their files.  The exit code is 1 when a number differs."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "data",
        nargs="*",
        metavar="DATA",
        help="a folder or a file of a set, such as the folder of the course's two h5 files",
    )
    parser.add_argument(
        "--only", action="append", default=[], metavar="NAME", help="run this set; may be repeated"
    )
    parser.add_argument("--list", action="store_true", help="list the sets and the files they need")
    parser.add_argument(
        "--gradient",
        choices=("hand", "jax"),
        default="hand",
        help="train by backpropagation by hand (default), or by jax.grad",
    )


def run(options: argparse.Namespace) -> int:
    """Print the tables; 1 when a number differs."""
    from catnet.course import published

    if options.list:
        print(published.describe_sets())
        return 0
    return 0 if published.main(options.data, options.only, options.gradient) else 1
