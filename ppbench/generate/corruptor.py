"""The corruptions of one job: its recipe, seed, backend and device, put together once in every process."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from ppbench.corruptions.backends import BACKENDS
from ppbench.generate.settings import Cell, Settings

Pixels = NDArray[np.uint8]

OneCell = Callable[[Cell, Sequence[str]], Pixels]
"""Cell, ids -> corrupted images ``(n, H, W, C)``."""


class Corruptor:
    """Corrupts images as a job's settings say.

    Args:
        settings: Of the job.
        device: Where the engine computes, such as "cpu" or "cuda:1".
    """

    def __init__(self, settings: Settings, device: str) -> None:
        self.settings, self.device = settings, device

    def load(self, images: Pixels) -> OneCell:
        """Bring images ``(n, H, W, C)`` to where they are corrupted, once for all cells."""
        return self._on_device(images) if self.device != "cpu" else self._here(images)

    def _here(self, images: Pixels) -> OneCell:
        settings, maker = self.settings, BACKENDS.get(self.settings.backend)

        def make(cell: Cell, ids: Sequence[str]) -> Pixels:
            return maker.corrupt(images, *cell, settings.recipe, settings.seed, ids)

        return make

    def _on_device(self, images: Pixels) -> OneCell:
        import torch

        from ppbench.corruptions.apply import corrupt

        settings = self.settings
        loaded = torch.from_numpy(images.copy()).to(self.device).permute(0, 3, 1, 2)

        def make(cell: Cell, ids: Sequence[str]) -> Pixels:
            made = corrupt(loaded, *cell, recipe=settings.recipe, seed=settings.seed, ids=ids)
            return made.permute(0, 2, 3, 1).contiguous().cpu().numpy()

        return make
