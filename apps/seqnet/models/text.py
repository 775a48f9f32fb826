"""The classifier of texts: what its n-grams say, plus what a recurrent network reads in its words.

The first part begins as naive Bayes.  Both parts are trained by themselves, because the n-grams
alone explain all training texts; the logits of the classes are the sum of both.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxnn
from jaxnn import Layer, Masked
from jaxnn.layer import Array, Key, Static, constant, no_params
from jaxnn.padding import join_gradient, over, split_steps, zero
from seqnet.features import words

#: What a model file has to contain, besides the parameters.
FIELDS = {"classes": list, "n_grams": list, "words": list, "width": int}

# Naive Bayes takes n-grams for independent, although one is often inside another.  So its logits
# are too large, and begin with this share.
SOFTENED = 0.2
E_INIT = jax.nn.initializers.normal(0.1)


def _total(params: tuple[()], x: Any, key: Key | None = None) -> tuple[Array, Any]:
    values, mask = split_steps("total", x)
    return jnp.sum(zero(values, mask), axis=-2), (mask, Static(values.shape[-2]))


def _total_backward(params: tuple[()], cache: Any, dy: Array) -> tuple[tuple[()], Any]:
    mask, steps = cache
    dx = jnp.broadcast_to(dy[..., None, :], (*dy.shape[:-1], steps.value, dy.shape[-1]))
    return (), join_gradient(dx if mask is None else jnp.where(over(mask, dx), dx, 0.0), mask)


#: The sum of the valid steps, (..., T, n) → (..., n): y = Σ_t x_t.  Backward: dx_t = dy at each
#: valid step.
total = constant(__name__, Layer("total", no_params, _total, _total_backward))


def build(described: dict[str, Any]) -> Layer:
    """The network: ``Masked`` n-grams and words (N, T) each → logits (N, classes)."""
    n_classes, width = len(described["classes"]), described["width"]
    return jaxnn.each(
        jaxnn.serial(
            jaxnn.embedding(len(described["n_grams"]) + 1, n_classes),
            jaxnn.dropout(0.5),
            total,
        ),
        jaxnn.serial(
            jaxnn.embedding(len(described["words"]) + 1, width, E_init=E_INIT),
            jaxnn.dropout(0.4),
            jaxnn.bidirectional(jaxnn.gru(width), jaxnn.gru(width)),
            jaxnn.max_over_time,
            jaxnn.dropout(0.5),
            jaxnn.dense(n_classes),
        ),
        merge="sum",
    )


def encode(
    described: dict[str, Any], texts: Sequence[str], longest: int | None = None
) -> tuple[Masked, Masked]:
    """The input of the network; ``longest`` cuts the words of a text, for training."""
    tokens = [words.tokenize(text) for text in texts]
    grams = [words.n_grams(text) for text in tokens]
    return (
        words.encode(grams, described["n_grams"], keep_unknown=False),
        words.encode(tokens, described["words"], longest, keep_unknown=True),
    )


def naive_bayes(x: Masked, labels: np.ndarray, n_tokens: int, n_classes: int) -> np.ndarray:
    """The table of log-probabilities of multinomial naive Bayes, with a 1 added to each count.

    With c_gk the number of documents of class k that contain the n-gram g, and V n-grams::

        l_gk = log (c_gk + 1) / (Σ_g c_gk + V),   E[g, k] = l_gk − mean_k l_gk

    The sum of a document's rows of E is its log-likelihood for each class, but for a number that
    is the same for all classes.  Row 0, of documents without a known n-gram, is 0.

    Args:
        x: the documents, each with distinct n-grams from 1 to ``n_tokens``; (N, T).
        labels: (N,) from 0 to ``n_classes`` − 1.
        n_tokens: V.
        n_classes: their number.

    Returns:
        E (n_tokens + 1, n_classes) float32.

    Source: McCallum and Nigam 1998, "A comparison of event models for naive Bayes text
    classification"; Wang and Manning 2012, "Baselines and bigrams", for binary counts and for
    the start of a discriminative model from them.

    Example:
        >>> x = words.encode([["a"], ["a", "b"]], ["a", "b"], keep_unknown=False)
        >>> E = naive_bayes(x, np.array([0, 1]), 2, 2)
        >>> [round(float(d), 3) for d in E[:, 1] - E[:, 0]]
        [0.0, -0.288, 0.405]
    """
    counts = np.ones((n_tokens + 1, n_classes))
    mask = np.asarray(x.mask)
    classes = np.broadcast_to(labels[:, None], mask.shape)
    np.add.at(counts, (np.asarray(x.values)[mask], classes[mask]), 1)
    logs = np.log(counts / np.maximum(counts[1:].sum(axis=0), 1))
    logs -= logs.mean(axis=1, keepdims=True)
    logs[words.UNKNOWN] = 0
    return logs.astype(np.float32)
