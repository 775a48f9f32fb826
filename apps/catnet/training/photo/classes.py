"""The fine classes that the photo network is trained on."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from catnet.data.cache import Cache
from catnet.training.soft_labels import SoftLabels


class Classes(NamedTuple):
    """The fine classes that the network is trained on, and which of them are cats.

    With more than two classes, these are the fine classes, and there are no cats.
    """

    names: tuple[str, ...]
    cats: tuple[int, ...]
    fine: (
        np.ndarray
    )  # (n,) fine class of every image, −1 where unknown; or (n, classes) soft labels

    @staticmethod
    def of(cache: Cache, soft: SoftLabels | None = None) -> Classes:
        """The fine classes of the data; the classes themselves, where it has none.

        With soft labels, the classes of the teacher.
        """
        if soft is not None:
            return Classes(soft.names, soft.cats, soft.of(cache.table.content))
        if len(cache.classes) > 2:
            return Classes(cache.classes, (), cache.table.labels)
        if cache.fine_names:
            return Classes(cache.fine_names, cache.fine_cats, cache.table.fine)
        return Classes(cache.classes, (1,), cache.table.labels)

    def soften(self, labels: np.ndarray) -> np.ndarray:
        """The target of the cat label, (n,): with soft labels, its mean with the teacher's."""
        if self.fine.ndim == 1:
            return labels
        cats = self.fine[:, self.cats].sum(axis=1, dtype=np.float32)
        known = self.fine.sum(axis=1, dtype=np.float32) > 0
        return np.where(known, (labels + cats) / 2, labels).astype(np.float32)
