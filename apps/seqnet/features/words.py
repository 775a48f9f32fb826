"""From a text to numbers: its words in order, and the set of its n-grams."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxnn import Masked

TOKEN = re.compile(r"n't|\w+?(?=n't)|'\w+|\w+|[^\w\s]")
UNKNOWN = 0  # the token of each word, or n-gram, that is not in the vocabulary
ROUND = 16  # lengths of arrays are multiples of it, so that few programs are compiled


def tokenize(text: str) -> list[str]:
    """Split a text into words and signs, in lower case.

    Example:
        >>> tokenize("It doesn't work, that's all!")
        ['it', 'does', "n't", 'work', ',', 'that', "'s", 'all', '!']
    """
    return TOKEN.findall(text.lower())


def n_grams(words: Sequence[str]) -> list[str]:
    """The distinct n-grams of a text: one to three words, and three to five letters of a word.

    Those of letters start with ``#``; ``_`` is the edge of a word.

    Example:
        >>> n_grams(["so", "so"])
        ['#_so', '#_so_', '#so_', 'so', 'so so']
    """
    edged = [f"_{word}_" for word in words]
    of_words = (" ".join(gram) for n in (1, 2, 3) for gram in windows(words, n))
    of_letters = (f"#{gram}" for word in edged for n in (3, 4, 5) for gram in windows(word, n))
    return sorted({*of_words, *of_letters})


def windows(sequence: Sequence[str] | str, n: int) -> Iterable[Sequence[str] | str]:
    """All windows of n neighbours."""
    return (sequence[i : i + n] for i in range(len(sequence) - n + 1))


def vocabulary(documents: Iterable[Iterable[str]], least: int, most: int) -> list[str]:
    """The tokens of at least ``least`` documents, sorted; the ``most`` most frequent of them.

    Example:
        >>> vocabulary([["a", "b"], ["b", "b"], ["b", "c", "a"]], least=2, most=10)
        ['a', 'b']
    """
    counts = Counter(itertools.chain.from_iterable(map(set, documents)))
    frequent = sorted((-count, token) for token, count in counts.items() if count >= least)
    return sorted(token for _, token in frequent[:most])


def encode(
    documents: Sequence[Sequence[str]],
    tokens: Sequence[str],
    longest: int | None = None,
    *,
    keep_unknown: bool,
) -> Masked:
    """Number the tokens of documents, from 1 on, in the order of the vocabulary.

    Args:
        documents: n sequences of tokens.
        tokens: the vocabulary.
        longest: a longer document is cut; None for no limit.
        keep_unknown: whether a token that is not in the vocabulary is ``UNKNOWN`` or left out.
            A document without any token is one ``UNKNOWN``.

    Returns:
        ``Masked`` (n, T) int32.

    Example:
        >>> encode([["b", "x"], []], ["a", "b"], keep_unknown=True).values[:, :2].tolist()
        [[2, 0], [0, 0]]
    """
    import jaxnn

    number = {token: i for i, token in enumerate(tokens, 1)}
    least = UNKNOWN if keep_unknown else UNKNOWN + 1
    rows = []
    for document in documents:
        row = [number.get(token, UNKNOWN) for token in document]
        rows.append([token for token in row if token >= least][:longest] or [UNKNOWN])
    lengths = np.array([len(row) for row in rows], np.int32)
    values = np.zeros((len(rows), -(-int(lengths.max()) // ROUND) * ROUND), np.int32)
    values[np.arange(values.shape[1]) < lengths[:, None]] = np.concatenate(rows)
    return jaxnn.padded(values, lengths)
