"""Settings of an evaluation: the request, completed by what depends on the images and on the machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch

from ppbench.data.source import Source
from ppbench.evaluation.request import EvalRequest
from ppbench.run import expected_cells
from ppbench.vocabulary import C15, PREDICTED, SEVERITIES, Cell

Advanced = Callable[[Cell | None, int], None]
"""Called repeatedly with a cell and how many more of its images went through a model.

Without a cell, the number is of images of any cells that an earlier, interrupted evaluation had finished.
"""


@dataclass(frozen=True)
class Settings:
    """A request, and the values that depend on the images and on this machine."""

    request: EvalRequest = field(default_factory=EvalRequest)
    corruptions: Sequence[str] = C15
    severities: Sequence[int] = SEVERITIES
    normalizer: str = "none"
    """Customary denominators of the dataset's corruption errors: "alexnet" or "none"."""
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    workers: int = 0
    """Processes that read images; 0: this one does it. Changes no result."""

    graphs: bool = False
    """Whether a GPU makes images by compiled graphs although --compile is not given."""

    @property
    def are_predicted(self) -> bool:
        """Whether the labels are each network's own predictions of the clean images."""
        return self.request.labels == PREDICTED

    def cells_of(self, source: Source) -> list[Cell]:
        """The cells of an evaluation, in order."""
        cells = expected_cells(self.corruptions, self.severities)
        return cells if source.has_clean else cells[1:]
