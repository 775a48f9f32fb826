"""``catnet train``: train a network, resume a run, or fine-tune a trained model."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from catnet.cli.inputs import find_model, load_model, load_parts
from catnet.cli.options import (
    DATA_HELP,
    add_all_classes,
    add_network,
    class_weight,
    count,
    named_fraction,
    positive,
    seed,
)
from catnet.errors import UserError
from catnet.models.registry import DEFAULT_HIDDEN, LEARNING_RATES, OPTIMIZERS
from catnet.progress import make_progress_reporter
from catnet.terminal import log

HELP = "train a network; without DATA, on drawn images"
EXAMPLES = (
    "catnet train my-images --out runs/mine",
    "catnet train my-images --from shipped --freeze --out runs/fine-tuned",
    "catnet train --resume runs/mine",
)

# The options that are settings of a run: of every network, of the lecture's, of the photo network.
SETTINGS = ("model", "learning_rate", "steps", "batch_size", "seed", "class_weights")
LECTURE_SETTINGS = ("hidden", "activation", "optimizer", "gradient")
PHOTO_SETTINGS = ("sampling_weights", "textures", "precision")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    # No option has a default here: missing values come from the run that is resumed, or depend on
    # the model.
    parser.add_argument(
        "data", nargs="*", metavar="DATA", help=f"{DATA_HELP}; several for --model photo"
    )
    add_network(parser, (*DEFAULT_HIDDEN, "photo"))
    parser.add_argument(
        "--learning-rate",
        type=positive,
        metavar="α",
        help="default 0.0075; logistic 0.002; adam, adamw, rmsprop 0.001; photo 0.003",
    )
    parser.add_argument(
        "--steps",
        type=count,
        help="number of updates (default 2500; photo: 20 epochs, from 1000 to 12000 steps)",
    )
    parser.add_argument("--optimizer", choices=OPTIMIZERS, help="default gd: gradient descent")
    parser.add_argument(
        "--batch-size",
        type=count,
        metavar="N",
        help="examples a step (default all; photo at most 128)",
    )
    parser.add_argument(
        "--seed",
        type=seed,
        metavar="N",
        help="of the weights and the order of examples, below 2³² (default 1)",
    )
    parser.add_argument(
        "--gradient", choices=("hand", "jax"), help="backpropagation by hand (default), or jax.grad"
    )
    parser.add_argument(
        "--out", metavar="RUN", help="the folder to create for this run (default runs/MODEL-N)"
    )
    parser.add_argument(
        "--resume", metavar="RUN", help="resume a run that was stopped; no other option is needed"
    )
    parser.add_argument(
        "--save-every",
        type=positive,
        metavar="SECONDS",
        help="seconds between two checkpoints (default 5; photo 30)",
    )
    parser.add_argument(
        "--from",
        dest="from_model",
        metavar="MODEL",
        help="fine-tune a trained model (a file, a run folder, or the word shipped): it gets a new "
        "last layer for the classes of DATA; with --model photo, all of its weights are "
        "trained with augmentation",
    )
    parser.add_argument(
        "--freeze", action="store_true", help="with --from: train the new last layer only"
    )
    parser.add_argument(
        "--class-weights",
        type=class_weight,
        nargs="+",
        metavar="W",
        help="how much an example counts in the cost: the word balanced (every class counts the "
        "same in total), or CLASS=WEIGHT for some classes (the others have 1)",
    )
    add_all_classes(parser)
    photo = parser.add_argument_group("for --model photo")
    photo.add_argument("--cache", metavar="FOLDER", help="folder for decoded images")
    photo.add_argument(
        "--precision",
        choices=("float32", "bfloat16"),
        help="dtype of the computation (default float32); the parameters stay float32",
    )
    photo.add_argument(
        "--textures",
        type=count,
        metavar="N",
        help="add N drawn textures, such as noise and bricks, to the class non-cat",
    )
    photo.add_argument(
        "--sampling-weight",
        type=named_fraction,
        action="append",
        dest="sampling_weights",
        metavar="STRATUM=P",
        help="sampling weight: the fraction P of every batch that comes from a stratum of a source",
    )


def run(options: argparse.Namespace) -> int:
    """Train, write the run folder, print the evaluation."""
    from catnet.training import run_folder

    if options.from_model and options.model != "photo":
        return _fine_tune(options)
    if options.freeze:
        raise UserError("--freeze is for --from MODEL without --model photo")
    resumed = Path(options.resume) if options.resume else None
    config = _read_config(resumed) if resumed else {}
    model = config.get("model") or options.model or "deep"
    options.class_weights = _class_weights(options.class_weights)
    settings = {"model": model, **_settings(options, model)}
    if resumed:
        _refuse_contradictions(resumed, config, settings, options.out)
        if run_folder.read_progress(resumed)["finished"]:
            log(f"{resumed} is finished already; nothing was changed")
            return 0
    folder = resumed or run_folder.choose_folder(options.out, model)
    train = _train_photo if model == "photo" else _train_lecture
    return train(options, folder, config, settings)


def _class_weights(values: list[Any] | None) -> Any:
    """The setting ``class_weights`` of the values of ``--class-weights``."""
    if not values or values == ["balanced"]:
        return "balanced" if values else None
    if "balanced" in values:
        raise UserError("--class-weights: give either the word balanced, or CLASS=WEIGHT")
    return tuple(values)


def _read_config(folder: Path) -> dict[str, Any]:
    """Read the config of a run to resume."""
    from catnet.training import run_folder

    config = run_folder.read_config(folder)
    for model, what in (("fine-tuning", "a fine-tuning"), ("sweep", "a sweep")):
        if config.get("model") == model:
            raise UserError(
                f"--resume {folder}: {what} has no checkpoint to resume; start a new one"
            )
    return config


def _settings(options: argparse.Namespace, model: str) -> dict[str, Any]:
    """The settings among the options.

    Raises:
        UserError: an option is not for this network.
    """
    photo = model == "photo"
    for name in LECTURE_SETTINGS if photo else (*PHOTO_SETTINGS, "cache"):
        if getattr(options, name) is not None:
            how = "not for --model photo" if photo else "for --model photo only"
            raise UserError(f"{_flag(name)} is {how}")
    if not photo and len(options.data) > 1:
        raise UserError("several DATA are for --model photo only")
    names = (*SETTINGS, *(PHOTO_SETTINGS if photo else LECTURE_SETTINGS))
    settings = _options_set(options, names)
    return settings | (_from_model(options.from_model) if options.from_model else {})


def _options_set(options: argparse.Namespace, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: value for name in names if (value := getattr(options, name)) is not None}


def _from_model(name: str) -> dict[str, Any]:
    """The settings of a photo training with the weights, and so the layers, of a model."""
    described = load_model(name).architecture
    if described["model"] != "photo":
        raise UserError(
            f"--from {name}: is a {described['model']} network, not photo; leave --model photo out "
            "to fine-tune it"
        )
    layers = {key: tuple(described[key]) for key in ("widths", "blocks")}
    return {"from_model": str(find_model(name).absolute()), **layers}


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
                f"{_flag(name)}: {folder} was started {how}; leave it out, or start a new run"
            )


def _flag(name: str) -> str:
    flags = {"sampling_weights": "--sampling-weight", "from_model": "--from"}
    return flags.get(name, f"--{name.replace('_', '-')}")


def _train_lecture(
    options: argparse.Namespace, folder: Path, config: dict[str, Any], settings: dict[str, Any]
) -> int:
    """Train one of the lecture's networks."""
    from catnet.models import registry
    from catnet.training import run_folder
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
        how = Config(**{**settings, "hidden": tuple(settings["hidden"])})
    registry.build(how.architecture)  # refuse a wrong network before anything is created
    data = options.data[0] if options.data else config.get("data")
    # Absolute, so that a run can be resumed from another folder, with the same image names.
    data = data and str(Path(data).absolute())
    all_classes = options.all_classes or config.get("all_classes", False)
    train_part, test_part, source = load_parts(data, all_classes)
    how = how if config else replace(how, class_count=len(train_part.classes))
    source = config.get("source", source)
    log(f"training on {len(train_part.labels)} images, {source}")
    costs, result = train_run(
        folder,
        how,
        train_part,
        test_part,
        source,
        make_progress_reporter(
            how.steps, run_folder.read_progress(folder)["step"] if config else 0
        ),
        data=data,
        all_classes=all_classes,
        resume=bool(config),
        every=options.save_every or run_folder.EVERY,
    )
    log(f"cost {costs[0]:.4f} → {costs[-1]:.4f} in {len(costs)} steps; the run is in {folder}")
    print(result)
    return 0


