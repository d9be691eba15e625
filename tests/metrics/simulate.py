"""Repeated synthetic evaluations: how often intervals cover, tests find, and sequences stop too early.

Each function repeats one experiment and returns rates; the tests ask whether they are what they should be, and
tests/bench/simulate_statistics.py prints more of them.
"""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ppbench.metrics.confidence_sequence import ConfidenceSequence
from ppbench.metrics.covariance import rough_ratios
from ppbench.metrics.intervals import deviation, fraction_interval, quantile, wilson, without_replacement
from ppbench.metrics.metric import Unavailable
from ppbench.metrics.paired import images_needed, mcnemar, paired_interval, paired_test
from ppbench.metrics.references import ALEXNET
from ppbench.vocabulary import CLEAN, SEVERITIES
from tests.metrics.forms import case, estimated, mean_error, parts
from tests.metrics.stopping import follow
from tests.metrics.synthetic import THREE, draw, mean_of, per_image, stratified_order, truth
from tests.oracles.intervals import linear_interval, mean_interval

LEVELS = (1, 3, 5)
GRID = (THREE, LEVELS)


def coverage(runs: int, images: int, seed: int = 0) -> dict[str, float]:
    """How often the 95 % intervals cover the truth, by what they are of."""
    random = np.random.default_rng(seed)
    first = truth(THREE, LEVELS)
    second = {key: min(0.97, 0.9 * value) for key, value in first.items()}
    keys = list(first)
    means = [mean_of(errors, *GRID) for errors in (first, second)]
    alexnet = {name: ALEXNET.mean_error([name], SEVERITIES) for name in THREE}
    excess = {name: mean_of(first, [name], LEVELS) for name in THREE}
    theirs = {name: mean_of(second, [name], LEVELS) for name in THREE}
    clean = first[CLEAN, 0], second[CLEAN, 0]
    true = {
        "one cell (Wilson)": first["fog", 3],
        "clean error": clean[0],
        "mean error": means[0],
        "mean error (normal)": means[0],
        "mCE": np.mean([excess[name] / alexnet[name] for name in THREE]),
        "relative mCE": np.mean([(excess[name] - clean[0]) / (alexnet[name] - ALEXNET.clean) for name in THREE]),
        "mCE against a run": np.mean([excess[name] / theirs[name] for name in THREE]),
        "relative mCE against a run": np.mean(
            [(excess[name] - clean[0]) / (theirs[name] - clean[1]) for name in THREE]
        ),
        "R_net": (clean[1] - clean[0] + means[1] - means[0]) / (2 * clean[1]),
        "difference of mean errors": means[0] - means[1],
    }
    covered: dict[str, int] = defaultdict(int)
    for _ in range(runs):
        a, b = (per_image(keys, errors) for errors in draw(random, [first, second], images))
        values = mean_error(a, *GRID)
        found = {
            "one cell (Wilson)": wilson(int(a.errors[a.cells["fog", 3]].sum()), images),
            "clean error": wilson(int(parts("clean_error", a, *GRID).sum()), images),
            "mean error": fraction_interval(float(values.mean()), deviation(values), images),
            "mean error (normal)": mean_interval(values),
            "mCE": mean_interval(parts("mCE", a, *GRID, Published())),
            "relative mCE": mean_interval(parts("relative_mCE", a, *GRID, Published())),
            "mCE against a run": linear_interval(*estimated("mCE", a, *GRID, b)),
            "relative mCE against a run": linear_interval(*estimated("relative_mCE", a, *GRID, b)),
            "R_net": linear_interval(*estimated("R_net", a, *GRID, b)),
            "difference of mean errors": mean_interval(values - mean_error(b, *GRID)),
        }
        for name, interval in found.items():
            covered[name] += interval.low <= true[name] <= interval.high
    return {name: count / runs for name, count in covered.items()}


class Published:
    """AlexNet's means, for any severities."""

    source = "alexnet"

    def mean_error(self, corruptions, severities):
        return ALEXNET.mean_error(corruptions, SEVERITIES)

    def clean_error(self):
        return ALEXNET.clean


