"""The corruptions of a job, by its recipe, seed, backend and device."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext

import numpy as np

from ppbench.copies.settings import PixelSettings
from ppbench.corruptions.backends import BACKENDS
from ppbench.corruptions.types import Pixels
from ppbench.errors import PpbenchError, UsageError
from ppbench.vocabulary import CLEAN, FAMILY_OF, Cell

_SMALLER = "Use smaller batches or fewer processes: `--batch-size 8 --workers 2`."

OneCell = Callable[[Cell, Sequence[str]], Pixels]
"""Cell, ids -> corrupted images ``(n, H, W, C)``."""


class Corruptor:
    """Corrupts images as a job's settings say.

    Args:
        settings: The job's settings.
        device: Device of the engine, such as "cpu" or "cuda:1".
    """

    def __init__(self, settings: PixelSettings, device: str) -> None:
        self.settings, self.device = settings, device
        self._own = {own.name: own for own in settings.own}

    def load(self, images: Pixels) -> OneCell:
        """Bring images ``(n, H, W, C)`` to the device once; return the function that makes their cells.

        The last one of 2 or 4 channels is alpha, which is kept as it is.
        """
        if images.shape[3] in (2, 4):
            colour, alpha = self.load(np.ascontiguousarray(images[..., :-1])), images[..., -1:]
            return lambda cell, ids: np.concatenate([colour(cell, ids), alpha], axis=3)
        make = self._on_device(images) if self.device != "cpu" else self._here(images)

        def one_cell(cell: Cell, ids: Sequence[str]) -> Pixels:
            name, severity = cell
            if name in self._own:
                return self._own[name].make(images, severity, self.settings.seed, ids)
            if name not in FAMILY_OF and name != CLEAN:  # in the record of an earlier job, of an image that has changed
                raise UsageError(f"{name} is none of ppbench's corruptions", f"Name it again: `-c pkg.mod:{name}`.")
            return images if name == CLEAN else make(cell, ids)

        return one_cell

    def _here(self, images: Pixels) -> OneCell:
        settings, maker = self.settings, BACKENDS[self.settings.backend]

        def make(cell: Cell, ids: Sequence[str]) -> Pixels:
            with one_thread() if maker.on_device else nullcontext():
                if settings.scale is not None:  # only the engine has one
                    from ppbench.corruptions.apply import corrupt

                    return corrupt(
                        images, *cell, recipe=settings.recipe, seed=settings.seed, ids=ids, scale=settings.scale
                    )
                return maker.corrupt(images, *cell, settings.recipe, settings.seed, ids)

        return make

    def _on_device(self, images: Pixels) -> OneCell:
        import torch

        from ppbench.corruptions.apply import corrupt

        settings = self.settings
        # A copy, because torch warns about arrays that are not writeable, such as mapped ones.
        loaded = torch.from_numpy(images.copy()).to(self.device).permute(0, 3, 1, 2)

        def make(cell: Cell, ids: Sequence[str]) -> Pixels:
            scale = 1 if settings.scale is None else settings.scale
            with memory_of(self.device):
                made = corrupt(loaded, *cell, recipe=settings.recipe, seed=settings.seed, ids=ids, scale=scale)
            return made.permute(0, 2, 3, 1).contiguous().cpu().numpy()

        return make


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch use one thread: for single images, threads that wait for each other cost up to 40 times the work.

    Worker processes have one thread from the start; here, the user's setting is restored.
    """
    import torch

    before = torch.get_num_threads()
    if before > 1:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        if before > 1:
            torch.set_num_threads(before)


@contextmanager
def memory_of(device: str) -> Iterator[None]:
    """Raise `PpbenchError` if a device has not enough memory."""
    import torch

    try:
        yield
    except torch.OutOfMemoryError as error:
        raise PpbenchError(f"{device} does not have enough memory", _SMALLER) from error
