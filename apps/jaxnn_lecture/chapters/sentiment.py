"""Chapter 14: stars of a review from its text; a recurrent network beside a bag of words."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import numpy as np

import jaxnn
from jaxnn import Layer, Masked, dense, embedding, gru, serial
from jaxnn_lecture.chapter import Chapter, Claim, Figure, Settings
from jaxnn_lecture.chapters import CHAPTERS
from jaxnn_lecture.chapters.real_texts import describe_real_texts, measure_real_texts
from jaxnn_lecture.drawn.reviews import LECTURE, draw_reviews
from jaxnn_lecture.html import table
from jaxnn_lecture.scores import accuracy_bars
from jaxnn_lecture.training import output, train
from seqnet.evaluation.accuracy import Accuracy
from seqnet.features import words
from seqnet.models.text import total

TESTS = 1000
LONGEST = 32  # words of a review
WIDTH = 24
RATES = {"recurrent network": 0.01, "bag of words": 0.05}  # of Adam; more steps do not help
STARS = 5

Reviews = Sequence[tuple[str, int]]


def bag_of_words(n_tokens: int) -> Layer:
    """The logits of the stars are sums over the words, whatever their order."""
    return serial(embedding(n_tokens, STARS, E_init=jax.nn.initializers.normal(0.1)), total)


def recurrent(n_tokens: int) -> Layer:
    """The words one after the other; the last state decides."""
    return serial(embedding(n_tokens, WIDTH), gru(WIDTH), jaxnn.last, dense(STARS))


def encode(reviews: Reviews, vocabulary: Sequence[str]) -> tuple[Masked, np.ndarray]:
    """The words of reviews (n, LONGEST), and their stars from 0 to 4."""
    tokens = [words.tokenize(text) for text, _ in reviews]
    x = words.encode(tokens, vocabulary, LONGEST, keep_unknown=True)
    room = LONGEST - x.values.shape[1]
    values, mask = (np.pad(np.asarray(a), ((0, 0), (0, room))) for a in (x.values, x.mask))
    return Masked(values, mask), np.array([stars - 1 for _, stars in reviews], np.int32)


def run(settings: Settings) -> Chapter:
    """The claims about the lecture's reviews, new ones, the order of words, and real texts."""
    rng = np.random.default_rng(settings["seed"])
    known = draw_reviews(settings["examples"], rng)
    new = draw_reviews(TESTS, rng)
    vocabulary = words.vocabulary((words.tokenize(text) for text, _ in known), 1, 1000)
    nets = {
        "recurrent network": recurrent(len(vocabulary) + 1),
        "bag of words": bag_of_words(len(vocabulary) + 1),
    }
    x, y = encode(known, vocabulary)
    trained = {
        name: train(
            net,
            jaxnn.softmax_cross_entropy,
            x,
            y,
            steps=settings["steps"],
            seed=settings["seed"],
            rate=RATES[name],
        )
        for name, net in nets.items()
    }

    def answer(reviews: Reviews) -> dict[str, np.ndarray]:
        """The probabilities (n, STARS) of both networks."""
        x, _ = encode(reviews, vocabulary)
        return {
            name: np.asarray(jax.nn.softmax(output(net, trained[name], x)))
            for name, net in nets.items()
        }

    def measure(reviews: Reviews) -> dict[str, Accuracy]:
        given = np.array([stars for _, stars in reviews])
        return {name: Accuracy.of(_stars(p), given) for name, p in answer(reviews).items()}

    mixed = [(" ".join(rng.permutation(words.tokenize(text))), stars) for text, stars in new]
    scores = measure(new)
    claims = [_lecture(answer(LECTURE)), _new(scores, new), _order(scores, measure(mixed), new)]
    return Chapter(
        "sentiment",
        CHAPTERS["sentiment"].title,
        f"{settings['examples']:,} reviews that a program writes. The law: a clause is +1 with "
        "good words and −1 with bad ones; lacking in, without, nothing and hardly turn its sign; "
        "completely doubles it; but joins two clauses. The stars are 3 and the sum, from 1 to 5. "
        "The lecture's four reviews follow the law and are not among them. "
        + describe_real_texts(settings),
        (*claims, *measure_real_texts(settings)),
    )


def _stars(p: np.ndarray) -> np.ndarray:
    return p.argmax(axis=-1) + 1


def _lecture(answers: dict[str, np.ndarray]) -> Claim:
    given = np.array([stars for _, stars in LECTURE])
    rows = [
        [text, str(stars), *(f"{_stars(p)[i]} ({p[i].max():.0%})" for p in answers.values())]
        for i, (text, stars) in enumerate(LECTURE)
    ]
    read, bag = (_stars(p) for p in answers.values())
    return Claim(
        'A bag of words gets "lacking in good taste, good service, and good ambience" wrong: it '
        'counts three times "good". A recurrent network reads the order.',
        f"Of the lecture's four reviews the recurrent network has {(read == given).sum()} right, "
        f"the bag of words {(bag == given).sum()}. For the fourth (1 star) they answer {read[3]} "
        f"and {bag[3]} stars.",
        bool((read == given).all() and bag[3] != given[3]),
        formulas=(r"z = \sum E_{x}",),
        figures=(
            Figure(
                "The lecture's four reviews; answers with their probability.",
                (table("Stars", ["review", "stars", "recurrent", "bag"], rows),),
            ),
        ),
    )


def _new(scores: dict[str, Accuracy], new: Reviews) -> Claim:
    figure = accuracy_bars(f"Right answers to {len(new):,} new reviews", scores)
    read, bag = scores.values()
    return Claim(
        "An embedding and a recurrent network learn the stars of reviews from examples.",
        f"Of {len(new):,} new reviews with one to five stars it has {read} right, the bag of words "
        f"{bag}; the ranges are 95% intervals.",
        read.right > bag.right and read.right > 0.9 * read.count,
        figures=(Figure("Both networks, trained on the same reviews.", (figure,)),),
    )


def _order(scores: dict[str, Accuracy], mixed: dict[str, Accuracy], new: Reviews) -> Claim:
    """The same words in another order."""
    before, after = ([s.right / s.count for s in each.values()] for each in (scores, mixed))
    rows = [
        [name, f"{a:.1%}", f"{b:.1%}"] for name, a, b in zip(scores, before, after, strict=True)
    ]
    (read, bag), (read_mixed, bag_mixed) = before, after
    return Claim(
        "A bag of words does not see the order of the words; a recurrent network does.",
        f"With the words of each new review in a random order, the recurrent network falls from "
        f"{read:.1%} to {read_mixed:.1%}; the bag has {bag:.1%} and {bag_mixed:.1%}.",
        abs(bag - bag_mixed) <= 2 / len(new) and read_mixed < read - 0.1,
        figures=(
            Figure(
                "The same words, the same stars.",
                (table("Right answers", ["network", "in order", "mixed"], rows),),
            ),
        ),
    )
