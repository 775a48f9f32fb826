"""The table of decoded images: one row an image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Table:
    """The properties of n images, one row each.

    Attributes:
        labels: (n,) int16, index into ``Cache.classes``.
        fine: (n,) int16, index into ``Cache.fine_names``; -1 where unknown.
        sources: (n,) int16, index into ``Cache.sources``.
        strata: (n,) int16, index into ``Cache.strata``: source and kind of image.
        held_out: (n,) bool, whether the image is in the test part of its source.
        content: (n,) uint64, a hash of the pixels of the whole image at 64×64, whatever the
            geometry: so it is in the same part (training, validation, test) for every network.
        perceptual: (n,) uint64, perceptual hashes; those of near-duplicates differ in few bits.
        thumbs: (n, 8, 8, 3) uint8, thumbnails.
        names: the n names in messages.
    """

    labels: np.ndarray
    fine: np.ndarray
    sources: np.ndarray
    strata: np.ndarray
    held_out: np.ndarray
    content: np.ndarray
    perceptual: np.ndarray
    thumbs: np.ndarray
    names: list[str]

    def __len__(self) -> int:
        return len(self.names)
