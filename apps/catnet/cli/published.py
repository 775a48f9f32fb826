"""``catnet published``: reproduce the course's published runs."""

from __future__ import annotations

import argparse

HELP = "reproduce the course's published runs, and compare every cost"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("data", metavar="DATA", help="the folder of the course's two h5 files")
    parser.add_argument(
        "--gradient",
        choices=("hand", "jax"),
        default="hand",
        help="backpropagation by hand (default), or jax.grad",
    )


def run(options: argparse.Namespace) -> int:
    """Print the tables; 1 when a number differs."""
    from catnet.course import published

    return 0 if published.main(options.data, options.gradient) else 1
