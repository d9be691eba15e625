"""Sequences that end early, of many runs at once, and images of which the first look may show nothing.

`follow` says in numpy, for all runs together, what `ConfidenceSequence` says for one; a test holds the two together.
`compared_once` and `shown_once` are of such images too, evaluated to a fixed number.
tests/bench/simulate_stopping.py prints the tables of docs/statistics.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ppbench.metrics.cell_errors import CellErrors
from ppbench.metrics.confidence_sequence import FIRST_LOOK, MIXTURE_SCALE, PLANNED_SHARE, PSEUDO_IMAGES, SLOPE_IMAGES
from ppbench.metrics.intervals import Interval, deviation, fraction_interval
from ppbench.metrics.metric import Weights
from ppbench.metrics.paired import paired_interval, smallest_shown
from ppbench.metrics.quantities import MOST_POINTS, QUANTITIES, Case
from ppbench.metrics.references import ALEXNET
from ppbench.vocabulary import C15, SEVERITIES

Values = NDArray[np.float64]
Draw = Callable[[np.random.Generator, tuple[int, int]], Values]
"""Values of the images ``(runs, images)``."""

SCARCE = 0.002
"""Share of cells that differ by noise alone."""
OLD_ERROR = 0.4


class Followed(NamedTuple):
    """Sequences of several runs, look by look."""

    images: NDArray[np.int64]
    """``(looks,)``."""
    means: Values
    """``(runs, looks)``, as the ends."""
    low: Values
    high: Values


def follow(
    values: Values,
    chunk: int,
    half_width: float,
    bounds: tuple[float, float],
    *,
    total: int | None = None,
    range_seen: bool = False,
    limited: bool = True,
) -> Followed:
    """Sequences of several runs, with ``values`` ``(runs, images)``.

    Args:
        values: A row for each run.
        chunk: Images between looks.
        half_width: Planned.
        bounds: Of a value.
        total: As in `ConfidenceSequence`.
        range_seen: Put the pseudo-images at half the range seen so far, as ppbench did at first.
        limited: The sequences know how many images there are to look at.
    """
    available = values.shape[1]
    parts = values[:, : available // chunk * chunk].reshape(len(values), -1, chunk)
    images = chunk * np.arange(1, parts.shape[1] + 1)
    means, spread2 = _moments(parts, images, bounds, range_seen=range_seen)
    left = 1 - images / total if total else np.ones(len(images))
    final = left <= 0
    information = images / np.where(final, 1, left) / spread2
    error = 1 - 0.95
    bound = NormalDist().inv_cdf(1 - PLANNED_SHARE * error / 4)
    last = min(available, total - 1) if total else available
    ends = last / (1 - last / total if total else 1) / spread2
    planned = np.minimum((bound / half_width) ** 2, ends if limited else np.inf)

    over = information >= planned
    before = np.cumsum(over, 1) == 0
    at = (np.cumsum(over, 1) == 1) & over
    at &= np.cumsum(at, 1) == 1
    needed = planned * spread2
    needed = np.ceil(needed / (1 + needed / total) if total else needed)
    reach = np.where(before, bound * np.sqrt(planned) / information, np.where(at, bound / np.sqrt(planned), np.inf))
    centre = np.where(at, _mean_at(parts, images, needed), means)
    scale = MIXTURE_SCALE * information / planned
    mixed = np.sqrt((1 + 1 / scale) * (np.log1p(scale) - 2 * math.log((1 - PLANNED_SHARE) * error)) / information)
    early = images < FIRST_LOOK
    low = np.where(early, bounds[0], np.maximum(centre - reach, means - mixed))
    high = np.where(early, bounds[1], np.minimum(centre + reach, means + mixed))
    low, high = (np.where(final, means, end) for end in (low, high))
    low = np.maximum.accumulate(np.maximum(low, bounds[0]), 1)
    high = np.minimum.accumulate(np.minimum(high, bounds[1]), 1)
    return Followed(images, means, low, high)


def _moments(
    parts: Values, images: NDArray[np.int64], bounds: tuple[float, float], *, range_seen: bool
) -> tuple[Values, Values]:
    """Means, and variances with all pseudo-images, at each look."""
    first, second, third = (np.cumsum((parts**power).sum(2), 1) / images for power in (1, 2, 3))
    variance = np.maximum(second - first**2, 0)
    skew = third - 3 * first * second + 2 * first**3
    slope = np.where(variance > 1e-12, skew / np.maximum(variance, 1e-12), 0)
    far = np.maximum(bounds[1] - first, first - bounds[0])
    if range_seen:
        seen = np.maximum.accumulate(parts.max(2), 1) - np.minimum.accumulate(parts.min(2), 1)
        far = np.where(seen > 0, seen, bounds[1] - bounds[0]) / 2
    more = PSEUDO_IMAGES * far**2 + SLOPE_IMAGES * slope**2
    return first, variance * images / (images - 1) + more / images


def _mean_at(parts: Values, images: NDArray[np.int64], needed: Values) -> Values:
    """The mean at so many images, each of the latest chunk with the chunk's mean."""
    chunk = parts.shape[2]
    before = images - chunk
    places = np.minimum(images, np.maximum(np.maximum(FIRST_LOOK, before), needed))
    sums = np.cumsum(parts.sum(2), 1) - parts.sum(2)
    found: Values = (sums + (places - before) * parts.mean(2)) / places
    return found


