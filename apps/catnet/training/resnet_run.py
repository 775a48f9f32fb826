"""One training of the photo network as the command line asks for it: cache, run folder, scores."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from catnet.compile_cache import cache_folder
from catnet.data import cache as caches
from catnet.data.cache import Cache
from catnet.data.class_names import match
from catnet.data.split import TEST, VALIDATION, split
from catnet.data.textures import with_textures
from catnet.errors import UserError
from catnet.evaluation.calibration import calibrate, calibration_weights
from catnet.evaluation.metrics import Evaluation, evaluate
from catnet.evaluation.source_probe import source_auc
from catnet.models.classifier import Classifier
from catnet.models.features import divided, features
from catnet.training import run_folder
from catnet.training.resnet import Classes, PhotoConfig, divide, initial, train
from catnet.training.run_folder import Checkpoint, write_json

Log = Callable[[str], None]

VIEWS = (64, 44)  # what an answer is the mean of, see ``views``; chosen on validation data
MIN_CALIBRATED = 20  # validation images of each class, to fit a calibration to
MIN_PROBED = 50  # images of each source, to tell whether they can be told apart
EVERY = 30.0  # seconds between two saves of the state, which is some 20 MB


def run(
    sources: Sequence[str],
    configure: Callable[[int], PhotoConfig],
    folder: Path,
    *,
    cache_in: str | None,
    resume: bool,
    every: float,
    log: Log,
) -> dict[str, Evaluation]:
    """Train on sources, or go on in a run folder; write the model and its scores.

    The run folder has config.json, validation.jsonl, state.safetensors (to go on from),
    best.safetensors, and at the end model.safetensors and evaluation.json.

    Args:
        sources: zips, folders or h5 files.
        configure: gives the settings for a number of images.
        folder: a new one, or to resume one that ``run`` made.
        cache_in: where decoded images are kept.
        resume: go on from the state in the folder.
        every: seconds between two saves of the state.
        say: told of the progress.

    Returns:
        What the model does on the test part of every source, by name of the source.
    """
    if not sources:
        raise UserError("--model photo needs DATA: zips, folders or h5 files of photographs")
    place = Path(cache_in or cache_folder()).absolute()
    cache = caches.build(sources, place, _told(log))
    config = configure(len(cache))
    cache = with_textures(cache, config.textures)
    for line in cache.skipped:
        log(f"left out: {line}")
    for line in cache.notes:
        log(line)
    parts = divide(config, cache)
    columns = (getattr(cache.table, name) for name in HASHED)
    content = run_folder.digest(
        cache.sources, cache.strata, cache.fine_names, cache.fine_cats, *columns
    )
    goes_on = False
    if resume:
        run_folder.same_data(folder, ", ".join(sources), content)
        goes_on = run_folder.saved(folder)["step"] > 0
    # A model that was begun with is not needed once there is a state, and may have gone.
    begun = dataclasses.replace(config, begin_with="") if goes_on else config
    state = initial(begun, Classes.of(cache))
    if not resume:
        described = {
            "model": "photo",
            **asdict(config),
            "data": [str(Path(source).absolute()) for source in sources],
            "cache": str(place),
            "content": content,
            "sources": list(cache.sources),
        }
        run_folder.begin(folder, described)
    log(f"{len(cache)} images from {', '.join(cache.sources)}; the run is in {folder}")
    with run_folder.training_in(folder):
        with Checkpoint(folder, every) as checkpoint:
            params = train(config, cache, parts, state, checkpoint, log)
        classifier = _classifier(config, cache, params, folder.resolve().name)
        classifier = calibrated(classifier, cache, log)
        classifier.save(folder / "model.safetensors")
        results = scores(Classifier.load(folder), cache, log)
        described = {name: result.as_json() for name, result in results.items()}
        write_json(folder / "evaluation.json", {**described, **checks(classifier, cache)})
        run_folder.finish(folder)
    return results


# What of the table a training depends on: ``content`` is a hash of every image's pixels.
HASHED = ("content", "labels", "fine", "sources", "strata", "held_out")


def _classifier(config: PhotoConfig, cache: Cache, params: Any, name: str) -> Classifier:
    """The model of some weights, which are rounded to half precision: half the size."""
    classes = Classes.of(cache)
    half = jax.tree.map(lambda leaf: leaf.astype(jnp.float16), params)
    return Classifier(
        architecture={
            "model": "photo",
            "widths": list(config.widths),
            "blocks": list(config.blocks),
            "classes": len(classes.names),
            "cats": list(classes.cats),
            "views": list(VIEWS),
        },
        params=(*half, ()),
        classes=cache.classes,
        name=name,
        about=f"trained on {', '.join(cache.sources)}",
    )


def calibrated(classifier: Classifier, cache: Cache, log: Log) -> Classifier:
    """The model with a calibration from the validation part; as it is where that is too small."""
    numbers = np.flatnonzero(split(cache.table) == VALIDATION)
    labels, sources = cache.table.labels[numbers], cache.table.sources[numbers]
    counts = np.bincount(labels[calibration_weights(labels, sources) > 0], minlength=2).tolist()
    if min(counts) < MIN_CALIBRATED:
        (n_0, n_1), (first, second) = counts, cache.classes
        log(
            f"probabilities are not calibrated: the validation part has {n_0} of {first} and "
            f"{n_1} of {second}, and {MIN_CALIBRATED} of each are needed"
        )
        return classifier
    found = calibrate(classifier.logits(cache.take(numbers)), labels, sources)
    return dataclasses.replace(classifier, **found._asdict())


def scores(classifier: Classifier, cache: Cache, log: Log) -> dict[str, Evaluation]:
    """What a model does on the test part of every source of a cache, each by itself.

    Raises:
        UserError: the classes are not the model's, or no source has both in its test part.
    """
    fits = match(classifier.classes, cache.classes)
    for note in fits.notes:
        log(note)
    results, lacks, by_chance = {}, [], []
    held = split(cache.table) == TEST
    for source, name in enumerate(cache.sources):
        here = cache.table.sources == source
        numbers = np.flatnonzero(held & here)
        labels = cache.table.labels[numbers]
        absent = [its for label, its in enumerate(cache.classes) if label not in labels]
        if absent:
            lack = f"has {len(numbers)} images held out, and no {' and no '.join(absent)}"
            lacks.append(f"{name}: no score, since it {lack} among them")
            by_chance += lacks[-1:] if len(set(cache.table.labels[here].tolist())) == 2 else []
            continue
        p = classifier.probabilities(cache.take(numbers))
        names = [cache.table.names[i] for i in numbers]
        labels = np.array(fits.labels)[labels]
        results[name] = evaluate(labels, p, names, classifier.classes, classifier.threshold)
    if not results:
        raise UserError(f"{'; '.join(lacks)}; add images (100 of each class are enough)")
    for lack in by_chance:
        log(lack)
    return results


def checks(classifier: Classifier, cache: Cache) -> dict[str, Any]:
    """False positives where there are none of class 1, and whether sources can be told apart.

    Returns:
        ``false_positives``: of every source without class 1 (cat), the share of its test part
        that the model puts in it.  ``source_auc``: how well its features tell the two largest
        sources apart among the test images of class 0; 0.5 is not at all.
    """
    held = split(cache.table) == TEST
    false_positives, others = {}, {}
    for source, name in enumerate(cache.sources):
        here = cache.table.sources == source
        numbers = np.flatnonzero(held & here & (cache.table.labels == 0))
        if not cache.table.labels[here].any() and len(numbers):
            p = classifier.probabilities(cache.take(numbers))
            false_positives[name] = float(np.mean(p >= classifier.threshold))
        elif len(numbers):
            others[name] = numbers
    largest = sorted(others, key=lambda name: -len(others[name]))[:2]
    found: dict[str, Any] = {"false_positives": false_positives}
    if len(largest) == 2 and min(len(others[name]) for name in largest) >= MIN_PROBED:
        count = min(len(others[name]) for name in largest)
        numbers = np.concatenate([others[name][:count] for name in largest])
        body, kept, *_ = divided(classifier.architecture, classifier.params)
        seen = features(body, kept, cache.take(numbers))
        found["source_auc"] = source_auc(seen, np.repeat([0, 1], count))
    return found


def _told(log: Log) -> Callable[[str, int, int], None]:
    """Progress of decoding, a line for every tenth of a source."""
    last: dict[str, Any] = {}

    def progress(source: str, done: int, total: int) -> None:
        if last.get(source) != (tenth := done * 10 // max(total, 1)):
            last[source] = tenth
            log(f"decoding {source}: {done} of {total}")

    return progress
