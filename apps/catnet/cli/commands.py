"""What each command does, with the options the command line has read."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from catnet.errors import UserError
from catnet.models.registry import DEFAULT_HIDDEN, LEARNING_RATES
from catnet.terminal import bytes_line, one_line, progress_line, say

if TYPE_CHECKING:
    from catnet.data.dataset import Dataset
    from catnet.models.classifier import Classifier


# The options of train that are settings: for both kinds of networks, and for one of them.
SETTINGS = ("learning_rate", "steps", "batch_size", "seed")
LECTURE_SETTINGS = ("hidden", "activation", "optimizer", "gradient")
PHOTO_SETTINGS = ("shares", "textures", "precision")


def train(options: Namespace) -> int:
    """Train or go on, write the run folder, say how good it became."""
    from catnet.training import run_folder

    if options.from_model and options.model != "photo":
        return _transfer(options)
    if options.freeze:
        raise UserError("--freeze is for --from MODEL without --model photo")
    resumed = Path(options.resume) if options.resume else None
    begun = run_folder.config_of(resumed) if resumed else {}
    if begun.get("model") == "transfer":
        raise UserError(f"--resume {resumed}: a transfer is short; begin it again")
    if begun.get("model") == "sweep":
        raise UserError(f"--resume {resumed}: a sweep cannot go on; begin a new one")
    model = begun.get("model") or options.model or "deep"
    photo = model == "photo"
    _refuse_others(options, photo)
    names = ("model", *SETTINGS, *(PHOTO_SETTINGS if photo else LECTURE_SETTINGS))
    given = {name: value for name in names if (value := getattr(options, name)) is not None}
    if options.from_model:
        given |= _begin_with(options.from_model)
    if resumed:
        _refuse_contradictions(resumed, begun, given, options.out)
        if run_folder.saved(resumed)["finished"]:
            say(f"{resumed} is finished; nothing is changed")
            return 0
    folder = resumed or run_folder.vacant(options.out, model)
    job = _train_photo if photo else _train_lecture
    return job(options, folder, begun, {**given, "model": model})


def _begin_with(name: str) -> dict[str, Any]:
    """The settings of a photo training that goes on from a model: its layers are the model's."""
    described = _model(name).architecture
    if described["model"] != "photo":
        raise UserError(
            f"--from {name}: is a {described['model']} network, not photo; without --model photo "
            "it gets a new last layer"
        )
    layers = {key: tuple(described[key]) for key in ("widths", "blocks")}
    return {"begin_with": str(_model_file(name).absolute()), **layers}


def _transfer(options: Namespace) -> int:
    """A trained model with a new last layer, for the user's own classes."""
    from catnet.training import finetune, run_folder

    for name in ("model", *LECTURE_SETTINGS, *PHOTO_SETTINGS, "cache", "resume", "save_every"):
        if getattr(options, name) is not None:
            raise UserError(f"{_flag(name)} is not for --from")
    if len(options.data) != 1:
        raise UserError("--from MODEL needs one DATA: a folder with two classes, say")
    model = _model(options.from_model)
    given = {name: value for name in SETTINGS if (value := getattr(options, name)) is not None}
    config = finetune.Transfer(freeze=options.freeze, **given)
    folder = run_folder.vacant(options.out, "transfer")
    train_part, test_part, source = open_data(options.data[0])
    say(f"from {model.name}, training on {len(train_part.labels)} pictures, {source}")
    count = len(train_part.labels)
    if (options.batch_size or 0) > count:
        raise UserError(f"--batch-size {config.batch_size}: there are {count} pictures only")

    def phase(what: str) -> Callable[[int, float], None]:
        return progress_line(config.steps, title=f"{what}  ")

    result = finetune.run(folder, config, model, train_part, test_part, source, phase)
    say(f"all is in {folder}")
    print(result)
    return 0


def _refuse_others(options: Namespace, photo: bool) -> None:
    """Options that the chosen network has no use for are mistakes."""
    for name in LECTURE_SETTINGS if photo else (*PHOTO_SETTINGS, "cache"):
        if getattr(options, name) is not None:
            how = "not for --model photo" if photo else "for --model photo only"
            raise UserError(f"{_flag(name)} is {how}")
    if not photo and len(options.data) > 1:
        raise UserError("several DATA are for --model photo only")


