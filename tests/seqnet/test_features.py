"""Words, n-grams and spectrograms, against formulas written out again."""

from __future__ import annotations

import numpy as np
import pytest

from seqnet.data.wav import RATE
from seqnet.features import spectrogram, words


def test_tokens_are_words_signs_and_the_parts_of_contractions() -> None:
    assert words.tokenize("Don't they'll re-do  ÉTÉ 12.5?") == [
        "do", "n't", "they", "'ll", "re", "-", "do", "été", "12", ".", "5", "?",
    ]  # fmt: skip
    assert words.tokenize("do n't") == words.tokenize("don't")  # as in the treebank
    assert words.tokenize(" \n") == []


def test_n_grams_are_distinct_and_do_not_cross_words() -> None:
    grams = words.n_grams(["a", "bc", "a"])
    assert [g for g in grams if not g.startswith("#")] == ["a", "a bc", "a bc a", "bc", "bc a"]
    assert [g for g in grams if g.startswith("#")] == ["#_a_", "#_bc", "#_bc_", "#bc_"]


def test_a_vocabulary_keeps_the_most_frequent_tokens() -> None:
    documents = [["a", "a", "b"], ["b", "c"], ["b", "c", "d"]]
    assert words.vocabulary(documents, 1, 10) == ["a", "b", "c", "d"]
    assert words.vocabulary(documents, 2, 10) == ["b", "c"]
    assert words.vocabulary(documents, 1, 1) == ["b"]


def test_unknown_tokens_are_a_token_or_left_out() -> None:
    documents, tokens = [["x", "b", "a"], ["x"], []], ["a", "b"]
    x = words.encode(documents, tokens, keep_unknown=True)
    assert x.values.shape == (3, words.ROUND)
    assert x.values[:, :4].tolist() == [[0, 2, 1, 0], [0] * 4, [0] * 4]
    assert x.mask.sum(axis=1).tolist() == [3, 1, 1]
    x = words.encode(documents, tokens, keep_unknown=False)
    assert x.values[:, :4].tolist() == [[2, 1, 0, 0], [0] * 4, [0] * 4]
    assert words.encode(documents, tokens, 2, keep_unknown=True).mask.sum(axis=1).tolist() == [
        2, 1, 1,
    ]  # fmt: skip


def test_the_spectrogram_is_its_formula() -> None:
    """Loops over frames, frequencies and bands, as in the docstring."""
    x = np.random.default_rng(0).standard_normal(spectrogram.WINDOW + 2 * spectrogram.HOP + 5)
    n, bands = spectrogram.WINDOW, spectrogram.BANDS

    def mel(f: float) -> float:
        return 2595 * np.log10(1 + f / 700)

    width = (mel(spectrogram.HIGHEST) - mel(spectrogram.LOWEST)) / (bands + 1)
    ends = [mel(spectrogram.LOWEST) + i * width for i in range(bands + 2)]
    hertz = [700 * (10 ** (m / 2595) - 1) for m in ends]
    power = np.zeros((3, bands))
    for t in range(3):
        for k in range(n // 2 + 1):
            angles = 2 * np.pi * k * np.arange(n) / n
            window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / (n - 1))
            frame = x[t * spectrogram.HOP :][:n] * window
            p = (frame @ np.cos(angles)) ** 2 + (frame @ np.sin(angles)) ** 2
            for b in range(bands):
                low, centre, high, f = *hertz[b : b + 3], k * RATE / n
                slope = (f - low) / (centre - low) if f < centre else (high - f) / (high - centre)
                power[t, b] += p * max(0.0, slope)
    s = np.log(power + spectrogram.FLOOR * power.mean())
    c = s - s.mean(axis=0) / 2 - s.mean() / 2
    np.testing.assert_allclose(spectrogram.log_mel(x), c / c.std(), rtol=2e-5, atol=2e-6)


def test_the_frames_are_those_of_scipy() -> None:
    signal = pytest.importorskip("scipy.signal")
    x = np.random.default_rng(1).standard_normal(1000)
    n, hop = spectrogram.WINDOW, spectrogram.HOP
    _, _, z = signal.stft(
        x, RATE, np.hanning(n), n, n - hop, boundary=None, padded=False, scaling="spectrum"
    )
    power = (np.abs(z.T * np.hanning(n).sum()) ** 2) @ spectrogram.mel_filters()
    s = np.log(power + spectrogram.FLOOR * power.mean())
    c = s - s.mean(axis=0) / 2 - s.mean() / 2
    np.testing.assert_allclose(spectrogram.log_mel(x), c / c.std(), rtol=1e-4, atol=1e-5)


def test_loudness_changes_nothing_and_silence_is_zero() -> None:
    x = np.random.default_rng(2).standard_normal(700)
    y = spectrogram.log_mel(x)
    np.testing.assert_allclose(spectrogram.log_mel(1e-3 * x), y, rtol=1e-4, atol=1e-5)
    assert not spectrogram.log_mel(np.zeros(700)).any()
    assert spectrogram.log_mel(np.ones(3)).shape == (1, spectrogram.BANDS)


def test_sounds_of_different_lengths_are_one_array_with_a_mask() -> None:
    x = spectrogram.encode([np.ones(400), np.ones(3000)])
    assert x.values.shape == (2, 32, spectrogram.BANDS)
    assert x.mask.sum(axis=1).tolist() == [2, 22]
