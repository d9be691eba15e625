"""An estimate of a job's time and disk space, measured on a few of its images before it starts."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from statistics import mean, median

from ppbench.copies.encode import ImageFormat
from ppbench.copies.makers import maker_for
from ppbench.copies.naming import cell_key
from ppbench.copies.plan import CopyPlan
from ppbench.copies.sequences import as_colours, shape_of_frames
from ppbench.copies.settings import PixelSettings
from ppbench.copies.sources import ImageArray
from ppbench.copies.writing import encoded
from ppbench.corruptions.types import Pixels
from ppbench.errors import DataError, UsageError
from ppbench.vocabulary import Cell

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
        files=sum(bool(count) if arrays else count * _files(plan, cell) for cell, count in missing.items()),
        gigabytes=sum(count * sizes.of(corruption) for (corruption, _), count in missing.items()) / 1e9,
        minutes=(work / workers + _START) / 60 if images else 0.0,
        workers=plan.workers,
    )


def _files(plan: CopyPlan, cell: Cell) -> int:
    """Files of a copy."""
    if not plan.settings.sequences or plan.settings.format is not ImageFormat.PNG:
        return 1
    return shape_of_frames(cell[0], plan.settings.recipe, *plan.middle_size)[0]


def _measure(plan: CopyPlan, seconds: _Typical, sizes: _Typical, decoding: list[float]) -> None:
    """Time cells until the time is up: all corruptions of severity 3 first, then of the other severities."""
    corruptor = maker_for(_settings(plan), plan.device)
    # Severity 3 is in the middle, so one measurement of it stands for all five if the time is up.
    cells = sorted(plan.cells, key=lambda cell: (cell[1] != 3, cell[1]))
    warm: set[str] = set()
    arrays, sequences = isinstance(plan.source, ImageArray), plan.settings.sequences
    spent = 0.0
    for name, pixels, took in _timed(plan.source.samples(_SAMPLES, plan.settings.size)):
        decoding.append(took)
        # Time and size grow with the number of pixels, but for sequences, whose frames have a size of their own.
        if sequences:
            cut = pixels[None] if arrays else as_colours(pixels)[None]
        else:
            cut = pixels[None, :_LARGEST, :_LARGEST]
        scale = 1 if sequences else pixels.size / cut.size
        output = plan.output(name)
        for cell in cells:
            try:
                if cell[0] not in warm:  # not timed: a corruption's first call loads its kernel
                    corruptor.load(cut)(cell, [name])
                    warm.add(cell[0])
                start = time.perf_counter()
                made = corruptor.load(cut)(cell, [name])[0]
                file = plan.settings.places.file(cell_key(cell), output)
                size = made.nbytes if arrays else sum(map(len, encoded(made, file, cell)))
            except (UsageError, DataError):  # the job will say so
                continue
            took = time.perf_counter() - start
            seconds.add(cell[0], took * scale)
            sizes.add(cell[0], size * scale)
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
