"""The frames of a stream: images drawn in a random order, cropped at random, under two corruptions each.

A frame is a pure function of the images and their ids, its size, the recipe, whether frames are saved as JPEG, the
level, the speed, the seed, the calibration and its number. What was made before it does not matter, so a stream goes on
from any frame, in any order, in any number of processes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple, cast, overload

import numpy as np
from numpy.typing import NDArray

from ppbench.data.generated import GeneratedImages, saved_as_jpeg
from ppbench.data.source import Loaded, Source, ids_hash
from ppbench.data.stamps import FileStamps
from ppbench.errors import DataError, UsageError
from ppbench.run import StreamRecord
from ppbench.streams.calibration import Calibration
from ppbench.streams.crops import RandomCrops
from ppbench.streams.walk import LENGTH, Point, StreamName, Walk
from ppbench.vocabulary import CLEAN, Cell

CCC = "ccc"
"""The one cell of a stream's run, at severity 1."""


class FrameIds(Sequence[str]):
    """The ids of a stream's frames, which are made when they are asked for: seven million texts take a gigabyte."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> list[str]: ...
    def __getitem__(self, place: int | slice) -> str | list[str]:
        if isinstance(place, slice):
            return [f"{CCC}/{number}" for number in range(self._count)[place]]
        return f"{CCC}/{range(self._count)[int(place)]}"


class StreamBatch(NamedTuple):
    """Some frames of a stream."""

    images: NDArray[np.uint8]
    """``(n, H, W, C)``."""
    labels: NDArray[np.int64]
    """``(n,)``, places in the stream's ``class_names``."""


class _Run(NamedTuple):
    """Frames of one point that follow each other in a block."""

    part: slice
    point: Point


