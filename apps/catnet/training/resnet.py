"""Train the photo network: resumable, with augmentation; the best weights are kept."""

from __future__ import annotations

import json
import math
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

import jaxnn
from catnet.data.cache import Cache
from catnet.data.class_names import LISTED, agree, enumerate_names
from catnet.data.sampling import Sampler, compute_priors, make_sampler
from catnet.data.split import PARTS, TEST, TRAIN, VALIDATION, split
from catnet.errors import UserError, describe_divergence
from catnet.evaluation.metrics import auc, balanced_accuracy, cross_entropy
from catnet.models import registry
from catnet.models.classifier import Classifier
from catnet.models.regularized import dropped
from catnet.models.resnet import Targets, fine_loss, log_odds, photo_loss, targets, trunk, weigh
from catnet.progress import format_bar, measure_pace
from catnet.terminal import show_live, shows_live
from catnet.training.augment import FULL, LIGHT, augment, mix, prepare
from catnet.training.augmentations import FUNCTIONS
from catnet.training.checkpoints import Checkpoint
from catnet.training.class_weights import ClassWeights, weigh_classes
from catnet.training.curves import VALIDATION as VALIDATION_PART
from catnet.training.curves import Curves, Measure, Rule, as_json, from_json, is_due
from catnet.training.measuring import choose_measured, compute_accuracy
from catnet.training.muon import muon
from catnet.training.soft_labels import SoftLabels

CHUNK = 8  # steps in one compiled program, between which nothing waits for Python
BATCH = 256  # images in one validation batch
EPOCHS = 20  # default: how often every image is sampled, on average
STEPS = (1000, 12000)  # the least and the most steps by default


@dataclass(frozen=True)
class PhotoConfig:
    """The settings of a photo training.

    Attributes:
        widths: channels of each stage of the network.
        blocks: residual blocks of each stage.
        steps: the number of updates; see ``for_images``.
        batch_size: images a step.
        learning_rate: at its peak; for Muon (kernels and matrices) and Adam (the rest).
        weight_decay: of kernels and matrices.
        warm_up: share of the steps in which the learning rate rises from 0; then it falls to 0.
        light: share of the first steps, which have light augmentation.
        settle: share of the last steps, which have light augmentation again: their images are
            like those in prediction (Touvron et al. 2019, arXiv:1906.06423).
        mixup: share of the images that are blended with another image, in the steps between.
        cutmix: share of the images that get a rectangle of another image, in the same steps.
        fine_weight: weight of the cost of the fine classes.
        smoothing: label smoothing: the share of a label that goes to the other classes; not
            with soft labels.
        average: decay of the moving average of the weights.
        validate_every: steps between two validations.
        from_model: a photo model whose weights are the initialization; "" for random ones.  Its
            last layer is replaced where the classes differ.
        precision: dtype of the network's computation, "float32" or "bfloat16"; parameters,
            gradients and the cost are float32.
        soft_labels: a file of soft labels; see :mod:`catnet.training.soft_labels`; "" for none.
        leave_out: the sources of which nothing is trained on: all their images are test images.
        textures: how many drawn textures are added, as non-cats.
        sampling_weights: the fraction of every batch from a stratum, by name; see
            ``sampling.compute_sampling_weights``.
        class_weights: of the cost; see ``weigh_classes``.  Two classes are sampled equally often.
        seed: of all randomness.
        init: of the weights that do not start at zero, one of ``registry.INITIALIZATIONS``; None
            for "he", and "lecun" in the last layer.
        dropout: the fraction of the features that is dropped in a step.
        augment: one of ``registry.AUGMENTATIONS``; only "full" has mixup and cutmix, and light
            augmentation in the first and last steps.
        patience: the training ends when so many steps have not improved the validation score.
        extended_at: the steps at which the training was extended.
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
    from_model: str = ""
    precision: str = "float32"
    soft_labels: str = ""
    leave_out: tuple[str, ...] = ()
    textures: int = 0
    sampling_weights: tuple[tuple[str, float], ...] = ()
    class_weights: ClassWeights = ()
    seed: int = 1
    init: str | None = None
    dropout: float = 0.0
    augment: str = "full"
    patience: int | None = None
    extended_at: tuple[int, ...] = ()

    @classmethod
    def for_images(cls, images: int, **settings: Any) -> Self:
        """The default settings for a number of images, with some replaced.

        Example:
            >>> config = PhotoConfig.for_images(30_000, seed=2)
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
    """The state between two steps."""

    step: Any
    params: Any
    average: Any
    opt_state: Any


