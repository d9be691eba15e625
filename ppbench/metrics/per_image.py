"""Each image's own part in a metric, from the correctness bits of a run.

Cells share images, so whatever an interval or a test is about, the images are the sample: every function here gives
one number an image, and the mean of these numbers over images is the metric.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ppbench.metrics import weights as of
from ppbench.metrics.metric import Unavailable
from ppbench.metrics.references import Normalizer
from ppbench.metrics.weights import Key, Weights
from ppbench.run import Run

BLOCK = 8192
"""Images whose errors are turned into floating-point numbers at once, so that memory stays small."""


@dataclass(frozen=True, eq=False)
class PerImage:
    """Which images a model got wrong, cell by cell."""

    source: str
    """The model's name."""
    errors: NDArray[np.bool_]
    """``(cells, n)``, True where the model is wrong."""
    cells: Mapping[Key, int]
    """Row of ``errors`` by (corruption, severity)."""

    @classmethod
    def from_run(cls, run: Run, bits: Mapping[Key, NDArray[np.bool_]]) -> PerImage:
        """Take a run and its bits (`ppbench.run.read_bits`), True where it is right."""
        keys = [cell.key for cell in run.cells]
        rows = [~bits[key] for key in keys]
        errors = np.stack(rows) if rows else np.zeros((0, run.protocol.n), bool)
        return cls(run.model.name, errors, {key: row for row, key in enumerate(keys)})

    @property
    def n(self) -> int:
        """Images."""
        return self.errors.shape[1]

    def weighted(self, weights: Weights) -> NDArray[np.float64]:
        """``(n,)`` float64: each image's errors, weighted by cell and summed.

        Raises:
            Unavailable: If one of the cells is missing.
        """
        factors = np.zeros(len(self.errors))
        factors[self.rows(weights)] = list(weights.values())
        used = np.flatnonzero(factors)
        starts = range(0, self.n, BLOCK)
        parts = [factors[used] @ self.errors[used, start : start + BLOCK].astype(np.float64) for start in starts]
        return np.concatenate(parts) if parts else np.zeros(0)

    def rows(self, keys: Mapping[Key, float] | Sequence[Key]) -> list[int]:
        """Rows of these cells in ``errors``.

        Raises:
            Unavailable: If one of them is missing.
        """
        missing = [key for key in keys if key not in self.cells]
        if missing:
            named = ", ".join(f"{corruption} s{severity}" for corruption, severity in missing[:3])
            more = ", …" if len(missing) > 3 else ""
            raise Unavailable(f"{self.source} lacks {len(missing)} of {len(keys)} cells: {named}{more}")
        return [self.cells[key] for key in keys]

    def clean(self) -> NDArray[np.float64]:
        """``(n,)`` of {0, 1}; its mean is the clean error, a fraction."""
        return self.weighted(of.CLEAN_WEIGHTS)

    def mean_error(self, corruptions: Sequence[str], severities: Sequence[int]) -> NDArray[np.float64]:
        """``(n,)`` in [0, 1]; its mean is the mean error over these cells, a fraction."""
        return self.weighted(of.mean_error_weights(corruptions, severities))

    def corruption_error(
        self, normalizer: Normalizer, corruptions: Sequence[str], severities: Sequence[int]
    ) -> NDArray[np.float64]:
        """``(n,)``; its mean is mCE, a fraction, with the normaliser's errors taken as exact."""
        return self._corruption_error(normalizer, corruptions, severities, relative=False)

    def relative_corruption_error(
        self, normalizer: Normalizer, corruptions: Sequence[str], severities: Sequence[int]
    ) -> NDArray[np.float64]:
        """``(n,)``; its mean is relative mCE, a fraction, with the normaliser's errors taken as exact."""
        return self._corruption_error(normalizer, corruptions, severities, relative=True)

    def corruption_error_ratio(
        self, normalizer: PerImage, corruptions: Sequence[str], severities: Sequence[int]
    ) -> tuple[float, NDArray[np.float64]]:
        """MCE against a model that saw the same images, a fraction, and its influence ``(n,)`` of mean 0.

        The influence is the delta method's linear part: `intervals.linear_interval` makes an interval of the two.

        Raises:
            Unavailable: If cells are missing or a denominator is too near zero.
            ValueError: If the two have not the same number of images.
        """
        return self._ratio(normalizer, corruptions, severities, relative=False)

    def relative_corruption_error_ratio(
        self, normalizer: PerImage, corruptions: Sequence[str], severities: Sequence[int]
    ) -> tuple[float, NDArray[np.float64]]:
        """Like `corruption_error_ratio`, of relative mCE."""
        return self._ratio(normalizer, corruptions, severities, relative=True)

    def net_robustness_ratio(
        self, baseline: PerImage, corruptions: Sequence[str], severities: Sequence[int]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Numerators and denominators ``(n,)`` of R_net: mean / mean is R_net, a fraction.

        `intervals.ratio_influence` makes a value and an influence of them.
        """
        self._require_same_images(baseline)
        own = self.clean() + self.mean_error(corruptions, severities)
        other = baseline.clean() + baseline.mean_error(corruptions, severities)
        return other - own, 2 * baseline.clean()

    def _corruption_error(
        self, normalizer: Normalizer, corruptions: Sequence[str], severities: Sequence[int], *, relative: bool
    ) -> NDArray[np.float64]:
        found = of.denominators(normalizer, corruptions, severities, relative=relative)
        return self.weighted(of.corruption_error_weights(found, severities, relative=relative))

    def _ratio(
        self, normalizer: PerImage, corruptions: Sequence[str], severities: Sequence[int], *, relative: bool
    ) -> tuple[float, NDArray[np.float64]]:
        self._require_same_images(normalizer)
        found = of.denominators(_Means(normalizer), corruptions, severities, relative=relative)
        own = of.excess(_Means(self), corruptions, severities, relative=relative)
        ratios = {name: own[name] / found[name] for name in corruptions}
        parts = self.weighted(of.corruption_error_weights(found, severities, relative=relative))
        parts += normalizer.weighted(of.normalizer_weights(found, ratios, severities, relative=relative))
        return float(np.mean(list(ratios.values()))), parts

    def _require_same_images(self, other: PerImage) -> None:
        if self.n != other.n:
            raise ValueError(f"{self.source} has {self.n} images, {other.source} {other.n}: they cannot be paired")


@dataclass(frozen=True)
class _Means:
    """The errors of a model over its images, as a `Normalizer`."""

    model: PerImage

    @property
    def source(self) -> str:
        return self.model.source

    def mean_error(self, corruptions: Sequence[str], severities: Sequence[int]) -> float:
        return float(self.model.mean_error(corruptions, severities).mean())

    def clean_error(self) -> float:
        return float(self.model.clean().mean())
