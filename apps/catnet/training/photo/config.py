"""The settings of a photo training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from catnet.training.class_weights import ClassWeights

CHUNK = 8  # steps in one compiled program, between which nothing waits for Python
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
