"""The run that an evaluation is to be decided against, over the images that both have."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ppbench.data.source import Source, ids_hash
from ppbench.errors import NotComparableError
from ppbench.evaluation.loop import Settings, cells_of
from ppbench.evaluation.record import fingerprint_of
from ppbench.metrics.per_image import PerImage
from ppbench.run import Run, image_keys, read_bits, read_image_keys, read_run

FEWEST = 2
"""Images of which a deviation can be had."""
SAME_WAY = "Give a baseline run of the same images, with the same --limit, --seed, --recipe and --precision."


class Baseline(NamedTuple):
    """What is known of the baseline."""

    errors: PerImage
    """``(k,)`` by cell, of the images that the evaluation has too, in its order."""
    seen: NDArray[np.int64]
    """``(k,)``, ascending: their places in the source. The others cannot be compared, so they need not be visited."""
    weights_sha256: str

    @classmethod
    def read(cls, path: Path, source: Source, settings: Settings) -> Baseline:
        """Read the run file at ``path``, with what lies beside it.

        Raises:
            DataError: If the run or its bits are missing or damaged.
            NotComparableError: If its images were made in another way, it lacks cells, or it is not known to have two
                of the source's images.
        """
        run = read_run(path)
        _check_made_alike(run, source, settings, path)
        seen, places = _common(path, run, source)
        right = {cell: bits[places] for cell, bits in read_bits(path, run).items()}
        return cls(PerImage.from_run(run, right), seen, run.model.weights_sha256)


def _check_made_alike(baseline: Run, source: Source, settings: Settings, path: Path) -> None:
    there = baseline.protocol
    lacking = {*settings.corruptions} - {*there.corruptions} or {*settings.severities} - {*there.severities}
    here = {
        "dataset": source.dataset, "source": source.kind, "recipe": source.recipe, "engine": source.engine,
        "seed": settings.seed, "total": source.total, "precision": settings.precision,
    }  # fmt: skip
    differing = [name for name, value in here.items() if getattr(there, name) != value]
    if not (differing or lacking or _is_of_set(baseline, source, settings)):
        differing = ["fingerprint"]
    if differing or lacking:
        raise NotComparableError(f"{path} is of other images: {', '.join(differing) or 'cells'} differ", SAME_WAY)


def _is_of_set(baseline: Run, source: Source, settings: Settings) -> bool:
    """Whether the baseline's fingerprint is the source's, in the baseline's cells: it is also of what is in these."""
    there = baseline.protocol
    if not set(there.corruptions) <= set(source.corruptions):
        return False
    cells = cells_of(source, replace(settings, corruptions=there.corruptions, severities=there.severities))
    return fingerprint_of(source, cells) == there.fingerprint


def _common(path: Path, baseline: Run, source: Source) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The places, in the source and in the baseline, of the images that both have, in the order of the source."""
    if baseline.protocol.ids_sha256 == ids_hash(source.ids):
        every = np.arange(len(source.ids))
        return every, every
    here, there = image_keys(source.ids), read_image_keys(path, baseline)
    if here is None or there is None:
        raise NotComparableError(
            f"{path} is of {baseline.protocol.n:,} images, this evaluation of {len(source.ids):,}, and without the "
            "images' keys it is not known which are in both",
            "Evaluate the baseline again, or give the same --limit and --seed, and a baseline that did not stop early.",
        )
    _, seen, places = np.intersect1d(here, there, assume_unique=True, return_indices=True)
    if len(seen) < FEWEST:
        raise NotComparableError(
            f"{path} is of other images: {len(seen)} of its {baseline.protocol.n:,} images "
            f"{'is' if len(seen) == 1 else 'are'} among the {len(source.ids):,} of this evaluation",
            SAME_WAY,
        )
    order = np.argsort(seen)
    return seen[order], places[order]
