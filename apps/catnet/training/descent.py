"""One descent of a training: steps, measures, checkpoints, and its end before the last step."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from catnet.errors import UserError, describe_divergence
from catnet.terminal import log
from catnet.training.checkpoints import Stopped
from catnet.training.curves import Curves, Measure, Rule, is_due

if TYPE_CHECKING:
    import jax

    from jaxnn import State

CHUNK = 100  # steps between two reports, and at least between two checkpoints
MEASURES = 50  # in a training, by default

Report = Callable[[int, float], None]  # (steps done, last cost)
Progress = Callable[["State", "jax.Array"], None]
Advance = Callable[["State", int, Progress], Any]  # (state, last step, progress) → params
Scores = Callable[[Any], tuple[float, float, float, float]]  # params → a Measure without its step


class Outcome(NamedTuple):
    """The result of a training.

    Attributes:
        params: the last parameters with a finite cost; with a validation part, the best ones.
        curves: the cost before every update that led to the last ones, and their own if it is
            known; and the measures.
        stopped: why the training ended before its last step, unless by patience.
    """

    params: Any
    curves: Curves
    stopped: UserError | Stopped | None = None


@dataclass
class Track:
    """What a training has learnt about its weights so far: part of its checkpoint.

    Attributes:
        curves: costs and measures.
        best: the weights of the best measure; the first weights before that.
    """

    curves: Curves
    best: Any


class Diverged(Exception):
    """Ends a descent at a step whose cost is NaN or infinite."""

    def __init__(self, step: int, cost: float) -> None:
        self.step, self.cost = step, cost


class _Over(Exception):
    """Ends a descent whose patience is at its end."""


def choose_every(steps: int) -> int:
    """The steps between two measures of a training with that many steps.

    Ten or more measures, and of a long training, at most 50.

    Example:
        >>> choose_every(42), choose_every(2500), choose_every(12_000)
        (4, 100, 300)
    """
    if steps < 10 * CHUNK:
        return max(1, steps // 10)
    return CHUNK * -(-steps // (CHUNK * MEASURES))


def descend(
    start: list[State],
    advance: Advance,
    steps: int,
    track: Track,
    scores: Scores,
    *,
    rule: Rule,
    every: int,
    learning_rate: float,
    save: Callable[[State, bool], None],
    report: Report | None = None,
    offset: int = 0,
    whole: Callable[[Any], Any] = lambda params: params,
    remark: str = "",
) -> tuple[Any, UserError | Stopped | None]:
    """Descend to a last step, or until the rule ends it.

    Args:
        start: the state to start from, as the last item; before it, any earlier ones.
        advance: performs the steps; its ``progress`` is called after every chunk.
        steps: the last step.
        track: of the training so far; it is updated.
        scores: measures parameters.
        rule: which parameters are the best, and when the descent ends.
        every: steps between two measures.
        learning_rate: for the message of a divergence.
        save: called after every chunk with the state, and whether it must be saved now.
        report: called after every chunk.
        offset: steps of the training before this descent; it counts its own from 0.
        whole: the parameters of the descent → those of the model, for ``track.best``.
        remark: what a message of divergence ends with.

    Returns:
        The parameters after the last step, and why the descent was stopped, if it was: then, they
        are the last good ones.

    Raises:
        UserError: the first cost is not finite.
    """
    import jax

    states = deque(start, maxlen=2)  # any step since can be computed again from one of two
    curves = track.curves

    def progress(state: State, new_costs: jax.Array) -> None:
        costs = np.asarray(new_costs).tolist()
        before, done = int(state.step) - len(costs), int(state.step)
        curves.costs.extend(costs)
        if len(bad := np.flatnonzero(~np.isfinite(costs))):
            raise Diverged(before + int(bad[0]), costs[bad[0]])
        states.append(state)
        if report:
            report(done, costs[-1])
        if is_due(before, done, every, steps):
            measure = Measure(offset + done, *scores(state.params))
            curves.measures.append(measure)
            if rule.best(curves.measures) is measure:
                track.best = whole(state.params)
        over = rule.is_over(curves.measures)
        save(state, over)
        if over:
            raise _Over

    try:
        params = states[-1].params
        if rule.is_over(curves.measures):
            raise _Over
        if int(states[-1].step) < steps:
            params = advance(states[-1], steps, progress)
        if not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(params)):
            raise Diverged(steps, np.nan)  # in the last update, after the last cost
    except _Over:
        log(f"stopped early: no lower validation cost in {rule.patience} steps")
        return states[-1].params, None
    except Stopped as stop:
        return states[-1].params, stop
    except Diverged as bad:
        why = describe_divergence(offset + bad.step, bad.cost, learning_rate, remark)
        if bad.step == 0:
            raise why from None
        # The cost of a step is that of the parameters before it: the step before has good ones.
        good = bad.step - 1
        curves.keep(offset + good)
        near = next((state for state in reversed(states) if state.step <= good), None)
        if near is None:  # the training went on from a checkpoint of this step
            raise why from None
        params = near.params if near.step == good else advance(near, good, lambda *_: None)
        return params, why
    return params, None
