"""Check DATA before training: unreadable images, duplicates, sizes and suspect labels."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from catnet.data import dataset
from catnet.data.class_names import match
from catnet.data.dataset import Dataset, get_whole
from catnet.data.duplicates import Fingerprints, compute_fingerprints, find_pairs
from catnet.data.entries import Listing, open_listing
from catnet.data.hdf5 import is_h5
from catnet.errors import UserError
from catnet.images.decode import ImageError, read_dimensions
from catnet.images.geometry import WHOLE
from catnet.images.size import SIZE
from catnet.progress import track
from catnet.terminal import log, one_line

if TYPE_CHECKING:
    from catnet.models.classifier import Classifier

MAX_ROWS = 20  # number of rows of a printed table
MAX_COLUMNS = 4  # number of classes side by side


class Pair(NamedTuple):
    """Two images that are duplicates or near-duplicates.

    Attributes:
        first: the name of one image.
        second: the name of the other image.
        exact: whether all pixels are equal, at 64×64.
        across: whether one is in the training part and the other in the test part.
        same_label: whether they are in the same class.
    """

    first: str
    second: str
    exact: bool
    across: bool
    same_label: bool


class Suspect(NamedTuple):
    """An image whose label a model contradicts.

    Attributes:
        name: the name of the image.
        label: the class in DATA.
        answer: the class that the model predicts.
        p: the predicted probability of ``answer``.
    """

    name: str
    label: str
    answer: str
    p: float


@dataclass(frozen=True)
class Check:
    """The result of ``check``; ``str`` gives a report.

    Attributes:
        parts: the number of images of each class in each part.
        left_out: one line for each image that cannot be used, with the reason.
        others: the names of ignored files, and of ignored folders of the operating system.
        notes: remarks, one line each.
        pairs: duplicates and near-duplicates.
        sizes: smallest and largest width, smallest and largest height, in pixels.
        small: the names of images whose width or height is less than 64 pixels.
        model: the name of the model, if there is one.
        suspects: the images whose label the model contradicts, by decreasing probability.
    """

    parts: dict[str, dict[str, int]]
    left_out: list[str]
    others: list[str]
    notes: list[str]
    pairs: list[Pair]
    sizes: tuple[int, int, int, int]
    small: list[str]
    model: str | None
    suspects: list[Suspect]

    @property
    def ok(self) -> bool:
        """Whether all images can be used, and no image is in both parts."""
        return not self.left_out and not any(pair.across for pair in self.pairs)

    def __str__(self) -> str:
        narrowest, widest, lowest, highest = self.sizes
        width = f"{narrowest}" if narrowest == widest else f"{narrowest}–{widest}"
        height = f"{lowest}" if lowest == highest else f"{lowest}–{highest}"
        lines = [*self._format_counts(), "", f"sizes: {width} × {height} pixels"]
        lines += _format_table(f"smaller than {SIZE} pixels", map(one_line, self.small))
        lines += _format_table("cannot be used", map(one_line, self.left_out))
        lines += _format_table("not images", map(one_line, self.others))
        lines += map(one_line, self.notes)
        for across, where in ((True, "in both parts"), (False, "twice in one part")):
            for exact, how in ((True, "the same"), (False, "nearly the same")):
                pairs = [
                    pair for pair in self.pairs if (pair.across, pair.exact) == (across, exact)
                ]
                lines += _format_table(f"{how}, {where}", map(_format_pair, pairs))
        if self.model is not None:
            title = f"label contradicted by {one_line(self.model)}"
            lines += _format_table(title, map(_format_suspect, self.suspects))
        return "\n".join(lines)

    def _format_counts(self) -> Iterator[str]:
        """A row for each part; with more than MAX_COLUMNS classes, a row for each class."""
        classes = [*next(iter(self.parts.values()))]
        if len(classes) > MAX_COLUMNS:
            yield from self._format_many_counts(classes)
            return
        heads = [*map(one_line, classes), "all"]
        yield "  ".join([f"{'':8}", *(f"{head:>12}" for head in heads)])
        for part, counts in self.parts.items():
            total = sum(counts.values())
            cells = [f"{count} ({count / total:.0%})" for count in counts.values()]
            yield "  ".join([f"{part:8}", *(f"{cell:>12}" for cell in (*cells, str(total)))])

    def _format_many_counts(self, classes: list[str]) -> Iterator[str]:
        """The classes with the fewest images come first, and only these where there are many."""
        totals = {part: sum(counts.values()) for part, counts in self.parts.items()}
        numbers = [sum(counts[name] for counts in self.parts.values()) for name in classes]
        order = sorted(range(len(classes)), key=lambda label: (numbers[label], label))
        width = max(len("class"), *(len(one_line(classes[i])) for i in order[:MAX_ROWS]))
        yield "  ".join([f"{'class':{width}}", *(f"{part:>12}" for part in self.parts)])
        for label in order[:MAX_ROWS]:
            name = classes[label]
            cells = [
                f"{counts[name]} ({counts[name] / totals[part]:.0%})"
                for part, counts in self.parts.items()
            ]
            yield "  ".join([f"{one_line(name):{width}}", *(f"{cell:>12}" for cell in cells)])
        if len(order) > MAX_ROWS:
            rest = [numbers[label] for label in order[MAX_ROWS:]]
            span = f"{rest[0]}" if rest[0] == rest[-1] else f"{rest[0]} to {rest[-1]}"
            yield f"and {len(rest)} classes with {span} images"
        yield "  ".join([f"{'all':{width}}", *(f"{total:>12}" for total in totals.values())])

    def as_json(self) -> dict[str, Any]:
        """The same with JSON types; no list is shortened."""
        return {
            **asdict(self),
            "ok": self.ok,
            "sizes": list(self.sizes),
            "pairs": [pair._asdict() for pair in self.pairs],
            "suspects": [suspect._asdict() for suspect in self.suspects],
        }


def check(
    path: str | os.PathLike[str],
    classifier: Classifier | None = None,
    aliases: Mapping[str, str] = MappingProxyType({}),
    all_classes: bool = False,
) -> Check:
    """Check DATA; it is never changed.

    Duplicates are detected at 64×64 pixels.  Copies in another
    size, format or quality are detected; cropped, mirrored or retouched copies are not.

    Args:
        path: DATA, as for :func:`catnet.data.dataset.load`.
        classifier: the model that checks the labels; None for no check of the labels.
        aliases: see :func:`catnet.data.class_names.match`.
        all_classes: see :func:`catnet.data.dataset.load`; implied by a model of more classes.

    Raises:
        UserError: the path is not DATA, or the classifier has other classes.
    """
    left_out: list[str] = []
    notes: list[str] = []
    all_classes = all_classes or (classifier is not None and len(classifier.classes) > 2)
    geometry = WHOLE if classifier is None else classifier.geometry
    train, test = dataset.load(path, left_out.append, notes.append, all_classes, geometry)
    parts = [part for part in (train, test) if part is not None]
    with open_listing(os.fspath(path)) as listing:
        widths, heights, small = _measure(listing, parts, left_out)
    return Check(
        parts={
            name: dict(zip(part.classes, _count_classes(part), strict=True))
            for name, part in zip(
                ("train", "test") if len(parts) == 2 else ("all",), parts, strict=True
            )
        },
        left_out=left_out,
        others=[entry.name for entry in listing.others if not is_h5(entry.name)],
        notes=notes,
        pairs=_find_pairs(parts),
        sizes=(min(widths), max(widths), min(heights), max(heights)),
        small=small,
        model=None if classifier is None else classifier.name,
        suspects=[] if classifier is None else _find_suspects(classifier, parts, aliases),
    )


def _count_classes(part: Dataset) -> list[int]:
    return np.bincount(part.labels, minlength=len(part.classes)).tolist()


# ---- duplicates


def _find_pairs(parts: Sequence[Dataset]) -> list[Pair]:
    images = [(part, i) for part in parts for i in range(len(part.images))]
    boundary = len(parts[0].images)
    whole = [image for part in parts for image in get_whole(part)]
    get_image = whole.__getitem__
    columns = zip(*(compute_fingerprints(get_whole(part)) for part in parts), strict=True)
    result = []
    for a, b, exact in find_pairs(Fingerprints(*map(np.concatenate, columns)), get_image, boundary):
        (one, i), (other, j) = images[a], images[b]
        across = a < boundary <= b
        same_label = bool(one.labels[i] == other.labels[j])
        result.append(Pair(one.names[i], other.names[j], exact, across, same_label))
    return result


# ---- sizes of the images in their files


def _measure(
    listing: Listing, parts: Sequence[Dataset], left_out: list[str]
) -> tuple[list[int], list[int], list[str]]:
    sizes: dict[str, tuple[int, int]] = {}
    sources = {entry.name: entry.source for entry in listing.images}
    names = [name for part in parts for name in part.names]
    for name in track(names, len(names), "images", "sizes  "):
        try:  # an image in an h5 file has the size of the network
            source = sources.get(name)
            sizes[name] = (SIZE, SIZE) if source is None else read_dimensions(source)
        except ImageError as error:  # the file has changed since it was decoded
            left_out.append(f"{name}: {error}")
    if not sizes:
        raise UserError(f"{listing.path}: its images were removed during the check; run it again")
    widths, heights = (list(side) for side in zip(*sizes.values(), strict=True))
    return widths, heights, [name for name, size in sizes.items() if min(size) < SIZE]


# ---- labels that a model contradicts


def _find_suspects(
    classifier: Classifier, parts: Sequence[Dataset], aliases: Mapping[str, str]
) -> list[Suspect]:
    from catnet.evaluation.evaluate import evaluate_on

    suspects = []
    for note in match(classifier.classes, parts[0].classes, aliases).notes:
        log(note)
    for part in parts:
        labels = dict(zip(part.names, part.labels.tolist(), strict=True))
        for name, _, answer, probability in evaluate_on(classifier, part, aliases).mistakes:
            suspects.append(Suspect(name, part.classes[labels[name]], answer, probability))
    return sorted(suspects, key=lambda suspect: -suspect.p)


# ---- the printed report


def _format_table(title: str, rows: Iterator[str]) -> list[str]:
    lines = list(rows)
    more = [f"  and {len(lines) - MAX_ROWS} more"] if len(lines) > MAX_ROWS else []
    return [f"{title}: {len(lines)}", *(f"  {row}" for row in lines[:MAX_ROWS]), *more]


def _format_pair(pair: Pair) -> str:
    note = "" if pair.same_label else "  (in different classes)"
    return f"{one_line(pair.first)}  =  {one_line(pair.second)}{note}"


def _format_suspect(suspect: Suspect) -> str:
    return f"{suspect.p:6.1%} {suspect.answer}, not {suspect.label}  {one_line(suspect.name)}"
