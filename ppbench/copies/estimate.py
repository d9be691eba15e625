"""An estimate of a job's time and disk space, measured on a few of its images before it starts."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from statistics import mean, median

from ppbench.copies.corruptor import Corruptor
from ppbench.copies.encode import encode
from ppbench.copies.plan import CopyPlan
from ppbench.copies.settings import PixelSettings
from ppbench.copies.sources import ImageArray
from ppbench.corruptions.types import Pixels
from ppbench.errors import DataError, UsageError
from ppbench.vocabulary import CLEAN, FAMILY_OF

_SECONDS = 4.0
"""Limit of the time for measuring, not counting first calls, which load kernels."""

_SAMPLES = 8
_LARGEST = 512
"""Side, in pixels, to which large images are cut for measuring."""

_START = 6.0
"""Seconds until libraries and kernels are loaded, here or in worker processes."""


@dataclass(frozen=True)
class CopyEstimate:
    """Estimated time and disk space of a job."""

    images: int
    """Images in the source; ``missing`` of them have cells to make."""
    missing: int
    files: int
    """Files to write."""
    gigabytes: float
    minutes: float
    workers: int


class _Typical:
    """Medians per corruption, which ignore slow first calls. A corruption without values gets the median of all."""

    def __init__(self) -> None:
        self._values: dict[str, list[float]] = defaultdict(list)

    def add(self, corruption: str, value: float) -> None:
        self._values[corruption].append(value)

    def of(self, corruption: str) -> float:
        known = self._values.get(corruption) or [value for values in self._values.values() for value in values]
        return median(known) if known else 0.0


def estimate_copies(plan: CopyPlan) -> CopyEstimate:
    """Estimate a job by corrupting and encoding a few images in memory. Nothing is written."""
    seconds, sizes = _Typical(), _Typical()
    decoding: list[float] = []
    _measure(plan, seconds, sizes, decoding)
    missing, workers = plan.missing(), max(1, plan.workers)
    images = max(missing.values())
    work = sum(count * seconds.of(corruption) for (corruption, _), count in missing.items())
    work += images * mean(decoding) if decoding else 0.0
    arrays = isinstance(plan.source, ImageArray)
    return CopyEstimate(
        images=len(plan.source),
        missing=images,
        files=sum(bool(count) if arrays else count for count in missing.values()),
        gigabytes=sum(count * sizes.of(corruption) for (corruption, _), count in missing.items()) / 1e9,
        minutes=(work / workers + _START) / 60 if images else 0.0,
        workers=plan.workers,
    )


def _measure(plan: CopyPlan, seconds: _Typical, sizes: _Typical, decoding: list[float]) -> None:
    """Time cells until the time is up: all corruptions of severity 3 first, then of the other severities."""
    corruptor = Corruptor(_settings(plan), plan.device)
    # Severity 3 is in the middle, so one measurement of it stands for all five if the time is up.
    order = [CLEAN, *FAMILY_OF, *(own.name for own in plan.settings.own)]
    cells = sorted(plan.cells, key=lambda cell: (cell[1] != 3, cell[1], order.index(cell[0])))
    warm: set[str] = set()
    arrays = isinstance(plan.source, ImageArray)
    spent = 0.0
    for name, pixels, took in _timed(plan.source.samples(_SAMPLES, plan.settings.size)):
        decoding.append(took)
        cut = pixels[None, :_LARGEST, :_LARGEST]
        # Time and size grow with the number of pixels.
        scale = pixels.size / cut.size
        output = plan.output(name)
        for cell in cells:
            try:
                if cell[0] not in warm:  # not timed: a corruption's first call loads its kernel
                    corruptor.load(cut)(cell, [name])
                    warm.add(cell[0])
                start = time.perf_counter()
                made = corruptor.load(cut)(cell, [name])[0]
            except (UsageError, DataError):  # the job will say so
                continue
            data = encode(made, output)
            took = time.perf_counter() - start
            seconds.add(cell[0], took * scale)
            sizes.add(cell[0], (made.nbytes if arrays else len(data)) * scale)
            spent += took
            if spent > _SECONDS:
                return


def _settings(plan: CopyPlan) -> PixelSettings:
    """The plan's settings with the scale of whole images instead of "auto": only parts of images are measured."""
    if plan.settings.scale != "auto":
        return plan.settings
    from ppbench.corruptions.recipes import KNOWN_RECIPES
    from ppbench.corruptions.scale import scale_for

    return replace(plan.settings, scale=scale_for("auto", KNOWN_RECIPES[plan.settings.recipe], *plan.middle_size))


def _timed(samples: Iterable[tuple[str, Pixels]]) -> Iterable[tuple[str, Pixels, float]]:
    start = time.perf_counter()
    for name, pixels in samples:
        yield name, pixels, time.perf_counter() - start
        start = time.perf_counter()