class Rough(NamedTuple):
    """Intervals of a ratio whose denominators are near 0."""

    below: float
    """Rate of intervals that end below the true ratio."""
    above: float
    """Rate of those that begin above it."""
    noted: float
    """Rate of `rough_ratios` that tell of it."""
    missing: float
    """Rate of runs with a denominator too near 0 for any ratio."""


def rough(runs: int, images: int, above_clean: float, seed: int = 0) -> Rough:
    """Relative mCE against a run on whose images the mildest of three corruptions adds little to the clean error.

    Args:
        runs: Repetitions.
        images: Of each.
        above_clean: What it adds for the normaliser, a fraction.
        seed: Of all draws.
    """
    random = np.random.default_rng(seed)
    names = THREE
    theirs = truth(names, LEVELS)
    theirs |= {(names[-1], level): theirs[CLEAN, 0] + above_clean for level in LEVELS}
    own = {key: min(0.97, 1.05 * value) for key, value in theirs.items()}
    over = [{name: mean_of(e, [name], LEVELS) - e[CLEAN, 0] for name in names} for e in (own, theirs)]
    true = float(np.mean([over[0][name] / over[1][name] for name in names]))
    counts = np.zeros(4)
    for _ in range(runs):
        a, b = (per_image(list(own), errors) for errors in draw(random, [own, theirs], images))
        try:
            found = linear_interval(*estimated("relative_mCE", a, *GRID, b))
        except Unavailable:
            counts[3] += 1
            continue
        counts[:3] += found.high < true, found.low > true, bool(rough_ratios(b, case(a, *GRID, b)))
    shares = counts / [*[max(1, runs - counts[3])] * 3, runs]
    return Rough(*map(float, shares))


class Looks(NamedTuple):
    """What looking again and again came to."""

    covered: float
    """Rate of sequences that were right at every look."""
    naive: float
    """The same of intervals for a fixed number of images."""
    cost: float
    """Mean images at which the half-width was reached, over those of a fixed interval of the same population."""
    images: float
    """Mean images at which it was reached."""
    at_stop: float
    """Rate of sequences that covered at the look where they stopped."""


def looking(
    runs: int,
    *,
    half_width: float = 0.03,
    total: int | None = None,
    of_class: float = 0.0,
    stratified: bool = False,
    most: int = 1500,
    chunk: int = 50,
    seed: int = 0,
) -> Looks:
    """Sequences of a mean error, looked at after each chunk, beyond the plan and to the end.

    Args:
        runs: Repetitions.
        half_width: At which the sequences stop.
        total: Images of a finite dataset, of whose mean the sequences are; None: the true mean error.
        of_class: As in `draw`.
        stratified: Draw equal shares of the classes, and use them.
        most: Images at the last look.
        chunk: Images between looks.
        seed: Of all draws.
    """
    random = np.random.default_rng(seed)
    errors = truth(THREE, LEVELS)
    pool = total or most
    rows, strata, trues, spreads = [], [], [], []
    for run in range(runs):
        classes = np.arange(pool) % 20
        effects = random.standard_normal(20)
        (hits,) = draw(random, [errors], pool, classes=classes, of_class=of_class, class_effects=effects)
        values = mean_error(per_image(list(errors), hits), *GRID)
        trues.append(float(values.mean()) if total else mean_of(errors, *GRID))
        order = (stratified_order(classes, run) if stratified else random.permutation(pool))[:most]
        rows.append(values[order])
        strata.append(classes[order])
        spreads.append(deviation(values, classes if stratified else None))
    seen, true = np.array(rows), np.array(trues)[:, None]
    if stratified:
        low, high = _one_by_one(seen, np.array(strata), half_width, total, chunk)
    else:
        _, _, low, high = follow(seen, chunk, half_width, (0.0, 1.0), total=total, limited=False)
    right = _hold(low, true, high)
    narrow = (high - low) / 2 <= half_width * (1 + 1e-9)
    stop = np.where(narrow.any(1), narrow.argmax(1), narrow.shape[1] - 1)
    images = float(np.mean(chunk * (stop + 1)))
    needed = images_needed(float(np.mean(spreads)), half_width, power=0.5)
    if total:
        needed = needed / (1 + needed / total)
    return Looks(
        covered=float(right.all(1).mean()),
        naive=float(_hold(*_fixed(seen, true, chunk, total)).all(1).mean()),
        cost=images / needed,
        images=images,
        at_stop=float(right[np.arange(runs), stop].mean()),
    )


