"""The options of ``catnet train``."""

from __future__ import annotations

import argparse

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
from catnet.models.registry import AUGMENTATIONS, DEFAULT_HIDDEN, INITIALIZATIONS, OPTIMIZERS


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
        help="residual blocks of the three stages (default 2 2 2; with --from, the model's: more "
        "are added at the end of a stage, and the network starts as the same function)",
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
