"""Training of the classifier of texts."""

from __future__ import annotations

import jax

import jaxnn
from seqnet.data.examples import Examples
from seqnet.features import words
from seqnet.models import text
from seqnet.models.model import Model
from seqnet.training.descent import descend, first

LEAST = 2  # a word or n-gram of one text only is unknown
MOST = 200_000  # words or n-grams in a vocabulary: the most frequent ones
LONGEST = 32  # words of a text that the recurrent network is trained on
WIDTH = 64
BATCH = 64


def train(
    data: Examples, seed: int = 0, *, width: int = WIDTH, steps: tuple[int, int] = (100, 600)
) -> Model:
    """Train on texts.

    Args:
        data: the training part; vocabularies come from it alone.
        seed: of the initial parameters, the order of examples and dropout.
        width: units of the embedding and of each recurrent layer.
        steps: for the n-grams, and for the recurrent network, at least.
    """
    tokens = [words.tokenize(item) for item in data.items]
    described = {
        "classes": list(data.classes),
        "n_grams": words.vocabulary(map(words.n_grams, tokens), LEAST, MOST),
        "words": words.vocabulary(tokens, LEAST, MOST),
        "width": width,
    }
    net = text.build(described)
    grams, sequences = text.encode(described, data.items, LONGEST)
    of_grams, of_words = net.layers
    E = text.naive_bayes(grams, data.labels, len(described["n_grams"]), len(data.classes))
    start = ({"E": text.SOFTENED * E}, (), ())
    loss = jaxnn.softmax_cross_entropy
    params = (
        descend(
            of_grams, loss, start, grams, data.labels,
            epochs=2, fewest=steps[0], learning_rate=3e-4, batch_size=BATCH, seed=seed,
            title="n-grams",
        ),
        descend(
            of_words, loss, of_words.init(jax.random.key(seed), first(sequences)), sequences,
            data.labels,
            epochs=1, fewest=steps[1], learning_rate=1e-3, batch_size=BATCH, seed=seed,
            title="words",
        ),
    )  # fmt: skip
    return Model("text", described, params)
