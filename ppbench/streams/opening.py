"""From an opened dataset to the frames of a stream made of it, and the door to them from Python. Free of torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ppbench.corruptions.recipes import RECIPES
from ppbench.data.catalog import EMBEDDED
from ppbench.data.generated import GeneratedImages
from ppbench.data.opening import open_source
from ppbench.data.own_images import ImagesGiven
from ppbench.data.source import Geometry, Source
from ppbench.errors import DataError, UsageError
from ppbench.scalars import integer_of
from ppbench.streams.calibration import Calibration, read_calibration
from ppbench.streams.frames import StreamFrames
from ppbench.streams.walk import parse_stream


def frames_of(
    source: Source, stream: str, seed: int, calibration: Path | Calibration | None, frames: int | None,
    *, jpeg: bool = True,
) -> StreamFrames:  # fmt: skip
    """Make a stream of a dataset's clean images.

    Args:
        source: The dataset, with all images of the classes in use.
        stream: ``ccc``, ``ccc:hard`` or ``ccc:hard:2000``.
        seed: The stream's seed.
        calibration: Accuracies by which it keeps its level, or their file.
        frames: How many frames; None: as many as a published stream has.
        jpeg: Whether frames are saved as JPEG 85 and read again.

    Raises:
        UsageError: If a value is not allowed, or the images are corrupted already.
        DataError: If there is no calibration, or it lacks accuracies.
    """
    name = parse_stream(stream)
    if not isinstance(source, GeneratedImages):
        raise UsageError(
            f"--stream {stream} is made from clean images, but these are corrupted already",
            "Give clean images with `--data DIR`.",
        )
    if source.recipe not in RECIPES:
        raise UsageError(
            f"--recipe {source.recipe} has none of a stream's corruptions", f"Take one of {', '.join(RECIPES)}."
        )
    if calibration is None:
        raise DataError(
            f"--stream {stream} needs a calibration: the accuracies of a network under pairs of corruptions, by which "
            "it stays equally hard",
            "Make one: `ppbench calibrate --model NAME --data DIR -o FILE.csv`; or convert the authors' tables, which "
            "ppbench does not include (docs/streams.md). Then: `--calibration FILE.csv`.",
        )
    accuracies = calibration if isinstance(calibration, Calibration) else read_calibration(calibration)
    return StreamFrames(source, name, seed, accuracies, frames, jpeg=jpeg)


def ccc(
    level: str = "medium",
    dataset: Any = None,
    labels: Any = None,
    *,
    calibration: str | Path | Calibration,
    data: str | Path | None = None,
    speed: int = 1000,
    seed: int = 43,
    frames: int | None = None,
    size: int = 224,
    recipe: str | None = None,
    jpeg: bool = True,
    ids: Sequence[str] | None = None,
) -> StreamFrames:
    """Open a stream of continually changing corruptions (CCC: Press et al., NeurIPS 2023).

    A frame depends on the images with their ids and on (level, speed, seed, calibration, size, recipe, jpeg, number)
    alone: take them in any order, from any place, and stop at any time. Frames are uint8 ``(size, size, C)``.

    Args:
        level: "easy", "medium" or "hard".
        dataset: As in `ppbench.evaluate`: a name, or clean images from Python. None: "imagefolder" if ``data`` is
            given, else the embedded images.
        labels: Labels of images given as ``dataset``.
        calibration: The calibration, or its file (docs/streams.md).
        data: Folder of the dataset.
        speed: Frames at each point of the walk: 1000, 2000 or 5000 in the paper.
        seed: 43, 44 and 45 in the paper.
        frames: How many frames the stream has; None: 7,500,000.
        size: Side of the frames in pixels, for images whose dataset does not fix it.
        recipe: Constants of the corruptions; None: by the size.
        jpeg: Whether frames are saved as JPEG 85 and read again, as in the paper.
        ids: One text for each of these images, by which their order is drawn.

    Returns:
        The stream. ``stream.batches(64)`` yields images and labels in order, ``stream.between(1000, 1064)`` gives the
        same from anywhere, and ``stream.point(1000)`` says which corruptions a frame is under.

    Raises:
        UsageError: If a value is not allowed.
        DataError: If images or accuracies are missing.
    """
    name: Any = dataset
    if dataset is None:
        name = EMBEDDED if data is None else "imagefolder"
    elif not isinstance(dataset, str):
        name = ImagesGiven.of(dataset, labels, ids, None)
    side, own_seed = integer_of("size", size), integer_of("seed", seed)
    source = open_source(
        name, None if data is None else Path(data), Geometry(side, round(side * 256 / 224)), recipe=recipe,
        seed=own_seed,
    )  # fmt: skip
    known = calibration if isinstance(calibration, Calibration) else Path(calibration)
    count = None if frames is None else integer_of("frames", frames)
    return frames_of(source, f"ccc:{level}:{integer_of('speed', speed)}", own_seed, known, count, jpeg=jpeg)
