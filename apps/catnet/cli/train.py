"""``catnet train``: train a network, resume or extend a run, or fine-tune a trained model."""

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
    not_negative,
    part,
    positive,
    seed,
)
from catnet.errors import UserError
from catnet.models.registry import (
    AUGMENTATIONS,
    DEFAULT_HIDDEN,
    INITIALIZATIONS,
    LEARNING_RATES,
    OPTIMIZERS,
)
from catnet.terminal import log, make_progress_reporter

HELP = "train a network; without DATA, on drawn images"
DESCRIPTION = (
    "Train a network; without DATA, on drawn images. The run folder has config.json, "
    "metrics.csv, curves.png, evaluation.json, answers.csv, confusion.png, mistakes.png, "
    "model.safetensors, learnt.npy, and state.safetensors to resume from."
)

# The options that are settings of a run: of every kind of training, and of some.
LECTURE, PHOTO, FINE_TUNING = "lecture", "photo", "fine-tuning"
SETTINGS = (
    "learning_rate",
    "steps",
    "batch_size",
    "seed",
    "class_weights",
    "init",
    "dropout",
    "weight_decay",
    "augment",
    "patience",
)
MORE_SETTINGS = {
    LECTURE: ("model", "hidden", "activation", "optimizer", "gradient", "validation"),
    PHOTO: ("model", "sampling_weights", "textures", "precision", "cache"),
    FINE_TUNING: ("validation", "freeze"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    # No option has a default here: missing values come from the run that is resumed, or depend on
    # the model.
    parser.add_argument(
        "data", nargs="*", metavar="DATA", help=f"{DATA_HELP}; several for --model photo"
    )
    parser.add_argument(
        "--out", metavar="RUN", help="the folder to create for this run (default runs/MODEL-N)"
    )
    parser.add_argument(
        "--resume",
        metavar="RUN",
        help="resume a run that was stopped; no other option is needed; with --steps N, extend a "
        "run, also a finished one, to N steps",
    )
    parser.add_argument(
        "--save-every",
        type=positive,
        metavar="SECONDS",
        help="seconds between two checkpoints (default 5; photo 30)",
    )
    add_all_classes(parser)
    every = parser.add_argument_group("for every network")
    every.add_argument(
        "--learning-rate",
        type=positive,
        metavar="α",
        help="default 0.0075; logistic 0.002; adam, adamw, rmsprop 0.001; photo 0.003; with "
        "--from, 0.0001 for all layers, 0.01 for the last layer",
    )
    every.add_argument(
        "--steps",
        type=count,
        help="number of updates (default 2500; photo: 20 epochs, from 1000 to 12000 steps; with "
        "--from, 300 of the last layer, then 300 of all layers)",
    )
    every.add_argument(
        "--batch-size",
        type=count,
        metavar="N",
        help="examples a step (default all; photo at most 128; with --from, 64)",
    )
    every.add_argument(
        "--seed",
        type=seed,
        metavar="N",
        help="of the weights and the order of examples, below 2³² (default 1)",
    )
    every.add_argument(
        "--init",
        choices=INITIALIZATIONS,
        metavar="W",
        help=f"initialization of the weights: {', '.join(INITIALIZATIONS)} (default lecun; photo "
        "he; with --from, zeros, for the new last layer)",
    )
    every.add_argument(
        "--dropout",
        type=part,
        metavar="P",
        help="fraction of the hidden units (photo, --from: of the features) that is dropped in "
        "every step (default none)",
    )
    every.add_argument(
        "--weight-decay",
        type=not_negative,
        metavar="λ",
        help="λ W is added to the gradient of W; with adamw, photo and --from, W shrinks instead "
        "by the factor 1 − α λ in every step (default 0; adamw 0.0001; photo 0.1; --from 0.01)",
    )
    every.add_argument(
        "--class-weights",
        type=class_weight,
        nargs="+",
        metavar="W",
        help="how much an example counts in the cost: the word balanced (every class counts the "
        "same in total), or CLASS=WEIGHT for some classes (the others have 1)",
    )
    every.add_argument(
        "--augment",
        choices=AUGMENTATIONS,
        metavar="A",
        help="random changes of the training images: none, mirror, light (crops, colours, noise) "
        "or full (default none; photo full; with --from, mirror)",
    )
    every.add_argument(
        "--patience",
        type=count,
        metavar="STEPS",
        help="stop early: when so many steps have not improved the validation; the best weights "
        "are kept (default: all steps)",
    )
    every.add_argument(
        "--validation",
        type=part,
        metavar="P",
        help="fraction of the training images that becomes a validation part; its best weights "
        "are kept (default none, with --patience 0.2; photo always has one)",
    )
    lecture = parser.add_argument_group("the network; for logistic, shallow and deep")
    add_network(lecture, (*DEFAULT_HIDDEN, "photo"))
    lecture.add_argument("--optimizer", choices=OPTIMIZERS, help="default gd: gradient descent")
    lecture.add_argument(
        "--gradient", choices=("hand", "jax"), help="backpropagation by hand (default), or jax.grad"
    )
    fine_tuning = parser.add_argument_group("to fine-tune a trained model")
    fine_tuning.add_argument(
        "--from",
        dest="from_model",
        metavar="MODEL",
        help="the trained model (a file, a run folder, or the word shipped): it gets a new "
        "last layer for the classes of DATA; with --model photo, all of its weights are "
        "trained with augmentation",
    )
    fine_tuning.add_argument(
        "--freeze",
        action="store_true",
        default=None,
        help="with --from: train the new last layer only",
    )
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

    resumed = Path(options.resume) if options.resume else None
    config = _read_config(resumed) if resumed else {}
    kind = _kind(options, config)
    model = config.get("model") or options.model or "deep"
    options.class_weights = _class_weights(options.class_weights)
    settings = _settings(options, kind)
    if resumed:
        steps, before = settings.pop("steps", None), config
        _refuse_contradictions(resumed, config, settings, options.out)
        if steps:
            config = run_folder.plan_extension(resumed, steps)
        if run_folder.is_finished(resumed) and config == before:
            log(f"{resumed} is finished already; nothing was changed; --steps N extends it")
            return 0
    folder = resumed or run_folder.choose_folder(
        options.out, FINE_TUNING if kind == FINE_TUNING else model
    )
    if kind == LECTURE:
        settings = {"model": model, **settings}
    train = {LECTURE: _train_lecture, PHOTO: _train_photo, FINE_TUNING: _fine_tune}[kind]
    return train(options, folder, config, settings)


def _kind(options: argparse.Namespace, config: dict[str, Any]) -> str:
    """The kind of training: of the options, or of the run that is resumed."""
    model = config.get("model") or options.model
    if model in (PHOTO, FINE_TUNING):
        return model
    return FINE_TUNING if options.from_model and not config else LECTURE


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
    if config.get("model") == "sweep":
        raise UserError(f"--resume {folder}: a sweep has no checkpoint to resume; start a new one")
    if "extended_at" not in config:
        raise UserError(f"--resume {folder}: is a run of another catnet; start a new one")
    return config


def _settings(options: argparse.Namespace, kind: str) -> dict[str, Any]:
    """The settings among the options.

    Raises:
        UserError: an option is not for this kind of training.
    """
    names = (*SETTINGS, *MORE_SETTINGS[kind])
    for name in {name for others in MORE_SETTINGS.values() for name in others}.difference(names):
        if getattr(options, name) is not None:
            raise UserError(f"{_flag(name)} {_explain_refusal(name, kind)}")
    if kind != PHOTO and len(options.data) > 1:
        raise UserError("several DATA are for --model photo only")
    if options.init and kind == PHOTO and options.from_model:
        raise UserError("--init: the weights are those of --from; leave one of the two out")
    if options.freeze and options.augment in ("light", "full"):
        raise UserError(
            f"--augment {options.augment}: --freeze computes the features of every image once; "
            "leave --freeze out, or choose none or mirror"
        )
    settings = _options_set(options, tuple(name for name in names if name != "cache"))
    if settings.get("patience") and kind != PHOTO and not options.resume:
        from catnet.training.mlp import VALIDATION

        settings.setdefault("validation", VALIDATION)
    if options.from_model and kind == PHOTO:
        settings |= _from_model(options.from_model)
    elif options.from_model:
        settings["from_model"] = str(find_model(options.from_model).absolute())
    return settings


def _explain_refusal(name: str, kind: str) -> str:
    if name == "freeze":
        return "is for --from MODEL without --model photo"
    if name == "validation":
        return "is not for --model photo, which always holds out 6% of the images for validation"
    if kind == LECTURE:
        return "is for --model photo only"
    return "is not for --model photo" if kind == PHOTO else "is not for --from"


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
    from catnet.training import descent, run_folder
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
        how = Config(**{**settings, "hidden": tuple(settings["hidden"]), "validate_every": every})
    registry.build(how.architecture)  # refuse a wrong network before anything is created
    if how.dropout and not how.hidden:
        raise UserError(
            f"--dropout {how.dropout:g}: a {how.model} network has no hidden units; leave it out, "
            "or choose --model shallow or deep"
        )
    data, all_classes, parts = _load(options, config)
    train_part, test_part, source = parts
    how = how if config else replace(how, class_count=len(train_part.classes))
    log(f"training on {len(train_part.labels)} images, {source}")
    curves, result = train_run(
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
    costs = curves.costs
    log(f"cost {costs[0]:.4f} → {costs[-1]:.4f} in {len(costs)} steps; the run is in {folder}")
    print(result)
    return 0


def _load(options: argparse.Namespace, config: dict[str, Any]) -> tuple[Any, bool, Any]:
    """The path of DATA, or of that of a resumed run; whether it has all classes; its parts."""
    data = options.data[0] if options.data else config.get("data")
    # Absolute, so that a run can be resumed from another folder, with the same image names.
    data = data and str(Path(data).absolute())
    all_classes = options.all_classes or config.get("all_classes", False)
    train_part, test_part, source = load_parts(data, all_classes)
    return data, all_classes, (train_part, test_part, config.get("source", source))


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


def _fine_tune(
    options: argparse.Namespace, folder: Path, config: dict[str, Any], settings: dict[str, Any]
) -> int:
    """Fine-tune a trained model: a new last layer for the classes of DATA."""
    from catnet.training import finetune, run_folder
    from catnet.training.mlp import refuse_batch_size

    name = options.from_model or config["from_model"]
    settings.pop("from_model", None)
    if config:
        how = run_folder.read_settings(finetune.FineTuning, config)
    else:
        every = finetune.choose_every(settings.get("steps", finetune.STEPS))
        how = finetune.FineTuning(**{"freeze": False, "validate_every": every, **settings})
        if not options.data:
            raise UserError("--from MODEL needs one DATA, such as a folder with two class folders")
    model = load_model(name)
    data, all_classes, parts = _load(options, config)
    log(f"from {model.name}, training on {len(parts[0].labels)} images, {parts[2]}")
    refuse_batch_size(settings.get("batch_size"), len(parts[0].labels))
    done = run_folder.read_progress(folder)["step"] if config else 0

    def phase(title: str) -> Callable[[int, float], None]:
        return make_progress_reporter(how.steps, done, title=f"{title}  ")

    result = finetune.run(
        folder,
        how,
        model,
        *parts,
        phase=phase,
        parent=find_model(name),
        data=data,
        all_classes=all_classes,
        resume=bool(config),
        every=options.save_every or run_folder.EVERY,
    )
    log(f"the run is in {folder}")
    print(result)
    return 0
