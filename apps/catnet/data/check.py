"""What is wrong with DATA before anything is learnt from it; it is read, and never changed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from catnet.data import dataset
from catnet.data.class_names import match
from catnet.data.dataset import Dataset
from catnet.data.duplicates import Fingerprints, fingerprints, pairs
from catnet.data.entries import Listing, opened
from catnet.errors import UserError
from catnet.images.decode import ImageError, dimensions
from catnet.images.size import SIZE
from catnet.terminal import log, one_line

if TYPE_CHECKING:
    from catnet.models.classifier import Classifier

SHOWN = 20  # rows of a printed table


class Pair(NamedTuple):
    """Two images that are one.

    Attributes:
        first: its name.
        second: its name.
        exact: whether all pixels are equal, at 64×64.
        across: whether one is in the training part, the other in the test part.
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
        name: of the image.
        label: the class it is in.
        answer: the class the model puts it in.
        p: the probability that the model gives to that class.
    """

    name: str
    label: str
    answer: str
    p: float


@dataclass(frozen=True)
class Check:
    """What ``check`` finds; prints as a report.

    Attributes:
        parts: how many images of each class are in each part.
        left_out: what cannot be used, one line each, with the reason.
        others: names of the files, and folders of the system, that are passed over: no images.
        notes: what is as well to know, one line each.
        pairs: images that are there more than once.
        sizes: smallest and largest width, smallest and largest height, in pixels.
        small: names of the images that are narrower or lower than the 64 pixels of a network.
        model: the name of the model that was asked, if one was.
        suspects: images whose label it contradicts, the surest first.
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
        """Whether everything can be used, and nothing is on both sides."""
        return not self.left_out and not any(pair.across for pair in self.pairs)

    def __str__(self) -> str:
        narrowest, widest, lowest, highest = self.sizes
        width = f"{narrowest}" if narrowest == widest else f"{narrowest}–{widest}"
        height = f"{lowest}" if lowest == highest else f"{lowest}–{highest}"
        lines = [*self._counts(), "", f"sizes: {width} × {height} pixels"]
        lines += _table(f"smaller than {SIZE} pixels", map(one_line, self.small))
        lines += _table("cannot be used", map(one_line, self.left_out))
        lines += _table("not images", map(one_line, self.others))
        lines += map(one_line, self.notes)
        for across, where in ((True, "in both parts"), (False, "twice in one part")):
            for exact, how in ((True, "the same"), (False, "nearly the same")):
                found = [
                    pair for pair in self.pairs if (pair.across, pair.exact) == (across, exact)
                ]
                lines += _table(f"{how}, {where}", map(_pair_line, found))
        if self.model is not None:
            title = f"label contradicted by {one_line(self.model)}"
            lines += _table(title, map(_suspect_line, self.suspects))
        return "\n".join(lines)

    def _counts(self) -> Iterator[str]:
        classes = [*next(iter(self.parts.values()))]
        heads = [*map(one_line, classes), "all"]
        yield "  ".join([f"{'':8}", *(f"{head:>12}" for head in heads)])
        for part, counts in self.parts.items():
            total = sum(counts.values())
            cells = [f"{count} ({count / total:.0%})" for count in counts.values()]
            yield "  ".join([f"{part:8}", *(f"{cell:>12}" for cell in (*cells, str(total)))])

    def as_json(self) -> dict[str, Any]:
        """The same in types that JSON has; nothing is cut short."""
        return {
            **asdict(self),
            "ok": self.ok,
            "sizes": list(self.sizes),
            "pairs": [pair._asdict() for pair in self.pairs],
            "suspects": [suspect._asdict() for suspect in self.suspects],
        }


