"""Spoken words that a program makes: two vowels after each other, by speakers of its own.

A vowel is a sum of harmonics, loud near two frequencies, the formants.  Speakers differ in pitch,
in the length of their throat, which scales all formants, and in speed.  For each word there is one
with the same vowels in the other order.
"""

from __future__ import annotations

import itertools

import numpy as np

from seqnet.data.examples import Examples, examples
from seqnet.data.wav import RATE

FORMANTS = {"a": (800, 1250), "i": (300, 2300), "u": (330, 800)}  # Hz
WORDS = tuple(first + second for first, second in itertools.permutations(FORMANTS, 2))
SPEAKERS = ("ada", "ben", "cyd", "dan", "eve")
WIDTH = 120.0  # of a formant, Hz
SECONDS = 0.3
NOISE = 0.1


def draw_sounds(count: int, seed: int) -> tuple[Examples, np.ndarray]:
    """``count`` recordings of each word by each speaker, and their numbers (n,) from 0 on."""
    rng = np.random.default_rng(seed)
    items, labels, groups, numbers = [], [], [], []
    for speaker in SPEAKERS:
        pitch, throat, speed = np.exp(rng.uniform(-1, 1, 3) * (0.4, 0.3, 0.3))
        for word, number in itertools.product(WORDS, range(count)):
            varied = np.exp(rng.normal(0, (0.05, 0.04, 0.1)))
            items.append(
                speak(word, 140 * pitch * varied[0], throat * varied[1], speed * varied[2], rng)
            )
            labels.append(word)
            groups.append(speaker)
            numbers.append(number)
    return examples("drawn", items, labels, groups), np.array(numbers)


def speak(
    word: str, pitch: float, throat: float, speed: float, rng: np.random.Generator
) -> np.ndarray:
    """A word of two vowels: (samples,) float32 at ``RATE``.

    Args:
        word: two letters of ``FORMANTS``.
        pitch: of the voice, Hz.
        throat: the factor of all formants.
        speed: how often in ``SECONDS`` the word is said.
        rng: of the noise, of which the first vowel's share is drawn too.
    """
    count = int(SECONDS / speed * RATE)
    time = np.arange(count) / RATE
    turn = rng.uniform(0.35, 0.65)
    second = 1 / (1 + np.exp(-40 * (np.linspace(0, 1, count) - turn)))  # 0 first, 1 second vowel
    low, high = (
        throat * ((1 - second) * a + second * b)
        for a, b in zip(FORMANTS[word[0]], FORMANTS[word[1]], strict=True)
    )
    sound = np.zeros(count)
    for k in range(1, int(0.45 * RATE / pitch)):
        loud = sum(np.exp(-(((k * pitch - f) / WIDTH) ** 2)) for f in (low, high))
        sound += (loud + 0.02) * np.sin(2 * np.pi * k * pitch * time)
    sound *= np.hanning(count)
    sound /= np.abs(sound).max()
    return (sound + NOISE * rng.standard_normal(count)).astype(np.float32)
