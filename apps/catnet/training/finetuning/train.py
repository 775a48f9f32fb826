"""Train a network with a new head: its last layer, then all layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from catnet.data.dataset import Dataset
from catnet.errors import UserError
from catnet.models.classifier import Classifier
from catnet.models.targets import choose_loss
from catnet.training import checkpoints, curves, descent
from catnet.training.checkpoints import Checkpoint, Stopped
from catnet.training.class_weights import weigh_classes
from catnet.training.curves import Curves
from catnet.training.descent import Outcome, Report, Track
from catnet.training.finetuning.config import CHUNK, FineTuning
from catnet.training.finetuning.network import make_network
from catnet.training.finetuning.phases import (
    Examples,
    Phase,
    make_copies,
    prepare_all_layers,
    prepare_last_layer,
)
from catnet.training.measuring import make_rule
from catnet.training.mlp import find_weights

ReportOf: TypeAlias = Callable[[str], Report]  # "last layer" or "all layers" → its report


def train(
    config: FineTuning,
    model: Classifier,
    data: Dataset,
    report_of: ReportOf | None = None,
    checkpoint: Checkpoint | None = None,
    measured: tuple[Dataset, str] | None = None,
) -> tuple[dict[str, Any], Outcome]:
    """Give a model a new head and train it on a dataset, from the checkpoint if there is one.

    First the last layer is trained, on the features of every image, magnified and mirrored as in
    prediction, which are computed once.  Then, unless they are frozen, all layers are trained
    together, at a small learning rate.  All layers from the first step would distort the features,
    since the gradients of a random head are noise (Kumar et al. 2022, arXiv:2202.10054).

    Args:
        config: the settings.
        model: the trained model; not changed.
        data: images of the classes.
        report_of: called with the name of each phase; it returns the report of this phase, which
            is called with the steps of the phase that are done, and the last cost.
        checkpoint: of the run; None for none.
        measured: the images that are measured beside, and the name of their part; the default is
            the training images, as part "test".

    Returns:
        The architecture and the outcome.

    Raises:
        UserError: the first cost is not finite, or the model has no layer below its head.
    """
    other, part = measured or (data, curves.TEST)
    network = make_network(config, model, len(data.classes))
    weights = weigh_classes(config.class_weights, data.classes, data.labels)
    examples = Examples(data, other, make_copies(config, network, data.images), weights)
    loss = choose_loss(len(data.classes), weights is not None)
    track = Track(Curves(part), network.params)
    params, stopped = network.params, None

    def descend(phase: Phase) -> tuple[Any, UserError | Stopped | None]:
        report = report_of(phase.name) if report_of else None
        return _descend(phase, config, loss, track, checkpoint, report)

    if not checkpoint or checkpoints.read_progress(checkpoint.folder).get("phase", 0) == 0:
        phase = prepare_last_layer(config, network, examples)
        head, stopped = descend(phase)
        params = phase.complete(head)
    if not config.freeze and not stopped:
        params, stopped = descend(prepare_all_layers(config, network, params, examples))
    rule = make_rule(config)
    if rule.selects and rule.best(track.curves.measures):
        params = track.best
    return network.architecture, Outcome(params, track.curves, stopped)


def _descend(
    phase: Phase,
    config: FineTuning,
    loss: Any,
    track: Track,
    checkpoint: Checkpoint | None,
    report: Report | None,
) -> tuple[Any, UserError | Stopped | None]:
    """Train the layers of a phase, from the checkpoint if it is of this phase."""
    import jax
    import optax

    import jaxnn

    optimizer = optax.adamw(
        phase.learning_rate, weight_decay=config.weight_decay, mask=find_weights
    )
    start = jaxnn.State(0, phase.params, optimizer.init(phase.params))
    offset = len(track.curves.costs)
    if checkpoint and checkpoints.read_progress(checkpoint.folder).get("phase") == phase.index:
        like = (start.params, start.opt_state, np.zeros(0), track.best)
        if saved := checkpoint.load(like):
            (params, opt_state, costs, track.best), about = saved
            track.curves.costs = np.asarray(costs).tolist()
            track.curves.measures = curves.from_json(about["measures"])
            offset = about["offset"]
            start = jaxnn.State(about["step"], params, opt_state)

    def advance(state: jaxnn.State, steps: int, progress: Any) -> Any:
        return jaxnn.fit(
            phase.layers,
            loss,
            state.params,
            phase.x,
            phase.y,
            optimizer=optimizer,
            steps=steps,
            batch_size=min(config.batch_size, len(phase.x)),
            key=jax.random.key(config.seed),
            chunk=CHUNK,
            state=state,
            progress=progress,
        )[0]

    def save(state: jaxnn.State, now: bool) -> None:
        def current() -> tuple[Any, dict[str, Any]]:
            costs = np.array(track.curves.costs, np.float32)
            measures = curves.as_json(track.curves.measures)
            about = {"phase": phase.index, "offset": offset, "measures": measures}
            return (state.params, state.opt_state, costs, track.best), about

        if checkpoint:
            checkpoint.save_if_due(state.step, config.steps, current, now)

    rule = make_rule(config)
    is_last = config.freeze or phase.index == 1
    return descent.descend(
        [start],
        advance,
        config.steps,
        track,
        phase.scores,
        rule=rule._replace(
            patience=config.patience if is_last else None, since=offset + rule.since
        ),
        every=config.validate_every,
        learning_rate=phase.learning_rate,
        save=save,
        report=report,
        offset=offset,
        whole=phase.complete,
        remark=f"; the parameters before it are in {checkpoint.folder}" if checkpoint else "",
    )
