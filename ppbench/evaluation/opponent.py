"""The baseline that ``--until-decided`` compares with, over the images that both runs have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ppbench.data.source import Source, fingerprint_of, ids_hash
from ppbench.errors import NotComparableError
from ppbench.evaluation.settings import Settings
from ppbench.metrics.cell_errors import CellErrors
from ppbench.metrics.passes import by_pass
from ppbench.metrics.per_image import FEWEST, PerImage, shared_images
from ppbench.run import ClassSubset, Protocol, Run, image_keys, read_bits, read_image_keys, read_run, trials_if_any
from ppbench.vocabulary import PREDICTED

SAME_WAY = (
    "Give a baseline run of the same images: same --limit, --seed, --recipe, --precision, --adapt, --passes, --labels, "
    "--logits."
)
SAME_CELLS = "Give the same --corruptions and --severities, or a baseline that has them."


class Opponent(NamedTuple):
    """The baseline of an evaluation that stops once the comparison is decided."""

    errors: PerImage
    """``(k,)`` by cell, for the images that the evaluation has too, in its order."""
    seen: NDArray[np.int64]
    """``(k,)``, ascending: their places in the source. Other images cannot be compared and need not be visited."""
    weights_sha256: str | None
    by_pass: PerImage | None = None
    """Its errors by pass, over all its images; None with one pass."""
    shares_draws: bool = False
    """Whether all images of one of its passes share a draw."""

    @classmethod
    def read(
        cls, path: Path, source: Source, settings: Settings, classes: Sequence[ClassSubset | None] = (),
        heads: Sequence[str | None] = (),
    ) -> Opponent:  # fmt: skip
        """Read the run file at ``path``, with what lies beside it.

        Args:
            path: Run file of the baseline.
            source: The images of the evaluation.
            settings: Settings of the evaluation.
            classes: For each evaluated model, which outputs compete, as its run file will have it.
            heads: For each of them, `ppbench.evaluation.identity.head_precision`.

        Raises:
            DataError: If the run or its bits are missing or damaged.
            NotComparableError: If it was measured in another way, lacks cells, or is not known to have two of the
                source's images.
        """
        run = read_run(path)
        _check_made_alike(run, source, settings, classes, heads, path)
        seen, places = _common(path, run, source)
        right = {cell: bits[places] for cell, bits in read_bits(path, run).items()}
        trials = trials_if_any(path, run)
        errors = PerImage.from_run(run, right, trials and trials.of_images(places))
        cells = CellErrors.from_run(run)
        return cls(errors, seen, run.model.weights_sha256, by_pass(cells), cells.shares_draws)


def _check_made_alike(
    baseline: Run, source: Source, settings: Settings, classes: Sequence[ClassSubset | None],
    heads: Sequence[str | None], path: Path,
) -> None:  # fmt: skip
    there = baseline.protocol
    severities = {f"severity {level}" for level in {*settings.severities} - {*there.severities}}
    lacking = sorted(({*settings.corruptions} - {*there.corruptions}) | severities)
    here = {
        "dataset": source.dataset, "source": source.kind, "recipe": source.recipe, "engine": source.engine,
        "seed": settings.request.seed if source.made_seed is None else source.made_seed,
        "total": source.total, "precision": settings.request.precision, "adaptation": settings.request.adaptation,
        "passes": settings.request.passes,
        "labels": PREDICTED if settings.are_predicted else None,
        "decoder": "nvjpeg" if settings.request.decode == "cuda" else None,
    }  # fmt: skip
    differing = [name for name, value in here.items() if getattr(there, name) != value]
    if not (differing or lacking or _is_of_set(baseline, source, settings)):
        differing = ["fingerprint"]
    # The images are the same by now, and so are the classes that they are of.
    if not differing and any(_competing(own, source) != _competing(there.classes, source) for own in classes):
        differing = ["logits"]
    if not differing and any(head != there.head_precision for head in heads):
        differing = ["head_precision"]
    if not differing and (names := [name for name in settings.corruptions if _is_other_function(name, there, source)]):
        raise NotComparableError(
            f"{path} was measured with another version of {', '.join(names)}",
            "Evaluate the baseline again, with the function as it is now.",
        )
    if lacking and not differing:
        raise NotComparableError(f"{path} lacks cells of this evaluation: {', '.join(lacking)}", SAME_CELLS)
    if differing:
        verb = "differs" if len(differing) == 1 and differing[0] not in ("logits", "labels") else "differ"
        raise NotComparableError(f"{path} was measured in another way: {_in_words(differing)} {verb}", SAME_WAY)


def _is_other_function(corruption: str, there: Protocol, source: Source) -> bool:
    """Whether a corruption of the baseline is another function of the user's own than that of the source, or none."""
    theirs = (there.own_corruptions or {}).get(corruption)
    return corruption in there.corruptions and theirs != source.own.get(corruption)


def _in_words(names: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _competing(classes: ClassSubset | None, source: Source) -> int:
    """Outputs that a prediction is chosen from."""
    return source.num_classes if classes is None else classes.competing


def _is_of_set(baseline: Run, source: Source, settings: Settings) -> bool:
    """Whether the source, restricted to the baseline's cells, has the baseline's fingerprint.

    A fingerprint covers a sample of the pixels of the cells too.
    """
    there = baseline.protocol
    if source.is_stored and not set(there.corruptions) <= set(source.corruptions):
        return False  # the pixels of those that are not at hand are a part of it
    there_as_here = replace(settings, corruptions=there.corruptions, severities=there.severities)
    return fingerprint_of(source, there_as_here.cells_of(source)) == there.fingerprint


def _common(path: Path, baseline: Run, source: Source) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the places in the source and in the baseline of the images that both have, in the source's order."""
    if baseline.protocol.ids_sha256 == ids_hash(source.ids):
        every = np.arange(len(source.ids))
        return every, every
    shared = shared_images(image_keys(source.ids), read_image_keys(path, baseline))
    if shared is None:
        raise NotComparableError(
            f"{path} is of {baseline.protocol.n:,} images, this evaluation of {len(source.ids):,}, and without the "
            "images' keys it is not known which are in both",
            "Evaluate the baseline again, or give the same --limit and --seed, and a baseline that did not stop early.",
        )
    seen, places = shared
    if len(seen) < FEWEST:
        raise NotComparableError(
            f"{path} is of other images: {len(seen)} of its {baseline.protocol.n:,} images "
            f"{'is' if len(seen) == 1 else 'are'} among the {len(source.ids):,} of this evaluation",
            SAME_WAY,
        )
    # They come in the order of the keys.
    order = np.argsort(seen)
    return seen[order], places[order]
