"""The request to reproduce a table, as the user asked for it. Free of torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ppbench.errors import UsageError
from ppbench.metrics.intervals import quantile
from ppbench.reproduce.table import Row, Table

if TYPE_CHECKING:
    from ppbench.evaluation.request import EvalRequest


@dataclass(frozen=True)
class ReproduceRequest:
    """The wanted rows of a table, with the seeds and the folder of their networks."""

    table: Table
    rows: tuple[Row, ...]
    seeds: tuple[int, ...]
    work: Path
    """Folder of the checkpoints and the runs."""
    given: Mapping[str, Sequence[Path]] = field(default_factory=dict)
    """Checkpoints of the user, by row."""
    data: Path | None = None
    """Folder of the training data."""
    evaluation_data: Path | None = None
    """Images to evaluate on; None: those in ``data``, or those that come with ppbench."""
    limit: int | None = None
    """Number of images to evaluate on; None: the table's."""
    train: bool = True
    """Whether to train the networks that do not exist."""
    device: str = "auto"
    confidence: float = 0.95
    """Level of the intervals."""
    command: str = ""
    """The command line, for the record."""

    @property
    def runs(self) -> Path:
        """Folder of the run files."""
        return self.work / "runs"

    def check(self) -> None:
        """Raise `UsageError` for values that no table allows."""
        quantile(self.confidence)  # refuses a value that is not a confidence
        if self.limit is not None and self.limit < 1:
            raise UsageError(f"--limit {self.limit} is not allowed", "It is the number of images to use, at least 1.")

    def evaluation(self) -> EvalRequest:
        """Return the evaluation of the networks; models and output are still missing."""
        from ppbench.evaluation.request import EvalRequest

        of = self.table.evaluation
        beside = None if of.data is None or self.data is None else self.data / of.data
        return EvalRequest(
            dataset=of.dataset,
            data=self.evaluation_data or beside,
            corruptions=of.corruptions,
            limit=of.limit if self.limit is None else self.limit,
            device=self.device,
            workers=None,
            force=True,  # the preprocessing is known from the cards, so bad accuracies are real
            command=self.command,
        )
