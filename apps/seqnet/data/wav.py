"""Readers of speech: a WAV file, and a folder of them."""

from __future__ import annotations

import re
import wave
from pathlib import Path

import numpy as np

from catnet.errors import UserError
from catnet.terminal import one_line
from seqnet.data.examples import Examples, Report, examples

RATE = 8000  # samples per second of every sound after reading
LONGEST = 60  # seconds
PLACES = re.compile(r"(?P<label>[^_]+)_(?P<speaker>[^_]+)_(?P<number>\d+)")


def read_wav(path: Path) -> np.ndarray:
    """Read a WAV file of 8, 16, 24 or 32 bits PCM; channels are averaged.

    Returns:
        (samples,) float32 in [−1, 1] at ``RATE``.

    Raises:
        UserError: the file is no such WAV, is cut short, or has no sample or too many; one line.
    """
    try:
        with wave.open(str(path)) as file:
            rate, frames, width = file.getframerate(), file.getnframes(), file.getsampwidth()
            channels = file.getnchannels()
            if not 0 < frames <= LONGEST * rate:
                got = f"{frames / rate:.0f} s long" if frames else "without samples"
                raise UserError(f"{path}: {got}; expected a sound of at most {LONGEST} s")
            content = file.readframes(frames)
    except (wave.Error, EOFError, ZeroDivisionError) as error:
        why = str(error) or "cut short"
        raise UserError(
            f"{path}: not a WAV file of PCM samples ({one_line(why)}); convert it"
        ) from None
    if len(content) != frames * channels * width or width not in (1, 2, 3, 4):
        raise UserError(f"{path}: cut short, {len(content)} of {frames * channels * width} bytes")
    return resample(_to_float(content, width).reshape(-1, channels).mean(axis=1), rate / RATE)


def _to_float(content: bytes, width: int) -> np.ndarray:
    """Samples in [−1, 1]: unsigned of 8 bits, else signed with the last byte highest."""
    if width == 1:
        return (np.frombuffer(content, np.uint8).astype(np.float64) - 128) / 128
    octets = np.frombuffer(content, np.uint8).reshape(-1, width)
    whole = np.zeros((len(octets), 4), np.uint8)
    whole[:, 4 - width :] = octets
    return whole.view("<i4")[:, 0] / 2.0**31


def resample(samples: np.ndarray, factor: float) -> np.ndarray:
    """Play a sound ``factor`` times as fast: shorter, and higher in pitch.

    The spectrum is cut, or padded with zeros, to that of the new length, so that nothing aliases.

    Example:
        >>> resample(np.ones(6), 1.5).round(6).tolist()
        [1.0, 1.0, 1.0, 1.0]
    """
    count = max(1, round(len(samples) / factor))
    if count != len(samples):
        spectrum = np.fft.rfft(samples)
        samples = np.fft.irfft(spectrum, count) * (count / len(samples))
    return samples.astype(np.float32)


def read_sounds(folder: Path, report: Report) -> tuple[Examples, Examples | None]:
    """Read a folder of WAV files: class folders, or files ``DIGIT_SPEAKER_NUMBER.wav``.

    The latter are those of the Free Spoken Digit Dataset, whose test part are the numbers 0 to 4.

    Args:
        folder: it has the files, or folders with the names of the classes that have them.
        report: called with one line for each file that is left out, because it is broken.

    Returns:
        The training part and the test part; all files and None if DATA has no test part.
    """
    items, labels, speakers, is_test = [], [], [], []
    for path in sorted(folder.glob("*.wav")) or sorted(folder.glob("*/*.wav")):
        match = PLACES.fullmatch(path.stem) if path.parent == folder else None
        if path.parent == folder and not match:
            report(f"{path}: expected LABEL_SPEAKER_NUMBER.wav, or class folders with the files")
            continue
        try:
            items.append(read_wav(path))
        except UserError as error:
            report(str(error))
            continue
        labels.append(match["label"] if match else path.parent.name)
        speakers.append(match["speaker"] if match else "")
        is_test.append(bool(match and int(match["number"]) < 5))
    everything = examples(folder, items, labels, speakers)
    test = np.array(is_test)
    if not test.any() or test.all():
        return everything, None
    return everything.take(~test), everything.take(test)
