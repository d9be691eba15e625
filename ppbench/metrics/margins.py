"""The intervals of all that a report shows of one run, from its bits and those of the runs it is compared with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from ppbench.metrics import weights as of
from ppbench.metrics.cell_errors import CellErrors
from ppbench.metrics.covariance import ErrorCovariance
from ppbench.metrics.intervals import Interval, deviation, fraction_interval, quantile
from ppbench.metrics.metric import Metric
from ppbench.metrics.per_image import PerImage
from ppbench.metrics.references import Normalizer
from ppbench.metrics.weights import Weights

SAME_SAMPLE = ("dataset", "fingerprint", "ids_sha256", "n")
"""What two runs' protocols must agree in for their bits to be of the same images, one by one."""


NEAR_ZERO_ERRORS = 3.0
"""Standard errors from 0 within which a denominator may have another sign, or none, on other images."""


class Margins:
    """Gives metrics of one model their intervals.

    Errors are taken as exact of a normaliser that is published, has no bits, or saw other images.
    """

    def __init__(
        self,
        accuracies: CellErrors,
        images: PerImage,
        normalizer: Normalizer | None,
        baseline: CellErrors | None,
        confidence: float,
    ) -> None:
        self.accuracies, self.normalizer, self.baseline = accuracies, normalizer, baseline
        self.confidence = confidence
        self.paired_normalizer = paired_images(accuracies, normalizer)
        self.paired_baseline = paired_images(accuracies, baseline)
        others = (self.paired_normalizer, self.paired_baseline)
        # Most often the baseline is the normaliser too; its bits are counted once.
        models = list(dict.fromkeys(model for model in (images, *others) if model is not None))
        self.places = {model: place for place, model in enumerate(models)}
        self.joint = ErrorCovariance(models)

    def clean_error(self, metric: Metric) -> Metric:
        """The clean error with its interval."""
        return self._fraction(metric, lambda: of.CLEAN_WEIGHTS)

    def mean_error(
        self, metric: Metric, corruptions: Sequence[str] | None = None, severities: Sequence[int] | None = None
    ) -> Metric:
        """A mean error over these cells with its interval; None as in `corruption_error.mean_error`."""
        names = self.accuracies.headline if corruptions is None else corruptions
        levels = self.accuracies.severities if severities is None else severities
        return self._fraction(metric, lambda: of.mean_error_weights(names, levels))

    def corruption_error(self, metric: Metric, corruptions: Sequence[str] | None = None) -> Metric:
        """CE or mCE of these corruptions with its interval; None: the headline."""
        return self._corruption_error(metric, corruptions, relative=False)

    def relative_corruption_error(self, metric: Metric, corruptions: Sequence[str] | None = None) -> Metric:
        """Relative CE or mCE of these corruptions with its interval; None: the headline."""
        return self._corruption_error(metric, corruptions, relative=True)

    def net_robustness(self, metric: Metric) -> Metric:
        """R_net with its interval, if the baseline has bits."""
        if metric.value is None or self.baseline is None or self.paired_baseline is None:
            return metric
        own, other = of.net_robustness_weights(
            metric.value / 100, self.baseline.clean_error(), self.accuracies.headline, self.accuracies.severities
        )
        return self._linear(metric, own, self.paired_baseline, other)

    def _corruption_error(self, metric: Metric, corruptions: Sequence[str] | None, *, relative: bool) -> Metric:
        if metric.value is None or self.normalizer is None:
            return metric
        names, severities = corruptions or self.accuracies.headline, self.accuracies.severities
        found = of.denominators(self.normalizer, names, severities, relative=relative)
        own = of.corruption_error_weights(found, severities, relative=relative)
        if self.paired_normalizer is None:
            return _from_0(self._linear(metric, own), relative=relative)
        errors = of.excess(self.accuracies, names, severities, relative=relative)
        ratios = {name: errors[name] / found[name] for name in names}
        other = of.normalizer_weights(found, ratios, severities, relative=relative)
        return _from_0(self._linear(metric, own, self.paired_normalizer, other), relative=relative)

    def _fraction(self, metric: Metric, weights: Callable[[], Weights]) -> Metric:
        if metric.value is None:
            return metric
        spread = self.joint.deviation(weights())
        found = fraction_interval(metric.value / 100, spread, self.joint.n, self.confidence)
        return replace(metric, interval=found.scaled(100)._replace(value=metric.value))

    def _linear(
        self, metric: Metric, own: Weights, other: PerImage | None = None, others: Weights | None = None
    ) -> Metric:
        """The metric with the normal interval of a sum with these weights, in percent."""
        assert metric.value is not None
        weights: list[Weights] = [{} for _ in self.places]
        weights[0] = own
        if other is not None and others is not None:
            weights[self.places[other]] = others
        reach = 100 * quantile(self.confidence) * self.joint.deviation(*weights) / self.joint.n**0.5
        return replace(metric, interval=Interval(metric.value, metric.value - reach, metric.value + reach))


def _from_0(metric: Metric, *, relative: bool) -> Metric:
    """CE without what is below 0, where no ratio of errors is; above the clean error, one may be."""
    if relative or metric.interval is None:
        return metric
    return replace(metric, interval=metric.interval._replace(low=max(0.0, metric.interval.low)))


def paired_images(accuracies: CellErrors, other: Normalizer | None) -> PerImage | None:
    """The bits of another run, if it has some and they are of the same images in the same order."""
    if not isinstance(other, CellErrors) or other.per_image is None:
        return None
    here, there = accuracies.protocol, other.protocol
    same = here is not None and all(getattr(here, field) == getattr(there, field) for field in SAME_SAMPLE)
    return other.per_image if same else None


def rough_ratios(normalizer: PerImage, corruptions: Sequence[str], severities: Sequence[int]) -> list[str]:
    """Notes on ratios whose denominators these images do not tell from 0: no delta method is right about them.

    Args:
        normalizer: Whose errors over the images are the denominators.
        corruptions: Those that are divided.
        severities: Of their errors.
    """
    notes = []
    for relative, name, what in (
        (False, "CE", "error"),
        (True, "Relative CE", "error above clean"),
    ):
        near = [c for c in corruptions if _is_near_zero(normalizer, c, severities, relative=relative)]
        if near:
            notes.append(
                f"{name} and its means are rough: the {what} of {normalizer.source} that they divide by is within "
                f"{NEAR_ZERO_ERRORS:g} standard errors of 0 on {', '.join(near)}. Intervals end too soon on the side "
                "of the larger ratios; more images are needed."
            )
    return notes


def _is_near_zero(model: PerImage, corruption: str, severities: Sequence[int], *, relative: bool) -> bool:
    weights = of.over_corruptions({corruption: 1.0}, severities, relative=relative)
    if model.n < 2 or not all(key in model.cells for key in weights):
        return False
    values = model.weighted(weights)
    return abs(float(values.mean())) < NEAR_ZERO_ERRORS * deviation(values) / model.n**0.5