@dataclass(frozen=True)
class Images:
    """A population of images, one value each."""

    draw: Draw
    true: float
    bounds: tuple[float, float]
    most: int = 4000
    """Images that there are to look at."""


class Ended(NamedTuple):
    """What sequences came to that end by what they find."""

    wrong: float
    """Rate of decisions that are wrong; of sequences that wait for a width, of intervals that miss where they stop."""
    right: float
    """Rate of sequences that hold at every look, also after the stop."""
    at_stop: float
    """Rate of those that hold where they stop."""
    images: float
    """Mean number at the stop."""
    found: float
    """Mean of the means at the stop."""


def compared(
    of: Images, allowed: float, chunk: int, runs: int = 300, *, seed: int = 0, range_seen: bool = False
) -> Ended:
    """Differences, until it is decided whether their mean is above what is allowed (``--until-decided``)."""
    values = of.draw(np.random.default_rng(seed), (runs, of.most))
    found = follow(values, chunk, (allowed or 0.01) / 2, of.bounds, range_seen=range_seen)
    within, beyond = found.high <= allowed, found.low > allowed
    stop = _first(within | beyond)
    rows = np.arange(runs)
    wrong = (within if of.true > allowed else beyond)[rows, stop]
    return _ended(found, of.true, stop, wrong)


def awaited(
    of: Images,
    half_width: float,
    chunk: int,
    runs: int = 300,
    *,
    seed: int = 0,
    finite: bool = False,
    range_seen: bool = False,
) -> Ended:
    """Values, until the interval of their mean is narrow (``--until``).

    Args:
        of: The images.
        half_width: To wait for.
        chunk: Images between looks.
        runs: Repetitions.
        seed: Of all draws.
        finite: The mean is of these images, a dataset of which they are all, and not of images like these.
        range_seen: As in `follow`.
    """
    values = of.draw(np.random.default_rng(seed), (runs, of.most))
    total = of.most if finite else None
    found = follow(values, chunk, half_width, of.bounds, total=total, range_seen=range_seen)
    stop = _first((found.high - found.low) / 2 <= half_width * (1 + 1e-9))
    true = values.mean(1, keepdims=True) if finite else of.true
    held = _held(found, true)[np.arange(runs), stop]
    return _ended(found, true, stop, ~held)


