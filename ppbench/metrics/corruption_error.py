"""Clean error, mean error, CE, mCE, their relative forms, and R_net: docs/metrics.md has the formulas.

CE, mCE and their relative forms are those of Hendrycks & Dietterich, ICLR 2019; R_net is that of
Bennabhaktula et al., "PushPull-Net", ICPR 2024, as it follows from their table. All values are in percent.
"""

from __future__ import annotations

from collections.abc import Sequence

from ppbench.metrics.cell_errors import CellErrors, mean
from ppbench.metrics.metric import Metric, Unavailable, metric, ratio
from ppbench.metrics.references import Normalizer, PublishedErrors
from ppbench.run import Protocol

NEAR_ZERO = 1e-3
"""Denominators below a tenth of a percentage point are noise: 50,000 images have a standard error of 0.2."""

SAME_IMAGES = ("dataset", "fingerprint", "ids_sha256", "source", "recipe", "engine", "seed")
"""What two runs' protocols must agree in for one to be the other's baseline: the pixels they were shown."""

HASHES = ("fingerprint", "ids_sha256")
"""Those of them that are hashes: reasons name the first twelve characters."""

FORMULAS = {
    "clean_error": "E_0 = wrong / all, uncorrupted images",
    "mean_error": "M = mean of E_cs over corruptions c and severities s",
    "mCE": "mean over c of CE_c;  CE_c = sum_s E_cs / sum_s A_cs,  A = the normaliser's errors",
    "relative_mCE": "mean over c of sum_s (E_cs - E_0) / sum_s (A_cs - A_0)",
    "R_net": "((B_0 - E_0) + (B - M)) / (2 B_0),  B_0 and B = the baseline's clean and mean error",
}
"""Formula by metric name; all in percent."""

MEANINGS = {
    "clean_error": "top-1 error on the uncorrupted images",
    "mean_error": "top-1 error, mean over all corruptions and severities",
    "mCE": "error / normaliser's error, mean over corruptions",
    "relative_mCE": "the same for what corruption adds to the clean error",
    "R_net": "error taken off the baseline, clean and corrupted",
}
"""Definition in words by metric name."""


def clean_error(accuracies: CellErrors) -> Metric:
    """Top-1 error on the uncorrupted images, %."""
    label = f"clean_error[{accuracies.subset}]" if accuracies.subset else "clean_error"
    return metric("clean_error", label, "%", lambda: 100 * accuracies.clean_error())


def mean_error(
    accuracies: CellErrors, corruptions: Sequence[str] | None = None, severities: Sequence[int] | None = None
) -> Metric:
    """Mean top-1 error over cells, not normalised, %.

    Args:
        accuracies: The model's results.
        corruptions: Which; the headline corruptions if None.
        severities: Which; all of the results' if None.
    """
    names = accuracies.headline if corruptions is None else corruptions
    levels = accuracies.severities if severities is None else severities
    label = accuracies.label("mean_error", corruptions=names, severities=levels)
    return metric("mean_error", label, "%", lambda: 100 * accuracies.mean_error(names, levels))


def mean_corruption_error(
    accuracies: CellErrors,
    normalizer: Normalizer | None,
    corruptions: Sequence[str] | None = None,
    name: str = "mCE",
) -> Metric:
    """Mean over corruptions of the error summed over severities, divided by the normaliser's, %.

    Args:
        accuracies: The model's results.
        normalizer: Where the denominators come from; None gives no value.
        corruptions: Which; the headline corruptions if None. With one of them the result is its CE.
        name: ``CE`` for one corruption, ``mCE`` for the mean.
    """
    names = accuracies.headline if corruptions is None else corruptions
    label = _label_of_ce(name, accuracies, normalizer, names)
    return metric(name, label, "%", lambda: _mean_of_ratios(accuracies, normalizer, names, relative=False))


def relative_mean_corruption_error(
    accuracies: CellErrors,
    normalizer: Normalizer | None,
    corruptions: Sequence[str] | None = None,
    name: str = "relative_mCE",
) -> Metric:
    """Like `mean_corruption_error`, with each model's own clean error subtracted from its errors, %."""
    names = accuracies.headline if corruptions is None else corruptions
    label = _label_of_ce(name, accuracies, normalizer, names)
    return metric(name, label, "%", lambda: _mean_of_ratios(accuracies, normalizer, names, relative=True))


