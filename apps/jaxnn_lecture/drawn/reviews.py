"""Reviews with stars, by a stated law.

A review has one clause, or two that are joined by "but".  The sign of a clause is +1 with good
words and −1 with bad ones; "lacking in", "without", "nothing" and "hardly" turn it; "completely"
doubles it.  The review has 3 stars plus the sum of the signs, from 1 to 5.
"""

from __future__ import annotations

import numpy as np

#: The lecture's reviews and their stars.
LECTURE = (
    ("The dessert is excellent.", 4),
    ("Service was quite slow.", 2),
    ("Good for a quick meal, but nothing special.", 3),
    ("Completely lacking in good taste, good service, and good ambience.", 1),
)

GOOD = ("good", "good", "excellent", "special", "friendly", "fresh", "great")
BAD = ("bad", "bad", "slow", "bland", "rude", "cold", "poor")
_THINGS = ("taste", "service", "ambience", "dessert", "food", "soup", "wine")
_MEALS = ("quick meal", "lunch", "dinner", "drink")
_FILLERS = ("", "", "quite ", "really ", "rather ")


def draw_reviews(count: int, rng: np.random.Generator) -> list[tuple[str, int]]:
    """Reviews of the law with their stars, without the lecture's four.

    Example:
        >>> draw_reviews(1, np.random.default_rng(3))
        [('Good taste, and excellent dessert, but hardly good.', 3)]
    """
    known = {text for text, _ in LECTURE}
    reviews: list[tuple[str, int]] = []
    while len(reviews) < count:
        clauses, total = [], 0
        for _ in range(1 + (rng.random() < 0.3)):
            clause, sign = _clause(rng)
            clauses.append(clause)
            total += sign
        text = ", but ".join(clauses)
        text = f"{text[0].upper()}{text[1:]}."
        if -2 <= total <= 2 and text not in known:
            reviews.append((text, 3 + total))
    return reviews


def _clause(rng: np.random.Generator) -> tuple[str, int]:
    """A clause and its sign."""

    def choose(options: tuple[str, ...]) -> str:
        return options[rng.integers(len(options))]

    sign = 1 if rng.random() < 0.5 else -1
    words = GOOD if sign > 0 else BAD
    doubled = rng.random() < 0.3
    completely = "completely " if doubled else ""
    form = rng.integers(10)  # two of ten clauses are turned
    if form < 3:
        article = "the " if rng.random() < 0.5 else ""
        verb = choose(("is", "was"))
        adverb = completely or choose(_FILLERS)
        clause = f"{article}{choose(_THINGS)} {verb} {adverb}{choose(words)}"
    elif form < 6:
        clause = f"{completely}{choose(words)} for a {choose(_MEALS)}"
    elif form == 6:
        doubled = False
        clause, sign = f"{choose(('nothing', 'hardly'))} {choose(words)}", -sign
    else:
        things = [f"{choose(words)} {choose(_THINGS)}" for _ in range(rng.integers(1, 4))]
        listed = things[0] if len(things) == 1 else f"{', '.join(things[:-1])}, and {things[-1]}"
        turn = f"{choose(('lacking in', 'without'))} " if form == 7 else ""
        clause, sign = f"{completely}{turn}{listed}", -sign if turn else sign
    return clause, sign * (1 + doubled)
