"""Training the network for photographs: many short steps, resumable, the best weights kept."""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from optax.contrib import MuonDimensionNumbers, muon

import jaxnn
from catnet.errors import UserError
from catnet.evaluate import auc, balanced_accuracy
from catnet.photo.augment import FULL, LIGHT, augment, prepare
from catnet.photo.cache import Cache
from catnet.photo.network import log_odds, photo_loss, targets, trunk
from catnet.photo.sampling import Sampler, make_sampler
from catnet.photo.split import TRAIN, VALIDATION, split

CHUNK = 8  # steps in one compiled program: between them nothing waits for Python
BATCH = 256  # pictures at a time where nothing is learnt


@dataclass(frozen=True)
class PhotoConfig:
    """All that decides a training, besides the data.

    Attributes:
        widths: channels of each stage of the network.
        blocks: residual blocks of each stage.
        steps: how many updates.
        batch_size: pictures a step.
        learning_rate: at its peak; of Muon for kernels and matrices, of Adam for the rest.
        weight_decay: of kernels and matrices.
        warm_up: share of the steps in which the learning rate rises from 0; then it falls to 0.
        light: share of the steps, from the first, with light augmentation.
        fine_weight: of the cost of the fine classes.
        smoothing: share of a label that is given to the others.
        average: decay of the moving average of the weights.
        validate_every: steps.
        shares: of every batch that come from a stratum, by name; see ``sampling.shares``.
        seed: of all randomness.
    """

    widths: tuple[int, ...] = (48, 96, 192)
    blocks: tuple[int, ...] = (2, 2, 2)
    steps: int = 12000
    batch_size: int = 128
    learning_rate: float = 3e-3
    weight_decay: float = 0.05
    warm_up: float = 0.03
    light: float = 0.1
    fine_weight: float = 0.5
    smoothing: float = 0.1
    average: float = 0.998
    validate_every: int = 800
    shares: tuple[tuple[str, float], ...] = ()
    seed: int = 1


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
    fine: np.ndarray  # (n,) of every picture; −1 where it is not known

    @staticmethod
    def of(cache: Cache) -> Classes:
        """The fine classes of the data; where it has none, the two labels themselves."""
        if cache.fine_names:
            return Classes(cache.fine_names, cache.fine_cats, cache.table.fine)
        return Classes(("non-cat", "cat"), (1,), cache.table.labels)


def network(config: PhotoConfig, classes: int) -> jaxnn.Layer:
    """The network that learns: pictures to logits of all classes."""
    return jaxnn.serial(trunk(config.widths, config.blocks), jaxnn.dense(classes))


