"""``catnet filters``: draw the filters of the first layer of a model."""

from __future__ import annotations

import argparse

from catnet.cli.inputs import load_model
from catnet.cli.options import MODEL_HELP
from catnet.terminal import log

HELP = "draw the filters of the first layer of a model"
EXAMPLES = ("catnet filters runs/mine --out filters.png",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", nargs="?", metavar="MODEL", help=f"{MODEL_HELP} (default shipped)")
    parser.add_argument(
        "--out",
        default="filters.png",
        metavar="FILE",
        help="PNG file to create (default filters.png)",
    )


def run(options: argparse.Namespace) -> int:
    """Write the drawing; print its path."""
    from catnet.evaluation import saliency

    saliency.refuse_out(options.out)  # before the model is loaded
    classifier = load_model(options.model)
    weights = saliency.filters(classifier)
    count, height, width, _ = weights.shape
    title = f"{count} filters of {height} by {width} pixels of {classifier.name}"
    saliency.write_filters(options.out, saliency.draw_filters(weights, title))
    print(options.out)
    log(f"{title}; grey is 0")
    return 0