class StreamFrames(Source):
    """A stream of corrupted images.

    Args:
        images: The clean images.
        name: Level and speed.
        seed: Seed of the walk, the order of the images, the crops and the corruptions.
        calibration: The accuracies that the walk keeps.
        frames: How many frames; None: as many as a published stream has.
        jpeg: Whether frames are saved as JPEG 85 and read again.

    Raises:
        DataError: If there are no images, or the calibration lacks accuracies.
        UsageError: If there are more frames than a stream has.
    """

    has_clean = False
    image_major = True
    is_slow = True
    encoded_cut = None

    def __init__(
        self, images: GeneratedImages, name: StreamName, seed: int, calibration: Calibration,
        frames: int | None = None, *, jpeg: bool = True,
    ) -> None:  # fmt: skip
        if frames is not None and not 0 < frames <= LENGTH:
            raise UsageError(f"--limit {frames} is not allowed", f"A stream has 1 to {LENGTH:,} frames.")
        if not len(images.ids):
            raise DataError("there are no images to make a stream of", "Give others: `--data DIR`.")
        self.name, self.seed = name, seed
        self._crops, self._walk = RandomCrops(images, seed), Walk(name.level, seed, calibration)
        self.stream = StreamRecord(
            level=name.level,  # type: ignore[arg-type]
            speed=name.speed,
            calibration=calibration.sha256(self._walk.level.corruptions),
            products=calibration.is_of_products(self._walk.level.corruptions) or None,
        )
        self.kind = "generated-jpeg85" if jpeg else "generated"
        self.dataset, self.recipe, self.engine = images.dataset, images.recipe, images.engine
        self.channels, self.size, self.notes = images.channels, images.size, images.notes
        self.cut = f"random crop of 8-100 %, resize {images.size} x {images.size}, flip"
        self.corruptions, self.are_numbered = (CCC,), images.are_numbered
        count = LENGTH if frames is None else frames
        self.rows, self.total = np.arange(count), LENGTH
        self.ids = cast(list[str], FrameIds(count))
        self.labels = self._crops.labels(self.rows)
        self.class_names = images.class_names

    def limit(self, places: NDArray[np.int64]) -> None:
        raise NotImplementedError("the frames of a stream follow each other without gaps")

    def fingerprint(self) -> str:
        """The fingerprint of the clean images in use."""
        return self._crops.fingerprint()

    def drawn_from(self) -> str:
        """SHA-256 of the ids of the images that frames are drawn from."""
        return ids_hash(self._crops.images.ids)

    def stamps(self, cell: Cell) -> FileStamps:
        """Numbers ``(N,)``, one per frame, that change when its image's file changes."""
        return self._crops.stamps(self.rows)

    def mean_bytes(self) -> float:
        return self._crops.images.mean_bytes()

    def check(self, corruptions: Sequence[str], severities: Sequence[int]) -> None:
        """Raise `UsageError` if a corruption of the level cannot work at the images' size."""
        self._crops.images.check(self._walk.level.corruptions, (1, 2, 3, 4, 5))

    def point(self, frame: int) -> Point:
        """The place on the walk of a frame.

        Raises:
            UsageError: If the stream has no frame of this number.
        """
        self._check_range(frame, frame + 1)
        return self._walk.point(int(frame) // self.name.speed)

    def between(self, start: int, stop: int) -> StreamBatch:
        """Make the frames ``start`` to ``stop - 1``, at least one.

        Raises:
            UsageError: If the stream does not have them all.
            DataError: If an image cannot be read.
        """
        self._check_range(start, stop)
        places = self.rows[start:stop]
        pixels, broken = self.load(CCC, 1, places)
        if broken:
            raise DataError(broken[0].reason, broken[0].hint)
        return StreamBatch(pixels, self.labels[places])

    def batches(self, size: int, start: int = 0) -> Iterator[StreamBatch]:
        """Give the frames from ``start`` on, ``size`` at a time; the last batch may be smaller.

        Raises:
            UsageError: If ``size`` is below 1 or ``start`` is negative.
            DataError: If an image cannot be read.
        """
        if size < 1 or start < 0:
            raise UsageError(
                f"batches of {size} frames from frame {start} on are not allowed",
                "A batch has at least 1 frame, and frames are numbered from 0.",
            )
        count = len(self.ids)
        return (self.between(first, min(first + size, count)) for first in range(start, count, size))

    def _check_range(self, start: int, stop: int) -> None:
        if not 0 <= start < stop <= len(self.ids):
            raise UsageError(
                f"the frames from {start} to before {stop} are not in the stream",
                f"Take at least one of the frames 0 to {len(self.ids) - 1}.",
            )

    def load(self, corruption: str, severity: int, places: NDArray[np.int64]) -> Loaded:
        """Load frames: as they are before their corruptions (clean), or as they are in the stream."""
        pixels, broken = self._crops.load(places)
        if corruption != CLEAN:
            pixels = self.corrupt(pixels, corruption, severity, places)
            # Black again, as `Loaded` says: corruptions turn black into something else.
            pixels[np.isin(places, [one.place for one in broken])] = 0
        return Loaded(pixels, broken)

    def corrupt(self, images: Any, corruption: str, severity: int, places: NDArray[np.int64]) -> Any:
        """Put frames that were loaded before under the corruptions of their points, and save them as JPEG."""
        made = [
            corrupted_at(images[part], point, self.recipe, self.seed, [self.ids[place] for place in places[part]])
            for part, point in self._runs(places)
        ]
        return saved_as_jpeg(_joined(made)) if self.kind == "generated-jpeg85" else _joined(made)

    def _runs(self, places: NDArray[np.int64]) -> Iterator[_Run]:
        """Divide frames, in any order, where the point changes from one to the next."""
        numbers = places // self.name.speed
        starts = [0, *(np.flatnonzero(np.diff(numbers)) + 1).tolist(), len(places)]
        for start, stop in pairwise(starts):
            if stop > start:
                yield _Run(slice(start, stop), self._walk.point(int(numbers[start])))


def corrupted_at(images: Any, point: Point, recipe: str, seed: int, ids: Sequence[str]) -> Any:
    """Put images ``(n, H, W, C)`` uint8, numpy or torch on any device, under the two corruptions of a point."""
    from ppbench.corruptions.fractions import corrupt_at

    for name, severity in ((point.first, point.first_severity), (point.second, point.second_severity)):
        if severity:
            images = corrupt_at(images, name, severity, recipe=recipe, seed=seed, ids=ids)
    return images


def _joined(parts: Sequence[Any]) -> Any:
    if len(parts) == 1:
        return parts[0]
    if isinstance(parts[0], np.ndarray):
        return np.concatenate(parts)
    import torch

    return torch.cat(list(parts))
