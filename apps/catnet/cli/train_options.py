"""The options of ``catnet train``, and which of them are settings of which kind of training."""

from __future__ import annotations

import argparse
import operator
from pathlib import Path
from typing import Any

from catnet.cli.inputs import find_model, load_model
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
    OPTIMIZERS,
    refuse_stages,
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
    PHOTO: (
        "model",
        "widths",
        "blocks",
        "sampling_weights",
        "soft_labels",
        "leave_out",
        "textures",
        "precision",
        "cache",
    ),
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
        "--widths",
        type=count,
        nargs=3,
        metavar="CHANNELS",
        help="channels of the three stages of the network (default 48 96 192)",
    )
    photo.add_argument(
        "--blocks",
        type=count,
        nargs=3,
        metavar="N",
        help="residual blocks of the three stages (default 2 2 2); with --from, new blocks are "
        "added at the end of a stage, and the network starts as the same function",
    )
    photo.add_argument(
        "--precision",
        choices=("float32", "bfloat16"),
        help="dtype of the computation (default float32); the parameters stay float32",
    )
    photo.add_argument(
        "--soft-labels",
        metavar="FILE",
        help="learn also from the probabilities that a larger network gives to the images",
    )
    photo.add_argument(
        "--leave-out",
        action="append",
        metavar="SOURCE",
        help="a source of DATA, by its name: all of its images are test images",
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


def find_kind(options: argparse.Namespace, config: dict[str, Any]) -> str:
    """The kind of training: of the options, or of the run that is resumed."""
    model = config.get("model") or options.model
    if model in (PHOTO, FINE_TUNING):
        return model
    return FINE_TUNING if options.from_model and not config else LECTURE


def parse_class_weights(values: list[Any] | None) -> Any:
    """The setting ``class_weights`` of the values of ``--class-weights``."""
    if not values or values == ["balanced"]:
        return "balanced" if values else None
    if "balanced" in values:
        raise UserError("--class-weights: give either the word balanced, or CLASS=WEIGHT")
    return tuple(values)


def collect_settings(options: argparse.Namespace, kind: str) -> dict[str, Any]:
    """The settings among the options.

    Raises:
        UserError: an option is not for this kind of training.
    """
    names = (*SETTINGS, *MORE_SETTINGS[kind])
    for name in (name for others in MORE_SETTINGS.values() for name in others):
        if name not in names and getattr(options, name) is not None:
            raise UserError(f"{name_option(name)} {_explain_refusal(name, kind)}")
    if kind != PHOTO and len(options.data) > 1:
        raise UserError("several DATA are for --model photo only")
    if kind == PHOTO and options.from_model:
        for name in ("init", "widths"):
            if getattr(options, name):
                what = "weights are" if name == "init" else "layers are"
                raise UserError(f"--{name}: the {what} those of --from; leave one of the two out")
    if options.freeze and options.augment in ("light", "full"):
        raise UserError(
            f"--augment {options.augment}: --freeze computes the features of every image once; "
            "leave --freeze out, or choose none or mirror"
        )
    settings = _options_set(options, tuple(name for name in names if name != "cache"))
    if settings.get("patience") and kind != PHOTO and not options.resume:
        from catnet.training.mlp import VALIDATION

        settings.setdefault("validation", VALIDATION)
    if options.soft_labels:  # absolute, so that the run can be resumed from another folder
        settings["soft_labels"] = str(Path(options.soft_labels).absolute())
    if options.from_model and kind == PHOTO:
        settings |= _from_model(options.from_model, options.blocks)
    elif options.from_model:
        settings["from_model"] = str(find_model(options.from_model).absolute())
    refuse_stages(settings.get("widths", ()), settings.get("blocks", ()))
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
    values = {name: getattr(options, name) for name in names}
    return {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in values.items()
        if value is not None
    }


def _from_model(name: str, blocks: list[int] | None) -> dict[str, Any]:
    """The settings of a photo training with the weights, and so the layers, of a model.

    It may have more blocks.
    """
    described = load_model(name).architecture
    if described["model"] != "photo":
        raise UserError(
            f"--from {name}: is a {described['model']} network, not photo; leave --model photo out "
            "to fine-tune it"
        )
    had = described["blocks"]
    wanted = had if blocks is None else blocks
    if len(wanted) != len(had) or any(map(operator.lt, wanted, had)):
        given, its = (" ".join(map(str, counts)) for counts in (wanted, had))
        raise UserError(f"--blocks {given}: {name} has {its}; blocks can be added, not removed")
    layers = {"widths": tuple(described["widths"]), "blocks": tuple(wanted)}
    return {"from_model": str(find_model(name).absolute()), **layers}


def name_option(name: str) -> str:
    """The option of a setting.

    Example:
        >>> name_option("weight_decay"), name_option("from_model")
        ('--weight-decay', '--from')
    """
    flags = {"sampling_weights": "--sampling-weight", "from_model": "--from"}
    return flags.get(name, f"--{name.replace('_', '-')}")
