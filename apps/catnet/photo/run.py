"""One training of the photo network as the command line asks for it: cache, run folder, scores."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from catnet.classifier import Classifier
from catnet.errors import UserError
from catnet.evaluate import Evaluation, evaluate
from catnet.photo import cache as caches
from catnet.photo.cache import Cache
from catnet.photo.split import TEST, split
from catnet.photo.train import Classes, PhotoConfig, calibrate, train
from catnet.train import new_run_folder, write_json

Say = Callable[[str], None]


def run(
    sources: Sequence[str],
    config: PhotoConfig,
    out: str | None,
    resume: str | None,
    cache_folder: str | None,
    say: Say,
) -> dict[str, Evaluation]:
    """Train on sources, or go on in a run folder; write the model and its scores.

    The run folder has config.json, validation.jsonl, state.safetensors (to go on from),
    best.safetensors, and at the end model.safetensors and evaluation.json.

    Returns:
        What the model does on the test part of every source, by name of the source.
    """
    if not sources:
        raise UserError("--model photo needs DATA: zips, folders or h5 files of photographs")
    cache = caches.build(sources, cache_folder or default_cache(), _told(say))
    for line in cache.skipped:
        say(f"left out: {line}")
    folder = Path(resume) if resume else new_run_folder(out, "photo")
    if resume and not (folder / "config.json").is_file():
        raise UserError(f"--resume {folder}: is not a run folder")
    write_json(folder / "config.json", {**asdict(config), "sources": list(cache.sources)})
    say(f"{len(cache)} pictures from {', '.join(cache.sources)}; the run is in {folder}")
    params, validation = train(config, cache, folder, say)
    slope, offset = calibrate(validation)
    classes = Classes.of(cache)
    half = jax.tree.map(lambda leaf: leaf.astype(jnp.float16), params)  # half the size
    classifier = Classifier(
        architecture={
            "model": "photo",
            "widths": list(config.widths),
            "blocks": list(config.blocks),
            "classes": len(classes.names),
            "cats": list(classes.cats),
        },
        params=(*half, ()),
        classes=("non-cat", "cat"),
        name=folder.name,
        about=f"trained on {', '.join(cache.sources)}",
        slope=slope,
        offset=offset,
    )
    classifier.save(folder / "model.safetensors")
    results = scores(Classifier.load(folder), cache)
    write_json(folder / "evaluation.json", {name: r.as_json() for name, r in results.items()})
    return results


def scores(classifier: Classifier, cache: Cache) -> dict[str, Evaluation]:
    """What a model does on the test part of every source of a cache, each by itself."""
    results = {}
    held = split(cache.table) == TEST
    for source, name in enumerate(cache.sources):
        numbers = np.flatnonzero(held & (cache.table.sources == source))
        labels = cache.table.labels[numbers]
        if len(set(labels.tolist())) == 2:
            p = classifier.probabilities(cache.take(numbers))
            names = [cache.table.names[i] for i in numbers]
            results[name] = evaluate(labels, p, names, classifier.classes, classifier.threshold)
    return results


def default_cache() -> Path:
    """Where decoded pictures are kept unless the command line says otherwise."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "catnet"


def _told(say: Say) -> Callable[[str, int, int], None]:
    """Progress of decoding, a line for every tenth of a source."""
    last: dict[str, Any] = {}

    def progress(source: str, done: int, total: int) -> None:
        if last.get(source) != (tenth := done * 10 // max(total, 1)):
            last[source] = tenth
            say(f"decoding {source}: {done} of {total}")

    return progress
