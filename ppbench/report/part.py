"""A part of a run: some of its corruptions and severities, with the clean images."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import overload

from ppbench.errors import UsageError
from ppbench.metrics.cell_errors import CellErrors
from ppbench.run import Run
from ppbench.vocabulary import CLEAN, KNOWN, Cell, expand_corruptions, expand_severities, in_order


@dataclass(frozen=True)
class Part:
    """What is asked for, in words: names, families and sets of corruptions, and severities such as ``3-5``."""

    corruptions: Sequence[str] | None = None
    """None: all of the run."""
    severities: Sequence[str] | None = None
    """None: all of the run."""

    @overload
    def of(self, results: Run) -> Run: ...
    @overload
    def of(self, results: CellErrors) -> CellErrors: ...
    def of(self, results: Run | CellErrors) -> Run | CellErrors:
        """The results as if nothing else had been evaluated. All metrics and labels are then over this part.

        Raises:
            UsageError: If the results have none of a corruption or severity that is asked for.
        """
        has = results.protocol if isinstance(results, Run) else results
        corruptions = _chosen_corruptions(self.corruptions, has.corruptions)
        severities = _chosen_severities(self.severities, has.severities)
        if isinstance(results, Run):
            protocol = results.protocol.model_copy(update={"corruptions": corruptions, "severities": severities})
            cells = tuple(cell for cell in results.cells if _is_in(cell.key, corruptions, severities))
            return results.model_copy(update={"protocol": protocol, "cells": cells})
        errors = {cell: error for cell, error in results.errors.items() if _is_in(cell, corruptions, severities)}
        return replace(results, errors=errors, corruptions=corruptions, severities=severities)


def _is_in(cell: Cell, corruptions: Collection[str], severities: Collection[int]) -> bool:
    return cell == (CLEAN, 0) or (cell[0] in corruptions and cell[1] in severities)


def _chosen_corruptions(values: Sequence[str] | None, present: tuple[str, ...]) -> tuple[str, ...]:
    if values is None:
        return present
    for value in values:
        if set(expand_corruptions([value], in_order((*KNOWN, *present)))).isdisjoint(present):
            raise UsageError(
                f"the run has no results of {value.strip()}", f"It has {', '.join(present)}: choose among them."
            )
    wanted = expand_corruptions(values, present)
    return tuple(name for name in wanted if name in present)


def _chosen_severities(values: Sequence[str] | None, present: tuple[int, ...]) -> tuple[int, ...]:
    if values is None:
        return present
    wanted = expand_severities(values)
    absent = [severity for severity in wanted if severity not in present]
    if absent:
        raise UsageError(
            f"the run has no results at severity {absent[0]}",
            f"It has severities {', '.join(map(str, present))}: choose among them.",
        )
    return wanted
