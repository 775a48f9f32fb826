"""``catnet eval``: evaluate a model on labelled images."""

from __future__ import annotations

import argparse
import json

from catnet.cli.inputs import load_data, load_model
from catnet.cli.options import DATA_HELP, MODEL_HELP
from catnet.errors import UserError
from catnet.terminal import log

HELP = "evaluate a model on labelled images"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help=MODEL_HELP)
    parser.add_argument("data", nargs="+", metavar="DATA", help=DATA_HELP)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--held-out",
        action="store_true",
        help="only the test images of train --model photo, on which it never trains; several DATA",
    )
    parser.add_argument("--cache", metavar="FOLDER", help="folder for decoded images")


def run(options: argparse.Namespace) -> int:
    """Evaluate on the test part of DATA; on all images, if it has none."""
    from catnet.data.class_names import match
    from catnet.training.mlp import evaluate_on

    if options.held_out:
        return _run_held_out(options)
    if options.cache or len(options.data) > 1:
        raise UserError("--cache and several DATA are for --held-out only")
    classifier = load_model(options.model)
    (data,) = options.data
    first, test = load_data(data)
    part = first if test is None else test
    for note in match(classifier.classes, part.classes).notes:
        log(note)
    result = evaluate_on(classifier, part)
    which = "all images" if test is None else "the test part"
    log(f"model: {classifier.name}, {classifier.about}; {which} of {data}")
    print(json.dumps({"model": classifier.name, **result.as_json()}) if options.json else result)
    return 0


def _run_held_out(options: argparse.Namespace) -> int:
    """Evaluate on each source, on the test images of train --model photo."""
    from catnet.compile_cache import make_cache_folder
    from catnet.data import cache as caches
    from catnet.training.resnet_run import scores

    classifier = load_model(options.model)
    cache = caches.build(options.data, options.cache or make_cache_folder())
    log(f"model: {classifier.name}, {classifier.about}; the images held out of each DATA")
    for note in cache.notes:
        log(note)
    for name, result in scores(classifier, cache, log).items():
        if options.json:
            print(json.dumps({"model": classifier.name, "data": name, **result.as_json()}))
        else:
            print(f"held out of {name}\n{result}\n")
    return 0
