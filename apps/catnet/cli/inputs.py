"""Load the model and the data that are named on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from catnet.images.geometry import WHOLE, Geometry
from catnet.terminal import log, one_line, report_problem

if TYPE_CHECKING:
    from catnet.data.dataset import Dataset
    from catnet.models.classifier import Classifier


def load_model(name: str | None) -> Classifier:
    """Load the model of a name on the command line: a file, a run folder, or the shipped model."""
    from catnet.models.classifier import Classifier

    return Classifier.load(name and find_model(name))


def find_model(name: str) -> Path:
    """Find the file or run folder of a name on the command line."""
    from catnet.models.classifier import SHIPPED

    return SHIPPED if name == "shipped" and not Path(name).exists() else Path(name)


def load_data(
    source: str, all_classes: bool = False, geometry: Geometry = WHOLE
) -> tuple[Dataset, Dataset | None]:
    """Load the training and the test part of DATA; problems and notes go to stderr, one a line."""
    from catnet.data import dataset

    def leave_out(line: str) -> None:
        report_problem(one_line(f"left out: {line}"))

    def note(line: str) -> None:
        log(one_line(line))

    return dataset.load(source, leave_out, note, all_classes, geometry)


def load_parts(
    source: str | None, all_classes: bool = False, geometry: Geometry = WHOLE
) -> tuple[Dataset, Dataset, str]:
    """Load the training part, the test part, and their source in words; None: drawn sample."""
    from catnet.data import dataset, sample

    if source is None:
        train_part, test_part = (dataset.fit(part, geometry) for part in sample.load())
        return train_part, test_part, "drawn by a program, not photographed"
    train_part, test_part = load_data(source, all_classes, geometry)
    if test_part is None:
        train_part, test_part = dataset.split(train_part)
        log(
            f"{source} has no test part; {len(test_part.labels)} of its images become the test part"
        )
    return train_part, test_part, f"from {Path(source).resolve().name}"
