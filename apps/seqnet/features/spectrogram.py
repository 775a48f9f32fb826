"""From a sound to its log-mel spectrogram."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from seqnet.data.wav import RATE

if TYPE_CHECKING:
    from jaxnn import Masked

WINDOW = 256  # samples of a frame, 32 ms
HOP = 128  # samples from one frame to the next, 16 ms
BANDS = 40
LOWEST, HIGHEST = 60.0, 3900.0  # Hz
FLOOR = 1e-4  # of the mean power: softer parts are silence
ROUND = 16  # numbers of frames are multiples of it, so that few programs are compiled


def log_mel(samples: np.ndarray) -> np.ndarray:
    """The log-mel spectrogram of a sound, each band partly relative to its mean over time.

    With frames of ``WINDOW`` samples, w the Hann window, M the mel filters and p̄ the mean of p::

        p = |rfft(w x)|² M,   s = log(p + FLOOR p̄)
        c = s − ½ mean_t s − ½ mean s,   y = c / std(c)

    The mean over time is that of the microphone and the voice, but of the word too, so half of it
    is subtracted.

    Args:
        samples: (samples,) at ``RATE``; fewer than ``WINDOW`` are padded with zeros.

    Returns:
        (frames, BANDS) float32; zeros for silence.

    Source: Davis and Mermelstein 1980, "Comparison of parametric representations for monosyllabic
    word recognition in continuously spoken sentences", without the cosine transform; Atal 1974 for
    the subtraction of the mean.

    Example:
        >>> log_mel(np.sin(np.arange(1000.0))).shape
        (6, 40)
    """
    samples = np.pad(samples, (0, max(0, WINDOW - len(samples)))).astype(np.float64)
    frames = np.lib.stride_tricks.sliding_window_view(samples, WINDOW)[::HOP]
    power = np.abs(np.fft.rfft(frames * np.hanning(WINDOW))) ** 2 @ mel_filters()
    if not (loudness := power.mean()):
        return np.zeros(power.shape, np.float32)
    logs = np.log(power + FLOOR * loudness)
    logs -= (logs.mean(axis=0) + logs.mean()) / 2
    return (logs / (logs.std() or 1.0)).astype(np.float32)


@functools.cache
def mel_filters() -> np.ndarray:
    """Triangles (WINDOW // 2 + 1, BANDS) over frequency, of equal width on the mel scale.

    The mel of a frequency f is 2595 log₁₀(1 + f / 700).  A triangle rises from the centre of the
    band below to 1 at its own centre, and falls to 0 at the centre of the band above.
    """
    lowest, highest = (2595 * np.log10(1 + f / 700) for f in (LOWEST, HIGHEST))
    corners = 700 * (10 ** (np.linspace(lowest, highest, BANDS + 2) / 2595) - 1)
    low, centre, high = corners[:-2], corners[1:-1], corners[2:]
    f = np.fft.rfftfreq(WINDOW, 1 / RATE)[:, None]
    return np.clip(np.minimum((f - low) / (centre - low), (high - f) / (high - centre)), 0, None)


def encode(sounds: Sequence[np.ndarray]) -> Masked:
    """The spectrograms of n sounds, as ``Masked`` (n, T, BANDS)."""
    import jaxnn

    spectrograms = [log_mel(sound) for sound in sounds]
    lengths = np.array([len(s) for s in spectrograms], np.int32)
    values = np.zeros((len(sounds), -(-int(lengths.max()) // ROUND) * ROUND, BANDS), np.float32)
    for row, spectrogram in zip(values, spectrograms, strict=True):
        row[: len(spectrogram)] = spectrogram
    return jaxnn.padded(values, lengths)
