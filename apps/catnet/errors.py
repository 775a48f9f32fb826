"""Errors that a user can cause and correct: one line with the problem and the remedy."""

from __future__ import annotations

import math

from catnet.terminal import format_exactly


class UserError(Exception):
    """Wrong usage, data, model or configuration; ``catnet`` prints the message and exits with 2."""


def describe_divergence(
    step: int, cost: float, learning_rate: float, remark: str = "", what: str = "the cost"
) -> UserError:
    """Make the error for a training run whose cost, or ``what``, is not finite at a step.

    Example:
        >>> print(describe_divergence(40, math.nan, 0.1))
        training diverged at step 40: the cost is NaN; try a smaller --learning-rate than 0.1
    """
    value = "NaN" if math.isnan(cost) else "infinite"
    if step == 0:
        return UserError(f"{what} is {value} before the first step; check the data and the model")
    smaller = f"try a smaller --learning-rate than {format_exactly(learning_rate)}"
    return UserError(f"training diverged at step {step}: {what} is {value}; {smaller}{remark}")
