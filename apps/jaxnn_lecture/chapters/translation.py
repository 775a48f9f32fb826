"""Chapter 13: numbers from German into English, by a network with attention."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

import jaxnn
from jaxnn import Masked, dense, embedding, gru, serial
from jaxnn_lecture.chapter import Chapter, Claim, Figure, Settings
from jaxnn_lecture.chapters import CHAPTERS
from jaxnn_lecture.drawn.numerals import ENGLISH, GERMAN, MOST, Pair, spell
from jaxnn_lecture.html import table
from jaxnn_lecture.plots import heat_map
from jaxnn_lecture.training import output, train

TESTS = 500  # numbers that no network has seen
LONGEST = 8  # words of a number in German, with the end
WIDTH = 32
SHOWN = 4321
LOSS = jaxnn.masked_loss(jaxnn.softmax_cross_entropy)

# x is (the English words so far, the German words); y the next English words.
TRANSLATOR: Any = serial(
    jaxnn.each(
        serial(embedding(len(ENGLISH), WIDTH), gru(WIDTH)),
        serial(
            embedding(len(GERMAN), WIDTH), jaxnn.bidirectional(gru(WIDTH // 2), gru(WIDTH // 2))
        ),
    ),
    jaxnn.attention(1),
    dense(len(ENGLISH)),
)
WORD_BY_WORD = serial(embedding(len(GERMAN), WIDTH), gru(WIDTH), dense(len(ENGLISH)))


class Numbers(NamedTuple):
    """Encoded numbers: the input of ``TRANSLATOR``, its targets, and the words."""

    x: tuple[Masked, Masked]
    y: Masked
    pairs: list[Pair]


def encode(numbers: Iterable[Any]) -> Numbers:
    """Numbers from 1 to 9999 as words, all padded to ``LONGEST``."""
    pairs = [spell(int(number)) for number in numbers]
    english = _pad([pair.english for pair in pairs], ENGLISH)
    german = _pad([pair.german for pair in pairs], GERMAN)
    before = np.pad(np.asarray(english.values)[:, :-1], ((0, 0), (1, 0)))
    return Numbers((Masked(before, english.mask), german), english, pairs)


def _pad(texts: Sequence[Sequence[str]], words: Sequence[str]) -> Masked:
    values = np.zeros((len(texts), LONGEST), np.int32)
    for row, text in zip(values, texts, strict=True):
        row[: len(text)] = [words.index(word) for word in text]
    return jaxnn.padded(values, np.array([len(text) for text in texts], np.int32))


def translate(params: Any, german: Masked) -> np.ndarray:
    """The English words (n, LONGEST), the most probable one after the other."""
    mask = np.ones(np.shape(german.mask), bool)
    words = np.zeros(mask.shape, np.int32)
    for step in range(LONGEST):
        before = np.pad(words[:, :-1], ((0, 0), (1, 0)))
        z = output(TRANSLATOR, params, (Masked(before, mask), german))
        words[:, step] = np.asarray(z.values)[:, step].argmax(axis=-1)
    return words


def attention_weights(params: Any, x: tuple[Masked, Masked]) -> np.ndarray:
    """How much each English word attends to each German one: (n, LONGEST, LONGEST)."""
    h, memory = jax.tree.map(np.asarray, output(TRANSLATOR.layers[0], params[0], x))
    p = jax.tree.map(np.asarray, params[1])
    q, k = h.values @ p["W_q"].T + p["b_q"], memory.values @ p["W_k"].T
    scores = np.einsum("ntd,nsd->nts", q, k) / np.sqrt(q.shape[-1])  # of the only head
    e = np.exp(scores - scores.max(axis=-1, keepdims=True)) * memory.mask[:, None]
    return e / e.sum(axis=-1, keepdims=True)


def run(settings: Settings) -> Chapter:
    """The claims about translation, its alignment, and the order of words."""
    rng = np.random.default_rng(settings["seed"])
    order = rng.permutation([n for n in range(1, MOST + 1) if n != SHOWN])
    known = encode(order[: settings["examples"]])
    new = encode(order[-TESTS:])
    chosen = {"steps": settings["steps"], "seed": settings["seed"]}
    params = train(TRANSLATOR, LOSS, known.x, known.y, **chosen)
    written = translate(params, new.x[1])
    right = _share_right(written, new)
    plain = train(WORD_BY_WORD, LOSS, known.x[1], _beside(known), **chosen)
    return Chapter(
        "translation",
        CHAPTERS["translation"].title,
        f"Numbers up to {MOST}, written out in German and in English by a rule. German says "
        "the ones before the tens: ein und zwanzig is twenty one. "
        f"{settings['examples']:,} numbers are for training, {TESTS} others for the score.",
        (
            _translates(written, right, new, settings),
            _aligns(params, new),
            _needs_order(right, output(WORD_BY_WORD, plain, new.x[1]), new),
        ),
    )


def _share_right(words: np.ndarray, numbers: Numbers) -> float:
    """The share of numbers whose English words (n, LONGEST) are all right, up to the end."""
    mask = np.asarray(numbers.y.mask)
    return float(np.mean(((words == np.asarray(numbers.y.values)) | ~mask).all(axis=1)))


def _beside(numbers: Numbers) -> Masked:
    """The English word at each place of the German text; none where English is shorter."""
    mask = np.asarray(numbers.y.mask) & np.asarray(numbers.x[1].mask)
    return Masked(numbers.y.values, mask)


def _translates(written: np.ndarray, right: float, new: Numbers, settings: Settings) -> Claim:
    rows = []
    for pair, words in zip(new.pairs[:5], written[:5], strict=True):
        said = [ENGLISH[word] for word in words]
        said = said[: said.index("end")] if "end" in said else said
        rows.append([" ".join(pair.german[:-1]), " ".join(said)])
    return Claim(
        "A recurrent network translates a sentence when it attends to the words of the source.",
        f"After {settings['steps']} steps {right:.1%} of {TESTS} new numbers are translated "
        "without a mistake; each English word is the most probable one after those before it.",
        right > 0.9,
        formulas=(r"\alpha = \text{softmax}(\frac{q k^T}{\sqrt{d}})", r"o = \alpha v"),
        figures=(
            Figure(
                "The first of the new numbers, and what the network writes.",
                (table("Translations", ["German", "English"], rows),),
            ),
        ),
    )


def _aligns(params: Any, new: Numbers) -> Claim:
    weights = attention_weights(params, new.x)
    found = [
        weights[i, : len(pair.alignment)].argmax(axis=-1) == pair.alignment
        for i, pair in enumerate(new.pairs)
    ]
    right = float(np.mean(np.concatenate(found)))
    one = encode([SHOWN])
    [pair], [shown] = one.pairs, attention_weights(params, one.x)
    shown = shown[: len(pair.english), : len(pair.german)]
    figure = heat_map(
        f"The attention of each English word for the German words of {SHOWN}",
        "; ".join(
            f"{word}: {pair.german[row.argmax()]} {row.max():.0%}"
            for word, row in zip(pair.english, shown, strict=True)
        ),
        shown,
        pair.english,
        pair.german,
        "written",
        "read",
        [[f"{100 * weight:.0f}" if weight >= 0.005 else "" for weight in row] for row in shown],
        width=560,
    )
    return Claim(
        "Attention aligns the words of both languages, although nobody has told it which belong "
        "together.",
        f"By the rule it is known which German word each English one translates. The largest "
        f"weight is on this word for {right:.1%} of the words of {TESTS} new numbers.",
        right > 0.9,
        figures=(
            Figure(
                f"The weights α for {SHOWN} in percent: a row for each written word, darker for "
                "more. Ones and tens cross.",
                (figure,),
            ),
        ),
    )


def _needs_order(by_attention: float, z: Masked, new: Numbers) -> Claim:
    wanted = _beside(new)
    hit = (np.asarray(z.values).argmax(axis=-1) == np.asarray(wanted.values)) | ~wanted.mask
    by_reading = float(np.mean(hit.all(axis=1)))
    return Claim(
        "Word by word does not do: a network has to read on before it can write.",
        f"A recurrent network that writes a word at once for each word that it reads has "
        f"{by_reading:.1%} of the numbers right; with attention {by_attention:.1%}. At fünf und "
        "zwanzig the first word is twenty, which is read last.",
        by_reading < by_attention - 0.2,
    )
