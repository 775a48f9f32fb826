"""``catnet train``: train a network, resume a run, or fine-tune a trained model."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from catnet.cli.inputs import find_model, load_model, load_parts
from catnet.cli.options import DATA_HELP, add_network, count, named_share, positive, seed
from catnet.errors import UserError
from catnet.models.registry import DEFAULT_HIDDEN, LEARNING_RATES, OPTIMIZERS
from catnet.terminal import log, progress_line

HELP = "train a network; without DATA, on drawn images"

# The options that are settings of a run: of every network, of the lecture's, of the photo network.
SETTINGS = ("model", "learning_rate", "steps", "batch_size", "seed")
LECTURE_SETTINGS = ("hidden", "activation", "optimizer", "gradient")
PHOTO_SETTINGS = ("shares", "textures", "precision")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    # No option has a default here: what is not given is filled in from the run that is resumed,
    # or from the kind of model.
    parser.add_argument(
        "data", nargs="*", metavar="DATA", help=f"{DATA_HELP}; several for --model photo"
    )
    add_network(parser, (*DEFAULT_HIDDEN, "photo"))
    parser.add_argument(
        "--learning-rate",
        type=positive,
        metavar="α",
        help="default 0.0075; 0.002 for logistic, 0.001 for adam, adamw, rmsprop; photo 0.003",
    )
    parser.add_argument(
        "--steps",
        type=count,
        help="updates (default 2500; photo: every image 20 times, from 1000 to 12000 steps)",
    )
    parser.add_argument("--optimizer", choices=OPTIMIZERS, help="default gd: gradient descent")
    parser.add_argument(
        "--batch-size",
        type=count,
        metavar="N",
        help="examples a step (default all; photo 128 at most)",
    )
    parser.add_argument(
        "--seed", type=seed, metavar="N", help="of weights and order, below 2³² (default 1)"
    )
    parser.add_argument(
        "--gradient", choices=("hand", "jax"), help="backpropagation by hand (default), or jax.grad"
    )
    parser.add_argument(
        "--out", metavar="RUN", help="the new folder of this run (default runs/MODEL-N)"
    )
    parser.add_argument(
        "--resume", metavar="RUN", help="continue a run that was stopped; needs nothing else"
    )
    parser.add_argument(
        "--save-every",
        type=positive,
        metavar="SECONDS",
        help="between two saves of the state to resume from (default 5; photo 30)",
    )
    parser.add_argument(
        "--from",
        dest="from_model",
        metavar="MODEL",
        help="fine-tune a trained model (a file, a run folder, or the word shipped): it gets a new "
        "last layer for the two classes of DATA; with --model photo, all of its weights are "
        "trained with augmentation",
    )
    parser.add_argument(
        "--freeze", action="store_true", help="with --from: train the new last layer only"
    )
    photo = parser.add_argument_group("for --model photo")
    photo.add_argument("--cache", metavar="FOLDER", help="where decoded images are kept")
    photo.add_argument(
        "--precision",
        choices=("float32", "bfloat16"),
        help="what the network computes in (default float32); its parameters stay float32",
    )
    photo.add_argument(
        "--textures",
        type=count,
        metavar="N",
        help="add drawn images of nothing, such as noise and bricks, to the class non-cat",
    )
    photo.add_argument(
        "--share",
        type=named_share,
        action="append",
        dest="shares",
        metavar="STRATUM=P",
        help="sampling weight: the share of every batch from one kind of image of one source",
    )


def run(options: argparse.Namespace) -> int:
    """Train, write the run folder, print how good the model is."""
    from catnet.training import run_folder

    if options.from_model and options.model != "photo":
        return _fine_tune(options)
    if options.freeze:
        raise UserError("--freeze is for --from MODEL without --model photo")
    resumed = Path(options.resume) if options.resume else None
    config = _read_config(resumed) if resumed else {}
    model = config.get("model") or options.model or "deep"
    settings = {"model": model, **_settings(options, model)}
    if resumed:
        _refuse_contradictions(resumed, config, settings, options.out)
        if run_folder.saved(resumed)["finished"]:
            log(f"{resumed} is finished; nothing is changed")
            return 0
    folder = resumed or run_folder.vacant(options.out, model)
    train = _train_photo if model == "photo" else _train_lecture
    return train(options, folder, config, settings)


def _read_config(folder: Path) -> dict[str, Any]:
    """The config of a run that is to be resumed."""
    from catnet.training import run_folder

    config = run_folder.config_of(folder)
    for model, what in (("transfer", "a fine-tuning is short"), ("sweep", "a sweep has no state")):
        if config.get("model") == model:
            raise UserError(f"--resume {folder}: {what} and cannot be resumed; begin a new one")
    return config


def _settings(options: argparse.Namespace, model: str) -> dict[str, Any]:
    """The settings that are given; those that the network has no use for are mistakes."""
    photo = model == "photo"
    for name in LECTURE_SETTINGS if photo else (*PHOTO_SETTINGS, "cache"):
        if getattr(options, name) is not None:
            how = "not for --model photo" if photo else "for --model photo only"
            raise UserError(f"{_flag(name)} is {how}")
    if not photo and len(options.data) > 1:
        raise UserError("several DATA are for --model photo only")
    names = (*SETTINGS, *(PHOTO_SETTINGS if photo else LECTURE_SETTINGS))
    settings = _given(options, names)
    return settings | (_begin_with(options.from_model) if options.from_model else {})


def _given(options: argparse.Namespace, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: value for name in names if (value := getattr(options, name)) is not None}


def _begin_with(name: str) -> dict[str, Any]:
    """The settings of a photo training that begins with a model: its layers are the model's."""
    described = load_model(name).architecture
    if described["model"] != "photo":
        raise UserError(
            f"--from {name}: is a {described['model']} network, not photo; without --model photo "
            "it gets a new last layer"
        )
    layers = {key: tuple(described[key]) for key in ("widths", "blocks")}
    return {"begin_with": str(find_model(name).absolute()), **layers}


