"""How often cells err on the same image: all that an interval of a weighted sum of cells needs, in one small matrix.

A report has some three hundred intervals over the same images. Each would take a pass over all bits
(`per_image.PerImage.weighted`); from the counts of joint errors, made in one pass, each is a product of a few numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ppbench.metrics.per_image import BLOCK, PerImage
from ppbench.metrics.weights import Weights

ROUNDING = 1e-12
"""A variance below this part of its terms is the last bits of their sum, as where a model is compared with itself."""


class ErrorCovariance:
    """The covariance over images of the errors in all cells of one model, or of several on the same images."""

    def __init__(self, models: Sequence[PerImage]) -> None:
        """Count the joint errors; all models have the same n images, 2 at least."""
        self.models = tuple(models)
        self.n = models[0].n
        counts = np.zeros([sum(len(model.errors) for model in models)] * 2)
        for start in range(0, self.n, BLOCK):
            rows = [model.errors[:, start : start + BLOCK] for model in models]
            # float32 holds the counts of a block exactly, and its matrix product is by far the fastest.
            block = np.concatenate(rows).astype(np.float32)
            counts += block @ block.T
        wrong = np.diag(counts)
        self.covariance = (counts - np.outer(wrong, wrong) / self.n) / (self.n - 1)
        """``(cells, cells)`` float64, the cells of all models after each other."""

    def deviation(self, *weights: Weights) -> float:
        """Standard deviation over images of a weighted sum of errors, with one set of weights a model.

        Raises:
            Unavailable: If one of the cells is missing.
        """
        factors = np.zeros(len(self.covariance))
        first = 0
        for model, own in zip(self.models, weights, strict=False):
            rows = np.array(model.rows(own), np.int64)
            factors[first + rows] = list(own.values())
            first += len(model.errors)
        variance = float(factors @ self.covariance @ factors)
        terms = float(np.abs(factors) @ np.abs(self.covariance) @ np.abs(factors))
        return math.sqrt(variance) if variance > ROUNDING * terms else 0.0
