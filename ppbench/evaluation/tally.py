"""All that is known of one model so far: finished images per cell, which of them are right, and sums over them.

Everything is an integer, and a piece only adds to it. The order, the batches and the processes that the pieces came
from therefore leave no trace. Free of torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from ppbench.data.source import Broken
from ppbench.errors import DataError, PpbenchError
from ppbench.evaluation.trials import TrialCounts
from ppbench.run import (
    CALIBRATION_BINS,
    CONFIDENCE_STEPS,
    MICRO,
    MOST_CLASSES,
    PROBABILITY_COUNTS,
    CellCounts,
    Predictions,
    Stopping,
    Trials,
)
from ppbench.vocabulary import CLEAN, Cell

SUMS = 2 + 3 * CALIBRATION_BINS
"""top5, nll, then n, top1 and confidence by bin."""

TOTALS = 1 + SUMS + 2
"""Images right, the sums, then failures and distances of trials."""


class Piece(NamedTuple):
    """Some images of one cell."""

    cell: Cell
    places: NDArray[np.int64]
    """``(n,)``, in the source."""
    right: NDArray[np.bool_]
    """``(n,)``: whether the label came first."""
    sums: NDArray[np.int64] | None
    """``(SUMS,)`` over these images; None if only the predicted classes are known."""
    scores: NDArray[np.integer] | None = None
    """``(3, n)``: the first rows of `ppbench.evaluation.inference.score`; None if only the sums are known."""
    predicted: NDArray[np.uint16] | None = None
    """``(n,)``: numbers of the predicted classes (`ppbench.run.Predictions`); None if they are unknown."""
    trials: TrialCounts | None = None
    """The trials of these images; None if each has one prediction."""

    def totals(self) -> NDArray[np.int64]:
        """``(TOTALS,)``: what the piece adds to its cell. What is unknown counts as 0."""
        sums = np.zeros(SUMS, np.int64) if self.sums is None else self.sums
        trials = np.zeros(2, np.int64) if self.trials is None else self.trials.totals()
        return np.concatenate([[np.count_nonzero(self.right)], sums, trials]).astype(np.int64)

    def part(self, keep: NDArray[np.bool_]) -> Piece | None:
        """Restrict the piece to some of its images ``(n,)``; None if the sums over these are unknown."""
        if keep.all():
            return self
        if self.sums is not None and self.scores is None:
            return None
        scores = None if self.scores is None else self.scores[:, keep]
        sums = None if scores is None else sums_of(scores)
        predicted = None if self.predicted is None else self.predicted[keep]
        trials = None if self.trials is None else self.trials.part(keep)
        return Piece(self.cell, self.places[keep], self.right[keep], sums, scores, predicted, trials)


class Tally:
    """The pieces of one model.

    Args:
        cells: Cells of the run, in order.
        images: Number of images per cell.
    """

    def __init__(self, cells: Sequence[Cell], images: int) -> None:
        self.cells = list(cells)
        self.done = np.zeros((len(cells), images), np.bool_)
        self.right = np.zeros((len(cells), images), np.bool_)
        self._failures: NDArray[np.float32] | None = None
        self._totals = np.zeros((len(cells), TOTALS), np.int64)
        self._counted = True
        self.pieces: list[Piece] = []
        self._number = {cell: number for number, cell in enumerate(self.cells)}

    def add(self, piece: Piece) -> None:
        """Add a piece of images that are not yet known."""
        number = self._number[piece.cell]
        if self.done[number, piece.places].any():
            raise RuntimeError(f"images of {piece.cell} are counted twice")
        self.done[number, piece.places] = True
        self.right[number, piece.places] = piece.right
        self._totals[number] += piece.totals()
        if piece.trials is not None:
            if self._failures is None:
                self._failures = np.zeros(self.done.shape, np.float32)
            self._failures[number, piece.places] = piece.trials.failures / np.float32(piece.trials.each)
        if piece.sums is None:
            self._counted = False
        self.pieces.append(piece)

    def separable(self, images: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return the largest part ``(n,)`` of some images that the tally can be `narrowed` to.

        Usually it is all of them. Of a piece from an old journal only the sums are known: if one of its images is not
        among them, the piece's other images are left out too.
        """
        whole = images.copy()
        # Leaving out the images of one piece may cut another, so this goes on until nothing is cut.
        while any(self._cut(piece, whole) for piece in self.pieces):
            for piece in self.pieces:
                if self._cut(piece, whole):
                    whole[piece.places] = False
        return whole

    def _cut(self, piece: Piece, images: NDArray[np.bool_]) -> bool:
        """Whether a piece that cannot be divided has some of these images and some others."""
        inside = images[piece.places]
        return bool(inside.any()) and piece.part(inside) is None

    def narrowed(self, images: NDArray[np.bool_]) -> Tally:
        """Restrict the tally to some images ``(n,)``, to which it must be `separable`."""
        kept = Tally(self.cells, int(images.sum()))
        number = np.cumsum(images) - 1
        for piece in self.pieces:
            inside = images[piece.places]
            if (part := piece.part(inside)) is None and inside.any():
                raise RuntimeError("the sums over some of these images are not known")
            if part is not None and len(part.places):
                kept.add(part._replace(places=number[part.places]))
        return kept

    def finished(self) -> list[Cell]:
        """The cells all of whose images are known, in order."""
        # Without images no cell is finished, although `all` of nothing is true.
        return [cell for cell, done in zip(self.cells, self.done, strict=True) if len(done) and done.all()]

    def totals(self) -> NDArray[np.int64]:
        """``(cells, TOTALS)`` of the images known so far."""
        return self._totals.copy()

    def bits(self, cell: Cell) -> NDArray[np.bool_]:
        """``(n,)``: which images of a finished cell are right."""
        return self.right[self._number[cell]]

    def errors(self, places: NDArray[np.int64]) -> NDArray[np.bool_] | NDArray[np.float32]:
        """``(cells, k)``: which images at these places are wrong; with trials, the share of these that failed."""
        return ~self.right[:, places] if self._failures is None else self._failures[:, places]

    def known(self, cell: Cell) -> tuple[int, int]:
        """Number of images of a cell that are done, and of those that are right, on average over their trials."""
        number = self._number[cell]
        done = int(np.count_nonzero(self.done[number]))
        wrong = self.errors(np.flatnonzero(self.done[number]))[number].sum(dtype=np.float64)
        return done, done - round(float(wrong))

    def clean_predictions(self) -> NDArray[np.int64]:
        """``(n,)``: numbers of the classes predicted on the clean images; -1 where they are not known yet."""
        found = np.full(self.done.shape[1], -1, np.int64)
        for piece in self.pieces:
            if piece.cell[0] == CLEAN and piece.predicted is not None:
                found[piece.places] = piece.predicted
        return found

    def predictions(self, labels: NDArray[np.int64] | None, class_names: Sequence[str]) -> Predictions | None:
        """The predictions of the finished cells; None if some are unknown.

        Args:
            labels: ``(n,)``: places of the true classes in ``class_names``; None: they are the clean predictions.
            class_names: Names of the dataset's classes; of the network's outputs if the labels are predictions.
        """
        are_predicted = labels is None
        labels = self.clean_predictions() if labels is None else labels
        finished = set(self.finished())
        pieces = [piece for piece in self.pieces if piece.cell in finished]
        if not pieces or len(class_names) > MOST_CLASSES or any(piece.predicted is None for piece in pieces):
            return None
        if are_predicted and (CLEAN, 0) not in finished:
            return None
        classes = {cell: np.zeros(len(labels), np.uint16) for cell in self.finished()}
        confidences = {cell: np.zeros(len(labels), np.uint8) for cell in classes}
        of_labels = {cell: np.zeros(len(labels), np.uint8) for cell in classes} if are_predicted else None
        for piece in pieces:
            classes[piece.cell][piece.places] = cast(NDArray[np.uint16], piece.predicted)
            if piece.scores is not None:
                # A probability that is 1 but for rounding may be a millionth more.
                steps = (piece.scores[2].astype(np.int64) * CONFIDENCE_STEPS + MICRO // 2) // MICRO
                confidences[piece.cell][piece.places] = np.minimum(steps, CONFIDENCE_STEPS)
                if of_labels is not None:
                    of_labels[piece.cell][piece.places] = np.rint(CONFIDENCE_STEPS * _label_probability(piece.scores))
        known = all(piece.scores is not None for piece in pieces)
        return Predictions(
            labels.astype(np.uint16),
            classes,
            confidences if known else None,
            tuple(class_names),
            of_labels if known else None,
        )

    def merged(self, key: Cell) -> Piece:
        """All pieces of a cell as one, in the order of the source. Each of them has its images' scores."""
        pieces = [piece for piece in self.pieces if piece.cell == key]
        places = np.concatenate([piece.places for piece in pieces])
        order = np.argsort(places)
        scores = np.concatenate([cast(NDArray[np.integer], piece.scores) for piece in pieces], axis=1)[:, order]
        known = [piece.predicted for piece in pieces if piece.predicted is not None]
        predicted = np.concatenate(known)[order] if len(known) == len(pieces) else None
        return Piece(key, places[order], scores[0] == 0, sums_of(scores), scores, predicted)

    def cell(self, key: Cell, *, label_confidence: bool = False) -> CellCounts:
        """The counts of a finished cell, with the sum of the labels' probabilities if it is wanted and known."""
        number = self._number[key]
        pieces = [piece for piece in self.pieces if piece.cell == key] if label_confidence else []
        sums = [
            int(np.rint(MICRO * _label_probability(piece.scores)).sum()) for piece in pieces if piece.scores is not None
        ]
        return CellCounts(
            corruption=key[0],
            severity=key[1],
            n=self.done.shape[1],
            top1=int(self.right[number].sum()),
            label_confidence=sum(sums) if sums and len(sums) == len(pieces) else None,
            **(_counts(self._totals[number, 1 : 1 + SUMS]) if self._counted else dict.fromkeys(PROBABILITY_COUNTS)),
            **({} if (trials := self._trials_of(key)) is None else trials.as_counts()),
        )

    def _trials_of(self, key: Cell) -> TrialCounts | None:
        """The trials of a finished cell, in the order of the source; None if its images have one prediction each."""
        pieces = [piece for piece in self.pieces if piece.cell == key]
        trials = [piece.trials for piece in pieces if piece.trials is not None]
        if not trials:
            return None
        order = np.argsort(np.concatenate([piece.places for piece in pieces]))
        return TrialCounts.joined(trials).part(order)

    def trials(self) -> Trials | None:
        """The trials of the finished cells; None if their images have one prediction each."""
        found = {cell: trials for cell in self.finished() if (trials := self._trials_of(cell)) is not None}
        if not found:
            return None
        distances = {cell: one.distances for cell, one in found.items() if one.distances is not None}
        failures = {cell: one.failures for cell, one in found.items()}
        return Trials(failures, distances if len(distances) == len(found) else None)


class Scored(NamedTuple):
    """All that is known at the end of an evaluation."""

    tallies: list[Tally]
    """One per subject; empty in all processes but the first."""
    stopped_by: KeyboardInterrupt | PpbenchError | None
    """Why it stopped early, if it did. The caller saves the tallies' finished cells, then raises this."""
    seconds: float
    """From the first image to the last."""
    images: NDArray[np.bool_] | None = None
    """``(n,)``: which images are in the tallies, if some were unreadable or not visited; None: all."""
    stoppings: Sequence[Stopping] | None = None
    """How an evaluation with a stopping rule ended, per subject; empty if no image could be read."""
    unreadable: Sequence[Broken] = ()
    """The images that could not be read, each once per reason. They are left out of every cell."""


def _label_probability(scores: NDArray[np.integer]) -> NDArray[np.float64]:
    """``(n,)``: the probabilities of the labels, from scores ``(3, n)``."""
    # The log loss of the label is the negative logarithm of its probability, in millionths.
    return np.exp(scores[1].astype(np.float64) / -MICRO)


_WORST = 2**40
"""Largest log loss of an image, in millionths of a nat; 32-bit logits never come near it."""


def _counts(sums: NDArray[np.int64]) -> dict[str, Any]:
    """Name the sums ``(SUMS,)`` as the run file does."""
    top5, nll, *bins = sums.tolist()
    per_bin = [tuple(bins[start : start + CALIBRATION_BINS]) for start in range(0, len(bins), CALIBRATION_BINS)]
    return dict(zip(PROBABILITY_COUNTS, (top5, nll, *per_bin), strict=True))


def adds_up(piece: Piece) -> bool:
    """Whether the sums are possible for these images: otherwise the run file would be refused at the end."""
    if piece.trials is not None and not piece.trials.are_possible():
        return False
    if piece.sums is None:
        return True
    n, right = len(piece.places), int(piece.right.sum())
    top5, nll, *bins = piece.sums.tolist()
    in_bin, right_in_bin, confidence = (
        bins[start : start + CALIBRATION_BINS] for start in range(0, len(bins), CALIBRATION_BINS)
    )
    per_bin = zip(in_bin, right_in_bin, confidence, strict=True)
    return (
        right <= top5 <= n
        and 0 <= nll <= n * _WORST
        and (sum(in_bin), sum(right_in_bin)) == (n, right)
        and all(0 <= hits <= images and 0 <= sure <= images * (MICRO + 1) for images, hits, sure in per_bin)
    )


def count(cell: Cell, places: NDArray[np.int64], scores: NDArray[np.int64]) -> Piece:
    """Count scored images.

    Args:
        cell: Cell of the images.
        places: ``(n,)``, in the source.
        scores: ``(4, n)`` as `ppbench.evaluation.inference.score` gives them.

    Raises:
        DataError: If the network gave a logit that is not a finite number.
    """
    rank, nll, _, predicted = scores
    useless = (rank < 0) | (nll < 0) | (nll > _WORST)
    if useless.any():
        what = "not finite" if (rank < 0).any() else "too large to tell their probabilities"
        raise useless_outputs(int(np.count_nonzero(useless)), what, cell)
    kept = scores[:3]
    # Scores of all images and cells are kept, so half the size matters; only a huge log loss needs 64 bits.
    compact = kept.astype(np.int32) if kept.max(initial=0) <= np.iinfo(np.int32).max else kept
    numbers = predicted.astype(np.uint16) if predicted.max(initial=0) < MOST_CLASSES else None
    return Piece(cell, places, rank == 0, sums_of(kept), compact, numbers)


def useless_outputs(number: int, what: str, cell: Cell) -> DataError:
    """Make the error for outputs that cannot be scored."""
    return DataError(
        f"the network gave {number} outputs that are {what} at {cell[0]}/{cell[1]}",
        "Its weights are damaged, the preprocessing is not the one it was trained with, or --precision is too low.",
    )


def sums_of(scores: NDArray[np.integer]) -> NDArray[np.int64]:
    """Sum scores ``(3, n)`` over the images to ``(SUMS,)``."""
    rank, nll, confidence = scores.astype(np.int64)
    right = rank == 0
    # ceil(15 p) - 1 in whole numbers. A probability that rounds to 0 goes into the first bin.
    bins = np.clip(-(-confidence * CALIBRATION_BINS // MICRO) - 1, 0, CALIBRATION_BINS - 1)
    per_bin = [
        np.bincount(bins, minlength=CALIBRATION_BINS),
        np.bincount(bins[right], minlength=CALIBRATION_BINS),
        np.bincount(bins, confidence, CALIBRATION_BINS).astype(np.int64),  # exact: far below 2^53
    ]
    sums = np.concatenate([[np.count_nonzero(rank < 5), nll.sum()], *per_bin])
    return sums.astype(np.int64)