def _refuse_contradictions(
    folder: Path, begun: dict[str, Any], given: dict[str, Any], out: str | None
) -> None:
    if out is not None:
        raise UserError("--out: a run that goes on stays in its folder; leave it out")
    for name, value in given.items():
        its = begun.get(name)
        if json.loads(json.dumps(value)) != its:
            how = f"with {its}" if its else "without it"
            raise UserError(
                f"{_flag(name)}: {folder} was begun {how}; leave it out, or begin a new run"
            )


def _flag(name: str) -> str:
    own = {"shares": "--share", "begin_with": "--from"}
    return own.get(name, f"--{name.replace('_', '-')}")


def _train_lecture(
    options: Namespace, folder: Path, begun: dict[str, Any], given: dict[str, Any]
) -> int:
    """One of the lecture's networks."""
    from catnet.models import registry
    from catnet.training import run_folder
    from catnet.training.mlp import Config, train_run

    if begun:
        config = run_folder.settings_of(Config, begun)
    else:
        usual = {
            "hidden": DEFAULT_HIDDEN[given["model"]],
            "activation": "relu",
            "learning_rate": default_learning_rate(given["model"], given.get("optimizer", "gd")),
            "steps": 2500,
        }
        chosen = {**usual, **given}
        config = Config(**{**chosen, "hidden": tuple(chosen["hidden"])})
    registry.build(config.architecture)  # what does not fit is said before anything is made
    data = options.data[0] if options.data else begun.get("data")
    # A training that goes on, perhaps elsewhere, is to call its pictures what it called them.
    data = data and str(Path(data).absolute())
    train_part, test_part, source = open_data(data)
    source = begun.get("source", source)
    say(f"training on {len(train_part.labels)} pictures, {source}")
    costs, result = train_run(
        *(folder, config, train_part, test_part, source),
        progress_line(config.steps, run_folder.saved(folder)["step"] if begun else 0),
        data=data,
        resume=bool(begun),
        every=options.save_every or run_folder.EVERY,
    )
    say(f"cost {costs[0]:.4f} before, {costs[-1]:.4f} after {len(costs)} steps; all is in {folder}")
    print(result)
    return 0


def _train_photo(
    options: Namespace, folder: Path, begun: dict[str, Any], given: dict[str, Any]
) -> int:
    """The convolutional network, from any mixture of sources."""
    from catnet.training import run_folder
    from catnet.training.resnet import PhotoConfig
    from catnet.training.resnet_run import EVERY, run

    settings = {name: value for name, value in given.items() if name != "model"}
    settings["shares"] = tuple(given.get("shares", ()))

    def configure(images: int) -> PhotoConfig:
        if begun:
            return run_folder.settings_of(PhotoConfig, begun)
        return PhotoConfig.suited(images + settings.get("textures", 0), **settings)

    results = run(
        options.data or begun.get("data", []),
        configure,
        folder,
        cache_in=options.cache or begun.get("cache"),
        resume=bool(begun),
        every=options.save_every or EVERY,
        say=say,
    )
    for name, result in results.items():
        print(f"\ntest part of {name}\n{result}")
    return 0


def sweep(options: Namespace) -> int:
    """Train a grid of networks at once; print and draw what became of them."""
    from catnet.evaluation import plots
    from catnet.models import registry
    from catnet.training import run_folder
    from catnet.training.sweep import Grid, table, train, write

    plots.check()
    grid = Grid(
        registry.architecture(options.model, options.hidden, options.activation),
        tuple(dict.fromkeys(options.learning_rate)),
        tuple(dict.fromkeys(options.start)),
        options.seeds,
        options.steps,
    )
    folder = run_folder.vacant(options.out, "sweep")
    train_part, test_part, source = open_data(options.data)
    run_folder.begin(folder, {"model": "sweep", **asdict(grid), "data": source})
    count = len(grid.cells) * grid.seeds
    say(f"training {count} networks on {len(train_part.labels)} pictures, {source}")
    results, names, stopped = None, [], False
    with run_folder.filling(folder, "begin a new sweep"):
        try:
            for results in train(grid, train_part, test_part):
                names = write(folder, grid, results, train_part, source)
                say(f"{results.done} of {count}")
        except KeyboardInterrupt:
            stopped = True
            if results:  # the files may be of two groups
                names = write(folder, grid, results, train_part, source)
    if results:
        print(table(results.cells))
    if results and results.best:
        say(
            f"model.safetensors is the network of the lowest training cost: {results.best}; "
            f"{results.best.test_accuracy:.1%} of the test part right"
        )
    there = f"is in {folder}: {', '.join(['config.json', *names])}"
    if stopped:
        done = results.done if results else 0
        raise KeyboardInterrupt(f"stopped after {done} of {count} networks; what is there {there}")
    say(f"all {there}")
    return 0


