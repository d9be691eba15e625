"""A run with its correctness bits and its images' keys: what a paired comparison needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ppbench.metrics.cell_errors import CellErrors
from ppbench.metrics.per_image import PerImage
from ppbench.run import BEYOND_TOP1, Cell, Run, read_bits, read_image_keys, read_run
from ppbench.vocabulary import CLEAN, in_order

Key = tuple[str, int]

PART_OF_RUN = "run files have its sums over all images of a run, not over those that both saw"
"""Why what needs these counts is unknown of a part of the images."""


@dataclass(frozen=True, eq=False)
class Measured:
    """One run, and which of its images were right."""

    name: str
    """What it is called in tables: the model's name, or the file's where models have the same."""
    run: Run
    right: Mapping[Key, NDArray[np.bool_]]
    """``(n,)`` by cell."""
    keys: NDArray[np.uint64] | None = None
    """``(n,)``: which images these are (`ppbench.run.image_keys`); None of files older than keys."""
    is_part: bool = False
    """Whether it is of a part of the run's images, of which only the top-1 results are known."""

    @cached_property
    def accuracies(self) -> CellErrors:
        """Its errors by cell."""
        return CellErrors.from_run(self.run)

    @cached_property
    def images(self) -> PerImage:
        """Its errors by image."""
        return PerImage.from_run(self.run, self.right)

    def restricted(self, corruptions: Sequence[str], severities: Sequence[int]) -> Measured:
        """The same with these corruptions and severities only; the clean images stay."""
        protocol = self.run.protocol
        wanted = {
            "corruptions": tuple(name for name in protocol.corruptions if name in corruptions),
            "severities": tuple(level for level in protocol.severities if level in severities),
        }
        kept = [
            c
            for c in self.run.cells
            if c.corruption == CLEAN or (c.corruption in corruptions and c.severity in severities)
        ]
        run = self.run.model_copy(update={"protocol": protocol.model_copy(update=wanted), "cells": tuple(kept)})
        return replace(self, run=run)

    def of_images(self, places: NDArray[np.int64], ids_sha256: str) -> Measured:
        """The same of some images alone: cells have the top-1 counts of these, for of no other count a bit is known.

        Args:
            places: ``(k,)`` of the images, in the order they shall have.
            ids_sha256: What tells these images from others.
        """
        right = {key: bits[places] for key, bits in self.right.items()}
        n = len(places)
        cells = tuple(
            Cell(
                corruption=cell.corruption,
                severity=cell.severity,
                n=n,
                top1=int(right[cell.key].sum()),
                **dict.fromkeys(BEYOND_TOP1),
            )
            for cell in self.run.cells
        )
        protocol = self.run.protocol.model_copy(update={"n": n, "ids_sha256": ids_sha256})
        run = self.run.model_copy(update={"protocol": protocol, "cells": cells})
        keys = None if self.keys is None else self.keys[places]
        return replace(self, run=run, right=right, keys=keys, is_part=True)


def read_measured(paths: Sequence[Path]) -> list[Measured]:
    """Read run files with the bits and the images' keys beside them.

    Raises:
        DataError: If a run or its bits are missing or damaged; the message says which.
    """
    runs = [read_run(path) for path in paths]
    names = distinct_names(paths, [run.model.name for run in runs])
    return [
        Measured(name, run, read_bits(path, run), read_image_keys(path, run))
        for name, run, path in zip(names, runs, paths, strict=True)
    ]


def distinct_names(paths: Sequence[Path], models: Sequence[str]) -> list[str]:
    """The models' names if no two are the same, else the files' names, else the paths."""
    choices = (list(models), [path.stem for path in paths], [str(path) for path in paths])
    return next((names for names in choices if len(set(names)) == len(names)), choices[-1])


def in_common(one: Measured, other: Measured) -> tuple[Measured, Measured]:
    """Both with the corruptions and severities that both were asked for."""
    corruptions = in_order(set(one.run.protocol.corruptions) & set(other.run.protocol.corruptions))
    severities = tuple(s for s in one.run.protocol.severities if s in other.run.protocol.severities)
    return one.restricted(corruptions, severities), other.restricted(corruptions, severities)
