"""``catnet train``: train a network, resume or extend a run, or fine-tune a trained model."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from catnet.cli.inputs import find_model, load_model, load_parts
from catnet.cli.train_options import add_arguments as add_arguments
from catnet.cli.train_settings import (
    FINE_TUNING,
    LECTURE,
    PHOTO,
    collect_settings,
    find_kind,
    name_option,
    parse_class_weights,
)
from catnet.errors import UserError
from catnet.images.geometry import WHOLE, Geometry
from catnet.models.registry import DEFAULT_HIDDEN, LEARNING_RATES
from catnet.progress import make_progress_reporter
from catnet.terminal import log

if TYPE_CHECKING:
    from catnet.training.dataset_run import Images

HELP = "train a network; without DATA, on drawn images"
DESCRIPTION = (
    "Train a network; without DATA, on drawn images. The run folder has config.json, "
    "metrics.csv, curves.png, evaluation.json, answers.csv, confusion.png, mistakes.png, "
    "model.safetensors, learnt.npy, and state.safetensors to resume from."
)
EXAMPLES = (
    "catnet train my-images --out runs/mine",
    "catnet train my-images --from shipped --freeze --out runs/fine-tuned",
    "catnet train --resume runs/mine",
)


def run(options: argparse.Namespace) -> int:
    """Train, write the run folder, print the evaluation."""
    from catnet.training import checkpoints, run_folder

    resumed = Path(options.resume) if options.resume else None
    config = _read_config(resumed) if resumed else {}
    kind = find_kind(options, config)
    model = config.get("model") or options.model or "deep"
    options.class_weights = parse_class_weights(options.class_weights)
    settings = collect_settings(options, kind)
    if resumed:
        steps, before = settings.pop("steps", None), config
        _refuse_contradictions(resumed, config, settings, options.out)
        if steps:
            config = checkpoints.plan_extension(resumed, steps)
        if checkpoints.is_finished(resumed) and config == before:
            log(f"{resumed} is finished already; nothing was changed; --steps N extends it")
            return 0
    folder = resumed or run_folder.choose_folder(
        options.out, FINE_TUNING if kind == FINE_TUNING else model
    )
    if kind == LECTURE:
        settings = {"model": model, **settings}
    train = {LECTURE: _train_lecture, PHOTO: _train_photo, FINE_TUNING: _fine_tune}[kind]
    return train(options, folder, config, settings)


def _read_config(folder: Path) -> dict[str, Any]:
    """Read the config of a run to resume."""
    from catnet.training import run_folder

    config = run_folder.read_config(folder)
    if config.get("model") == "sweep":
        raise UserError(f"--resume {folder}: a sweep has no checkpoint to resume; start a new one")
    if "extended_at" not in config:
        raise UserError(f"--resume {folder}: is a run of another catnet; start a new one")
    return config


def _refuse_contradictions(
    folder: Path, config: dict[str, Any], settings: dict[str, Any], out: str | None
) -> None:
    """Refuse options that contradict the config of a resumed run."""
    if out is not None:
        raise UserError("--out: a resumed run stays in its folder; do not give --out")
    for name, value in settings.items():
        original = config.get(name)
        if json.loads(json.dumps(value)) != original:
            how = f"with {original}" if original else "without it"
            raise UserError(
                f"{name_option(name)}: {folder} was started {how}; leave it out, or start a new run"
            )


def _train_lecture(
    options: argparse.Namespace, folder: Path, config: dict[str, Any], settings: dict[str, Any]
) -> int:
    """Train one of the lecture's networks."""
    from catnet.models import registry
    from catnet.training import checkpoints, descent, run_folder
    from catnet.training.memory import refuse_too_large
    from catnet.training.mlp import Config, train_run

    if config:
        how = run_folder.read_settings(Config, config)
    else:
        model, optimizer = settings["model"], settings.get("optimizer", "gd")
        defaults = {
            "hidden": DEFAULT_HIDDEN[model],
            "activation": "relu",
            "learning_rate": _default_learning_rate(model, optimizer),
            "steps": 2500,
        }
        settings = {**defaults, **settings}
        every = descent.choose_every(settings["steps"])
        how = Config(**{**settings, "validate_every": every})
    # Refuse a wrong network before anything is created.
    refuse_too_large(registry.build(how.architecture))
    if how.dropout and not how.hidden:
        raise UserError(
            f"--dropout {how.dropout:g}: a {how.model} network has no hidden units; leave it out, "
            "or choose --model shallow or deep"
        )
    images = _load(options, config)
    how = how if config else replace(how, class_count=len(images.train.classes))
    log(f"training on {len(images.train.labels)} images, {images.source}")
    curves, result = train_run(
        folder,
        how,
        images,
        make_progress_reporter(
            how.steps, checkpoints.read_progress(folder)["step"] if config else 0
        ),
        resume=bool(config),
        every=options.save_every or checkpoints.EVERY,
    )
    costs = curves.costs
    log(f"cost {costs[0]:.4f} → {costs[-1]:.4f} in {len(costs)} steps; the run is in {folder}")
    print(result)
    return 0


