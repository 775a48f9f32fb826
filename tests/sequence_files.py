"""Small files of texts and sounds."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np

from seqnet.data.wav import RATE


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def write_wav(
    path: Path, samples: np.ndarray, rate: int = RATE, width: int = 2, channels: int = 1
) -> Path:
    """A WAV of samples in [−1, 1], or (n, channels) of them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = np.round(np.asarray(samples).ravel() * (2.0 ** (8 * width - 1) - 1)).astype("<i8")
    whole += 128 if width == 1 else 0
    with wave.open(str(path), "wb") as file:
        file.setparams((channels, width, rate, 0, "NONE", ""))
        file.writeframes(whole.view(np.uint8).reshape(-1, 8)[:, :width].tobytes())
    return path
