"""``catnet sweep``: train a grid of networks at once."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from catnet.cli.inputs import load_parts
from catnet.cli.options import DATA_HELP, add_network, count, positive
from catnet.models.registry import DEFAULT_HIDDEN, INITIALIZATIONS
from catnet.terminal import log

HELP = "train many networks at once: learning rates × initializations × seeds"
EXAMPLES = (
    "catnet sweep my-images --learning-rate 0.001 0.02 --init lecun he --seeds 2 --out runs/sweep",
)
DESCRIPTION = (
    "Train many networks at once: learning rates × initializations × seeds. Results are written "
    "after every 64 networks. The network of the lowest training cost becomes the model of the run "
    "folder; a choice on the test part would bias its test accuracy upwards."
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
        help="learning rates (default 0.001 0.003 0.0075 0.02)",
    )
    parser.add_argument(
        "--init",
        nargs="+",
        choices=INITIALIZATIONS,
        default=["lecun"],
        metavar="W",
        help=f"initializations of the weights: {', '.join(INITIALIZATIONS)} (default lecun)",
    )
    parser.add_argument("--seeds", type=count, default=4, help="seeds of each pair (default 4)")
    parser.add_argument("--steps", type=count, default=2500, help="updates (default 2500)")
    parser.add_argument(
        "--out", metavar="RUN", help="the folder to create for this sweep (default runs/sweep-N)"
    )


def run(options: argparse.Namespace) -> int:
    """Train the grid, write the run folder, print the table."""
    from catnet.evaluation import plots
    from catnet.models import registry
    from catnet.training import run_folder
    from catnet.training.memory import refuse_too_large
    from catnet.training.sweep import GROUP, Grid, table, train, write

    plots.check()
    network = (options.model, options.hidden, options.activation)
    registry.architecture(*network)  # refuse a wrong network before the data are read
    folder = run_folder.choose_folder(options.out, "sweep")
    train_part, test_part, source = load_parts(options.data)
    grid = Grid(
        registry.architecture(*network, len(train_part.classes)),
        tuple(dict.fromkeys(options.learning_rate)),
        tuple(dict.fromkeys(options.init)),
        options.seeds,
        options.steps,
    )
    total = len(grid.cells) * grid.seeds
    refuse_too_large(registry.build(grid.architecture), min(total, GROUP))
    run_folder.create(folder, {"model": "sweep", **asdict(grid), "data": source})
    log(f"training {total} networks on {len(train_part.labels)} images, {source}")
    results, names, stopped = None, [], False
    with run_folder.report_failures(folder, "start a new sweep"):
        try:
            for results in train(grid, train_part, test_part):
                names = write(folder, grid, results, train_part, test_part, source)
                log(f"{results.done} of {total}")
        except KeyboardInterrupt:
            stopped = True
            if results:  # write again, all files of the same group
                names = write(folder, grid, results, train_part, test_part, source)
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
