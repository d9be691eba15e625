"""The metrics' standard errors once more, by resampling images; shares no code with ppbench.

``errors[corruption][severity]`` is a list of 0 and 1, one per image, and ``clean`` is such a list; the images are the
same in all of them. A resample takes whole images, so that what cells have in common stays in common.
"""

import numpy as np

from tests.oracles import corruption_error as oracle


def standard_error(statistic, images, draws=1000, seed=0):
    """The standard deviation of ``statistic(places)`` over random samples of places, with replacement."""
    random = np.random.default_rng(seed)
    values = []
    for _ in range(draws):
        values.append(statistic(random.integers(0, images, images)))
    return np.std(values, ddof=1)


def rates(errors, places):
    """Cells' error rates among the images at these places."""
    return {c: {s: np.mean(np.asarray(hit)[places]) for s, hit in rows.items()} for c, rows in errors.items()}


def mean_error(errors, places):
    return oracle.mean_error(rates(errors, places))


def mean_corruption_error(errors, denominators, places):
    """Against fixed denominators, by corruption and severity."""
    return oracle.mean_corruption_error(rates(errors, places), denominators)


def relative_mean_corruption_error(errors, clean, denominators, denominators_clean, places):
    own = np.mean(np.asarray(clean)[places])
    return oracle.relative_mean_corruption_error(rates(errors, places), own, denominators, denominators_clean)


def mean_corruption_error_against(errors, other, places):
    """Against another model, whose errors are resampled with the same images."""
    return oracle.mean_corruption_error(rates(errors, places), rates(other, places))


def relative_against(errors, clean, other, other_clean, places):
    own, theirs = np.mean(np.asarray(clean)[places]), np.mean(np.asarray(other_clean)[places])
    return oracle.relative_mean_corruption_error(rates(errors, places), own, rates(other, places), theirs)


def net_robustness(errors, clean, other, other_clean, places):
    own, theirs = np.mean(np.asarray(clean)[places]), np.mean(np.asarray(other_clean)[places])
    return oracle.net_robustness(own, mean_error(errors, places) / 100, theirs, mean_error(other, places) / 100)


def difference(errors, other, places):
    return mean_error(errors, places) - mean_error(other, places)
