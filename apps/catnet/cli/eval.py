"""``catnet eval``: evaluate a model on labelled images."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from catnet.cli.inputs import find_model, load_data, load_model
from catnet.cli.options import DATA_HELP, MODEL_HELP, add_aliases
from catnet.errors import UserError
from catnet.terminal import log

if TYPE_CHECKING:
    import numpy as np

    from catnet.data.dataset import Dataset
    from catnet.evaluation.report import Evaluation

HELP = "evaluate a model on labelled images"
EXAMPLES = ("catnet eval runs/mine my-images", "catnet eval shipped my-images --json")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help=MODEL_HELP)
    parser.add_argument("data", nargs="+", metavar="DATA", help=DATA_HELP)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--with-training-images",
        action="store_true",
        help="evaluate also on the images that the model has learnt from; by default, they are "
        "left out",
    )
    parser.add_argument(
        "--by-folder",
        action="store_true",
        help="print also how many answers are right in each folder, the worst first",
    )
    add_aliases(parser)
    parser.add_argument(
        "--held-out",
        action="store_true",
        help="only the test images of train --model photo, on which it never trains; several DATA",
    )
    parser.add_argument("--cache", metavar="FOLDER", help="folder for decoded images")


def run(options: argparse.Namespace) -> int:
    """Evaluate on the test part of DATA, or on all images if it has none.

    Images that the model has learnt from are left out.
    """
    from catnet.data.class_names import match
    from catnet.evaluation.evaluate import evaluate_on
    from catnet.training import seen

    if options.held_out:
        return _run_held_out(options)
    if options.cache or len(options.data) > 1:
        raise UserError("--cache and several DATA are for --held-out only")
    classifier = load_model(options.model)
    (data,) = options.data
    first, test = load_data(data, len(classifier.classes) > 2, classifier.geometry)
    part = first if test is None else test
    aliases = dict(options.aliases)
    for note in match(classifier.classes, part.classes, aliases).notes:
        log(note)
    which = "all images" if test is None else "the test part"
    log(f"model: {classifier.name}, {classifier.about}; {which} of {data}")
    count = len(part.labels)
    if not options.with_training_images:
        part = _leave_out(part, seen.read(find_model(options.model)), data)
    result = evaluate_on(classifier, part, aliases)
    if options.json:
        left_out = {"left_out": count - len(part.labels)}
        _print_json(options, {"model": classifier.name, **left_out}, part.names, result)
    else:
        _print_text(options, part.names, result)
    return 0


def _print_json(
    options: argparse.Namespace, about: dict[str, Any], names: Sequence[str], result: Evaluation
) -> None:
    from catnet.evaluation.summary import score_folders

    by_folder = {}
    if options.by_folder:
        by_folder["folders"] = [score._asdict() for score in score_folders(names, result)]
    print(json.dumps({**about, **result.as_json(), **by_folder}))


def _print_text(options: argparse.Namespace, names: Sequence[str], result: Evaluation) -> None:
    from catnet.evaluation.summary import format_folders, score_folders

    print(result)
    if options.by_folder:
        print("", *format_folders(score_folders(names, result)), sep="\n")


def _leave_out(part: Dataset, learnt: np.ndarray | None, data: str) -> Dataset:
    """Leave out the images that the model has learnt from, and say how many.

    Raises:
        UserError: these are all images.
    """
    from catnet.data.dataset import get_whole, take
    from catnet.training import seen

    if learnt is None:
        log("the model has no list of its training images: they count if they are among these")
        return part
    mask = seen.is_learnt(learnt, get_whole(part))
    count = int(mask.sum())
    if count == len(mask):
        raise UserError(
            f"{data}: the model has learnt from all of its {count} images; give other images, or "
            "--with-training-images"
        )
    if count:
        log(f"{count} of {len(mask)} images are left out: the model has learnt from them")
    return take(part, ~mask)


def _run_held_out(options: argparse.Namespace) -> int:
    """Evaluate on each source, on the test images of train --model photo."""
    from catnet.compile_cache import make_cache_folder
    from catnet.data import cache as caches
    from catnet.evaluation.summary import format_evaluations
    from catnet.training.photo.scores import answer

    classifier = load_model(options.model)
    all_classes = len(classifier.classes) > 2
    place = options.cache or make_cache_folder()
    cache = caches.build(options.data, place, all_classes=all_classes, geometry=classifier.geometry)
    log(f"model: {classifier.name}, {classifier.about}; the images held out of each DATA")
    for note in cache.notes:
        log(note)
    results = {}
    for name, answers in answer(classifier, cache, log, dict(options.aliases)).items():
        results[name] = result = answers.evaluate(classifier)
        if options.json:
            _print_json(options, {"model": classifier.name, "data": name}, answers.names, result)
        else:
            print(f"held out of {name}")
            _print_text(options, answers.names, result)
            print()
    if len(results) > 1 and not options.json:
        print(*format_evaluations(results), sep="\n")
    return 0