def optimizer(config: PhotoConfig) -> optax.GradientTransformation:
    """Muon (Jordan et al. 2024) for kernels and matrices, Adam for the rest; warm-up, then to 0."""
    rate = optax.schedules.warmup_cosine_decay_schedule(
        0.0, config.learning_rate, max(1, int(config.warm_up * config.steps)), config.steps
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


def compiled_steps(config: PhotoConfig, classes: Classes) -> Callable[..., Any]:
    """(state, images (k, n, 64, 64, 3) uint8, cat (k, n), fine (k, n)) → (state, costs (k,))."""
    count = len(classes.names)
    net = network(config, count)
    loss = photo_loss(classes.cats, count, config.fine_weight)
    cost_and_grads = jaxnn.value_and_grad(net, loss)
    descent = optimizer(config)
    key = jax.random.key(config.seed)
    light_steps = int(config.light * config.steps)

    def step(state: TrainState, batch: tuple[Any, Any, Any]) -> tuple[TrainState, Any]:
        images, cat, fine = batch
        key_of_step = jax.random.fold_in(key, state.step)
        x = jax.lax.cond(
            state.step < light_steps,
            partial(augment, strength=LIGHT),
            partial(augment, strength=FULL),
            *(key_of_step, images),
        )
        y = targets(cat, fine, count, config.smoothing)
        cost, grads = cost_and_grads(state.params, x, y)
        updates, opt_state = descent.update(grads, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        # The average forgets its random start: at first it moves faster.
        decay = jnp.minimum(config.average, (1.0 + state.step) / (10.0 + state.step))
        average = jax.tree.map(lambda a, p: decay * a + (1 - decay) * p, state.average, params)
        return TrainState(state.step + 1, params, average, opt_state), cost

    return jax.jit(lambda state, *batches: jax.lax.scan(step, state, batches), donate_argnums=0)


def batches(
    cache: Cache, sampler: Sampler, fine: np.ndarray, first: int, steps: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """The chunks of a training from a step on, gathered while the step before is computed."""
    ahead: queue.Queue[Any] = queue.Queue(maxsize=2)
    stop = threading.Event()

    def gather() -> None:
        for at in range(first, steps, CHUNK):
            chosen = np.stack([sampler.batch(i) for i in range(at, min(at + CHUNK, steps))])
            images = cache.take(chosen.ravel()).reshape(*chosen.shape, *cache.images[0].shape[1:])
            item = (images, cache.table.labels[chosen], fine[chosen])
            while not stop.is_set():
                try:
                    ahead.put(item, timeout=0.2)
                    break
                except queue.Full:
                    continue
        ahead.put(None)

    worker = threading.Thread(target=gather, daemon=True)
    worker.start()
    try:
        while (item := ahead.get()) is not None:
            yield item
    finally:
        stop.set()


class Validation(NamedTuple):
    """Log-odds of the validation pictures, and what they are."""

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
        """What the best weights are chosen by: the mean AUC of all sources."""
        return float(np.mean([found["auc"] for found in self.scores(names).values()]))


def answers(
    config: PhotoConfig, classes: Classes
) -> Callable[[Any, Cache, np.ndarray], np.ndarray]:
    """(params, cache, numbers of pictures) → their log-odds, (n,)."""
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


def train(
    config: PhotoConfig, cache: Cache, folder: Path, say: Callable[[str], None]
) -> tuple[Any, Validation]:
    """Train, or go on where an interrupted training in this folder stopped.

    Writes ``state.safetensors`` (all that is needed to go on), ``best.safetensors`` (the
    averaged weights with the best validation score) and ``validation.jsonl`` into the folder.

    Returns:
        The best weights, and their answers on the validation part.
    """
    classes = Classes.of(cache)
    parts = split(cache.table)
    sampler = make_sampler(
        cache, parts == TRAIN, config.batch_size, dict(config.shares), config.seed
    )
    held = np.flatnonzero(parts == VALIDATION)
    state, best = start(config, len(classes.names)), -1.0
    state_file, best_file = folder / "state.safetensors", folder / "best.safetensors"
    if state_file.exists():
        leaves, metadata = jaxnn.load(state_file)
        if metadata["config"] != json.loads(json.dumps(asdict(config))):
            raise UserError(f"{folder}: was begun with other settings; use another folder")
        state = jax.tree.unflatten(jax.tree.structure(state), leaves)
        best = metadata["best"]
        say(f"going on at step {int(state.step)}")
    run = compiled_steps(config, classes)
    answer = answers(config, classes)
    first, began = int(state.step), time.monotonic()
    told = began
    for batch in batches(cache, sampler, classes.fine, first, config.steps):
        before = int(state.step)
        state, costs = run(state, *batch)
        done = int(state.step)
        if not np.isfinite(np.asarray(costs)).all():
            raise UserError(
                f"the cost is no number any more at step {done}; try a smaller learning rate; "
                f"the best weights so far are in {best_file}"
            )
        now = time.monotonic()
        if now - told > 10 or done == config.steps:
            told = now
            speed = (done - first) / (now - began)
            say(
                f"step {done}/{config.steps}  cost {float(costs[-1]):.3f}  "
                f"{speed * config.batch_size:.0f} pictures/s  "
                f"{(config.steps - done) / speed / 60:.0f} min left"
            )
        every = config.validate_every
        if done // every == before // every and done < config.steps:
            continue
        z = answer(state.average, cache, held)
        validation = Validation(z, cache.table.labels[held], cache.table.sources[held])
        score = validation.score(cache.sources)
        line = {"step": done, "score": score, **validation.scores(cache.sources)}
        say(json.dumps(line))
        with (folder / "validation.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")
        if score > best:
            best = score
            jaxnn.save(best_file, state.average, {"step": done, "score": score})
        jaxnn.save(state_file, jax.tree.leaves(state), {"config": asdict(config), "best": best})
    params, _ = jaxnn.load(best_file)
    z = answer(params, cache, held)
    return params, Validation(z, cache.table.labels[held], cache.table.sources[held])


def calibrate(validation: Validation, rounds: int = 50) -> tuple[float, float]:
    """Slope and offset that make σ(slope · z + offset) a probability (Platt 1999).

    Logistic regression by Newton's method on the validation part, every label of every source
    counting the same.
    """
    z, y = validation.z.astype(np.float64), validation.labels.astype(np.float64)
    strata = validation.sources.astype(int) * 2 + validation.labels
    weight = 1.0 / np.bincount(strata)[strata]
    weight /= weight.sum()
    x = np.stack([z, np.ones_like(z)], axis=1)
    theta = np.array([1.0, 0.0])
    for _ in range(rounds):
        p = 1 / (1 + np.exp(-x @ theta))
        gradient = x.T @ (weight * (p - y))
        curvature = (x.T * (weight * p * (1 - p))) @ x + 1e-9 * np.eye(2)
        theta = theta - np.linalg.solve(curvature, gradient)
    return float(theta[0]), float(theta[1])
