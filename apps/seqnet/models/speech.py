"""The classifier of spoken words: a recurrent network over a log-mel spectrogram."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import jaxnn
from jaxnn import Layer, Masked
from seqnet.features import spectrogram

#: What a model file has to contain, besides the parameters.
FIELDS = {"classes": list, "width": int}


def build(described: dict[str, Any]) -> Layer:
    """The network: ``Masked`` frames (N, T, bands) → logits (N, classes)."""
    width = described["width"]
    return jaxnn.serial(
        jaxnn.conv1d(width, 5),
        jaxnn.relu,
        jaxnn.layer_norm(),
        jaxnn.dropout(0.1),
        jaxnn.bidirectional(jaxnn.gru(width), jaxnn.gru(width)),
        jaxnn.max_over_time,
        jaxnn.dropout(0.3),
        jaxnn.dense(len(described["classes"])),
    )


def encode(described: dict[str, Any], sounds: Sequence[np.ndarray]) -> Masked:
    """The input of the network for sounds (samples,) at ``RATE``."""
    return spectrogram.encode(sounds)
