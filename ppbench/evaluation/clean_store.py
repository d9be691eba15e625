"""The clean images of an evaluation on the GPU, where they fit: each is read and decoded once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ppbench.data.source import Broken, Source
from ppbench.evaluation.gpu import gpu_of

LARGEST_PART = 0.5
"""Part of the free memory that clean images may take. Networks and corruptions need the rest: a batch that does not fit
would be halved, which costs more than reading images twice."""


class CleanStore:
    """Clean images, kept as uint8 on a device.

    All methods but `loads` belong to the stream that makes images.

    Args:
        source: The images.
        room: Number of images that will be kept.
        device: Where.
    """

    def __init__(self, source: Source, room: int, device: torch.device) -> None:
        self._shape, self._device = (room, source.size, source.size, source.channels), device
        self._images: Tensor | None = None
        self._row = np.full(len(source.ids), -1)
        self._kept = 0
        self._broken: dict[int, Broken] = {}

    def loads(self, wanted: Iterable[NDArray[np.int64]]) -> list[NDArray[np.int64]]:
        """What has to be loaded for each of some blocks, in order: the images that neither an earlier block has nor the
        store.

        Args:
            wanted: Places ``(n,)`` of the images of each block.
        """
        known, lacking = self._row >= 0, []
        for places in wanted:
            lacking.append(places[~known[places]])
            known[places] = True
        return lacking

    def put(self, places: NDArray[np.int64], images: Tensor, broken: Sequence[Broken]) -> None:
        """Keep images ``(n, H, W, C)``, on the device."""
        if self._images is None:
            self._images = torch.empty(self._shape, dtype=torch.uint8, device=self._device)
        end = self._kept + len(places)
        self._images[self._kept : end] = images
        self._row[places] = np.arange(self._kept, end)
        self._kept = end
        self._broken |= {one.place: one for one in broken}

    def take(
        self, places: NDArray[np.int64], send: Callable[[NDArray[np.generic]], Tensor]
    ) -> tuple[Tensor, tuple[Broken, ...]]:
        """Return images that are kept, ``(n, H, W, C)``, and which of them could not be read.

        Args:
            places: ``(n,)``, in the source.
            send: Brings numbers to the device.
        """
        assert self._images is not None
        rows = self._row[places]
        first, last = int(rows[0]), int(rows[-1])
        # Most blocks lie together, and need no copy.
        together = last - first == len(rows) - 1 and bool((np.diff(rows) == 1).all())
        images = self._images[first : last + 1] if together else self._images.index_select(0, send(rows))
        return images, tuple(self._broken[place] for place in places.tolist() if place in self._broken)


def keep_clean(source: Source, images: int, device: torch.device, say: Callable[[str], None]) -> CleanStore | None:
    """Make a store if images are corrupted on a GPU whose memory has room for all clean ones, and say so in one line.

    Args:
        source: The images.
        images: How many of them this process needs.
        device: Device that corrupts them.
        say: Called with the line.

    Returns:
        An empty store; None: images are read when a block needs them.
    """
    gpu = gpu_of(device)
    if gpu is None or not source.image_major or images == 0:
        return None
    free, needed = gpu.free_bytes(), images * source.size**2 * source.channels
    sizes = f"{needed / 1e9:,.1f} GB of {free / 1e9:,.1f} GB free"
    if needed > LARGEST_PART * free:
        say(f"clean images: read in blocks, since {device} has no room for all ({sizes})")
        return None
    say(f"clean images: kept on {device} once they are read ({sizes})")
    return CleanStore(source, images, device)
