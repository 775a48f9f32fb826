"""The comparison of runs: settings that differ, scores, the images that one alone gets right."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from catnet.errors import UserError
from catnet.evaluation.metrics import mcnemar
from catnet.evaluation.tables import format_interval, format_table
from catnet.terminal import format_exactly, one_line, shorten
from catnet.training import checkpoints, results, run_folder
from catnet.training.curves import Curves, Measure
from catnet.training.curves import as_json as measures_as_json
from catnet.training.results import Answer

LISTED = 10  # images of a printed list
WIDTH = 32  # characters of a printed setting
SCORES = ("examples", "accuracy", "interval", "balanced_accuracy", "auc")  # of evaluation.json
# Entries of config.json that say nothing of the settings: of the machine, and of the file.
IGNORED = ("numerics", "versions", "content", "cache", "source")


@dataclass(frozen=True)
class Run:
    """A run as ``catnet compare`` reads it.

    Attributes:
        name: its folder, as it was given.
        config: of ``config.json``.
        curves: of ``metrics.csv``.
        evaluation: of ``evaluation.json``.
        answers: of ``answers.csv``.
        finished: whether the files are those of the last step.
    """

    name: str
    config: dict[str, Any]
    curves: Curves
    evaluation: dict[str, Any]
    answers: list[Answer]
    finished: bool = True


class Pair(NamedTuple):
    """Two runs on the test images that they have in common.

    Attributes:
        first: the name of a run.
        second: of the other.
        common: how many test images they have in common, by their pixels.
        only_first: the names of the images that only the first gets right.
        only_second: those that only the second gets right.
        other_answers: the names of the images that both get wrong, with different answers.
        p: of McNemar's exact test of equal accuracy.
    """

    first: str
    second: str
    common: int
    only_first: list[str]
    only_second: list[str]
    other_answers: list[str]
    p: float


def compare_settings(runs: Sequence[Run]) -> dict[str, list[Any]]:
    """The settings that differ, with their value in each run; None where a run has none.

    Example:
        >>> def run(**config):
        ...     return Run("", config, Curves("test"), {}, [])
        >>> compare_settings([run(steps=5, seed=1, from_model=""), run(steps=6, seed=1)])
        {'steps': [5, 6]}
    """
    names = dict.fromkeys(name for run in runs for name in run.config if name not in IGNORED)
    empty = ("", [])
    values = {
        name: [None if (its := run.config.get(name)) in empty else its for run in runs]
        for name in names
    }
    return {name: row for name, row in values.items() if any(value != row[0] for value in row)}


def compare_answers(first: Run, second: Run) -> Pair:
    """Compare the answers of two runs for the test images that they have in common.

    An image is recognized by its pixels.  The classes are compared by their names.

    Example:
        >>> def run(name, *answers):
        ...     rows = [Answer(str(i), f"{i}.png", "cat", said, "0.9") for i, said in answers]
        ...     return Run(name, {}, Curves("test"), {}, rows)
        >>> a = run("a", (0, "cat"), (1, "cat"), (2, "dog"))
        >>> b = run("b", (1, "dog"), (2, "dog"), (3, "cat"))
        >>> compare_answers(a, b)[2:]
        (2, ['1.png'], [], [], 1.0)
    """
    theirs = {answer.image: answer for answer in second.answers}
    pairs = [(a, theirs[a.image]) for a in first.answers if a.image in theirs]
    only_first, only_second, other = [], [], []
    for a, b in pairs:
        right = (a.answer == a.truth, b.answer == b.truth)
        if right == (True, False):
            only_first.append(a.name)
        elif right == (False, True):
            only_second.append(a.name)
        elif a.answer != b.answer:
            other.append(a.name)
    p = mcnemar(len(only_first), len(only_second))
    return Pair(first.name, second.name, len(pairs), only_first, only_second, other, p)


def as_json(runs: Sequence[Run]) -> dict[str, Any]:
    """The comparison as a dict for JSON; the pairs are those of the first run with each other."""
    return {
        "settings": compare_settings(runs),
        "runs": [
            {
                "run": run.name,
                "steps": len(run.curves.costs),
                "cost": run.curves.costs[-1] if run.curves.costs else None,
                **{name: run.evaluation[name] for name in SCORES},
                "part": run.curves.part,
                "measures": [
                    dict(zip(Measure._fields, row, strict=True))
                    for row in measures_as_json(run.curves.measures)
                ],
            }
            for run in runs
        ],
        "pairs": [compare_answers(runs[0], run)._asdict() for run in runs[1:]],
    }


def format_comparison(runs: Sequence[Run]) -> str:
    """The comparison as text for a terminal."""
    names = [one_line(run.name) for run in runs]
    settings = [
        (name.replace("_", " "), *(shorten(_format(value), WIDTH) for value in values))
        for name, values in compare_settings(runs).items()
    ]
    blocks = ["settings that differ: none"]
    if settings:
        blocks = ["\n".join(format_table([("settings that differ", *names), *settings]))]
    head = ("on the test part", "accuracy", "95% interval", "balanced", "AUC", "images")
    head += ("steps", "last cost", "training accuracy")
    rows = [(name, *_format_scores(run)) for name, run in zip(names, runs, strict=True)]
    blocks.append("\n".join(format_table([head, *rows])))
    return "\n\n".join(
        [*blocks, *(_format_pair(compare_answers(runs[0], run)) for run in runs[1:])]
    )


def _format_scores(run: Run) -> tuple[str, ...]:
    scores = run.evaluation
    costs, measures = run.curves.costs, run.curves.measures
    return (
        f"{scores['accuracy']:.1%}",
        format_interval(scores["interval"]),
        "" if scores["balanced_accuracy"] is None else f"{scores['balanced_accuracy']:.1%}",
        "" if scores["auc"] is None else f"{scores['auc']:.3f}",
        str(scores["examples"]),
        str(len(costs)),
        f"{costs[-1]:.4f}" if costs else "",
        f"{measures[-1].training_accuracy:.1%}" if measures else "",
    )


def _format_pair(pair: Pair) -> str:
    first, second = one_line(pair.first), one_line(pair.second)
    if not pair.common:
        return f"{first} and {second} have no test images in common: compare only their intervals"
    lines = [f"{first} and {second}, {pair.common} test images in common"]
    for who, names in (
        (f"only {first} is right", pair.only_first),
        (f"only {second} is right", pair.only_second),
        ("both are wrong, differently", pair.other_answers),
    ):
        if names or who.startswith("only"):
            listed = "".join(f"\n    {one_line(name)}" for name in names[:LISTED])
            more = f"\n    and {len(names) - LISTED} more (--json)" if len(names) > LISTED else ""
            lines.append(f"  {who}: {len(names)}{listed}{more}")
    verdict = "the difference may be chance" if pair.p >= 0.05 else "chance is unlikely"
    lines.append(f"  p = {pair.p:.2g} (McNemar's exact test): {verdict}")
    return "\n".join(lines)


def _format(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return format_exactly(value)
    if isinstance(value, list):
        return " ".join(map(_format, value))
    return one_line(str(value))


def read_run(name: str) -> Run:
    """Read a run folder that a training has finished.

    Raises:
        UserError: it is none, or a file is missing or was changed.
    """
    folder = Path(name)
    config, answers = run_folder.read_config(folder), results.read_answers(folder)
    path = folder / results.EVALUATION
    try:
        evaluation = json.loads(path.read_text(encoding="utf-8"))
        if not {*SCORES} <= {*evaluation}:
            raise ValueError
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; train the run to its end first") from None
    except (ValueError, TypeError):
        raise UserError(f"{path}: is not a file of this catnet; start a new run") from None
    finished = config.get("model") == "sweep" or checkpoints.is_finished(folder)
    return Run(name, config, Curves.read(folder), evaluation, answers, finished)


def read_runs(names: Sequence[str]) -> list[Run]:
    """Read the runs to compare.

    Raises:
        UserError: there is one only, one is given twice, or one cannot be read.
    """
    if len(names) < 2:
        raise UserError(f"{names[0]}: is one run; name the runs to compare it with, too")
    places = [Path(name).resolve() for name in names]
    for i, place in enumerate(places):
        if place in places[:i]:
            raise UserError(f"{names[i]}: is given twice; name different runs")
    return [read_run(name) for name in names]