def _refuse_contradictions(
    folder: Path, config: dict[str, Any], settings: dict[str, Any], out: str | None
) -> None:
    """Refuse options that differ from what a resumed run was begun with."""
    if out is not None:
        raise UserError("--out: a resumed run stays in its folder; leave it out")
    for name, value in settings.items():
        its = config.get(name)
        if json.loads(json.dumps(value)) != its:
            how = f"with {its}" if its else "without it"
            raise UserError(
                f"{_flag(name)}: {folder} was begun {how}; leave it out, or begin a new run"
            )


def _flag(name: str) -> str:
    own = {"shares": "--share", "begin_with": "--from"}
    return own.get(name, f"--{name.replace('_', '-')}")


def _train_lecture(
    options: argparse.Namespace, folder: Path, config: dict[str, Any], settings: dict[str, Any]
) -> int:
    """Train one of the lecture's networks."""
    from catnet.models import registry
    from catnet.training import run_folder
    from catnet.training.mlp import Config, train_run

    if config:
        how = run_folder.settings_of(Config, config)
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
    registry.build(how.architecture)  # what does not fit is said before anything is made
    data = options.data[0] if options.data else config.get("data")
    # A run that is resumed, perhaps from another folder, names its images as before.
    data = data and str(Path(data).absolute())
    train_part, test_part, source = load_parts(data)
    source = config.get("source", source)
    log(f"training on {len(train_part.labels)} images, {source}")
    costs, result = train_run(
        folder,
        how,
        train_part,
        test_part,
        source,
        progress_line(how.steps, run_folder.saved(folder)["step"] if config else 0),
        data=data,
        resume=bool(config),
        every=options.save_every or run_folder.EVERY,
    )
    log(f"cost {costs[0]:.4f} before, {costs[-1]:.4f} after {len(costs)} steps; all is in {folder}")
    print(result)
    return 0


def _default_learning_rate(model: str, optimizer: str) -> float:
    """What usually works on images divided by 255."""
    return 0.001 if optimizer in ("adam", "adamw", "rmsprop") else LEARNING_RATES[model]


def _train_photo(
    options: argparse.Namespace, folder: Path, config: dict[str, Any], settings: dict[str, Any]
) -> int:
    """Train the convolutional network on any mixture of sources."""
    from catnet.training import run_folder
    from catnet.training.resnet import PhotoConfig
    from catnet.training.resnet_run import EVERY, run

    own = {name: value for name, value in settings.items() if name != "model"}
    own["shares"] = tuple(own.get("shares", ()))

    def configure(images: int) -> PhotoConfig:
        if config:
            return run_folder.settings_of(PhotoConfig, config)
        return PhotoConfig.suited(images + own.get("textures", 0), **own)

    results = run(
        options.data or config.get("data", []),
        configure,
        folder,
        cache_in=options.cache or config.get("cache"),
        resume=bool(config),
        every=options.save_every or EVERY,
        log=log,
    )
    for name, result in results.items():
        print(f"\ntest part of {name}\n{result}")
    return 0


def _fine_tune(options: argparse.Namespace) -> int:
    """Give a trained model a new last layer for the user's own classes."""
    from catnet.training import finetune, run_folder

    for name in ("model", *LECTURE_SETTINGS, *PHOTO_SETTINGS, "cache", "resume", "save_every"):
        if getattr(options, name) is not None:
            raise UserError(f"{_flag(name)} is not for --from")
    if len(options.data) != 1:
        raise UserError("--from MODEL needs one DATA: a folder with two classes, say")
    model = load_model(options.from_model)
    settings = _given(options, ("learning_rate", "steps", "batch_size", "seed"))
    config = finetune.Transfer(freeze=options.freeze, **settings)
    folder = run_folder.vacant(options.out, "transfer")
    train_part, test_part, source = load_parts(options.data[0])
    images = len(train_part.labels)
    log(f"from {model.name}, training on {images} images, {source}")
    if (options.batch_size or 0) > images:
        raise UserError(f"--batch-size {config.batch_size}: there are {images} images only")

    def phase(what: str) -> Callable[[int, float], None]:
        return progress_line(config.steps, title=f"{what}  ")

    result = finetune.run(folder, config, model, train_part, test_part, source, phase)
    log(f"all is in {folder}")
    print(result)
    return 0