def predict(options: Namespace) -> int:
    """An answer for every picture; 1 when some had none."""
    from catnet.images.kinds import passed_over
    from catnet.images.paths import Other, expand

    others: list[Other] = []
    found = expand(options.sources, on_other=others.append)
    classifier = _model(options.model)
    if not options.json:
        say(f"model: {classifier.name}, {classifier.about}")
        if classifier.classes[1] != "cat":
            say(f"the numbers are probabilities of {one_line(classifier.classes[1])}")
    explanations = _Explanations(classifier, options.explain) if options.explain else None
    failed = 0
    for answer, image in classifier.seen(found, options.threshold):
        failed += answer.error is not None
        written = {}
        if explanations and image is not None:
            written["explanation"] = explanations.write(answer.path, image)
        if options.json:
            print(json.dumps({**answer._asdict(), **written}))
        elif answer.error is None:
            width = max(map(len, (*map(one_line, classifier.classes), "unsure")))
            label = "unsure" if answer.unsure else one_line(answer.label)
            print(f"{label:{width}}  {answer.p_cat:6.1%}  {one_line(answer.path)}")
        else:
            sys.stdout.flush()
            say(f"catnet: {one_line(answer.path)}: {answer.error}")
    if others:
        say(one_line(passed_over(other.kind for other in others)))
    return 1 if failed else 0


class _Explanations:
    """Writes the pictures of ``predict --explain``, numbered in the order of the answers."""

    def __init__(self, classifier: Classifier, folder: str) -> None:
        from catnet.evaluation import saliency

        self.explain, self.classifier = saliency, classifier
        self.folder, self.count = saliency.new_folder(folder), 0

    def write(self, name: str | None, image: Any) -> str:
        self.count += 1
        strength = self.explain.saliency(self.classifier, image[None])[0]
        picture = self.explain.draw(image, strength)
        path = self.explain.write_explanation(self.folder, self.count, name or "", picture)
        return str(path)


def filters(options: Namespace) -> int:
    """Draw what the first layer of a model looks for."""
    from catnet.evaluation import saliency

    saliency.refuse_out(options.out)  # before a model is loaded in vain
    classifier = _model(options.model)
    weights = saliency.filters(classifier)
    saliency.write_filters(options.out, saliency.draw_filters(weights))
    print(options.out)
    count, height, width, _ = weights.shape
    say(f"{count} filters of {height}×{width} pixels of {classifier.name}; grey is 0")
    return 0


def eval(options: Namespace) -> int:
    """How good a model is on the test part of DATA, or on all of it where it has none."""
    from catnet.data.class_names import match
    from catnet.training.mlp import evaluate_on

    if options.held_out:
        return _eval_held_out(options)
    if options.cache or len(options.data) > 1:
        raise UserError("--cache and several DATA are for --held-out only")
    classifier = _model(options.model)
    (data,) = options.data
    first, test = _load(data)
    part = first if test is None else test
    for note in match(classifier.classes, part.classes).notes:
        say(note)
    result = evaluate_on(classifier, part)
    which = "all pictures" if test is None else "the test part"
    say(f"model: {classifier.name}, {classifier.about}; {which} of {data}")
    print(json.dumps({"model": classifier.name, **result.as_json()}) if options.json else result)
    return 0


def _eval_held_out(options: Namespace) -> int:
    """Every source by itself, on the pictures that a training with --model photo never sees."""
    from catnet.compile_cache import cache_folder
    from catnet.data import cache as caches
    from catnet.training.resnet_run import scores

    classifier = _model(options.model)
    cache = caches.build(options.data, options.cache or cache_folder())
    say(f"model: {classifier.name}, {classifier.about}; the pictures held out of each DATA")
    for note in cache.notes:
        say(note)
    for name, result in scores(classifier, cache, say).items():
        if options.json:
            print(json.dumps({"model": classifier.name, "data": name, **result.as_json()}))
        else:
            print(f"held out of {name}\n{result}\n")
    return 0