def check(path: str | os.PathLike[str], classifier: Classifier | None = None) -> Check:
    """Look through DATA.

    Duplicates are found on the images as a network sees them, 64×64: the same again in another
    size, format or quality; not a part of an image, a mirrored or a retouched one.

    Args:
        path: DATA, as ``datasets.load`` takes it.
        classifier: asked for its opinion of the labels, if there is one.

    Raises:
        UserError: it is no DATA, or the classifier tells other classes apart.
    """
    left_out: list[str] = []
    notes: list[str] = []
    loaded = dataset.load(path, on_problem=left_out.append, on_note=notes.append)
    parts = [part for part in loaded if part is not None]
    with opened(os.fspath(path)) as listing:
        widths, heights, small = _dimensions(listing, parts, left_out)
    return Check(
        parts={
            name: dict(
                zip(part.classes, np.bincount(part.labels, minlength=2).tolist(), strict=True)
            )
            for name, part in zip(
                ("train", "test") if len(parts) == 2 else ("all",), parts, strict=True
            )
        },
        left_out=left_out,
        others=[entry.name for entry in listing.others if not dataset.is_h5(entry.name)],
        notes=notes,
        pairs=_pairs(parts),
        sizes=(min(widths), max(widths), min(heights), max(heights)),
        small=small,
        model=None if classifier is None else classifier.name,
        suspects=[] if classifier is None else _suspects(classifier, parts),
    )


# ---- what is there twice


def _pairs(parts: Sequence[Dataset]) -> list[Pair]:
    where = [(part, i) for part in parts for i in range(len(part.images))]
    boundary = len(parts[0].images)

    def image(number: int) -> np.ndarray:
        part, i = where[number]
        return part.images[i]

    columns = zip(*(fingerprints(part.images) for part in parts), strict=True)
    found = []
    for a, b, exact in pairs(Fingerprints(*map(np.concatenate, columns)), image, boundary):
        (one, i), (other, j) = where[a], where[b]
        across = a < boundary <= b
        same_label = bool(one.labels[i] == other.labels[j])
        found.append(Pair(one.names[i], other.names[j], exact, across, same_label))
    return found


# ---- how large the images are in their files


def _dimensions(
    listing: Listing, parts: Sequence[Dataset], left_out: list[str]
) -> tuple[list[int], list[int], list[str]]:
    sizes: dict[str, tuple[int, int]] = {}
    sources = {entry.name: entry.source for entry in listing.images}
    for name in (name for part in parts for name in part.names):
        try:  # an image in an h5 file has no other size
            source = sources.get(name)
            sizes[name] = (SIZE, SIZE) if source is None else dimensions(source)
        except ImageError as error:  # it has changed since it was decoded
            left_out.append(f"{name}: {error}")
    if not sizes:
        raise UserError(f"{listing.path}: its images have gone meanwhile")
    widths, heights = (list(side) for side in zip(*sizes.values(), strict=True))
    return widths, heights, [name for name, size in sizes.items() if min(size) < SIZE]


# ---- what a model thinks of the labels


def _suspects(classifier: Classifier, parts: Sequence[Dataset]) -> list[Suspect]:
    from catnet.training.mlp import evaluate_on

    found = []
    labels, notes = match(classifier.classes, parts[0].classes)
    for note in notes:
        log(note)
    for part in parts:
        for mistake in evaluate_on(classifier, part).mistakes:
            truth = classifier.classes.index(mistake.truth)
            label = part.classes[labels.index(truth)]  # as the data calls it
            p = 1 - mistake.p_cat if truth else mistake.p_cat
            found.append(Suspect(mistake.name, label, classifier.classes[1 - truth], p))
    return sorted(found, key=lambda suspect: -suspect.p)


# ---- the printed report


def _table(title: str, rows: Iterator[str]) -> list[str]:
    listed = list(rows)
    more = [f"  and {len(listed) - SHOWN} more"] if len(listed) > SHOWN else []
    return [f"{title}: {len(listed)}", *(f"  {row}" for row in listed[:SHOWN]), *more]


def _pair_line(pair: Pair) -> str:
    note = "" if pair.same_label else "  (in different classes)"
    return f"{one_line(pair.first)}  =  {one_line(pair.second)}{note}"


def _suspect_line(suspect: Suspect) -> str:
    return f"{suspect.p:6.1%} {suspect.answer}, not {suspect.label}  {one_line(suspect.name)}"
