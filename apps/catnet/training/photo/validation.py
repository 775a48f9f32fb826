"""The logits of the validation images, and their scores."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

import jaxnn
from catnet.data.cache import Cache
from catnet.evaluation.metrics import auc, balanced_accuracy, cross_entropy
from catnet.models.resnet import log_odds
from catnet.training.augmentation.augment import prepare
from catnet.training.measuring import compute_accuracy
from catnet.training.photo.classes import Classes
from catnet.training.photo.config import PhotoConfig
from catnet.training.photo.state import (
    network,
)

BATCH = 256  # images in one validation batch


class Validation(NamedTuple):
    """Logits of the validation images, (n,) or (n, classes), with their labels and sources."""

    z: np.ndarray
    labels: np.ndarray
    sources: np.ndarray

    def scores(self, names: tuple[str, ...]) -> dict[str, dict[str, float]]:
        """AUC and balanced accuracy of every source that has both labels.

        With more than two classes, accuracy and balanced accuracy of every source.
        """
        scores = {}
        for source, name in enumerate(names):
            here = self.sources == source
            if self.z.ndim == 2:
                if not here.any():
                    continue
                labels, answers = self.labels[here], np.argmax(self.z[here], axis=1)
                scores[name] = {
                    "accuracy": float(np.mean(labels == answers)),
                    "balanced_accuracy": balanced_accuracy(labels, answers),
                }
            elif len(set(self.labels[here].tolist())) == 2:
                scores[name] = {
                    "auc": auc(self.labels[here], self.z[here]),
                    "balanced_accuracy": balanced_accuracy(self.labels[here], self.z[here] >= 0),
                }
        return scores

    def score(self, names: tuple[str, ...], scores: dict[str, dict[str, float]]) -> float:
        """The score that selects the best weights: mean AUC, weighted by √images of a source.

        With more than two classes, the mean accuracy.

        Args:
            names: of the sources.
            scores: of ``scores``.
        """
        sizes = [np.count_nonzero(self.sources == names.index(name)) for name in scores]
        metric = "accuracy" if self.z.ndim == 2 else "auc"
        values = [of_source[metric] for of_source in scores.values()]
        return float(np.average(values, weights=np.sqrt(sizes)))

    def measure(self, score: float) -> tuple[float, float, float]:
        """Cost, accuracy and AUC of a ``Measure``; the score is the last that there is."""
        cost = cross_entropy(self.labels, self.z)
        if self.z.ndim == 2:
            return cost, score, math.nan
        return cost, compute_accuracy(self.labels, self.z), score


def compile_logits(
    config: PhotoConfig, classes: Classes
) -> Callable[[Any, Cache, np.ndarray], np.ndarray]:
    """(params, cache, indices of images) → logits of class 1, (n,), or of all classes."""
    count = len(classes.names)
    head = [log_odds(classes.cats, count)] if classes.cats else []
    net = jaxnn.serial(network(config, count), *head)
    rest = ((),) * len(head)
    apply = jax.jit(lambda params, images: net.apply((params, *rest), prepare(images)))

    def logits(params: Any, cache: Cache, indices: np.ndarray) -> np.ndarray:
        z = []
        for at in range(0, len(indices), BATCH):
            part = indices[at : at + BATCH]
            padded = np.resize(part, BATCH)  # a shorter last batch would be compiled by itself
            z.append(np.asarray(apply(params, cache.take(padded)))[: len(part)])
        logits = np.concatenate(z)
        return logits[:, 0] if classes.cats else logits

    return logits
