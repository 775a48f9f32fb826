"""``catnet data``: list data sets, download one, or check your own."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from catnet.cli.inputs import load_model
from catnet.cli.options import DATA_HELP, add_aliases, add_all_classes
from catnet.command_line import add_examples
from catnet.progress import make_download_reporter
from catnet.terminal import log

HELP = "download data sets, and check your own"
EXAMPLES = ("catnet data list", "catnet data get course --out data", "catnet data check my-images")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions.add_parser("list", help="list the data sets that can be downloaded")
    get = actions.add_parser("get", help="download a data set; the same command resumes a download")
    get.add_argument("name", metavar="NAME", help="a name from catnet data list")
    get.add_argument(
        "--out", default="data", metavar="FOLDER", help="folder to download to (default data)"
    )
    check = actions.add_parser(
        "check", help="report unreadable files, duplicates, class balance, sizes, doubtful labels"
    )
    check.add_argument("data", metavar="DATA", help=DATA_HELP)
    check.add_argument(
        "--model",
        metavar="MODEL",
        help="a model file or run folder; its answers show doubtful labels",
    )
    check.add_argument("--json", action="store_true", help="print one JSON object")
    add_aliases(check)
    add_all_classes(check)
    for name, line in zip(actions.choices, EXAMPLES, strict=True):
        add_examples(actions.choices[name], [line])


def run(options: argparse.Namespace) -> int:
    """Run the action."""
    return {"list": _list, "get": _get, "check": _check}[options.action](options)


def _list(options: argparse.Namespace) -> int:
    from catnet.data import catalogue

    print("\n\n".join(map(str, catalogue.SETS.values())))
    return 0


def _get(options: argparse.Namespace) -> int:
    """Download a data set; print its path."""
    from catnet.data import catalogue

    data_set = catalogue.find_set(options.name)
    log(f"{data_set.name}: {data_set.about}\nlicence: {data_set.licence}; {data_set.home}")
    try:
        path = catalogue.get(data_set, Path(options.out), log, make_download_reporter)
    except KeyboardInterrupt:
        log("the partial download is kept; run the same command again to resume it")
        raise
    print(path)
    return 0


def _check(options: argparse.Namespace) -> int:
    """Report on DATA; 1 when an image cannot be used, or is in both parts."""
    from catnet.evaluation.data_check import check

    classifier = load_model(options.model) if options.model else None
    report = check(options.data, classifier, dict(options.aliases), options.all_classes)
    print(json.dumps(report.as_json()) if options.json else report)
    return 0 if report.ok else 1
