"""Errors that a user can cause and mend: one line, naming the thing and the remedy."""

from __future__ import annotations

import math

from catnet.terminal import exact


class UserError(Exception):
    """Wrong usage, data, model or configuration; the command line prints it and exits with 2."""


def diverged(
    step: int, cost: float, learning_rate: float, remark: str = "", what: str = "the cost"
) -> UserError:
    """What is said of a training when its cost, or ``what`` else, is not finite at a step.

    Example:
        >>> print(diverged(40, math.nan, 0.1))
        training diverged at step 40: the cost is NaN; try a smaller --learning-rate than 0.1
    """
    value = "NaN" if math.isnan(cost) else "infinite"
    if step == 0:
        return UserError(f"{what} is {value} before the first step; see the data and the model")
    smaller = f"try a smaller --learning-rate than {exact(learning_rate)}"
    return UserError(f"training diverged at step {step}: {what} is {value}; {smaller}{remark}")