def _model(name: str | None) -> Classifier:
    """The model of a name on the command line: a file, a run folder, or the one shipped."""
    from catnet.models.classifier import Classifier

    return Classifier.load(name and _model_file(name))


def _model_file(name: str) -> Path:
    from catnet.models.classifier import SHIPPED

    return SHIPPED if name == "shipped" and not Path(name).exists() else Path(name)


def gradcheck(options: Namespace) -> int:
    """The gradient-check table of a network on real examples; 1 when a rule is wrong."""
    import jax

    import jaxnn
    from catnet.models import registry

    part, _, source = open_data(options.data)
    few = range(0, len(part.labels), max(1, len(part.labels) // options.examples))
    chosen = list(few)[: options.examples]
    x = part.images[chosen] / 255
    y = part.labels[chosen][:, None].astype(float)
    if options.model in DEFAULT_HIDDEN:
        described = registry.architecture(options.model, options.hidden, options.activation)
        net = registry.build(described)
        params = net.init(jax.random.key(options.seed), jax.ShapeDtypeStruct(x.shape, "float32"))
    else:
        classifier = _model(options.model)
        net, params = registry.build(classifier.architecture), classifier.params
    say(f"{net} on {len(chosen)} pictures, {source}")
    check = jaxnn.check_gradients(net, params, x, y, jaxnn.binary_cross_entropy)
    print(check)
    return 0 if check.ok else 1


def data(options: Namespace) -> int:
    """List the data sets, get one, or look through DATA."""
    return {"list": _data_list, "get": _data_get, "check": _data_check}[options.action](options)


def _data_list(options: Namespace) -> int:
    from catnet.data import catalogue

    print("\n\n".join(map(str, catalogue.SETS.values())))
    return 0


def _data_get(options: Namespace) -> int:
    """Download a data set; where it went is printed."""
    from catnet.data import catalogue

    wanted = catalogue.named(options.name)
    say(f"{wanted.name}: {wanted.about}\nlicence: {wanted.licence}; {wanted.home}")
    try:
        where = catalogue.get(wanted, Path(options.out), say, bytes_line)
    except KeyboardInterrupt:
        say("\nwhat has come is kept; the same command goes on from there")
        raise
    print(where)
    return 0


def _data_check(options: Namespace) -> int:
    """Report on DATA; 1 when something cannot be used, or is in both parts."""
    from catnet.data.check import check

    classifier = _model(options.model) if options.model else None
    found = check(options.data, classifier)
    print(json.dumps(found.as_json()) if options.json else found)
    return 0 if found.ok else 1


def published(options: Namespace) -> int:
    """The course's published runs beside ours."""
    from catnet.course import published

    return 0 if published.main(options.data, options.gradient) else 1


def demo(options: Namespace) -> int:
    """Train the lecture's three networks on the sample, evaluate, predict."""
    from catnet.cli import demo

    demo.main(options.out)
    return 0


def default_learning_rate(model: str, optimizer: str) -> float:
    """What usually works on pictures divided by 255."""
    return 0.001 if optimizer in ("adam", "adamw", "rmsprop") else LEARNING_RATES[model]


def open_data(source: str | None) -> tuple[Dataset, Dataset, str]:
    """The training part, the test part, and where they are from; None is the drawn sample."""
    from catnet.data import dataset, sample

    if source is None:
        return *sample.load(), "drawn for this purpose, not photographed"
    train_part, test_part = _load(source)
    if test_part is None:
        train_part, test_part = dataset.split(train_part)
        say(f"{source} has no test part; {len(test_part.labels)} pictures are set aside as one")
    return train_part, test_part, f"from {Path(source).resolve().name}"


def _load(source: str) -> tuple[Dataset, Dataset | None]:
    """DATA, with a line for what is left out of it, and what is as well to know."""
    from catnet.data import dataset

    def left_out(line: str) -> None:
        say(one_line(f"left out: {line}"))

    return dataset.load(source, left_out, lambda line: say(one_line(line)))
