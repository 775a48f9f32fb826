"""The exercises: layers with a planted mistake in ``backward``, which a student mends.

``--exercise N`` copies a file of ``planted``; ``--check FILE`` runs it in a process of its own
(``process.py``), which judges it (``judge.py``) and says what its mistake looks like
(``diagnosis.py``).  This module imports neither JAX nor NumPy.
"""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import NamedTuple

TIME_LIMIT = 60.0  # seconds that a checked file may take


class Exercise(NamedTuple):
    """An exercise.

    Attributes:
        name: of its file in ``planted``.
        title: what the layer is; it does not tell the mistake.
        inputs: the name of the function in ``inputs.INPUTS`` that draws its input.
    """

    name: str
    title: str
    inputs: str


EXERCISES = {
    i: Exercise(*fields)
    for i, fields in enumerate(
        (
            ("dense", "a dense layer, as the course of 2017 had it", "rows"),
            ("lstm", "an LSTM over time, as the course had it until 2020", "sequences"),
            ("logistic", "logistic regression and its cost", "labeled_rows"),
            ("sigmoid", "the sigmoid", "rows"),
            ("relu", "ReLU", "rows_with_zeros"),
            ("softmax", "softmax", "rows"),
            ("layer_norm", "layer norm", "rows"),
            ("batch_norm", "batch norm", "rows"),
            ("max_pool", "max pooling", "images"),
            ("conv1d", "a convolution over time", "sequences"),
            ("rnn", "a recurrent layer", "sequences"),
            ("gate", "a gate, as the GRU has it", "three_rows"),
            ("embedding", "an embedding", "tokens"),
            ("attention", "attention", "three_sequences"),
            ("masked_mean", "the mean over time, of sequences of different lengths", "masked"),
            ("residual", "a residual block", "rows"),
        ),
        start=1,
    )
}


def read(number: int) -> str:
    """The text of an exercise."""
    return (Path(__file__).parent / f"planted/{EXERCISES[number].name}.py").read_text("utf-8")


def describe() -> str:
    """A line for each exercise: its number and its title."""
    return "\n".join(f"{number:4}  {one.title}" for number, one in EXERCISES.items())


def find_line(error: BaseException, path: str) -> int | None:
    """The line of a file where an error was raised, or passed through at last."""
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == path]
    return getattr(error, "lineno", None) or (lines[-1] if lines else None)