class Classes(NamedTuple):
    """The fine classes that the network is trained on, and which of them are cats.

    With more than two classes, these are the fine classes, and there are no cats.
    """

    names: tuple[str, ...]
    cats: tuple[int, ...]
    fine: (
        np.ndarray
    )  # (n,) fine class of every image, −1 where unknown; or (n, classes) soft labels

    @staticmethod
    def of(cache: Cache, soft: SoftLabels | None = None) -> Classes:
        """The fine classes of the data; the classes themselves, where it has none.

        With soft labels, the classes of the teacher.
        """
        if soft is not None:
            return Classes(soft.names, soft.cats, soft.of(cache.table.content))
        if len(cache.classes) > 2:
            return Classes(cache.classes, (), cache.table.labels)
        if cache.fine_names:
            return Classes(cache.fine_names, cache.fine_cats, cache.table.fine)
        return Classes(cache.classes, (1,), cache.table.labels)

    def soften(self, labels: np.ndarray) -> np.ndarray:
        """The target of the cat label, (n,): with soft labels, its mean with the teacher's."""
        if self.fine.ndim == 1:
            return labels
        cats = self.fine[:, self.cats].sum(axis=1, dtype=np.float32)
        known = self.fine.sum(axis=1, dtype=np.float32) > 0
        return np.where(known, (labels + cats) / 2, labels).astype(np.float32)


def network(config: PhotoConfig, classes: int) -> jaxnn.Layer:
    """The network in training: images → logits of all classes."""
    if config.init is None:
        features, last = trunk(config.widths, config.blocks), jaxnn.dense(classes)
    else:
        W_init = registry.initializer(config.init)
        features = trunk(config.widths, config.blocks, W_init)
        last = jaxnn.dense(classes, W_init=W_init)
    return jaxnn.serial(features, dropped(last, config.dropout) if config.dropout else last)


def optimizer(config: PhotoConfig) -> optax.GradientTransformation:
    """Muon for kernels and matrices, Adam for the rest; warm-up, then to 0."""
    warm_up = max(1, int(config.warm_up * config.steps))
    rate = optax.schedules.warmup_cosine_decay_schedule(
        0.0, config.learning_rate, warm_up, max(config.steps, warm_up + 1)
    )
    return muon(rate, config.weight_decay)


def make_state(config: PhotoConfig, classes: int) -> TrainState:
    """The state before the first step, with random weights."""
    net = network(config, classes)
    pixels = jax.ShapeDtypeStruct((64, 64, 3), jnp.float32)
    params = jax.jit(lambda key: net.init(key, pixels))(jax.random.key(config.seed))
    average = jax.tree.map(jnp.copy, params)  # its own buffers: those of params are donated
    return TrainState(np.zeros((), np.int32), params, average, optimizer(config).init(params))


def _load_weights(state: TrainState, model: Classifier, keep_last: bool = True) -> TrainState:
    """The state with the weights of a model.

    Args:
        state: of a network of the same features.
        model: a photo model.
        keep_last: whether its last layer is kept too, if it has as many classes.

    Raises:
        UserError: the layers below the head differ.
    """
    head = registry.network(model.architecture).head
    # Copies, since the buffers of a state are donated, and the model keeps its own.
    *features, last = jax.tree.map(jnp.copy, model.params[: head + 1])
    if _shapes(features) != _shapes([*state.params[:head]]):
        raise UserError(f"{model.name}: is another network than this training's")
    if not keep_last or _shapes(last) != _shapes(state.params[head]):
        last = state.params[head]
    params = (*features, last)
    return state._replace(params=params, average=jax.tree.map(jnp.copy, params))


def _shapes(tree: Any) -> str:
    return str(jax.tree.map(jnp.shape, tree))


def initialize(config: PhotoConfig, classes: Classes) -> TrainState:
    """The state before the first step, with the weights of ``from_model`` if it is set.

    Raises:
        UserError: this model cannot be read, or is another network.
    """
    state = make_state(config, len(classes.names))
    if not config.from_model:
        return state
    model = Classifier.load(config.from_model)
    if model.architecture["model"] != "photo":
        raise UserError(f"{model.name}: is not a photo network; leave --model photo out")
    same = model.architecture.get("cats", []) == [*classes.cats]
    if len(classes.names) == 2 or not classes.cats:
        same = same and agree(model.classes, classes.names)
    return _load_weights(state, model, same)


