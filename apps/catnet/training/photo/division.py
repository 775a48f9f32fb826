"""What a photo training takes from its data: a sampler, validation images, weights."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from catnet.data.cache import Cache
from catnet.data.class_names import LISTED, enumerate_names
from catnet.data.sampling import Sampler, make_sampler
from catnet.data.split import PARTS, TEST, TRAIN, VALIDATION, split
from catnet.errors import UserError
from catnet.training.class_weights import weigh_classes
from catnet.training.measuring import choose_measured, refuse_batch_size
from catnet.training.photo.config import PhotoConfig


class Division(NamedTuple):
    """What a training takes from its data.

    Attributes:
        parts: (n,) the part of each image: training, validation or test.
        sampler: of the training part.
        measured: the indices of the training images whose accuracy is measured.
        validation: the indices of the validation images.
        class_weights: (classes,) float64; None for equal weights.
    """

    parts: np.ndarray
    sampler: Sampler
    measured: np.ndarray
    validation: np.ndarray
    class_weights: np.ndarray | None


def divide(config: PhotoConfig, cache: Cache) -> Division:
    """Divide the images into the parts of a training.

    Raises:
        UserError: the sampling weights, the class weights or the batch size do not fit, or a part
            has too few images.
    """
    parts = split(cache.table)
    for part in (TRAIN, VALIDATION, TEST):
        _check_part(cache, parts, part)
    labels = cache.table.labels[parts == TRAIN]
    # Two classes are sampled equally often, and so balanced without weights.
    drawn = np.arange(2) if len(cache.classes) == 2 else labels
    class_weights = weigh_classes(config.class_weights, cache.classes, drawn)
    refuse_batch_size(config.batch_size, len(labels))
    weights = dict(config.sampling_weights)
    sampler = make_sampler(cache, parts == TRAIN, config.batch_size, weights, config.seed)
    measured = np.flatnonzero(parts == TRAIN)[choose_measured(len(labels))]
    validation = np.flatnonzero(parts == VALIDATION)
    return Division(parts, sampler, measured, validation, class_weights)


def _check_part(cache: Cache, parts: np.ndarray, part: int) -> None:
    """Refuse a part that lacks a class; validation and test need both classes of one source.

    With more than two classes, only the training part needs all of them.
    """
    here = parts == part
    labels, sources = cache.table.labels[here], cache.table.sources[here]
    present = set(labels.tolist())
    absent = [name for label, name in enumerate(cache.classes) if label not in present]
    if part != TRAIN and len(cache.classes) > 2 and len(labels):
        return
    both = any(len(set(labels[sources == source].tolist())) == 2 for source in np.unique(sources))
    if absent or (part != TRAIN and not both):
        lack = "has no source with both classes"
        if absent:
            many = len(absent) > LISTED
            lack = f"has no {enumerate_names(absent) if many else ' and no '.join(absent)}"
        raise UserError(
            f"{len(cache)} images are too few: the {PARTS[part]} part, {len(labels)} of them, "
            f"{lack}; add different images (100 of each class are enough), "
            "or use --from shipped without --model photo"
        )
