"""Training the network for photographs: many short steps, resumable, the best weights kept."""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, Self

import jax
import jax.numpy as jnp
import numpy as np
import optax
from optax.contrib import MuonDimensionNumbers, muon

import jaxnn
from catnet.data.cache import Cache
from catnet.data.class_names import agree
from catnet.data.sampling import Sampler, make_sampler, priors
from catnet.data.split import PARTS, TEST, TRAIN, VALIDATION, split
from catnet.errors import UserError, diverged
from catnet.evaluation.metrics import auc, balanced_accuracy
from catnet.models.classifier import Classifier
from catnet.models.resnet import Targets, log_odds, photo_loss, targets, trunk
from catnet.terminal import pace_of
from catnet.training.augment import FULL, LIGHT, augment, mix, prepare
from catnet.training.run_folder import Checkpoint
from jaxnn.files import write_atomically

CHUNK = 8  # steps in one compiled program: between them nothing waits for Python
BATCH = 256  # images at a time where nothing is learnt
EPOCHS = 20  # by default every image is drawn so often on average
STEPS = (1000, 12000)  # but with so many steps at least and at most


@dataclass(frozen=True)
class PhotoConfig:
    """All that decides a training, besides the data.

    Attributes:
        widths: channels of each stage of the network.
        blocks: residual blocks of each stage.
        steps: how many updates; see ``suited``.
        batch_size: images a step.
        learning_rate: at its peak; of Muon for kernels and matrices, of Adam for the rest.
        weight_decay: of kernels and matrices.
        warm_up: share of the steps in which the learning rate rises from 0; then it falls to 0.
        light: share of the steps, from the first, with light augmentation.
        settle: share of the steps, to the last, with light augmentation again: images as they
            are in prediction (Touvron et al. 2019, arXiv:1906.06423).
        mixup: share of the images that are blended with another, in the steps between these.
        cutmix: share of them into which a rectangle of another is pasted.
        fine_weight: of the cost of the fine classes.
        smoothing: share of a label that is given to the others.
        average: decay of the moving average of the weights.
        validate_every: steps.
        begin_with: a photo model whose weights are gone on from; "" for new ones.  Its last layer
            is replaced where the classes are others.
        precision: what the network computes in, "float32" or "bfloat16"; its parameters, their
            gradients and the cost are float32 in any case.
        textures: how many drawn images of nothing are added, as non-cats.
        shares: of every batch that come from a stratum, by name; see ``sampling.shares``.
        seed: of all randomness.
    """

    widths: tuple[int, ...] = (48, 96, 192)
    blocks: tuple[int, ...] = (2, 2, 2)
    steps: int = 12000
    batch_size: int = 128
    learning_rate: float = 3e-3
    weight_decay: float = 0.1
    warm_up: float = 0.03
    light: float = 0.04
    settle: float = 0.1
    mixup: float = 0.15
    cutmix: float = 0.15
    fine_weight: float = 0.5
    smoothing: float = 0.1
    average: float = 0.998
    validate_every: int = 800
    begin_with: str = ""
    precision: str = "float32"
    textures: int = 0
    shares: tuple[tuple[str, float], ...] = ()
    seed: int = 1

    @classmethod
    def suited(cls, images: int, **settings: Any) -> Self:
        """The settings for so many images; those that are given stay.

        Example:
            >>> config = PhotoConfig.suited(30_000, seed=2)
            >>> config.steps, config.validate_every, config.batch_size
            (4687, 390, 128)
        """
        usual: dict[str, Any] = {"batch_size": min(cls.batch_size, max(8, images // 2))}
        usual |= settings
        steps = EPOCHS * images // usual["batch_size"]
        usual = {"steps": min(max(steps, STEPS[0]), STEPS[1]), **usual}
        every = min(cls.validate_every, max(CHUNK, usual["steps"] // 12))
        return cls(**{"validate_every": every, **usual})


class TrainState(NamedTuple):
    """What a step makes from the one before."""

    step: Any
    params: Any
    average: Any
    opt_state: Any


class Classes(NamedTuple):
    """The classes that the network tells apart while it learns, and which of them are cats."""

    names: tuple[str, ...]
    cats: tuple[int, ...]
    fine: np.ndarray  # (n,) of every image; −1 where it is not known

    @staticmethod
    def of(cache: Cache) -> Classes:
        """The fine classes of the data; where it has none, the two classes themselves."""
        if cache.fine_names:
            return Classes(cache.fine_names, cache.fine_cats, cache.table.fine)
        return Classes(cache.classes, (1,), cache.table.labels)


def network(config: PhotoConfig, classes: int) -> jaxnn.Layer:
    """The network that learns: images to logits of all classes."""
    return jaxnn.serial(trunk(config.widths, config.blocks), jaxnn.dense(classes))


def optimizer(config: PhotoConfig) -> optax.GradientTransformation:
    """Muon (Jordan et al. 2024) for kernels and matrices, Adam for the rest; warm-up, then to 0."""
    warm_up = max(1, int(config.warm_up * config.steps))
    rate = optax.schedules.warmup_cosine_decay_schedule(
        0.0, config.learning_rate, warm_up, max(config.steps, warm_up + 1)
    )

    def directions(params: Any) -> Any:
        axes = {4: MuonDimensionNumbers((0, 1, 2), 3), 2: MuonDimensionNumbers((1,), 0)}
        return jax.tree.map(lambda leaf: axes.get(leaf.ndim), params)

    return muon(
        rate,
        weight_decay=config.weight_decay,
        adam_weight_decay=0.0,
        consistent_rms=0.2,
        muon_weight_dimension_numbers=directions,
    )


def start(config: PhotoConfig, classes: int) -> TrainState:
    """The state before the first step."""
    net = network(config, classes)
    pixels = jax.ShapeDtypeStruct((64, 64, 3), jnp.float32)
    params = jax.jit(lambda key: net.init(key, pixels))(jax.random.key(config.seed))
    average = jax.tree.map(jnp.copy, params)  # buffers of its own: those of a state are given away
    return TrainState(np.zeros((), np.int32), params, average, optimizer(config).init(params))


def _with_weights(state: TrainState, model: Classifier, keep_last: bool = True) -> TrainState:
    """The same state with the weights of a model in it.

    The last layer is the model's if it has as many classes, and if it is to be kept.

    Raises:
        UserError: the layers below the last are others.
    """
    # Copies: the buffers of a state are given away, and the model keeps its own.
    theirs = [jax.tree.map(jnp.copy, layer) for layer in model.params[:2]]
    fits = [_shapes(a) == _shapes(b) for a, b in zip(theirs, state.params, strict=True)]
    if not fits[0]:
        raise UserError(f"{model.name}: is another network than this training's")
    params = (theirs[0], theirs[1] if fits[1] and keep_last else state.params[1])
    return state._replace(params=params, average=jax.tree.map(jnp.copy, params))


def _shapes(tree: Any) -> str:
    return str(jax.tree.map(jnp.shape, tree))


def initial(config: PhotoConfig, classes: Classes) -> TrainState:
    """The state before the first step, with the weights of ``begin_with`` if there is one.

    Raises:
        UserError: that model cannot be read, or is another network.
    """
    state = start(config, len(classes.names))
    if not config.begin_with:
        return state
    model = Classifier.load(config.begin_with)
    if model.architecture["model"] != "photo":
        raise UserError(f"{model.name}: is no photo network; leave --model photo out")
    same = model.architecture["cats"] == [*classes.cats]
    if len(classes.names) == 2:
        same = same and agree(model.classes, (classes.names[0], classes.names[1]))
    return _with_weights(state, model, same)


def compiled_steps(config: PhotoConfig, classes: Classes) -> Callable[..., Any]:
    """(state, images (k, n, 64, 64, 3) uint8, cat, fine, prior (k, n)) → (state, costs (k,))."""
    count = len(classes.names)
    net = network(config, count)
    loss = photo_loss(classes.cats, count, config.fine_weight)
    cost_and_grads = jaxnn.value_and_grad(net, loss)
    descent = optimizer(config)
    key = jax.random.key(config.seed)
    light_until = int(config.light * config.steps)
    settle_from = config.steps - int(config.settle * config.steps)

    def light(key: Any, images: Any, y: Targets) -> tuple[Any, Targets]:
        return augment(key, images, LIGHT), y

    def full(key: Any, images: Any, y: Targets) -> tuple[Any, Targets]:
        augment_key, mix_key = jax.random.split(key)
        x = augment(augment_key, images, FULL)
        return mix(mix_key, x, y, config.mixup, config.cutmix)

    def step(state: TrainState, batch: tuple[Any, ...]) -> tuple[TrainState, Any]:
        images, cat, fine, prior = batch
        y = targets(cat, fine, prior, count, config.smoothing)
        is_light = (state.step < light_until) | (state.step >= settle_from)
        key_of_step = jax.random.fold_in(key, state.step)
        x, y = jax.lax.cond(is_light, light, full, key_of_step, images, y)
        cost, grads = cost_and_grads(state.params, x.astype(config.precision), y)
        updates, opt_state = descent.update(grads, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        # The average forgets its random start: at first it moves faster.
        decay = jnp.minimum(config.average, (1.0 + state.step) / (10.0 + state.step))
        average = jax.tree.map(lambda a, p: decay * a + (1 - decay) * p, state.average, params)
        return TrainState(state.step + 1, params, average, opt_state), cost

    return jax.jit(lambda state, *batches: jax.lax.scan(step, state, batches), donate_argnums=0)


def batches(
    cache: Cache, sampler: Sampler, columns: Sequence[np.ndarray], first: int, steps: int
) -> Generator[tuple[np.ndarray, ...], None, None]:
    """The chunks of a training from a step on, gathered while the step before is computed.

    A chunk has the images and what the columns, (n,) each, say of them.  What goes wrong while
    they are gathered is raised where they are used.
    """
    ahead: queue.Queue[Any] = queue.Queue(maxsize=2)
    stop = threading.Event()

    def hand_over(item: Any) -> None:
        while not stop.is_set():
            try:
                return ahead.put(item, timeout=0.2)
            except queue.Full:
                continue

    def gather() -> None:
        try:
            for at in range(first, steps, CHUNK):
                if stop.is_set():
                    return
                chosen = np.stack([sampler.batch(i) for i in range(at, min(at + CHUNK, steps))])
                images = cache.take(chosen.ravel())
                images = images.reshape(*chosen.shape, *images.shape[1:])
                hand_over((images, *(column[chosen] for column in columns)))
            hand_over(None)
        except BaseException as error:
            hand_over(error)

    worker = threading.Thread(target=gather, daemon=True)
    worker.start()
    try:
        while (item := ahead.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stop.set()
        worker.join()


class Validation(NamedTuple):
    """Log-odds of the validation images, and what they are."""

    z: np.ndarray
    labels: np.ndarray
    sources: np.ndarray

    def scores(self, names: tuple[str, ...]) -> dict[str, dict[str, float]]:
        """AUC and balanced accuracy of every source that has both labels."""
        found = {}
        for source, name in enumerate(names):
            here = self.sources == source
            if len(set(self.labels[here].tolist())) == 2:
                found[name] = {
                    "auc": auc(self.labels[here], self.z[here]),
                    "balanced_accuracy": balanced_accuracy(self.labels[here], self.z[here] >= 0),
                }
        return found

    def score(self, names: tuple[str, ...]) -> float:
        """What the best weights are chosen by: AUC, a source counting by the root of its size."""
        found = self.scores(names)
        sizes = [np.count_nonzero(self.sources == names.index(name)) for name in found]
        aucs = [of_source["auc"] for of_source in found.values()]
        return float(np.average(aucs, weights=np.sqrt(sizes)))


def answers(
    config: PhotoConfig, classes: Classes
) -> Callable[[Any, Cache, np.ndarray], np.ndarray]:
    """(params, cache, numbers of images) → their log-odds, (n,)."""
    count = len(classes.names)
    net = jaxnn.serial(network(config, count), log_odds(classes.cats, count))
    logits = jax.jit(lambda params, images: net.apply((params, ()), prepare(images)))

    def run(params: Any, cache: Cache, numbers: np.ndarray) -> np.ndarray:
        z = []
        for at in range(0, len(numbers), BATCH):
            part = numbers[at : at + BATCH]
            filled = np.resize(part, BATCH)  # nothing is compiled for a last batch that is short
            z.append(np.asarray(logits(params, cache.take(filled)))[: len(part), 0])
        return np.concatenate(z)

    return run


def divide(config: PhotoConfig, cache: Cache) -> tuple[Sampler, np.ndarray]:
    """What draws from the training part, and the numbers of the validation images.

    Raises:
        UserError: the shares or the batch size do not fit, or a part has too few images.
    """
    parts = split(cache.table)
    for part in (TRAIN, VALIDATION, TEST):
        _check_part(cache, parts, part)
    if config.batch_size > (count := np.count_nonzero(parts == TRAIN)):
        raise UserError(f"--batch-size {config.batch_size}: there are {count} images only")
    shares = dict(config.shares)
    sampler = make_sampler(cache, parts == TRAIN, config.batch_size, shares, config.seed)
    return sampler, np.flatnonzero(parts == VALIDATION)


def _check_part(cache: Cache, parts: np.ndarray, part: int) -> None:
    """Refuse a part without a class; to be measured on, both are needed from one source."""
    here = parts == part
    labels, sources = cache.table.labels[here], cache.table.sources[here]
    absent = [name for label, name in enumerate(cache.classes) if label not in labels]
    both = any(len(set(labels[sources == source].tolist())) == 2 for source in np.unique(sources))
    if absent or (part != TRAIN and not both):
        lack = f"has no {' and no '.join(absent)}" if absent else "has no source with both classes"
        raise UserError(
            f"{len(cache)} images are too few: the {PARTS[part]} part, {len(labels)} of them, "
            f"{lack}; add different images (100 of each class are enough), "
            "or use --from shipped without --model photo"
        )


def train(
    config: PhotoConfig,
    cache: Cache,
    parts: tuple[Sampler, np.ndarray],
    state: TrainState,
    checkpoint: Checkpoint,
    log: Callable[[str], None],
) -> Any:
    """Train from a state, or go on from the saved one.

    Writes the state, ``best.safetensors`` (the averaged weights with the best validation score)
    and ``validation.jsonl`` (made from the state) into the run folder.

    Returns:
        The best weights.
    """
    classes = Classes.of(cache)
    sampler, held = parts
    best_file = checkpoint.folder / "best.safetensors"
    lines: list[dict[str, Any]] = []  # one a validation
    if found := checkpoint.load(state):
        state, lines = found[0], found[1]["validations"]
        _write_lines(checkpoint, lines)
    run = compiled_steps(config, classes)
    answer = answers(config, classes)

    def validate(params: Any) -> Validation:
        z = answer(params, cache, held)
        return Validation(z, cache.table.labels[held], cache.table.sources[held])

    first, told, pace = int(state.step), time.monotonic(), pace_of(config.steps)
    columns = (cache.table.labels, classes.fine, priors(cache, sampler))
    with closing(batches(cache, sampler, columns, first, config.steps)) as chunks:
        for batch in chunks:
            before = int(state.step)
            state, costs = run(state, *batch)
            done = int(state.step)
            costs = np.asarray(costs)
            remark = f"; the best weights so far are in {best_file}" if lines else ""
            if len(bad := np.flatnonzero(~np.isfinite(costs))):
                at = before + int(bad[0])
                raise diverged(at, float(costs[bad[0]]), config.learning_rate, remark)
            now = pace(done)
            if time.monotonic() - told > 10 or done == config.steps:
                told = time.monotonic()
                speed = f"  {now.speed * config.batch_size:.0f} images/s" if now else ""
                left = f"  {now}" if now and done < config.steps else ""
                log(f"step {done}/{config.steps}  cost {costs[-1]:.3f}{speed}{left}")
            every = config.validate_every
            if done // every > before // every or done == config.steps:
                validation = validate(state.average)
                if len(bad := np.flatnonzero(~np.isfinite(validation.z))):
                    z = float(validation.z[bad[0]])
                    raise diverged(done, z, config.learning_rate, remark, "a validation answer")
                score = validation.score(cache.sources)
                if score > max((line["score"] for line in lines), default=-1.0):
                    jaxnn.save(best_file, state.average, {"step": done, "score": score})
                scores = validation.scores(cache.sources)
                lines.append({"step": done, "score": score, **scores})
                log(json.dumps(lines[-1]))
                _write_lines(checkpoint, lines)
            checkpoint.after(done, config.steps, partial(_saved, state, lines))
    return jaxnn.load(best_file)[0]


def _saved(state: TrainState, lines: list[dict[str, Any]]) -> tuple[Any, dict[str, Any]]:
    return state, {"validations": lines}


def _write_lines(checkpoint: Checkpoint, lines: list[dict[str, Any]]) -> None:
    text = "".join(json.dumps(line) + "\n" for line in lines)
    write_atomically(checkpoint.folder / "validation.jsonl", text.encode())