def compile_steps(
    config: PhotoConfig, classes: Classes, weights: np.ndarray | None = None
) -> Callable[..., Any]:
    """(state, images (k, n, S, S, 3) uint8, cat, fine, prior (k, n)) → (state, costs (k,)).

    ``fine`` is (k, n, classes) with soft labels.

    Args:
        config: the settings.
        classes: the classes of the network.
        weights: of the labels in the cost, (classes,); None for equal weights.
    """
    count = len(classes.names)
    net = network(config, count)
    loss = photo_loss(classes.cats, count, config.fine_weight) if classes.cats else fine_loss
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
        smoothing = config.smoothing if classes.fine.ndim == 1 else 0.0
        y = targets(cat, fine, prior, count, smoothing)
        if weights is not None:
            of_class = jnp.asarray(weights, jnp.float32)
            label = (cat > 0.5).astype(jnp.int32) if classes.cats else fine
            y = weigh(y, of_class[label], bool(classes.cats))
        is_light = (state.step < light_until) | (state.step >= settle_from)
        key_of_step = jax.random.fold_in(key, state.step)
        if config.augment == "full":
            x, y = jax.lax.cond(is_light, light, full, key_of_step, images, y)
        else:
            x = FUNCTIONS[config.augment](key_of_step, images)
        of_dropout = jax.random.fold_in(key_of_step, 1) if config.dropout else None
        cost, grads = cost_and_grads(state.params, x.astype(config.precision), y, of_dropout)
        updates, opt_state = descent.update(grads, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        # The average moves faster at first, to forget the random initialization.
        decay = jnp.minimum(config.average, (1.0 + state.step) / (10.0 + state.step))
        average = jax.tree.map(lambda a, p: decay * a + (1 - decay) * p, state.average, params)
        return TrainState(state.step + 1, params, average, opt_state), cost

    return jax.jit(lambda state, *batches: jax.lax.scan(step, state, batches), donate_argnums=0)


def batches(
    cache: Cache, sampler: Sampler, columns: Sequence[np.ndarray], first: int, steps: int
) -> Generator[tuple[np.ndarray, ...], None, None]:
    """Yield the chunks of a training from step ``first`` on; a thread gathers them ahead.

    A chunk has its images and their values of the columns, (n,) each.  An exception in the
    thread is raised by the generator.
    """
    ahead: queue.Queue[Any] = queue.Queue(maxsize=2)
    stop = threading.Event()

    def put(item: Any) -> None:
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
                put((images, *(column[chosen] for column in columns)))
            put(None)
        except BaseException as error:
            put(error)

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
    """Logits of the validation images, (n,) or (n, classes), with their labels and sources."""

    z: np.ndarray
    labels: np.ndarray
    sources: np.ndarray

    def scores(self, names: tuple[str, ...]) -> dict[str, dict[str, float]]:
        """AUC and balanced accuracy of every source that has both labels.

        With more than two classes, accuracy and balanced accuracy of every source.
        """
        scores = {}
        for source, name in enumerate(names):
            here = self.sources == source
            if self.z.ndim == 2:
                if not here.any():
                    continue
                labels, answers = self.labels[here], np.argmax(self.z[here], axis=1)
                scores[name] = {
                    "accuracy": float(np.mean(labels == answers)),
                    "balanced_accuracy": balanced_accuracy(labels, answers),
                }
            elif len(set(self.labels[here].tolist())) == 2:
                scores[name] = {
                    "auc": auc(self.labels[here], self.z[here]),
                    "balanced_accuracy": balanced_accuracy(self.labels[here], self.z[here] >= 0),
                }
        return scores

    def score(self, names: tuple[str, ...], scores: dict[str, dict[str, float]]) -> float:
        """The score that selects the best weights: mean AUC, weighted by √images of a source.

        With more than two classes, the mean accuracy.

        Args:
            names: of the sources.
            scores: of ``scores``.
        """
        sizes = [np.count_nonzero(self.sources == names.index(name)) for name in scores]
        metric = "accuracy" if self.z.ndim == 2 else "auc"
        values = [of_source[metric] for of_source in scores.values()]
        return float(np.average(values, weights=np.sqrt(sizes)))

    def measure(self, score: float) -> tuple[float, float, float]:
        """Cost, accuracy and AUC of a ``Measure``; the score is the last that there is."""
        cost = cross_entropy(self.labels, self.z)
        if self.z.ndim == 2:
            return cost, score, math.nan
        return cost, compute_accuracy(self.labels, self.z), score


def compile_logits(
    config: PhotoConfig, classes: Classes
) -> Callable[[Any, Cache, np.ndarray], np.ndarray]:
    """(params, cache, indices of images) → logits of class 1, (n,), or of all classes."""
    count = len(classes.names)
    head = [log_odds(classes.cats, count)] if classes.cats else []
    net = jaxnn.serial(network(config, count), *head)
    rest = ((),) * len(head)
    apply = jax.jit(lambda params, images: net.apply((params, *rest), prepare(images)))

    def logits(params: Any, cache: Cache, indices: np.ndarray) -> np.ndarray:
        z = []
        for at in range(0, len(indices), BATCH):
            part = indices[at : at + BATCH]
            padded = np.resize(part, BATCH)  # a shorter last batch would be compiled by itself
            z.append(np.asarray(apply(params, cache.take(padded)))[: len(part)])
        logits = np.concatenate(z)
        return logits[:, 0] if classes.cats else logits

    return logits


class Division(NamedTuple):
    """What a training takes from its data.

    Attributes:
        sampler: of the training part.
        measured: the indices of the training images whose accuracy is measured.
        validation: the indices of the validation images.
        class_weights: (classes,) float64; None for equal weights.
    """

    sampler: Sampler
    measured: np.ndarray
    validation: np.ndarray
    class_weights: np.ndarray | None


def divide(config: PhotoConfig, cache: Cache) -> Division:
    """Divide the images into the parts of a training.

    Raises:
        UserError: the sampling weights, the class weights or the batch size do not fit, or a part
            has too few images.
    """
    parts = split(cache.table)
    for part in (TRAIN, VALIDATION, TEST):
        _check_part(cache, parts, part)
    labels = cache.table.labels[parts == TRAIN]
    # Two classes are sampled equally often, and so balanced without weights.
    drawn = np.arange(2) if len(cache.classes) == 2 else labels
    class_weights = weigh_classes(config.class_weights, cache.classes, drawn)
    if config.batch_size > len(labels):
        raise UserError(f"--batch-size {config.batch_size}: there are {len(labels)} images only")
    weights = dict(config.sampling_weights)
    sampler = make_sampler(cache, parts == TRAIN, config.batch_size, weights, config.seed)
    measured = np.flatnonzero(parts == TRAIN)[choose_measured(len(labels))]
    return Division(sampler, measured, np.flatnonzero(parts == VALIDATION), class_weights)


class Outcome(NamedTuple):
    """The result of a photo training.

    Attributes:
        params: the averaged weights with the best validation score.
        curves: costs and measures.
        validations: of each validation, the step and the scores of every source.
        stopped: why the training ended before its last step, unless by patience.
    """

    params: Any
    curves: Curves
    validations: list[dict[str, Any]]
    stopped: UserError | None = None


def make_rule(config: PhotoConfig) -> Rule:
    """The weights of the best score are kept, and decide when the training ends."""
    since = config.extended_at[-1] if config.extended_at else 0
    return Rule(selects=True, patience=config.patience, since=since, by_cost=False)


def _check_part(cache: Cache, parts: np.ndarray, part: int) -> None:
    """Refuse a part that lacks a class; validation and test need both classes of one source.

    With more than two classes, only the training part needs all of them.
    """
    here = parts == part
    labels, sources = cache.table.labels[here], cache.table.sources[here]
    present = set(labels.tolist())
    absent = [name for label, name in enumerate(cache.classes) if label not in present]
    if part != TRAIN and len(cache.classes) > 2 and len(labels):
        return
    both = any(len(set(labels[sources == source].tolist())) == 2 for source in np.unique(sources))
    if absent or (part != TRAIN and not both):
        lack = "has no source with both classes"
        if absent:
            many = len(absent) > LISTED
            lack = f"has no {enumerate_names(absent) if many else ' and no '.join(absent)}"
        raise UserError(
            f"{len(cache)} images are too few: the {PARTS[part]} part, {len(labels)} of them, "
            f"{lack}; add different images (100 of each class are enough), "
            "or use --from shipped without --model photo"
        )


def train(
    config: PhotoConfig,
    cache: Cache,
    classes: Classes,
    parts: Division,
    state: TrainState,
    checkpoint: Checkpoint,
    log: Callable[[str], None],
) -> Outcome:
    """Train from a state, or from the checkpoint if there is one.

    The checkpoint has the state, the costs, the best weights and the scores.

    Raises:
        UserError: the training diverged before the first validation, or the checkpoint cannot be
            used.
        Stopped: Ctrl-C was pressed; the checkpoint is saved.
    """
    rule = make_rule(config)
    sampler, measured, validation_indices, class_weights = parts
    curves, best = Curves(VALIDATION_PART), _copy(state.average)
    lines: list[dict[str, Any]] = []  # the scores of each validation
    if checkpointed := checkpoint.load((state, np.zeros(0), best)):
        (state, costs, best), about = checkpointed
        lines = about["validations"]
        curves = Curves(VALIDATION_PART, np.asarray(costs).tolist(), from_json(about["measures"]))
    run = compile_steps(config, classes, class_weights)
    logits = compile_logits(config, classes)

    def validate(params: Any) -> Validation:
        i = validation_indices
        z = logits(params, cache, i)
        return Validation(z, cache.table.labels[i], cache.table.sources[i])

    first, last_log, pace = int(state.step), time.monotonic(), measure_pace(config.steps)
    cats = classes.soften(cache.table.labels)
    columns = (cats, classes.fine, compute_priors(cache, sampler))
    first = config.steps if rule.is_over(curves.measures) else first
    remark = f"; the best weights so far are in {checkpoint.folder}"

    def diverged(step: int, value: float, what: str = "the cost") -> Outcome:
        rate = config.learning_rate
        error = describe_divergence(step, value, rate, remark if lines else "", what)
        if not lines:
            raise error
        curves.keep(step - 1)
        return Outcome(best, curves, lines, error)

    with closing(batches(cache, sampler, columns, first, config.steps)) as chunks:
        for batch in chunks:
            before = int(state.step)
            state, costs = run(state, *batch)
            done = int(state.step)
            costs = np.asarray(costs)
            curves.costs.extend(costs.tolist())
            if len(bad := np.flatnonzero(~np.isfinite(costs))):
                return diverged(before + int(bad[0]), float(costs[bad[0]]))
            now = pace(done)
            if shows_live() and done < config.steps:
                bar = format_bar(done, config.steps, "steps", now)
                show_live(f"{bar}  cost {costs[-1]:.3f}")
            elif time.monotonic() - last_log > 10 or done == config.steps:
                last_log = time.monotonic()
                speed = f"  {now.speed * config.batch_size:.0f} images/s" if now else ""
                left = f"  {now}" if now and done < config.steps else ""
                log(f"step {done}/{config.steps}  cost {costs[-1]:.3f}{speed}{left}")
            if is_due(before, done, config.validate_every, config.steps):
                validation = validate(state.average)
                if len(bad := np.flatnonzero(~np.isfinite(validation.z))):
                    z = float(validation.z[bad[0]])
                    return diverged(done, z, "a validation logit")
                z = logits(state.average, cache, measured)
                accuracy = compute_accuracy(cache.table.labels[measured], z)
                scores = validation.scores(cache.sources)
                score = validation.score(cache.sources, scores)
                measure = Measure(done, accuracy, *validation.measure(score))
                curves.measures.append(measure)
                if rule.best(curves.measures) is measure:
                    best = _copy(state.average)
                lines.append({"step": done, "score": score, **scores})
                log(json.dumps({**lines[-1], "training_accuracy": accuracy}))
            over = rule.is_over(curves.measures)
            save = partial(_checkpoint, state, curves, best, lines)
            checkpoint.save_if_due(done, config.steps, save, over)
            if over:
                log(f"stopped early: no higher validation score in {config.patience} steps")
                break
    return Outcome(best, curves, lines)


def _copy(params: Any) -> Any:
    """Arrays of NumPy, which a donation of the originals leaves intact."""
    return jax.tree.map(np.array, params)


def _checkpoint(
    state: TrainState, curves: Curves, best: Any, lines: list[dict[str, Any]]
) -> tuple[Any, dict[str, Any]]:
    about = {"validations": lines, "measures": as_json(curves.measures)}
    return (state, np.array(curves.costs, np.float32), best), about