def _first(reached: NDArray[np.bool_]) -> NDArray[np.int64]:
    """``(runs,)``: the first look at which it is reached, or the last look."""
    return np.where(reached.any(1), reached.argmax(1), reached.shape[1] - 1)


def _held(found: Followed, true: float | Values) -> NDArray[np.bool_]:
    return (found.low - 1e-9 <= true) & (true <= found.high + 1e-9)


def _ended(found: Followed, true: float | Values, stop: NDArray[np.int64], wrong: NDArray[np.bool_]) -> Ended:
    held, rows = _held(found, true), np.arange(len(stop))
    return Ended(
        wrong=float(wrong.mean()),
        right=float(held.all(1).mean()),
        at_stop=float(held[rows, stop].mean()),
        images=float(found.images[stop].mean()),
        found=float(found.means[rows, stop].mean()),
    )


FAR = 0.2
"""An image as far from 0 as this is one of the rare ones of `breaking` and `nearly_perfect`; no other gets there."""


class Once(NamedTuple):
    """Intervals for a fixed number of images, of many runs."""

    covers: float
    """Rate of 95 % intervals that have the true mean in them."""
    none_drawn: float
    """Rate of runs without any of the rare images."""
    covers_if_drawn: float
    """Rate of intervals that cover, of the runs that have a rare image; NaN where none has."""
    shows: float
    """Median over runs without a rare image of the smallest difference shown, in points; NaN where all have one."""


def compared_once(of: Images, images: int, runs: int = 300, *, seed: int = 0) -> Once:
    """The paired interval of ``compare`` and ``check``, and what they say that the images show (one rule)."""
    values = of.draw(np.random.default_rng(seed), (runs, images))
    shows = [smallest_shown(MOST_POINTS * row) for row in values[~_drawn(values)]]
    return _once(values, MOST_POINTS * of.true, lambda row: paired_interval(MOST_POINTS * row, 0.95), shows)


def shown_once(of: Images, images: int, runs: int = 300, *, seed: int = 0) -> Once:
    """The interval of ``show`` for a mean error."""
    values = of.draw(np.random.default_rng(seed), (runs, images))
    return _once(values, of.true, lambda row: fraction_interval(float(row.mean()), deviation(row), images), [])


def _once(values: Values, true: float, interval: Callable[[Values], Interval], shows: list[float]) -> Once:
    found = map(interval, values)
    covers, drawn = np.array([each.low <= true <= each.high for each in found]), _drawn(values)
    return Once(
        covers=float(covers.mean()),
        none_drawn=float(1 - drawn.mean()),
        covers_if_drawn=float(covers[drawn].mean()) if drawn.any() else math.nan,
        shows=float(np.median(shows)) if shows else math.nan,
    )


def _drawn(values: Values) -> NDArray[np.bool_]:
    """``(runs,)``: whether one of the rare images is there."""
    drawn: NDArray[np.bool_] = (np.abs(values) > FAR).any(1)
    return drawn


def weights_of(metric: str) -> Weights:
    """An image's weights in a metric of ImageNet-C's 75 cells, with AlexNet's errors where it needs some."""
    model = CellErrors("net", {}, None, C15, SEVERITIES)
    return QUANTITIES[metric].weights(Case(model, C15, SEVERITIES, ALEXNET))


def breaking(share: float, metric: str = "mean_error", most: int = 4000) -> Images:
    """A new model that is the old one, but for a share of images that it gets wrong in all corrupted cells.

    The old one is right in 60 % of the cells; `SCARCE` of them flip by noise.
    """
    factors = np.array(list(weights_of(metric).values()))
    corrupted = np.maximum(factors, 0)
    widest = float(np.abs(factors).sum())

    def draw(random: np.random.Generator, shape: tuple[int, int]) -> Values:
        values = _flips(random, shape, factors, OLD_ERROR)
        broken = random.random(shape) < share
        values[broken] = (random.random((int(broken.sum()), len(factors))) >= OLD_ERROR) @ corrupted
        return values

    by_noise = SCARCE * (1 - 2 * OLD_ERROR) * float(factors.sum())
    true = share * (1 - OLD_ERROR) * float(corrupted.sum()) + (1 - share) * by_noise
    return Images(draw, true, (-widest, widest), most)