Ends = NDArray[np.float64]
"""``(runs, looks)``, or one for all looks."""


def _hold(low: Ends, true: Ends, high: Ends) -> NDArray[np.bool_]:
    return (low - 1e-9 <= true) & (true <= high + 1e-9)


def _one_by_one(
    rows: NDArray[np.float64], strata: NDArray[np.int64], half_width: float, total: int | None, chunk: int
) -> tuple[Ends, Ends]:
    """The ends of stratified sequences at their looks."""
    found = []
    for values, classes in zip(rows, strata, strict=True):
        sequence = ConfidenceSequence(half_width=half_width, total=total)
        parts = (slice(start, start + chunk) for start in range(0, len(values), chunk))
        found.append([sequence.add(values[part], classes[part])[1:] for part in parts])
    low, high = np.moveaxis(np.array(found), 2, 0)
    return low, high


def _fixed(rows: NDArray[np.float64], true: Ends, chunk: int, total: int | None) -> tuple[Ends, Ends, Ends]:
    """The ends of normal intervals for a fixed number of images at each look, with the truth between them."""
    images = np.arange(chunk, rows.shape[1] + 1, chunk)
    first, second = (np.cumsum(rows**power, 1)[:, images - 1] / images for power in (1, 2))
    left = np.array([without_replacement(int(count), total) for count in images])
    reach = quantile(0.95) * np.sqrt(np.maximum(second - first**2, 0) / (images - 1) * left)
    return first - reach, true, first + reach


class Power(NamedTuple):
    """How often a true difference is found."""

    found: float
    formula: float
    unpaired: float
    """Rate of pairs of intervals that do not overlap."""


def power(runs: int, images: int, factor: float = 0.955, seed: int = 0) -> Power:
    """Two models, the second with ``factor`` times the errors: the paired test's power, and the normal formula's."""
    random = np.random.default_rng(seed)
    first = truth(THREE, LEVELS)
    second = {key: factor * value for key, value in first.items()}
    difference = mean_of(first, *GRID) - mean_of(second, *GRID)
    p_values, apart, spreads = [], 0, []
    for _ in range(runs):
        a, b = (mean_error(per_image(list(first), hits), *GRID) for hits in draw(random, [first, second], images))
        p_values.append(paired_test(a - b))
        apart += mean_interval(b).high < mean_interval(a).low
        spreads.append(deviation(a - b))
    shift = difference / (float(np.mean(spreads)) / images**0.5)
    normal = np.random.default_rng(0).standard_normal(400_000)
    return Power(
        float(np.mean(np.array(p_values) < 0.05)), float((np.abs(normal + shift) > 1.959964).mean()), apart / runs
    )


def false_alarms(runs: int, images: int, seed: int = 0) -> tuple[float, float]:
    """How often the paired test and McNemar's find a difference between models of equal error, at 5 %."""
    random = np.random.default_rng(seed)
    errors = truth(THREE, LEVELS)
    paired = single = 0
    for _ in range(runs):
        a, b = (per_image(list(errors), hits) for hits in draw(random, [errors, errors], images))
        paired += paired_test(mean_error(a, *GRID) - mean_error(b, *GRID)) < 0.05
        row = a.cells["fog", 3]
        single += mcnemar(~a.errors[row], ~b.errors[row]) < 0.05
    return paired / runs, single / runs


class Gain(NamedTuple):
    """What knowing how images were drawn is worth, in a dataset whose mean is the truth."""

    covered: float
    """Of the intervals that use strata and the finite dataset."""
    unaware: float
    """Of those that use neither."""
    simple: float
    """Mean width over that of a simple random sample of images like these, of the stratified one."""
    both: float
    """And with the finite dataset as well."""