def _load(
    options: argparse.Namespace, config: dict[str, Any], geometry: Geometry = WHOLE
) -> Images:
    """The images of DATA, or of that of a resumed run."""
    from catnet.training.dataset_run import Images

    data = options.data[0] if options.data else config.get("data")
    # Absolute, so that a run can be resumed from another folder, with the same image names.
    data = data and str(Path(data).absolute())
    all_classes = options.all_classes or config.get("all_classes", False)
    train_part, test_part, source = load_parts(data, all_classes, geometry)
    return Images(train_part, test_part, config.get("source", source), data, all_classes)


def _default_learning_rate(model: str, optimizer: str) -> float:
    """A learning rate that usually works on images divided by 255."""
    return 0.001 if optimizer in ("adam", "adamw", "rmsprop") else LEARNING_RATES[model]


def _train_photo(
    options: argparse.Namespace, folder: Path, config: dict[str, Any], settings: dict[str, Any]
) -> int:
    """Train the photo network on one or several sources."""
    from catnet.training import run_folder
    from catnet.training.photo.config import PhotoConfig
    from catnet.training.photo.run import EVERY, run

    photo = {name: value for name, value in settings.items() if name != "model"}
    for name in ("sampling_weights", "leave_out"):
        photo[name] = tuple(photo.get(name, ()))

    def configure(images: int) -> PhotoConfig:
        if config:
            return run_folder.read_settings(PhotoConfig, config)
        return PhotoConfig.for_images(images + photo.get("textures", 0), **photo)

    results = run(
        options.data or config.get("data", []),
        configure,
        folder,
        cache_in=options.cache or config.get("cache"),
        all_classes=options.all_classes or config.get("all_classes", False),
        resume=bool(config),
        every=options.save_every or EVERY,
        log=log,
    )
    for name, result in results.items():
        print(f"\ntest part of {name}\n{result}")
    return 0


def _fine_tune(
    options: argparse.Namespace, folder: Path, config: dict[str, Any], settings: dict[str, Any]
) -> int:
    """Fine-tune a trained model: a new last layer for the classes of DATA."""
    from catnet.training import checkpoints, run_folder
    from catnet.training.finetuning.config import STEPS, FineTuning, choose_every
    from catnet.training.finetuning.run import run
    from catnet.training.measuring import refuse_batch_size

    name = options.from_model or config["from_model"]
    settings.pop("from_model", None)
    if config:
        how = run_folder.read_settings(FineTuning, config)
    else:
        every = choose_every(settings.get("steps", STEPS))
        how = FineTuning(**{"freeze": False, "validate_every": every, **settings})
        if not options.data:
            raise UserError("--from MODEL needs one DATA, such as a folder with two class folders")
    model = load_model(name)
    images = _load(options, config, model.geometry)
    log(f"from {model.name}, training on {len(images.train.labels)} images, {images.source}")
    refuse_batch_size(settings.get("batch_size"), len(images.train.labels))
    done = checkpoints.read_progress(folder)["step"] if config else 0

    def report_of(title: str) -> Callable[[int, float], None]:
        return make_progress_reporter(how.steps, done, title=f"{title}  ")

    result = run(
        folder,
        how,
        model,
        images,
        report_of=report_of,
        parent=find_model(name),
        resume=bool(config),
        every=options.save_every or checkpoints.EVERY,
    )
    log(f"the run is in {folder}")
    print(result)
    return 0
