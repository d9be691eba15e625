"""Counts of cells in which each image has several trials: the pairs of frames of a sequence, or passes.

An image of such a cell has m trials, of which some fail. The frames of a sequence are compared in m pairs, and a pair
fails if the prediction flips; a stochastic model sees an image in m passes, and a pass fails if the prediction is
wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Literal
from typing import Protocol as Shape

from pydantic import Field

from ppbench.run.fields import CellName, FileName, Record
from ppbench.vocabulary import Cell, cell_in_words


class _Cell(Shape):
    """What is used of a cell's counts. The schema, which has them, imports this module."""

    @property
    def key(self) -> Cell: ...
    @property
    def severity(self) -> int: ...
    @property
    def n(self) -> int: ...
    @property
    def top1(self) -> int: ...
    @property
    def top5(self) -> int | None: ...
    @property
    def nll_micronats(self) -> int | None: ...
    @property
    def bin_n(self) -> tuple[int, ...] | None: ...
    @property
    def label_confidence(self) -> int | None: ...
    @property
    def trials(self) -> int | None: ...
    @property
    def failures(self) -> int | None: ...
    @property
    def top5_distance(self) -> int | None: ...
    @property
    def right_by_pass(self) -> tuple[int, ...] | None: ...


MOST_TRIALS = 255
"""Trials of an image, whose failures are kept in 8 bits."""

LARGEST_DISTANCE = 15
"""The largest top-5 distance of a pair of frames."""

_FrameCount = Annotated[int, Field(ge=2, le=MOST_TRIALS + 1)]


class Sequences(Record):
    """The perturbation sequences of a protocol: how many frames they have, and how these were stored."""

    frames: dict[CellName, _FrameCount]
    """Number of frames by perturbation."""
    encoding: Literal["lossless", "h264"]
    """"h264": the frames were read from videos, as published for ImageNet-P, which changes them."""

    def pairs(self, cell: Cell) -> int:
        """The pairs of frames that are compared in each sequence of a cell.

        Noisy frames are compared with the first one, which is clean; others with the one as many frames before as the
        difficulty says.
        """
        perturbation, difficulty = cell
        return self.frames[perturbation] - (1 if is_noise(perturbation) else difficulty)

    def __str__(self) -> str:
        """``31 lossless frames``, ``31 (translate 41) frames of h264 videos``."""
        counts = sorted(self.frames.values())
        usual = max(counts, key=counts.count) if counts else 0
        others = [f"{name} {number}" for name, number in sorted(self.frames.items()) if number != usual]
        number = f"{usual} ({', '.join(others)})" if others else str(usual)
        return (
            f"{number} lossless frames" if self.encoding == "lossless" else f"{number} frames of {self.encoding} videos"
        )


def is_noise(perturbation: str) -> bool:
    """Whether frames are compared with the first one: if the name contains "noise", as in the published script."""
    return "noise" in perturbation


class TrialsFile(Record):
    """The file of failures beside the run file: compressed arrays (`trials_content`)."""

    file: FileName
    """A file name, and no path: what is not beside the run file is not read."""
    sha256: str


def check_trials(cell: _Cell) -> None:
    """Check the counts of trials of a cell.

    Raises:
        ValueError: If they contradict each other, or some of them are missing.
    """
    if cell.trials is None:
        if any(count is not None for count in (cell.failures, cell.top5_distance, cell.right_by_pass)):
            raise ValueError("failures, top5_distance and right_by_pass need trials")
        return
    if cell.failures is None:
        raise ValueError("trials need failures")
    everything = cell.n * cell.trials
    # An image is right if none of its trials fails. Otherwise at least one does, and at most all do.
    if not cell.n - cell.top1 <= cell.failures <= (cell.n - cell.top1) * cell.trials:
        raise ValueError(
            f"{cell.failures} failures are not those of {cell.n - cell.top1} images with failures "
            f"in {cell.trials} trials each"
        )
    if any(count is not None for count in (cell.top5, cell.nll_micronats, cell.bin_n, cell.label_confidence)):
        raise ValueError("cells with trials have no counts of probabilities")
    if cell.top5_distance is not None and cell.top5_distance > LARGEST_DISTANCE * everything:
        raise ValueError(
            f"top5_distance {cell.top5_distance} <= {LARGEST_DISTANCE} for each of {everything} pairs does not hold"
        )
    if cell.right_by_pass is not None:
        if len(cell.right_by_pass) != cell.trials or max(cell.right_by_pass) > cell.n:
            raise ValueError(f"right_by_pass has not {cell.trials} counts of at most {cell.n} images")
        if sum(cell.right_by_pass) != everything - cell.failures:
            raise ValueError(f"right_by_pass does not add up to {everything} trials without {cell.failures} failures")


def check_trials_of_run(
    cells: Sequence[_Cell], sequences: Sequences | None, passes: int | None, files: Mapping[str, object | None]
) -> None:
    """Check that the cells of a run have the trials that its protocol says.

    Args:
        cells: The cells.
        sequences: Of the protocol.
        passes: Of the protocol.
        files: Its files ``predictions`` and ``trials``; None where there is none.

    Raises:
        ValueError: If they do not.
    """
    if sequences is not None and passes is not None:
        raise ValueError("a run has sequences or passes, not both")
    several = sequences is not None or passes is not None
    if several and files["predictions"] is not None:
        raise ValueError("an image with several trials has no single prediction")
    if files["trials"] is not None and not several:
        raise ValueError("a file of trials needs sequences or passes in the protocol")
    for cell in cells:
        if sequences is not None and cell.severity == 0:
            raise ValueError("sequences have no cell of clean images")
        expected = sequences.pairs(cell.key) if sequences else passes
        if cell.trials != expected:
            raise ValueError(
                f"{cell_in_words(cell.key)} has {cell.trials or 'no'} trials, the protocol {expected or 'none'}"
            )
        if cell.right_by_pass is not None and passes is None:
            raise ValueError("right_by_pass needs passes in the protocol")
        if cell.top5_distance is not None and sequences is None:
            raise ValueError("top5_distance needs sequences in the protocol")
    if len({cell.top5_distance is None for cell in cells}) > 1:
        raise ValueError("only some cells have a top5_distance")


def check_frames(sequences: Sequences, perturbations: Iterable[str], difficulties: Iterable[int]) -> None:
    """Check that each perturbation of a protocol has frames enough to compare.

    Raises:
        ValueError: If it has not, or there are frames of another perturbation.
    """
    names, hardest = tuple(perturbations), max(difficulties, default=1)
    if set(sequences.frames) != set(names):
        raise ValueError("sequences.frames are not those of the protocol's perturbations")
    if hardest > HARDEST:
        raise ValueError(f"difficulty {hardest} <= {HARDEST} does not hold")
    for name in names:
        if sequences.pairs((name, hardest)) < 1:
            raise ValueError(f"{sequences.frames[name]} frames of {name} are too few to compare")


HARDEST = 3
"""The highest difficulty of a sequence."""
