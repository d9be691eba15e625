"""Errors by class, confusions, flips and error consistency once more, in plain loops; shares no code with ppbench.

``right[cell]`` and ``predicted[cell]`` are lists, one entry per image, and ``labels`` is such a list.
"""

import math


def class_error(labels, right, cells, number):
    """Mean over cells and images of one class."""
    wrong = [not right[cell][image] for cell in cells for image in range(len(labels)) if labels[image] == number]
    return sum(wrong) / len(wrong)


def rate(labels, predicted, cell, label, other):
    """Share of the images of a class that are predicted as another one."""
    hits = [predicted[cell][image] == other for image in range(len(labels)) if labels[image] == label]
    return sum(hits) / len(hits)


def added(labels, predicted, cells, clean, outputs):
    """The added rate of every pair of classes, by pair, for classes with two images or more."""
    found = {}
    for label in set(labels):
        if labels.count(label) < 2:
            continue
        for other in range(outputs):
            if other != label:
                rates = [rate(labels, predicted, cell, label, other) for cell in cells]
                found[label, other] = sum(rates) / len(rates) - rate(labels, predicted, clean, label, other)
    return found


def first_flip(clean, levels):
    """The first severity (from 1) at which an image flips, or a word. ``levels`` says by severity if it is right."""
    if not clean:
        return "wrong from start"
    for severity, is_right in enumerate(levels, 1):
        if not is_right:
            return severity
    return "never"


def returns(clean, levels):
    """Whether an image flips, and is right at a higher severity."""
    flip = first_flip(clean, levels)
    return isinstance(flip, int) and any(levels[flip:])


def kappa(one, other):
    """Cohen's kappa of two lists of right and wrong; None if it is 0 / 0."""
    n = len(one)
    observed = sum(a == b for a, b in zip(one, other, strict=True)) / n
    a, b = sum(one) / n, sum(other) / n
    expected = a * b + (1 - a) * (1 - b)
    return None if expected == 1 else (observed - expected) / (1 - expected)


def kappa_error(table):
    """Standard error of Cohen's kappa for a square table of counts: Fleiss, Cohen & Everitt, Psychol. Bull. 1969."""
    n, size = sum(map(sum, table)), len(table)
    p = [[count / n for count in row] for row in table]
    rows = [sum(row) for row in p]
    columns = [sum(row[j] for row in p) for j in range(size)]
    observed = sum(p[i][i] for i in range(size))
    expected = sum(rows[i] * columns[i] for i in range(size))
    value = (observed - expected) / (1 - expected)
    on = sum(p[i][i] * (1 - (rows[i] + columns[i]) * (1 - value)) ** 2 for i in range(size))
    off = (1 - value) ** 2 * sum(
        p[i][j] * (columns[i] + rows[j]) ** 2 for i in range(size) for j in range(size) if i != j
    )
    rest = (value - expected * (1 - value)) ** 2
    return math.sqrt((on + off - rest) / n) / (1 - expected)


def jackknife_error(statistic, images):
    """Standard error of ``statistic(places)`` over images, by leaving out one image at a time."""
    values = [statistic([place for place in range(images) if place != left_out]) for left_out in range(images)]
    mean = sum(values) / images
    return math.sqrt((images - 1) / images * sum((value - mean) ** 2 for value in values))
