"""Training of the classifier of spoken words, with augmentation."""

from __future__ import annotations

import jax
import numpy as np

import jaxnn
from seqnet.data.examples import Examples
from seqnet.data.wav import resample
from seqnet.models import speech
from seqnet.models.model import Model
from seqnet.training.descent import descend, first

WIDTH = 64
COPIES = 10  # of each sound; all but the first are augmented
SPEED = 0.25  # a copy is at most e^SPEED times as fast, or as slow
SHIFT = 600  # samples of silence added before and after, at most
CUT = 400  # samples cut from both ends, at most
NOISE = (-4.0, -1.5)  # decimal exponent of the noise, relative to the loudest sample


def augment(sound: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """A variant of a sound: another speed and pitch, another start and end, and noise.

    A faster sound is higher, as that of a shorter throat: this stands for other speakers.
    """
    sound = resample(sound, float(np.exp(draw.uniform(-SPEED, SPEED))))
    sound = np.pad(sound, draw.integers(0, SHIFT, 2))
    start, end = draw.integers(0, CUT, 2)
    sound = sound[start : len(sound) - end] if len(sound) > 4 * CUT else sound
    loudness = np.abs(sound).max() * 10 ** draw.uniform(*NOISE)
    return (sound + loudness * draw.standard_normal(len(sound))).astype(np.float32)


def train(
    data: Examples, seed: int = 0, *, width: int = WIDTH, copies: int = COPIES, epochs: float = 6
) -> Model:
    """Train on sounds.

    Args:
        data: the training part.
        seed: of the augmentation, the initial parameters, the order of examples and dropout.
        width: features of each convolution.
        copies: of each sound.
        epochs: how often each copy is used.
    """
    draw = np.random.default_rng(seed)
    sounds = data.items + [augment(s, draw) for _ in range(copies - 1) for s in data.items]
    labels = np.tile(data.labels, copies)
    described = {"classes": list(data.classes), "width": width}
    net, x = speech.build(described), speech.encode(described, sounds)
    params = descend(
        net, jaxnn.softmax_cross_entropy, net.init(jax.random.key(seed), first(x)), x, labels,
        epochs=epochs, learning_rate=3e-3, batch_size=32, seed=seed,
        title="speech", fewest=100,
    )  # fmt: skip
    return Model("speech", described, params)
