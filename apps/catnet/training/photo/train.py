"""Train the photo network, from its state or its checkpoint."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np

from catnet.data.cache import Cache
from catnet.data.sampling import compute_priors
from catnet.errors import UserError, describe_divergence
from catnet.progress import format_bar, measure_pace
from catnet.terminal import show_live, shows_live
from catnet.training.checkpoints import Checkpoint
from catnet.training.curves import VALIDATION as VALIDATION_PART
from catnet.training.curves import Curves, Measure, Rule, as_json, from_json, is_due
from catnet.training.measuring import compute_accuracy
from catnet.training.photo.batches import batches
from catnet.training.photo.classes import Classes
from catnet.training.photo.config import PhotoConfig
from catnet.training.photo.division import Division
from catnet.training.photo.state import TrainState
from catnet.training.photo.steps import compile_steps
from catnet.training.photo.validation import Validation, compile_logits


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


def train(
    config: PhotoConfig,
    cache: Cache,
    classes: Classes,
    division: Division,
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
    _, sampler, measured, validation_indices, class_weights = division
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
