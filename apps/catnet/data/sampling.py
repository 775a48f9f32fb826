"""Batches by sampling weights: each batch has a fixed count of every stratum.

A batch is a pure function of the seed and the step.  A source can be recognized by its
compression.  If all cats came from one source and all non-cats from another, a network would
learn to recognize the source.  So by default, a source with both labels has the same weight for
both.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from catnet.data.cache import Cache
from catnet.errors import UserError

Counts: TypeAlias = Counter[tuple[int, int, int]]  # (stratum, source, label): number of images


@dataclass(frozen=True)
class Sampler:
    """Batches of image indices, each with the same count of every stratum, in random order.

    Within a stratum, every image comes once before any image comes again.

    Attributes:
        members: the indices of the images, one array a stratum.
        counts: the number of images of each stratum in a batch.
        seed: of all randomness.
    """

    members: tuple[np.ndarray, ...]
    counts: tuple[int, ...]
    seed: int

    def batch(self, step: int) -> np.ndarray:
        """The image indices of one step, (batch size,) int64; steps count from 0."""
        parts = []
        for stratum, (members, count) in enumerate(zip(self.members, self.counts, strict=True)):
            epochs, places = np.divmod(np.arange(step * count, (step + 1) * count), len(members))
            for epoch in np.unique(epochs).tolist():
                order = _permute(self.seed, stratum, epoch, len(members))
                parts.append(members[order[places[epochs == epoch]]])
        rng = _make_generator(self.seed, len(self.counts), step)
        return rng.permutation(np.concatenate(parts))


def make_sampler(
    cache: Cache,
    mask: np.ndarray,
    batch_size: int,
    recipe: Mapping[str, float] | None = None,
    seed: int = 0,
) -> Sampler:
    """Make a sampler of some images of a cache.

    The count of a stratum in a batch is its sampling weight times the batch size.  The counts are
    rounded so that they add up (largest remainders first) and none is zero.

    Args:
        cache: the images.
        mask: (n,) bool, which images are sampled: ``split(cache.table) == TRAIN``.
        batch_size: the number of images in a batch.
        recipe: the user's sampling weights, by the name of the stratum; see
            :func:`compute_sampling_weights`.
        seed: of all randomness.

    Raises:
        UserError: the recipe is not valid, or the batch is too small for all strata.
    """
    weights = compute_sampling_weights(cache, mask, recipe)
    if batch_size < len(weights):
        raise UserError(
            f"a batch of {batch_size} cannot hold all of {', '.join(weights)}; make it larger"
        )
    strata = np.where(mask, cache.table.strata, -1)
    return Sampler(
        members=tuple(np.flatnonzero(strata == cache.strata.index(name)) for name in weights),
        counts=_round_counts(np.array([*weights.values()]), batch_size),
        seed=seed,
    )


def compute_sampling_weights(
    cache: Cache, mask: np.ndarray, recipe: Mapping[str, float] | None = None
) -> dict[str, float]:
    """Compute the sampling weight of each stratum, by name: its fraction of a batch.

    The weights add up to 1; strata with weight 0 are left out.  A stratum in the recipe has the
    weight that the recipe gives.  The other strata divide the rest in proportion to the default
    weights:

    - each label has the weight ½;
    - within a label, a source with n₀ and n₁ images of the two labels has a weight ∝ (n₀ n₁)^¼,
      the same for both labels; a source with n images of one label only, ∝ √n;
    - within a label of a source, a stratum with n images has a weight ∝ √n.

    So images of small strata are repeated more often, but large strata still have larger weights.
    With more than two classes, a stratum is a source, and its default weight is ∝ n: the classes
    are sampled as often as they occur.

    Args:
        cache: the images.
        mask: (n,) bool, which images are sampled.
        recipe: the user's sampling weights, by the name of the stratum.

    Raises:
        UserError: the recipe has an unknown stratum or impossible weights, or the mask has no
            image.
    """
    recipe = dict(recipe or {})
    counts = _count_images(cache, mask)
    if len(cache.classes) > 2:
        of_strata = np.bincount(cache.table.strata[mask], minlength=len(cache.strata))
        shares = (of_strata / of_strata.sum()).tolist()
        by_name = {name: s for name, s in zip(cache.strata, shares, strict=True) if s}
    else:
        defaults = _compute_default_weights(counts)
        by_name = {cache.strata[key[0]]: defaults[key] for key in sorted(counts)}
    _check_recipe(recipe, by_name)
    weights = _apply_recipe(recipe, by_name)
    return {name: weight for name, weight in weights.items() if weight > 0}


def _count_images(cache: Cache, mask: np.ndarray) -> Counts:
    """Count the images of each stratum."""
    table = cache.table
    strata, sources, labels = (
        column[mask].tolist() for column in (table.strata, table.sources, table.labels)
    )
    counts = Counts(zip(strata, sources, labels, strict=True))
    if not counts:
        raise UserError("there are no images to draw from")
    return counts


def _compute_default_weights(counts: Counts) -> dict[tuple[int, int, int], float]:
    """Compute the weight of each stratum without a recipe: label, then source, then stratum."""
    sources = _weigh_sources(counts)
    roots = Counter[tuple[int, int]]()  # (source, label): the sum of √n of its strata
    for (_, source, label), count in counts.items():
        roots[source, label] += count**0.5
    return {
        (stratum, source, label): sources[source, label] * count**0.5 / roots[source, label]
        for (stratum, source, label), count in counts.items()
    }


def _weigh_sources(counts: Counts) -> dict[tuple[int, int], float]:
    """Compute the weight of each (source, label) within its label; see the formula above."""
    images = Counter[tuple[int, int]]()  # (source, label): number of images
    for (_, source, label), count in counts.items():
        images[source, label] += count
    weights = {
        (source, label): (count * (images[source, 1 - label] or count)) ** 0.25
        for (source, label), count in images.items()
    }
    totals = [sum(w for (_, its), w in weights.items() if its == label) for label in (0, 1)]
    return {(source, label): w / totals[label] for (source, label), w in weights.items()}


def _check_recipe(recipe: Mapping[str, float], defaults: Mapping[str, float]) -> None:
    for name in recipe:
        if name not in defaults:
            raise UserError(f"{name}: no such stratum; there are {', '.join(defaults)}")
    total = sum(recipe.values())
    if min(recipe.values(), default=0.0) < 0 or 1.0 - total < -1e-6:
        raise UserError(
            "the values of --sampling-weight must lie between 0 and 1 and add up to at most 1;"
            f" got {recipe}"
        )
    if recipe.keys() >= defaults.keys() and 1.0 - total > 1e-6:
        raise UserError(f"the sampling weights of all strata must add up to 1, not {total:g}")


def _apply_recipe(recipe: Mapping[str, float], defaults: Mapping[str, float]) -> dict[str, float]:
    """Take the weights of the recipe; divide the rest among the other strata."""
    rest = max(1.0 - sum(recipe.values()), 0.0)
    total = sum(weight for name, weight in defaults.items() if name not in recipe)
    return {
        name: recipe[name] if name in recipe else weight / total * rest
        for name, weight in defaults.items()
    }


def compute_priors(cache: Cache, sampler: Sampler) -> np.ndarray:
    """Compute the log-odds of a cat in a batch, given the source, for each image of the cache.

    It is 0 for a source with one label only: there, the label has to be learnt with the source.
    With more than two classes, all are 0.

    Returns:
        (n,) float32, for all images of the cache.
    """
    if len(cache.classes) > 2:
        return np.zeros(len(cache), np.float32)
    counts = Counter[tuple[int, int]]()  # (source, label): number of images in a batch
    for members, count in zip(sampler.members, sampler.counts, strict=True):
        counts[int(cache.table.sources[members[0]]), int(cache.table.labels[members[0]])] += count
    priors = np.zeros(len(cache.sources), np.float32)
    for source in range(len(cache.sources)):
        if counts[source, 0] and counts[source, 1]:
            priors[source] = np.log(counts[source, 1] / counts[source, 0])
    return priors[cache.table.sources]


def _round_counts(weights: np.ndarray, total: int) -> tuple[int, ...]:
    """Round weights × total to counts of at least 1 that add up to the total."""
    exact = weights * total
    counts = np.maximum(np.floor(exact), 1).astype(int)
    while (missing := total - int(counts.sum())) != 0:
        # Change one count at a time, where the rounding error is largest.
        error = exact - counts
        if missing > 0:
            counts[np.argmax(error)] += 1
        else:
            counts[np.argmin(np.where(counts > 1, error, np.inf))] -= 1
    return tuple(counts.tolist())


@functools.lru_cache(maxsize=64)
def _permute(seed: int, stratum: int, epoch: int, size: int) -> np.ndarray:
    return _make_generator(seed, stratum, epoch).permutation(size)


def _make_generator(*key: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(key)))
