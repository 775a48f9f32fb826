"""Which options of ``catnet train`` are settings of which kind of training."""

from __future__ import annotations

import argparse
import operator
from pathlib import Path
from typing import Any

from catnet.cli.inputs import find_model, load_model
from catnet.errors import UserError
from catnet.models.registry import refuse_stages

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
