"""What a photo model answers for the images of a cache: calibration, scores, checks."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from catnet.data.cache import Cache
from catnet.data.class_names import match
from catnet.data.split import TEST, VALIDATION, split
from catnet.errors import UserError
from catnet.evaluation.calibration import calibrate, calibration_weights
from catnet.evaluation.report import Evaluation, evaluate
from catnet.evaluation.source_probe import source_auc
from catnet.evaluation.temperature import calibrate_on
from catnet.models import registry
from catnet.models.classifier import Classifier
from catnet.models.features import features
from catnet.models.test_time_augmentation import views

Log = Callable[[str], None]

MIN_CALIBRATED = 20  # validation images of each class that a calibration needs
MIN_PROBED = 50  # images of each source that the source probe needs


def calibrate_classifier(classifier: Classifier, cache: Cache, log: Log) -> Classifier:
    """The model, calibrated on the validation part; unchanged where this part is too small."""
    indices = np.flatnonzero(split(cache.table) == VALIDATION)
    if len(cache.classes) > 2:
        labels = cache.table.labels[indices]
        return calibrate_on(classifier, cache.take(indices), labels, "validation part", log)
    labels, sources = cache.table.labels[indices], cache.table.sources[indices]
    counts = np.bincount(labels[calibration_weights(labels, sources) > 0], minlength=2).tolist()
    if min(counts) < MIN_CALIBRATED:
        each = zip(counts, cache.classes, strict=True)
        log(
            "probabilities are not calibrated: the validation part has "
            f"{' and '.join(f'{n} of {name}' for n, name in each)}, "
            f"and {MIN_CALIBRATED} of each are needed"
        )
        return classifier
    calibration = calibrate(classifier.logits(cache.take(indices)), labels, sources)
    return dataclasses.replace(classifier, **calibration._asdict())


class Answers(NamedTuple):
    """The answers of a model for the test images of a source.

    Attributes:
        indices: (n,) of the images in the cache.
        labels: (n,) of the model's classes.
        probabilities: (n, classes).
        names: of the images.
    """

    indices: np.ndarray
    labels: np.ndarray
    probabilities: np.ndarray
    names: list[str]

    def evaluate(self, classifier: Classifier) -> Evaluation:
        """Their evaluation."""
        rest = (self.names, classifier.classes, classifier.threshold)
        return evaluate(self.labels, self.probabilities, *rest)


def answer(
    classifier: Classifier,
    cache: Cache,
    log: Log,
    aliases: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, Answers]:
    """The answers of a model for the test part of every source of a cache.

    Raises:
        UserError: the classes are not the model's, or no source has images of both (of more than
            two classes, of any) in its test part.
    """
    fits = match(classifier.classes, cache.classes, aliases)
    many = len(cache.classes) > 2
    for note in fits.notes:
        log(note)
    answers, lacks, by_chance = {}, [], []
    test = split(cache.table) == TEST
    for source, name in enumerate(cache.sources):
        here = cache.table.sources == source
        indices = np.flatnonzero(test & here)
        labels = cache.table.labels[indices]
        absent = [its for label, its in enumerate(cache.classes) if label not in labels]
        if many and not len(labels):
            lacks.append(f"{name}: no score, since it has no images held out")
            by_chance += lacks[-1:]
            continue
        if absent and not many:
            lack = f"has {len(indices)} images held out, and no {' and no '.join(absent)}"
            lacks.append(f"{name}: no score, since it {lack} among them")
            by_chance += lacks[-1:] if len(set(cache.table.labels[here].tolist())) == 2 else []
            continue
        p = classifier.probabilities(cache.take(indices))
        names = [cache.table.names[i] for i in indices]
        labels = np.array(fits.labels)[labels]
        answers[name] = Answers(indices, labels, p, names)
    if not answers:
        raise UserError(f"{'; '.join(lacks)}; add images (100 of each class are enough)")
    for lack in by_chance:
        log(lack)
    return answers


def checks(classifier: Classifier, cache: Cache) -> dict[str, Any]:
    """Measure false positives on sources without class 1, and how separable the sources are.

    Returns:
        ``false_positives``: for every source without class 1 (cat), the share of its test part
        that the model classifies as class 1.  ``source_auc``: how well a linear classifier on the
        features separates the two largest sources, among the test images of class 0; 0.5 is
        chance.  Nothing for more than two classes.
    """
    if len(cache.classes) > 2:
        return {}
    test = split(cache.table) == TEST
    false_positives, others = {}, {}
    for source, name in enumerate(cache.sources):
        here = cache.table.sources == source
        indices = np.flatnonzero(test & here & (cache.table.labels == 0))
        if not cache.table.labels[here].any() and len(indices):
            p = classifier.probabilities(cache.take(indices))
            false_positives[name] = float(np.mean(p[:, 1] >= classifier.threshold))
        elif len(indices):
            others[name] = indices
    largest = sorted(others, key=lambda name: -len(others[name]))[:2]
    results: dict[str, Any] = {"false_positives": false_positives}
    if len(largest) == 2 and min(len(others[name]) for name in largest) >= MIN_PROBED:
        count = min(len(others[name]) for name in largest)
        sides = (classifier.geometry.size,)  # whole images
        indices = np.concatenate([others[name][:count] for name in largest])
        net, head, _ = registry.network(classifier.architecture)
        x = features(net[:head], classifier.params[:head], views(cache.take(indices), sides))
        results["source_auc"] = source_auc(x, np.repeat([0, 1], count))
    return results
