"""``catnet demo``: train the lecture's networks on drawn images, evaluate and predict."""

from __future__ import annotations

import argparse

from catnet.models.registry import DEFAULT_HIDDEN, LEARNING_RATES
from catnet.progress import make_progress_reporter
from catnet.terminal import log

HELP = "train on drawn images, evaluate and predict, in about a minute"
EXAMPLES = ("catnet demo --out runs/demo",)

STEPS = 6000
# With the lecture's 0.0075 the cost oscillates on these images, and rounding changes the result.
MAX_LEARNING_RATE = 0.003
PREDICTIONS = 6  # images to predict at the end


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out", metavar="RUN", help="the folder to create for this run (default runs/demo-N)"
    )


def run(options: argparse.Namespace) -> int:
    """Train logistic regression, one hidden layer and L layers; print their accuracies."""
    from PIL import Image

    from catnet.data import sample
    from catnet.models.classifier import Classifier
    from catnet.training import descent, run_folder
    from catnet.training.dataset_run import Images
    from catnet.training.mlp import Config, train_run

    folder = run_folder.choose_folder(options.out, "demo")
    train_part, test_part = sample.load()
    source = "drawn by a program, not photographed"
    parts = Images(train_part, test_part, source)
    log(f"{len(train_part.labels)} images to train on, {len(test_part.labels)} to test, {source}")
    results = {}
    for model, hidden in DEFAULT_HIDDEN.items():
        log(f"{model}: hidden layers {' '.join(map(str, hidden)) or 'none'}")
        rate, every = min(LEARNING_RATES[model], MAX_LEARNING_RATE), descent.choose_every(STEPS)
        config = Config(model, hidden, "relu", rate, STEPS, validate_every=every)
        results[model] = train_run(folder / model, config, parts, make_progress_reporter(STEPS))
    always, share = next(iter(results.values()))[1].majority
    print(f"{'network':10}  {'hidden':10}  {'cost':>7}  test accuracy (95% interval)")
    print(f"{'always ' + always:33}{share:6.1%}")
    for model, (curves, result) in results.items():
        low, high = result.interval
        hidden = " ".join(map(str, DEFAULT_HIDDEN[model])) or "none"
        accuracy = f"{result.accuracy:.1%} ({low:.1%}–{high:.1%})"
        print(f"{model:10}  {hidden:10}  {curves.costs[-1]:7.4f}  {accuracy}")
    images = folder / "images"
    images.mkdir()
    every = len(test_part.names) // PREDICTIONS
    paths = []
    for name, image in zip(test_part.names[::every], test_part.images[::every], strict=True):
        paths.append(images / name.rsplit("/", 1)[-1])
        Image.fromarray(image).save(paths[-1])
    classifier = Classifier.load(folder / "deep")
    print(f"\nPredictions of the deep network for some of the test images, in {images}:")
    for answer in classifier.predict(paths):
        print(f"{answer.label:7}  {answer.probability:6.1%}  {answer.path}")
    print(
        f"\nThe models, costs, settings and plots are in {folder}.\n"
        f"To classify your own photo:  catnet predict photo.jpg"
    )
    return 0
