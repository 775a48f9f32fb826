"""Which images make a batch: fixed shares of every stratum, a pure function of seed and step.

A source gives itself away by its compression.  Were cats drawn from one and non-cats from
another, that is what would be learnt; so by default every source that has both labels is drawn
from equally for both.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from catnet.data.cache import Cache
from catnet.errors import UserError


@dataclass(frozen=True)
class Sampler:
    """Batches of image numbers, each with the same count of every stratum, in random order.

    Within a stratum no image comes a second time before all came once.

    Attributes:
        members: the numbers of the images, one array a stratum.
        counts: how many of each a batch has.
        seed: of all randomness.
    """

    members: tuple[np.ndarray, ...]
    counts: tuple[int, ...]
    seed: int

    def batch(self, step: int) -> np.ndarray:
        """The numbers of the images of this step, (batch size,) int64; steps count from 0."""
        parts = []
        for stratum, (members, count) in enumerate(zip(self.members, self.counts, strict=True)):
            epochs, places = np.divmod(np.arange(step * count, (step + 1) * count), len(members))
            for epoch in np.unique(epochs).tolist():
                order = _permutation(self.seed, stratum, epoch, len(members))
                parts.append(members[order[places[epochs == epoch]]])
        return _generator(self.seed, len(self.counts), step).permutation(np.concatenate(parts))


def make_sampler(
    cache: Cache,
    chosen: np.ndarray,
    batch_size: int,
    recipe: Mapping[str, float] | None = None,
    seed: int = 0,
) -> Sampler:
    """A sampler of some images of a cache.

    The count of a stratum in a batch is its share of the batch, rounded so that the counts add
    up (largest remainders first) and none is zero.

    Args:
        cache: the images.
        chosen: (n,) bool, which of them may be drawn: ``split(cache.table) == TRAIN``.
        batch_size: how many are drawn at a step.
        recipe: shares of strata by name; see ``shares``.
        seed: of all randomness.

    Raises:
        UserError: the recipe does not fit, or the batch is too small for all strata.
    """
    wanted = shares(cache, chosen, recipe)
    if batch_size < len(wanted):
        raise UserError(
            f"a batch of {batch_size} cannot hold all of {', '.join(wanted)}; make it larger"
        )
    strata = np.where(chosen, cache.table.strata, -1)
    return Sampler(
        members=tuple(np.flatnonzero(strata == cache.strata.index(name)) for name in wanted),
        counts=_counts(np.array([*wanted.values()]), batch_size),
        seed=seed,
    )


def shares(
    cache: Cache, chosen: np.ndarray, recipe: Mapping[str, float] | None = None
) -> dict[str, float]:
    """The share of a batch that comes from each stratum, by name; they add up to 1.

    Strata that the recipe names get what it says (0 leaves one out), and the others divide the
    rest by this rule.  Each label makes half.  Of it, a source with n₀ and n₁ images of the two
    labels gets a part ∝ (n₀ n₁)^¼, the same for both; one with n of a single label, ∝ √n.  And
    of that, each kind of image of this label gets a part ∝ √(its count).  So the small are
    repeated, the large are not drowned out, and neither is seen alone.

    Raises:
        UserError: the recipe names an unknown stratum or shares that cannot be, or no image
            is chosen.
    """
    recipe = dict(recipe or {})
    kinds = Counter[tuple[int, int, int]]()  # (stratum, source, label): how many images
    columns = (cache.table.strata, cache.table.sources, cache.table.labels)
    kinds.update(zip(*(column[chosen].tolist() for column in columns), strict=True))
    if not kinds:
        raise UserError("there are no images to draw from")
    names = [cache.strata[stratum] for stratum, _, _ in sorted(kinds)]
    for name in recipe:
        if name not in names:
            raise UserError(f"{name}: no such stratum; there are {', '.join(names)}")
    left = 1.0 - sum(recipe.values())
    if min(recipe.values(), default=0.0) < 0 or left < -1e-6:
        raise UserError(f"shares must lie between 0 and 1 and add up to at most 1; got {recipe}")

    labels = Counter[tuple[int, int]]()  # (source, label): how many images
    for (_, source, label), count in kinds.items():
        labels[source, label] += count
    weights = {
        (source, label): (count * (labels[source, 1 - label] or count)) ** 0.25
        for (source, label), count in labels.items()
    }
    roots = Counter[tuple[int, int]]()
    for (_, source, label), count in kinds.items():
        roots[source, label] += count**0.5
    totals = [sum(w for (_, its), w in weights.items() if its == label) for label in (0, 1)]
    rule = {
        cache.strata[stratum]: weights[source, label]
        / totals[label]
        * kinds[stratum, source, label] ** 0.5
        / roots[source, label]
        for stratum, source, label in sorted(kinds)
    }
    free = sum(share for name, share in rule.items() if name not in recipe)
    if free == 0 and left > 1e-6:
        raise UserError(f"the shares of all strata must add up to 1, not {1 - left:g}")
    found = {
        name: recipe[name] if name in recipe else share / free * max(left, 0.0)
        for name, share in rule.items()
    }
    return {name: share for name, share in found.items() if share > 0}


def priors(cache: Cache, sampler: Sampler) -> np.ndarray:
    """The log-odds of a cat among the images drawn from the source of each image.

    0 in a source with one label only: its label is to be learnt, source and all.

    Returns:
        (n,) float32, for all images of the cache.
    """
    drawn = Counter[tuple[int, int]]()  # (source, label): how many a batch
    for members, count in zip(sampler.members, sampler.counts, strict=True):
        drawn[int(cache.table.sources[members[0]]), int(cache.table.labels[members[0]])] += count
    of_source = np.zeros(len(cache.sources), np.float32)
    for source in range(len(cache.sources)):
        if drawn[source, 0] and drawn[source, 1]:
            of_source[source] = np.log(drawn[source, 1] / drawn[source, 0])
    return of_source[cache.table.sources]


def _counts(shares: np.ndarray, total: int) -> tuple[int, ...]:
    exact = shares * total
    counts = np.maximum(np.floor(exact), 1).astype(int)
    while (missing := total - int(counts.sum())) != 0:
        # One at a time: to where most is missing, or from where most is too much.
        error = exact - counts
        if missing > 0:
            counts[np.argmax(error)] += 1
        else:
            counts[np.argmin(np.where(counts > 1, error, np.inf))] -= 1
    return tuple(counts.tolist())


@functools.lru_cache(maxsize=64)
def _permutation(seed: int, stratum: int, epoch: int, size: int) -> np.ndarray:
    return _generator(seed, stratum, epoch).permutation(size)


def _generator(*key: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(key)))
