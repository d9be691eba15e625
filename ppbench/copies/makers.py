"""What makes the pixels of copies: corruptions of single images, or perturbation sequences."""

from __future__ import annotations

from typing import Protocol

from ppbench.copies.corruptor import Corruptor, OneCell
from ppbench.copies.sequences import SequenceMaker
from ppbench.copies.settings import PixelSettings
from ppbench.corruptions.types import Pixels


class CellMaker(Protocol):
    """Makes the cells of images."""

    def load(self, images: Pixels) -> OneCell:
        """Bring images ``(n, H, W, C)`` to the device once; return the function that makes their cells."""
        ...


def maker_for(settings: PixelSettings, device: str) -> CellMaker:
    """The maker of a job.

    Args:
        settings: The job's settings.
        device: Device of the engine, such as "cpu" or "cuda:1".
    """
    return SequenceMaker(settings, device) if settings.sequences else Corruptor(settings, device)