def nearly_perfect(share: float, metric: str = "mean_error", most: int = 4000) -> Images:
    """A model that is wrong in `SCARCE` of the cells, and in all corrupted cells of a share of images."""
    factors = np.array(list(weights_of(metric).values()))
    corrupted = float(np.maximum(factors, 0).sum())

    def draw(random: np.random.Generator, shape: tuple[int, int]) -> Values:
        values = _flips(random, shape, factors, 0.0)
        values[random.random(shape) < share] = corrupted
        return values

    true = share * corrupted + (1 - share) * SCARCE * float(factors.sum())
    return Images(draw, true, (float(np.minimum(factors, 0).sum()), corrupted), most)


def _flips(random: np.random.Generator, shape: tuple[int, int], factors: Values, wrong: float) -> Values:
    """Values of images of which `SCARCE` of the cells flip: to wrong, or back to right in a part ``wrong`` of them."""
    values = np.zeros(shape[0] * shape[1])
    count = random.binomial(len(values) * len(factors), SCARCE)
    places, cells = random.integers(0, len(values), count), random.integers(0, len(factors), count)
    np.add.at(values, places, np.where(random.random(count) < wrong, -1, 1) * factors[cells])
    # Two flips of one cell are rare; they must not leave what is possible.
    low, high = np.minimum(factors, 0).sum(), np.maximum(factors, 0).sum()
    span = high - low
    return np.clip(values, *((-span, span) if wrong else (low, high))).reshape(shape)


def rare(
    share: float, jump: Callable[[np.random.Generator, int], Values], noise: float, mean_jump: float, most: int = 4000
) -> Images:
    """Differences that are normal noise, but for a share of images that change by a jump."""

    def draw(random: np.random.Generator, shape: tuple[int, int]) -> Values:
        values = random.normal(0, noise, shape) if noise else np.zeros(shape)
        far = random.random(shape) < share
        values[far] = jump(random, int(far.sum()))
        return np.clip(values, -1, 1)

    return Images(draw, share * mean_jump, (-1.0, 1.0), most)


def hard(share: float, most: int = 4000) -> Images:
    """Errors near 0.8 of a share of hard images, near 0 of all others."""

    def draw(random: np.random.Generator, shape: tuple[int, int]) -> Values:
        values = np.abs(random.normal(0, 0.01, shape))
        far = random.random(shape) < share
        values[far] = random.normal(0.8, 0.05, int(far.sum()))
        return np.clip(values, 0, 1)

    return Images(draw, share * 0.8 + (1 - share) * 0.01 * math.sqrt(2 / math.pi), (0.0, 1.0), most)


def lognormal(middle: float, spread: float, most: int = 4000) -> Images:
    """Lognormal errors, clipped at 1."""
    normal = NormalDist()
    below = normal.cdf((-middle - spread**2) / spread)  # E[min(X, 1)] = E[X; X < 1] + P(X >= 1)
    true = math.exp(middle + spread**2 / 2) * below + 1 - normal.cdf(-middle / spread)
    return Images(lambda r, shape: np.minimum(1, r.lognormal(middle, spread, shape)), true, (0.0, 1.0), most)


def wrong_or_right(share: float, most: int = 4000) -> Images:
    """Errors of 0 and 1: one cell."""
    return Images(lambda r, shape: (r.random(shape) < share).astype(float), share, (0.0, 1.0), most)


def ordinary(most: int = 4000) -> Images:
    """Errors of a model that gets 37.5 % wrong, spread over all images."""
    return Images(lambda r, shape: r.beta(0.6, 1.0, shape), 0.375, (0.0, 1.0), most)
