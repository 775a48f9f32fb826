"""Tables of several evaluations: counted by hand, and by the intervals of the metrics."""

from __future__ import annotations

import numpy as np
import pytest

from catnet.evaluation.metrics import wilson
from catnet.evaluation.report import evaluate
from catnet.evaluation.summary import (
    FolderScore,
    format_evaluations,
    format_folders,
    score_folders,
)

CLASSES = ("non-cat", "cat")


def test_folders_are_counted_and_the_worst_is_first() -> None:
    names = [*(f"non-cat/dog/{i}.png" for i in range(4)), "non-cat/a.png", "cat/b.png", "c.png"]
    p = [0.1, 0.9, 0.2, 0.8, 0.1, 0.9, 0.3]
    result = evaluate([0, 0, 0, 0, 0, 1, 1], p, names, CLASSES)
    scores = score_folders(names, result)
    assert scores == [
        FolderScore("", 0, 1),
        FolderScore("non-cat/dog", 2, 4),
        FolderScore("cat", 1, 1),
        FolderScore("non-cat", 1, 1),
    ]
    assert sum(score.examples - score.right for score in scores) == len(result.mistakes)
    lines = format_folders(scores)
    low, high = wilson(2, 4)
    assert lines[1].split() == [".", "0.0%", "0.0–79.3%", "1"]
    assert lines[2].split() == ["non-cat/dog", "50.0%", f"{100 * low:.1f}–{high:.1%}", "4"]
    assert len({len(line) for line in lines}) == 1


@pytest.mark.parametrize(
    ("names", "folders"),
    [
        (["/home/x/cat/a.png", "/home/x/dog/pug/b.png"], ["cat", "dog/pug"]),
        (["/home/x/cat/a.png", "/home/x/cat/b.png"], ["cat"]),
        (["/home/x/cat/a.png", "/home/x/cat/kittens/b.png"], ["cat", "cat/kittens"]),
        (["train 0", "train 1"], [""]),
    ],
)
def test_what_all_folders_share_is_left_out(names: list[str], folders: list[str]) -> None:
    result = evaluate([0, 1], [0.1, 0.9], names, CLASSES)
    assert [score.folder for score in score_folders(names, result)] == folders


def test_evaluations_are_a_row_each_the_worst_first_and_those_of_one_class_last() -> None:
    rng = np.random.default_rng(0)
    results = {}
    for name, noise in (("good", 0.1), ("bad", 1.0), ("middle", 0.5)):
        labels = np.arange(60) % 2
        p = np.clip(labels * 0.6 + 0.2 + noise * rng.normal(size=60), 0, 1)
        results[name] = evaluate(labels, p, [f"{i}" for i in range(60)], CLASSES)
    results["cats"] = evaluate([1, 1], [0.9, 0.2], ["a", "b"], CLASSES)
    head, *rows = format_evaluations(results)
    assert head.split("  ")[0] == "data"
    balanced = [results[row.split()[0]].balanced_accuracy for row in rows[:-1]]
    assert balanced == sorted(balanced)
    middle = next(row for row in rows if row.startswith("middle")).split()
    result = results["middle"]
    low, high = result.interval
    assert middle[1:] == [
        f"{result.accuracy:.1%}",
        f"{100 * low:.1f}–{high:.1%}",
        f"{result.balanced_accuracy:.1%}",
        f"{result.auc:.3f}",
        f"{result.calibration_error:.3f}",
        "60",
    ]
    assert "nan" not in "".join(rows)