def gain(runs: int, images: int = 400, total: int = 2000, of_class: float = 0.4, seed: int = 0) -> Gain:
    """Stratified samples of one finite dataset."""
    random = np.random.default_rng(seed)
    errors = truth(THREE, LEVELS)
    classes = np.arange(total) % 20
    effects = random.standard_normal(20)
    (hits,) = draw(random, [errors], total, classes=classes, of_class=of_class, class_effects=effects)
    values = mean_error(per_image(list(errors), hits), *GRID)
    counts, widths = np.zeros(2), np.zeros(3)
    for run in range(runs):
        order = stratified_order(classes, run)[:images]
        plain = mean_interval(values[order])
        stratified = mean_interval(values[order], strata=classes[order])
        both = mean_interval(values[order], strata=classes[order], total=total)
        counts += [found.low <= values.mean() <= found.high for found in (both, plain)]
        widths += plain.margin, stratified.margin, both.margin
    return Gain(counts[0] / runs, counts[1] / runs, widths[1] / widths[0], widths[2] / widths[0])


class Sparse(NamedTuple):
    """Pairs of models that differ on few images."""

    covered: float
    """Of the paired intervals of the difference."""
    found: float
    """Rate of paired tests that find one, at 5 %."""
    wide: float
    """Mean width over that of the normal interval, of pairs of which any image differs."""


def sparse(runs: int, images: int, worse: float, better: float, seed: int = 0) -> Sparse:
    """The paired interval and test of a mean error, as `ppbench compare` and `ppbench check` have them.

    Args:
        runs: Repetitions.
        images: Of each.
        worse: Expected images of which the second model gets some cells wrong that the first got right.
        better: The reverse.
        seed: Of all draws.
    """
    random = np.random.default_rng(seed)
    true = (worse - better) / images * PER_IMAGE
    covered = found = 0
    widths = []
    for _ in range(runs):
        points = sparse_differences(random, images, worse / images, better / images)
        interval = paired_interval(points, 0.95)
        covered += interval.low <= true <= interval.high
        found += paired_test(points) < 0.05
        if points.any():
            widths.append(interval.margin / mean_interval(points).margin)
    return Sparse(covered / runs, found / runs, float(np.mean(widths)))


PER_IMAGE = 60.0
"""Points of mean error that an image makes on average, where it makes any."""


def sparse_differences(random: np.random.Generator, images: int, worse: float, better: float) -> NDArray[np.float64]:
    """``(images,)`` points of mean error over 9 cells: most images 0, the others the share of cells that changed."""
    signs = random.choice([1, 0, -1], images, p=[worse, 1 - worse - better, better])
    # Of those that change, at least one cell does, and all by turns.
    changed = 1 + random.binomial(8, (9 * PER_IMAGE / 100 - 1) / 8, images)
    return signs * changed * 100 / 9


def sparse_sequences(
    runs: int, worse: float, better: float, half_width: float, chunk: int = 64, seed: int = 0
) -> tuple[float, float, float]:
    """Rate of sequences of such differences that hold at every look, to twice the planned images; and mean images.

    The third number is the mean of images at the stop over those that a fixed interval of this width takes.

    Args:
        runs: Repetitions.
        worse: Share of images, as in `sparse_differences`.
        better: The same.
        half_width: Planned, in points.
        chunk: Images between looks.
        seed: Of all draws.
    """
    random = np.random.default_rng(seed)
    true = (worse - better) * PER_IMAGE
    needed = images_needed(100 * (worse + better) ** 0.5 * PER_IMAGE / 100, half_width, power=0.5)
    length = 2 * needed // chunk * chunk
    values = np.array([sparse_differences(random, length, worse, better) for _ in range(runs)])
    images, _, low, high = follow(values, chunk, half_width, (-100.0, 100.0), limited=False)
    narrow = (high - low) / 2 <= half_width * (1 + 1e-9)
    stops = np.where(narrow.any(1), images[narrow.argmax(1)], length)
    several = sparse_differences(np.random.default_rng(0), 400_000, worse, better)
    fixed = images_needed(deviation(several), half_width, power=0.5)
    held = ((low <= true) & (true <= high)).all(1)
    return float(held.mean()), float(np.mean(stops)), float(np.mean(stops)) / fixed
