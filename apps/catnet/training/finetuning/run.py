"""A run of a fine-tuning, in a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from catnet.data.dataset import Dataset
from catnet.evaluation.report import Evaluation
from catnet.models.classifier import Classifier
from catnet.training import checkpoints, dataset_run
from catnet.training.checkpoints import Checkpoint
from catnet.training.dataset_run import Images, Training
from catnet.training.descent import Outcome
from catnet.training.finetuning.config import FineTuning
from catnet.training.finetuning.network import replace_head
from catnet.training.finetuning.train import ReportOf, train


def run(
    folder: Path,
    config: FineTuning,
    model: Classifier,
    images: Images,
    report_of: ReportOf | None = None,
    parent: Path | None = None,
    *,
    resume: bool = False,
    every: float = checkpoints.EVERY,
) -> Evaluation:
    """Train in a run folder; see ``dataset_run.run``.

    Args:
        folder: a new folder; with ``resume``, the folder of an earlier ``run``.
        config: the settings.
        model: the trained model; not changed.
        images: to train and to evaluate on.
        report_of: see ``train``.
        parent: the file or run folder of the model.
        resume: continue from the checkpoint in the folder.
        every: seconds between two checkpoints.

    Returns:
        The evaluation of the new model on the test part.

    Raises:
        UserError: the model does not fit.
    """
    import jax

    replace_head(model.architecture, len(images.train.classes))  # refuse a model without features

    def train_on(
        data: Dataset, measured: tuple[Dataset, str], checkpoint: Checkpoint
    ) -> tuple[dict[str, Any], Outcome]:
        return train(config, model, data, report_of, checkpoint, measured)

    training = Training(
        config,
        train_on,
        f"fine-tuning of {model.name}: last layer{'' if config.freeze else ', then all layers'}",
        {
            "model": "fine-tuning",
            "from": model.name,
            "from_model": parent and str(parent.absolute()),
        },
        parent,
        model.name,
        [np.asarray(leaf) for leaf in jax.tree.leaves(model.params)],
    )
    return dataset_run.run(folder, training, images, resume=resume, every=every)[1]