def _default_learning_rate(model: str, optimizer: str) -> float:
    """A learning rate that usually works on images divided by 255."""
    return 0.001 if optimizer in ("adam", "adamw", "rmsprop") else LEARNING_RATES[model]


def _train_photo(
    options: argparse.Namespace, folder: Path, config: dict[str, Any], settings: dict[str, Any]
) -> int:
    """Train the photo network on one or several sources."""
    from catnet.training import run_folder
    from catnet.training.resnet import PhotoConfig
    from catnet.training.resnet_run import EVERY, run

    photo = {name: value for name, value in settings.items() if name != "model"}
    photo["sampling_weights"] = tuple(photo.get("sampling_weights", ()))

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


def _fine_tune(options: argparse.Namespace) -> int:
    """Fine-tune a trained model: a new last layer for the classes of DATA."""
    from catnet.training import finetune, run_folder

    for name in ("model", *LECTURE_SETTINGS, *PHOTO_SETTINGS, "cache", "resume", "save_every"):
        if getattr(options, name) is not None:
            raise UserError(f"{_flag(name)} is not for --from")
    if len(options.data) != 1:
        raise UserError("--from MODEL needs one DATA, such as a folder with two class folders")
    model = load_model(options.from_model)
    options.class_weights = _class_weights(options.class_weights)
    names = ("learning_rate", "steps", "batch_size", "seed", "class_weights")
    settings = _options_set(options, names)
    config = finetune.FineTuning(freeze=options.freeze, **settings)
    folder = run_folder.choose_folder(options.out, "fine-tuning")
    train_part, test_part, source = load_parts(options.data[0], options.all_classes)
    images = len(train_part.labels)
    log(f"from {model.name}, training on {images} images, {source}")
    if (options.batch_size or 0) > images:
        raise UserError(f"--batch-size {config.batch_size}: there are {images} images only")

    def phase(title: str) -> Callable[[int, float], None]:
        return make_progress_reporter(config.steps, title=f"{title}  ")

    parts, parent = (train_part, test_part, source), find_model(options.from_model)
    result = finetune.run(folder, config, model, *parts, phase, parent)
    log(f"the run is in {folder}")
    print(result)
    return 0
