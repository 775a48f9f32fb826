"""Scaled dot-product attention of three queries and four keys.

q, k and v are given: the memory of ``jaxnn.attention`` is k beside v, and the weights pick them out
of it.  The numbers were printed from float32, which has seven digits.

Source: DeepLearning.AI, "Sequence Models", week 4, the test of ``scaled_dot_product_attention``;
github:amanchadha/coursera-deep-learning-specialization @e9de0f4d.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

import jaxnn
from catnet.course.networks import apply
from catnet.course.record import Options, Set, Table, numbers
from jaxnn import Masked

Q = np.array([[1, 0, 1, 1], [0, 1, 1, 1], [1, 0, 0, 1]], float)
K = np.array([[1, 1, 0, 1], [1, 0, 1, 1], [0, 1, 1, 0], [0, 0, 0, 1]], float)
V = np.array([[0, 0], [1, 0], [1, 0], [1, 1]], float)

OUTPUT = ".74105227 .15705977 .7227253 .16817567 .6637989 .2039163"
WEIGHTS = """
    .2589478 .42693272 .15705977 .15705977 .2772748 .2772748 .2772748 .16817567 .33620113 .33620113
    .12368149 .2039163"""
MASKED_WEIGHTS = """
    .3071959 .5064804 0 .18632373 .38365173 .38365173 0 .23269655 .38365173 .38365173 0 .23269655"""


def attend(v: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
    """softmax(q kᵀ / 2) v; the mask (4,) is False for keys that are left out."""
    width = v.shape[1]
    pick_v = np.concatenate([np.zeros((width, 4)), np.eye(width)], axis=1)
    zeros = np.zeros(4)
    params = {
        "W_q": np.eye(4),
        "W_k": np.eye(4, 4 + width),
        "W_v": np.pad(pick_v, ((0, 4 - width), (0, 0))),
        "W_o": np.eye(4),
        **{"b_q": zeros, "b_v": zeros, "b_o": zeros},
    }
    memory = np.concatenate([K, v], axis=1)
    x = (Q, memory if mask is None else Masked(memory, mask))  # type: ignore
    return np.asarray(apply(jaxnn.attention(1), params, x))[:, :width]


def run(options: Options) -> Iterator[Table]:
    """One table; the weights are the output for v = 1."""
    mask = np.array([True, True, False, True])
    rows = [
        *numbers("output", OUTPUT, attend(V), units=10),
        *numbers("weights", WEIGHTS, attend(np.eye(4)), units=10),
        *numbers("weights without key 2", MASKED_WEIGHTS, attend(np.eye(4), mask), units=10),
    ]
    yield Table("attention of 3 queries and 4 keys, float64", rows)


SET = Set(
    name="attention",
    title="scaled dot-product attention of 3 queries and 4 keys, with and without mask",
    source="DeepLearning.AI, Sequence Models, week 4",
    run=run,
)
