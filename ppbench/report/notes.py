"""Sentences below the tables of runs: why numbers are missing, what images with several trials mean, and training."""

from __future__ import annotations

from collections.abc import Sequence

from ppbench.metrics.cell_errors import CellErrors
from ppbench.metrics.of_sequences import FEW_CLASSES
from ppbench.report.summary import RunSummary
from ppbench.tables.numbers import reason_notes


def absence_notes(summaries: Sequence[RunSummary]) -> list[str]:
    """Notes on why metrics have no value."""
    return reason_notes((metric.name, metric.reason) for summary in summaries for metric in summary.metrics)


def trial_notes(summary: RunSummary) -> list[str]:
    """Notes on runs whose images have several trials: what is compared in sequences, or what spreads over passes."""
    errors = summary.cell_errors
    if errors.passes is not None and any(metric.spread is not None for metric in summary.metrics):
        return [
            f"Values are means over {errors.passes} of each image. sd: the standard deviation of the metric from pass "
            "to pass. The intervals are about other images and other passes."
        ]
    if errors.protocol is None or errors.protocol.sequences is None:
        return []
    notes = ["Noisy frames are compared with the first one, which is clean, and others with the frame before."]
    if max(errors.severities, default=1) > 1:
        notes = [f"{notes[0][:-1]} (at difficulty 2 and 3, with the one two and three before)."]
    if errors.protocol.sequences.encoding == "h264":
        notes.append("The frames are of videos, whose encoder changes them: compare with other videos alone.")
    if (few := errors.competing) is not None and few <= FEW_CLASSES and errors.distances is not None:
        notes.append(f"With {few} classes the top-5 distance says little: five places are half of them or more.")
    return notes


def training_notes(results: Sequence[CellErrors]) -> list[str]:
    """Notes on conversions from a plain network, and on test corruptions that overlap with training augmentations.

    With several results, each note begins with the model's name.
    """
    notes = []
    for one in results:
        found = [] if one.conversion is None else [one.conversion]
        if one.trained_on:
            found.append(f"trained on augmentations that overlap with: {', '.join(one.trained_on)}")
        several = len(results) > 1
        notes += [f"{one.source}: {words}." if several else f"{words[0].upper()}{words[1:]}." for words in found]
    return notes
