"""Evaluate a classifier on a dataset."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from catnet.data.class_names import match
from catnet.data.dataset import Dataset
from catnet.evaluation.report import Evaluation, evaluate
from catnet.models.classifier import Classifier


def match_labels(
    classifier: Classifier, part: Dataset, aliases: Mapping[str, str] = MappingProxyType({})
) -> np.ndarray:
    """The labels of a dataset as labels of a classifier; see ``class_names.match``."""
    return np.array(match(classifier.classes, part.classes, aliases).labels)[part.labels]


def evaluate_on(
    classifier: Classifier, part: Dataset, aliases: Mapping[str, str] = MappingProxyType({})
) -> Evaluation:
    """Evaluate a classifier on a dataset, in the classifier's names of the classes.

    Raises:
        UserError: the classes of the data are not those of the model; see ``class_names.match``.
    """
    labels = match_labels(classifier, part, aliases)
    p = classifier.probabilities(part.images)
    return evaluate(labels, p, part.names, classifier.classes, classifier.threshold)
