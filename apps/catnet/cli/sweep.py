"""``catnet sweep``: train a grid of networks at once."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from catnet.cli.inputs import load_parts
from catnet.cli.options import DATA_HELP, add_network, count, positive
from catnet.models.registry import DEFAULT_HIDDEN, STARTS
from catnet.terminal import log

HELP = "train many networks at once: learning rates × initializations × seeds"
DESCRIPTION = (
    "Train many networks at once: learning rates × initializations × seeds. Results are written "
    "after every 64 networks. The network of the lowest training cost becomes the model of the run "
    "folder. It is not chosen on the test part: its test accuracy would then be too high."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("data", nargs="?", metavar="DATA", help=DATA_HELP)
    add_network(parser, tuple(DEFAULT_HIDDEN))
    parser.set_defaults(model="deep", activation="relu")
    parser.add_argument(
        "--learning-rate",
        type=positive,
        nargs="+",
        default=[0.001, 0.003, 0.0075, 0.02],
        metavar="α",
        help="default 0.001 0.003 0.0075 0.02",
    )
    parser.add_argument(
        "--init",
        nargs="+",
        choices=STARTS,
        default=["lecun"],
        metavar="W",
        help=f"initialization of the weights, of {', '.join(STARTS)} (default lecun)",
    )
    parser.add_argument("--seeds", type=count, default=4, help="of each pair (default 4)")
    parser.add_argument("--steps", type=count, default=2500, help="updates (default 2500)")
    parser.add_argument(
        "--out", metavar="RUN", help="the new folder of this sweep (default runs/sweep-N)"
    )


def run(options: argparse.Namespace) -> int:
    """Train the grid, write the run folder, print the table."""
    from catnet.evaluation import plots
    from catnet.models import registry
    from catnet.training import run_folder
    from catnet.training.sweep import Grid, table, train, write

    plots.check()
    grid = Grid(
        registry.architecture(options.model, options.hidden, options.activation),
        tuple(dict.fromkeys(options.learning_rate)),
        tuple(dict.fromkeys(options.init)),
        options.seeds,
        options.steps,
    )
    folder = run_folder.vacant(options.out, "sweep")
    train_part, test_part, source = load_parts(options.data)
    run_folder.begin(folder, {"model": "sweep", **asdict(grid), "data": source})
    total = len(grid.cells) * grid.seeds
    log(f"training {total} networks on {len(train_part.labels)} images, {source}")
    results, names, stopped = None, [], False
    with run_folder.filling(folder, "begin a new sweep"):
        try:
            for results in train(grid, train_part, test_part):
                names = write(folder, grid, results, train_part, source)
                log(f"{results.done} of {total}")
        except KeyboardInterrupt:
            stopped = True
            if results:  # the files may be of two groups
                names = write(folder, grid, results, train_part, source)
    if results:
        print(table(results.cells))
    if results and results.best:
        log(
            f"model.safetensors is the network of the lowest training cost: {results.best}; "
            f"{results.best.test_accuracy:.1%} of the test part right"
        )
    files = f"{', '.join(['config.json', *names])} in {folder}"
    if stopped:
        done = results.done if results else 0
        raise KeyboardInterrupt(f"stopped after {done} of {total} networks; written: {files}")
    log(f"written: {files}")
    return 0
