"""Which images are learnt from, chosen by, and tested on: decided by hash, once and for all."""

from __future__ import annotations

import numpy as np

from catnet.data import duplicates
from catnet.data.cache import Table

TRAIN, VALIDATION, TEST = range(3)
PARTS = ("train", "validation", "test")


def split(table: Table, validation: float = 0.06, test: float = 0.06) -> np.ndarray:
    """Give every image its part; near-duplicates get the same one, whatever their source.

    The hash of a group's pixels decides, so neither the order of images nor their names
    matter, and an image keeps its part when sources are added, unless one of them has its
    near-duplicate.  A group with an image that its source holds out is test.

    Args:
        table: the images.
        validation: share of the groups that choose the best weights and the calibration.
        test: share of the groups that only the final numbers are computed on.

    Returns:
        (n,) int8: 0 train, 1 validation, 2 test.
    """
    if min(validation, test) < 0 or validation + test >= 1:
        raise ValueError(f"shares {validation} and {test} leave nothing to train on")
    group = groups(table)
    place = _uniform(group)
    parts = np.where(place < test, TEST, np.where(place < test + validation, VALIDATION, TRAIN))
    parts[np.isin(group, group[table.held_out])] = TEST
    return parts.astype(np.int8)


def groups(table: Table) -> np.ndarray:
    """The smallest content hash among an image's near-duplicates and itself, (n,) uint64."""
    prints = duplicates.Fingerprints(table.content, table.perceptual, table.thumbs)
    return duplicates.groups(prints)


def _uniform(hashes: np.ndarray) -> np.ndarray:
    """Each hash scrambled to a number in [0, 1) (the last steps of SplitMix64)."""
    z = hashes
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(11)) / 2**53
