"""The settings of a fine-tuning."""

from __future__ import annotations

from dataclasses import dataclass

from catnet.training.class_weights import ClassWeights

WHOLE_RATE = 1e-4  # learning rate of all layers: small, so that the features change little
HEAD_RATE = 1e-2  # of a new last layer by itself
CHUNK = 50
STEPS = 300
MEASURES = 6  # of each phase, by default


@dataclass(frozen=True)
class FineTuning:
    """The settings of a fine-tuning.

    Attributes:
        freeze: whether only the new last layer is trained.
        steps: updates of the last layer, and then as many of all layers, unless frozen.
        learning_rate: of the last phase; None for 0.01 (last layer) or 0.0001 (all layers).
        weight_decay: of AdamW.
        batch_size: examples a step; all examples, where there are fewer.
        seed: of the last layer, the order of the examples, dropout and augmentation.
        class_weights: of the cost; see ``weigh_classes``.
        init: of the new last layer, one of ``registry.INITIALIZATIONS``.
        dropout: the fraction of the features that is dropped in a step.
        augment: one of ``registry.AUGMENTATIONS``.  "mirror" trains on every image and its mirror
            image.  "light" and "full" change the images of the second phase; the features of the
            first are those of "mirror".
        validation: the fraction of the training images that is the validation part.
        patience: the last phase ends when so many steps have not improved the validation cost.
        validate_every: steps between two measures.
        extended_at: the steps of the last phase at which the training was extended.
    """

    freeze: bool
    steps: int = STEPS
    learning_rate: float | None = None
    weight_decay: float = 0.01
    batch_size: int = 64
    seed: int = 1
    class_weights: ClassWeights = ()
    init: str = "zeros"
    dropout: float = 0.0
    augment: str = "mirror"
    validation: float = 0.0
    patience: int | None = None
    validate_every: int = CHUNK
    extended_at: tuple[int, ...] = ()


def choose_every(steps: int) -> int:
    """The steps between two measures, which take longer than for the lecture's networks.

    Example:
        >>> choose_every(60), choose_every(300), choose_every(3000)
        (50, 50, 500)
    """
    return CHUNK * -(-steps // (CHUNK * MEASURES))
