"""Bigrams of 32,033 names: the optimum is known, and descent must reach it.

A letter (or the end of the name) depends on the letter before it.  With n(i, j) the number of times
that j follows i, and N = 228,146 the sum, the lowest mean negative log-likelihood is::

    − Σ n(i, j) / N · log(n(i, j) / n(i))

which the counts give at once.  A table of 27 × 27 logits, ``jaxnn.embedding(27, 27)``, has the same
optimum; it is reached in the limit only, as pairs that never occur need the logit −∞.

Source: Andrej Karpathy's makemore (MIT), github:karpathy/makemore, part 1, names.txt.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import jax.numpy as jnp
import numpy as np

import jaxnn
from catnet.course.files import NAMES
from catnet.course.networks import descend
from catnet.course.record import Number, Options, Set, Table

STEPS = 1000


def count_bigrams(path: Path) -> np.ndarray:
    """n (27, 27); 0 is the start and the end of a name, 1 to 26 are the letters."""
    counts = np.zeros((27, 27))
    for name in path.read_text().split():
        tokens = [0, *(ord(letter) - ord("a") + 1 for letter in name), 0]
        np.add.at(counts, (tokens[:-1], tokens[1:]), 1)
    return counts


def run(options: Options) -> Iterator[Table]:
    """One table: the optimum by counting, with and without smoothing, and by descent."""
    counts = count_bigrams(options.files[NAMES.name])
    net, loss = jaxnn.embedding(27, 27), jaxnn.softmax_cross_entropy
    tokens = jnp.arange(27)
    # The mean over 27 rows of Σ_j y(i, j) (log Σ e^z − z(i, j)) is the sum of all pairs.
    y = jnp.asarray(27 * counts / counts.sum())

    def cost(counts: np.ndarray) -> float:
        with np.errstate(divide="ignore"):  # pairs that never occur have the logit −∞
            return loss(net.apply({"E": np.log(counts)}, tokens), y).item()

    params, _ = descend(
        net,
        {"E": jnp.zeros((27, 27))},
        tokens,
        y,
        learning_rate=50.0,
        momentum=0.9,
        steps=STEPS,
        gradient=options.gradient,
        title="bigrams",
        loss=loss,
    )
    trained = loss(net.apply(params, tokens), y).item()
    rows = [
        Number("pairs of letters", "228146", float(counts.sum())),
        Number("by counting", "2.4540144891548743", cost(counts)),
        Number("by counting, one added to each", "2.454576820115704", cost(counts + 1)),
        Number(f"by {STEPS} steps of descent with momentum", "2.454", trained),
    ]
    yield Table("mean negative log-likelihood of bigrams, float64", rows)


SET = Set(
    name="bigrams",
    title="the bigram model of 32,033 names, by counting and by descent",
    source="github:karpathy/makemore, part 1",
    run=run,
    needs=(NAMES,),
)
