"""Divide images into training, validation and test parts by a hash of their pixels."""

from __future__ import annotations

import numpy as np

from catnet.data import duplicates
from catnet.data.table import Table

TRAIN, VALIDATION, TEST = range(3)
PARTS = ("train", "validation", "test")


def split(table: Table, validation: float = 0.06, test: float = 0.06) -> np.ndarray:
    """Assign every image to a part; near-duplicates are in the same part, also across sources.

    The hash of the pixels of a group decides.  So the order and the names of the images have no
    effect.  An image stays in its part when sources are added, unless a new source has a
    near-duplicate of it.  A group with an image that its source holds out is in the test part.

    Args:
        table: the images.
        validation: the fraction of the groups that select the weights and fit the calibration.
        test: the fraction of the groups that are used only for the final evaluation.

    Returns:
        (n,) int8: 0 train, 1 validation, 2 test.
    """
    if min(validation, test) < 0 or validation + test >= 1:
        raise ValueError(f"validation={validation} and test={test} leave no images for training")
    group = find_groups(table)
    u = _hash_to_unit(group)
    parts = np.where(u < test, TEST, np.where(u < test + validation, VALIDATION, TRAIN))
    parts[np.isin(group, group[table.held_out])] = TEST
    return parts.astype(np.int8)


def find_groups(table: Table) -> np.ndarray:
    """The smallest content hash in the group of each image, (n,) uint64."""
    prints = duplicates.Fingerprints(table.content, table.perceptual, table.thumbs)
    return duplicates.find_groups(prints)


def _hash_to_unit(hashes: np.ndarray) -> np.ndarray:
    """Map each hash to a number in [0, 1), with the last steps of SplitMix64."""
    z = hashes
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(11)) / 2**53
