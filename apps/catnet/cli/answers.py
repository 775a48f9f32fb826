"""The answers of ``catnet predict`` as text, JSON or CSV, one a line, and their count by label."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from catnet.terminal import one_line, shorten

if TYPE_CHECKING:
    from catnet.models.classifier import Prediction

UNSURE = "unsure"
CSV_COLUMNS = ("path", "label", "probability", "unsure", "error")
MAX_LABELS = 12  # in the count


def choose_width(classes: Sequence[str]) -> int:
    """The width of the column of labels."""
    return max(map(len, (*map(shorten, classes), UNSURE)))


def format_text(answer: Prediction, width: int, top: int = 1) -> str:
    """A line: the label, its probability, the next labels, the path.

    The label of an unsure answer stands after its probability.

    Args:
        answer: an answer with a label.
        width: of the column of labels.
        top: how many of the most probable classes to name.

    Example:
        >>> from catnet.models.classifier import Prediction
        >>> p = {"non-cat": 0.002, "cat": 0.998}
        >>> format_text(Prediction("a.jpg", "cat", 0.998, p, 0.5, "m"), 7)
        'cat       99.8%  a.jpg'
        >>> format_text(Prediction("a.jpg", "cat", 0.998, p, 0.5, "m"), 7, top=2)
        'cat       99.8%  non-cat 0.2%  a.jpg'
        >>> format_text(Prediction("a.jpg", "cat", 0.53, p, 0.5, "m", unsure=True), 7)
        'unsure    53.0% cat      a.jpg'
    """
    label = shorten(answer.label or "")
    parts = [f"{label:{width}}  {answer.probability:6.1%}"]
    if answer.unsure:
        parts = [f"{UNSURE:{width}}  {answer.probability:6.1%} {label:{width}}"]
    if others := rank(answer)[1:top]:
        parts.append(", ".join(f"{shorten(name)} {p:.1%}" for name, p in others))
    return "  ".join([*parts, one_line(answer.path)])


def describe(answer: Prediction) -> str:
    """The answer in words, for a drawing.

    Example:
        >>> from catnet.models.classifier import Prediction
        >>> describe(Prediction(None, "cat", 0.53, None, 0.5, "m", unsure=True))
        'unsure: cat, 53.0%'
    """
    if answer.label is None:
        return "no answer"
    return f"{'unsure: ' if answer.unsure else ''}{shorten(answer.label)}, {answer.probability:.1%}"


def format_json(answer: Prediction, top: int | None = None, **more: Any) -> str:
    """A JSON object: the fields of the answer, ``top`` if it is wanted, and ``more``."""
    fields = answer._asdict()
    if top is not None:
        fields["top"] = [{"label": name, "probability": p} for name, p in rank(answer)[:top]]
    return json.dumps({**fields, **more})


def format_csv_header(top: int = 1) -> str:
    """The names of the columns of :func:`format_csv`.

    Example:
        >>> format_csv_header(top=2)
        'path,label,probability,unsure,error,label 2,probability 2'
    """
    more = [f"{what} {i}" for i in range(2, top + 1) for what in ("label", "probability")]
    return _write_row([*CSV_COLUMNS, *more])


def format_csv(answer: Prediction, top: int = 1) -> str:
    """A row of CSV.

    Example:
        >>> from catnet.models.classifier import Prediction
        >>> format_csv(Prediction("a, b.jpg", "cat", 0.998, {"cat": 0.998}, 0.5, "m"))
        '"a, b.jpg",cat,0.998000,no,'
        >>> format_csv(Prediction("a.jpg", None, None, None, 0.5, "m", "empty file"))
        'a.jpg,,,,empty file'
    """
    if answer.label is None:
        return _write_row([answer.path, "", "", "", answer.error] + [""] * (2 * (top - 1)))
    others = [cell for name, p in rank(answer)[1:top] for cell in (name, f"{p:.6f}")]
    unsure = "yes" if answer.unsure else "no"
    row = [answer.path, answer.label, f"{answer.probability:.6f}", unsure, "", *others]
    return _write_row(row + [""] * (len(CSV_COLUMNS) + 2 * (top - 1) - len(row)))


def rank(answer: Prediction) -> list[tuple[str, float]]:
    """The classes with their probabilities: that of the answer, then the most probable first."""
    pairs = (answer.probabilities or {}).items()
    return sorted(pairs, key=lambda pair: (pair[0] != answer.label, -pair[1]))


def count_labels(
    labels: Mapping[str, int], below: int = 0, failed: int = 0, limit: float = 0
) -> str:
    """Count the answers by label, in one line.

    Args:
        labels: the number of answers of each label, and of ``unsure`` ones.
        below: the number of answers left out because their probability is below ``limit``.
        failed: the number of images without an answer.
        limit: the lowest probability of an answer that is printed.

    Example:
        >>> count_labels({"cat": 2, "non-cat": 1}, failed=1)
        '4 images: 2 cat, 1 non-cat, 1 without an answer'
    """
    counts = Counter(labels).most_common()
    total = sum(count for _, count in counts) + below + failed
    parts = [f"{count} {shorten(label)}" for label, count in counts[:MAX_LABELS]]
    if rest := sum(count for _, count in counts[MAX_LABELS:]):
        parts.append(f"{rest} of other classes")
    if below:
        parts.append(f"{below} below {limit:.6g}")
    if failed:
        parts.append(f"{failed} without an answer")
    return f"{total} images: {', '.join(parts)}"


def _write_row(cells: Iterable[Any]) -> str:
    file = io.StringIO()
    csv.writer(file, lineterminator="").writerow(cells)
    return file.getvalue()