def net_robustness(accuracies: CellErrors, baseline: CellErrors | None) -> Metric:
    """R_net: the clean and the mean error taken off the baseline's, over twice its clean error, %."""
    names, severities = accuracies.headline, accuracies.severities

    def compute() -> float:
        if baseline is None:
            raise Unavailable("no baseline given (--baseline RUN)")
        _require_same_task(accuracies, baseline)
        _require_same(accuracies, baseline, SAME_IMAGES)
        saved = baseline.clean_error() - accuracies.clean_error()
        saved += baseline.mean_error(names, severities) - accuracies.mean_error(names, severities)
        what = f"the clean error of {baseline.source}"
        return ratio(saved, baseline.clean_error(), what, NEAR_ZERO) / 2

    label = accuracies.label("R_net", _name_of(baseline), corruptions=names, severities=severities)
    return metric("R_net", label, "%", compute)


def headline_metrics(
    accuracies: CellErrors, normalizer: Normalizer | None, baseline: CellErrors | None
) -> tuple[Metric, ...]:
    """The five metrics that a report begins with, in the order of `FORMULAS`."""
    return (
        clean_error(accuracies),
        mean_error(accuracies),
        mean_corruption_error(accuracies, normalizer),
        relative_mean_corruption_error(accuracies, normalizer),
        net_robustness(accuracies, baseline),
    )


def _name_of(model: Normalizer | None) -> str:
    return "none" if model is None else model.source


def _label_of_ce(name: str, accuracies: CellErrors, normalizer: Normalizer | None, corruptions: Sequence[str]) -> str:
    """The label; published denominators are of the published images, so it says if the numerators are not."""
    parts = [_name_of(normalizer)]
    if isinstance(normalizer, PublishedErrors) and accuracies.generated:
        parts.append("generated")
    return accuracies.label(name, *parts, corruptions=corruptions, severities=accuracies.severities)


def _mean_of_ratios(
    accuracies: CellErrors, normalizer: Normalizer | None, corruptions: Sequence[str], *, relative: bool
) -> float:
    """Mean of CE or relative CE, %; ratios of means, which equal ratios of sums over the same severities."""
    if normalizer is None:
        raise Unavailable("no normaliser (--normalizer alexnet, or a run or CSV)")
    if isinstance(normalizer, CellErrors):
        _require_same_task(accuracies, normalizer)
    if isinstance(normalizer, PublishedErrors) and accuracies.classes:
        whole = f"all {normalizer.classes} classes"
        raise Unavailable(f"{normalizer.source} is published only over {whole}, not for {accuracies.classes}")
    severities = accuracies.severities
    # Asked for as a whole first, so that the reason counts all missing cells and not those of one corruption.
    accuracies.mean_error(corruptions, severities)
    normalizer.mean_error(corruptions, severities)
    own, other = (accuracies.clean_error(), normalizer.clean_error()) if relative else (0.0, 0.0)
    excess = " above clean" if relative else ""
    return mean(
        ratio(
            accuracies.mean_error([name], severities) - own,
            normalizer.mean_error([name], severities) - other,
            f"the error of {normalizer.source} on {name}{excess}",
            NEAR_ZERO,
        )
        for name in corruptions
    )


def _require_same(accuracies: CellErrors, other: CellErrors, fields: Sequence[str]) -> None:
    """Make sure that two runs agree in these fields of their protocols; a CSV has no protocol to compare.

    Raises:
        Unavailable: If they do not.
    """
    if accuracies.protocol is None or other.protocol is None:
        return
    for field in fields:
        here, there = getattr(accuracies.protocol, field), getattr(other.protocol, field)
        if here != there:
            if field in HASHES:
                here, there = here[:12], there[:12]
            raise Unavailable(f"{other.source} was measured on other images: {field} {there}, here {here}")


def _require_same_task(accuracies: CellErrors, other: CellErrors) -> None:
    """Make sure that two runs are of one dataset and chose each prediction from the same classes.

    Raises:
        Unavailable: If they did not: the fewer classes compete, the fewer errors there are.
    """
    _require_same(accuracies, other, ("dataset",))
    if accuracies.protocol is None or other.protocol is None:
        return
    if not same_classes(accuracies.protocol, other.protocol):
        there, here = (one.classes or "all classes" for one in (other, accuracies))
        differ = "" if there != here else " (not the same ones)"
        raise Unavailable(f"{other.source} was measured on other classes: {there}, here {here}{differ}")


def same_classes(one: Protocol, other: Protocol) -> bool:
    """Whether outputs of the same classes compete in two runs on one dataset."""
    if one.classes and other.classes:
        first, second = one.classes, other.classes
        return (first.names_sha256, first.competing) == (second.names_sha256, second.competing)
    subset = one.classes or other.classes
    if subset is None:
        return True
    # A subset with all images of the dataset has all its classes: the model merely has outputs for others too.
    whole = (one.fingerprint, one.total) == (other.fingerprint, other.total)
    return whole and subset.competing == subset.n
