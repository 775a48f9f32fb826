"""What a training is measured on: its parts, its rule, and the scores of its weights."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from catnet.data import dataset
from catnet.data.dataset import Dataset
from catnet.errors import UserError
from catnet.evaluation.metrics import auc, cross_entropy
from catnet.terminal import log
from catnet.training.curves import TEST, VALIDATION, Rule
from catnet.training.descent import Scores

MEASURED = 1000  # training images whose accuracy is measured, at most


def divide(
    train_part: Dataset, test_part: Dataset, validation: float
) -> tuple[Dataset, Dataset, str]:
    """What is trained on, what is measured beside it, and the name of that part.

    Args:
        train_part: the training images.
        test_part: the test images; they are measured where there is no validation part.
        validation: the fraction of the training images that is the validation part.
    """
    if not validation:
        return train_part, test_part, TEST
    rest, measured = dataset.split(train_part, validation, part=VALIDATION)
    log(f"{len(measured.labels)} of these images are the validation part")
    return rest, measured, VALIDATION


def refuse_batch_size(batch_size: int | None, images: int) -> None:
    """Refuse a batch of more images than there are."""
    if (batch_size or 1) > images:
        raise UserError(f"--batch-size {batch_size}: there are {images} images only")


def make_rule(config: Any) -> Rule:
    """The rule of a config with the attributes ``validation``, ``patience``, ``extended_at``."""
    since = config.extended_at[-1] if config.extended_at else 0
    return Rule(bool(config.validation), config.patience, since)


def measure_with(
    logits: Callable[[Any, Any], Any], train: tuple[Any, np.ndarray], other: tuple[Any, np.ndarray]
) -> Scores:
    """Make the function that measures params: the training accuracy, and three scores.

    Args:
        logits: (params, inputs) → logits (n, 1) of two classes, or (n, classes).
        train: inputs and labels of the training images.
        other: those of the part beside.
    """

    def compute(params: Any, inputs: Any) -> np.ndarray:
        z = np.asarray(logits(params, inputs))
        return z[:, 0] if z.shape[1] == 1 else z

    def scores(params: Any) -> tuple[float, float, float, float]:
        accuracy = compute_accuracy(train[1], compute(params, train[0]))
        return accuracy, *compute_scores(other[1], compute(params, other[0]))

    return scores


def choose_measured(images: int) -> np.ndarray:
    """Indices of at most ``MEASURED`` of the training images, evenly spaced.

    Example:
        >>> choose_measured(3).tolist(), len(choose_measured(2500))
        ([0, 1, 2], 1000)
    """
    return np.linspace(0, images - 1, min(images, MEASURED)).astype(int)


def compute_accuracy(labels: np.ndarray, z: np.ndarray) -> float:
    """The accuracy of logits (n,) of class 1, or (n, classes)."""
    answers = z > 0 if z.ndim == 1 else np.argmax(z, axis=1)
    return float(np.mean(answers == labels))


def compute_scores(labels: np.ndarray, z: np.ndarray) -> tuple[float, float, float]:
    """Cost, accuracy and AUC of logits (n,) of class 1, or (n, classes)."""
    area = auc(labels, z) if z.ndim == 1 else math.nan
    return cross_entropy(labels, z), compute_accuracy(labels, z), area
