"""``catnet data``: list data sets, download one, or look through your own."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from catnet.cli.inputs import load_model
from catnet.cli.options import DATA_HELP
from catnet.terminal import bytes_line, log

HELP = "download data sets, and look through your own"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions.add_parser("list", help="list the data sets that can be downloaded")
    get = actions.add_parser("get", help="download one; the same command continues a download")
    get.add_argument("name", metavar="NAME", help="as catnet data list says")
    get.add_argument("--out", default="data", metavar="FOLDER", help="default data")
    check = actions.add_parser(
        "check", help="report unreadable files, duplicates, class balance, sizes, doubtful labels"
    )
    check.add_argument("data", metavar="DATA", help=DATA_HELP)
    check.add_argument(
        "--model", metavar="MODEL", help="a model file or run folder, asked about the labels"
    )
    check.add_argument("--json", action="store_true", help="one object")


def run(options: argparse.Namespace) -> int:
    """Do what the action says."""
    return {"list": _list, "get": _get, "check": _check}[options.action](options)


def _list(options: argparse.Namespace) -> int:
    from catnet.data import catalogue

    print("\n\n".join(map(str, catalogue.SETS.values())))
    return 0


def _get(options: argparse.Namespace) -> int:
    """Download a data set; print where it is."""
    from catnet.data import catalogue

    wanted = catalogue.named(options.name)
    log(f"{wanted.name}: {wanted.about}\nlicence: {wanted.licence}; {wanted.home}")
    try:
        where = catalogue.get(wanted, Path(options.out), log, bytes_line)
    except KeyboardInterrupt:
        log("\nthe part that has arrived is kept; the same command continues from there")
        raise
    print(where)
    return 0


def _check(options: argparse.Namespace) -> int:
    """Report on DATA; 1 when an image cannot be used, or is in both parts."""
    from catnet.data.check import check

    classifier = load_model(options.model) if options.model else None
    report = check(options.data, classifier)
    print(json.dumps(report.as_json()) if options.json else report)
    return 0 if report.ok else 1
