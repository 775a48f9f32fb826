"""What each command does, with the options the command line has read."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from catnet.errors import UserError
from catnet.networks import DEFAULT_HIDDEN, LEARNING_RATES
from catnet.text import one_line, progress_line, say

if TYPE_CHECKING:
    from catnet.datasets import Dataset


def train(options: Namespace) -> int:
    """Train, write the run folder, say how good it became."""
    if options.model == "photo":
        return _train_photo(options)
    if len(options.data) > 1:
        raise UserError("several DATA are for --model photo only")
    if options.resume or options.cache or options.share:
        raise UserError("--resume, --cache and --share are for --model photo only")
    from catnet import networks
    from catnet.train import Config, Diverged, Interrupted, new_run_folder, train_run

    hidden = DEFAULT_HIDDEN[options.model] if options.hidden is None else tuple(options.hidden)
    config = Config(
        model=options.model,
        hidden=hidden,
        activation=options.activation,
        learning_rate=options.learning_rate or default_learning_rate(options),
        steps=options.steps or 2500,
        optimizer=options.optimizer,
        batch_size=options.batch_size,
        seed=options.seed,
        gradient=options.gradient,
    )
    networks.build(config.architecture)  # what does not fit is said before anything is made
    train_part, test_part, source = open_data(options.data[0] if options.data else None)
    folder = new_run_folder(options.out, config.model)
    say(f"training on {len(train_part.labels)} pictures, {source}")
    try:
        costs, result = train_run(
            *(folder, config, train_part, test_part, source), progress_line(config.steps)
        )
    except Diverged as stop:
        raise UserError(
            f"the cost is no number any more at step {stop.step}; the parameters before it are "
            f"in {folder}; try a smaller --learning-rate than {config.learning_rate:g}"
        ) from None
    except Interrupted as stop:
        say(
            f"\nstopped after {stop.steps} of {config.steps} steps; the model so far is in {folder}"
        )
        return 130
    say(f"cost {costs[0]:.4f} before, {costs[-1]:.4f} after {len(costs)} steps; all is in {folder}")
    print(result)
    return 0


def _train_photo(options: Namespace) -> int:
    """The convolutional network, from any mixture of sources."""
    from catnet.photo.run import run
    from catnet.photo.train import PhotoConfig

    settings = {
        "steps": options.steps,
        "batch_size": options.batch_size,
        "learning_rate": options.learning_rate,
        "seed": options.seed,
        "shares": tuple(options.share) or None,
    }
    config = PhotoConfig(**{key: value for key, value in settings.items() if value is not None})
    results = run(options.data, config, options.out, options.resume, options.cache, say)
    for name, result in results.items():
        print(f"\ntest part of {name}\n{result}")
    return 0


def predict(options: Namespace) -> int:
    """An answer for every picture; 1 when some had none."""
    from catnet.classifier import Classifier
    from catnet.sources import expand

    found = expand(options.sources)
    classifier = Classifier.load(options.model)
    if not options.json:
        say(f"model: {classifier.name}, {classifier.about}")
    failed = 0
    for answer in classifier.answers(found, options.threshold):
        failed += answer.error is not None
        if options.json:
            print(json.dumps(answer._asdict()))
        elif answer.error is None:
            width = max(map(len, classifier.classes))
            print(f"{answer.label:{width}}  {answer.p_cat:6.1%}  {one_line(answer.path)}")
        else:
            sys.stdout.flush()
            say(f"catnet: {one_line(answer.path)}: {answer.error}")
    return 1 if failed else 0


def eval(options: Namespace) -> int:
    """How good a model is on the test part of DATA, or on all of it where it has none."""
    from catnet import datasets
    from catnet.classifier import Classifier
    from catnet.train import evaluate_on

    classifier = Classifier.load(options.model)
    first, test = datasets.load(options.data, on_problem=say)
    part = first if test is None else test
    result = evaluate_on(classifier, part)
    which = "all pictures" if test is None else "the test part"
    say(f"model: {classifier.name}, {classifier.about}; {which} of {options.data}")
    print(json.dumps({"model": classifier.name, **result.as_json()}) if options.json else result)
    return 0


def gradcheck(options: Namespace) -> int:
    """The gradient-check table of a network on real examples; 1 when a rule is wrong."""
    import jax

    import jaxnn
    from catnet import networks
    from catnet.classifier import Classifier

    part, _, source = open_data(options.data)
    few = range(0, len(part.labels), max(1, len(part.labels) // options.examples))
    chosen = list(few)[: options.examples]
    x = part.images[chosen] / 255
    y = part.labels[chosen][:, None].astype(float)
    if options.model in DEFAULT_HIDDEN:
        described = networks.architecture(options.model, options.hidden, options.activation)
        net = networks.build(described)
        params = net.init(jax.random.key(options.seed), jax.ShapeDtypeStruct(x.shape, "float32"))
    else:
        classifier = Classifier.load(options.model)
        net, params = networks.build(classifier.architecture), classifier.params
    say(f"{net} on {len(chosen)} pictures, {source}")
    check = jaxnn.check_gradients(net, params, x, y, jaxnn.binary_cross_entropy)
    print(check)
    return 0 if check.ok else 1


def published(options: Namespace) -> int:
    """The course's published runs beside ours."""
    from catnet import published

    return 0 if published.main(options.data, options.gradient) else 1


def demo(options: Namespace) -> int:
    """Train the lecture's three networks on the sample, evaluate, predict."""
    from catnet import demo

    demo.main(options.out)
    return 0


def default_learning_rate(options: Namespace) -> float:
    """What usually works on pictures divided by 255."""
    if options.optimizer in ("adam", "adamw", "rmsprop"):
        return 0.001
    return LEARNING_RATES[options.model]


def open_data(source: str | None) -> tuple[Dataset, Dataset, str]:
    """The training part, the test part, and where they are from; None is the drawn sample."""
    from catnet import datasets, sample

    if source is None:
        return *sample.load(), "drawn for this purpose, not photographed"
    train_part, test_part = datasets.load(source, on_problem=lambda line: say(f"left out: {line}"))
    if test_part is None:
        train_part, test_part = datasets.split(train_part)
        say(f"{source} has no test part; {len(test_part.labels)} pictures are set aside as one")
    return train_part, test_part, f"from {Path(source).resolve().name}"
