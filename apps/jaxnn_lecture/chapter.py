"""What a chapter is: the lecture's claims, and what was measured of each.

Texts are plain, with formulas between dollar signs (see :mod:`jaxnn_lecture.mathml`).  A chapter
has strings only, so that it can be kept as JSON between two runs.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from catnet.data.dataset import Dataset

# Loads the training part, the test part, and their source in words.
Images: TypeAlias = "Callable[[], tuple[Dataset, Dataset, str]]"


@dataclass(frozen=True)
class Settings:
    """What a chapter computes with.

    Attributes:
        numbers: its settings by name, from the chapter's defaults and ``--set``.
        load_images: loads the pictures; only chapters about pictures call it.
        sequences: the folder of ``--sequences``, with a folder for each real data set.
    """

    numbers: dict[str, Any]
    load_images: Images
    sequences: Path | None = None

    def __getitem__(self, name: str) -> Any:
        return self.numbers[name]

    def find_data(self, name: str) -> Path | None:
        """The folder of a real data set, or None where it is not given."""
        folder = self.sequences / name if self.sequences else None
        return folder if folder and folder.is_dir() else None


@dataclass(frozen=True)
class Figure:
    """A figure: one or several panels side by side, and a caption.

    Attributes:
        caption: what the reader sees.
        panels: SVG or HTML, from :mod:`jaxnn_lecture.plots` and :mod:`jaxnn_lecture.html`.
        scripts: names of files in ``scripts/`` that the panels need, without ``.js``.
        small: whether the panels are small pictures, many in a row.
    """

    caption: str
    panels: tuple[str, ...]
    scripts: tuple[str, ...] = ()
    small: bool = False


@dataclass(frozen=True)
class Claim:
    """One claim of the lecture, and the experiment about it.

    Attributes:
        lecture: the claim, in a sentence.
        measured: what the experiment gave, with numbers and units.
        holds: whether the claim is true of what was measured.
        formulas: LaTeX.
        figures: what was measured, drawn.
    """

    lecture: str
    measured: str
    holds: bool
    formulas: tuple[str, ...] = ()
    figures: tuple[Figure, ...] = ()


@dataclass(frozen=True)
class Chapter:
    """A chapter of the page: its name on the command line, title, first paragraph and claims."""

    name: str
    title: str
    introduction: str
    claims: tuple[Claim, ...]

    @property
    def holding(self) -> int:
        """The number of claims that hold."""
        return sum(claim.holds for claim in self.claims)


def to_json(chapter: Chapter) -> dict[str, Any]:
    """The chapter as a dict for JSON."""
    return dataclasses.asdict(chapter)


def from_json(fields: dict[str, Any]) -> Chapter:
    """The chapter of a dict from JSON.

    Example:
        >>> chapter = Chapter("x", "X", "", (Claim("a", "b", True, figures=(Figure("c", ()),)),))
        >>> import json
        >>> from_json(json.loads(json.dumps(to_json(chapter)))) == chapter
        True
    """
    return Chapter(**{**fields, "claims": tuple(map(_claim, fields["claims"]))})


def _claim(fields: dict[str, Any]) -> Claim:
    figures = (
        Figure(**{**one, "panels": tuple(one["panels"]), "scripts": tuple(one["scripts"])})
        for one in fields["figures"]
    )
    return Claim(**{**fields, "formulas": tuple(fields["formulas"]), "figures": tuple(figures)})
