"""The door to streams from Python, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import ppbench
from ppbench.data.opening import open_source
from ppbench.data.source import Geometry
from ppbench.errors import DataError, UsageError
from ppbench.streams.opening import frames_of
from tests.streams.calibrations import falling, write_falling
from tests.trees import photographs, write_class_folders, write_published


def test_ccc_takes_images_and_folders(tmp_path: Path) -> None:
    images = np.stack(photographs(32, 6))
    file = write_falling(tmp_path / "falling.csv")
    stream = ppbench.ccc("hard", images, [0, 1, 0, 1, 0, 1], calibration=file, speed=2, frames=8, size=32)
    made, labels = stream.between(0, 8)
    assert (made.shape, labels.shape) == ((8, 32, 32, 3), (8,))
    again = ppbench.ccc("hard", images, [0, 1, 0, 1, 0, 1], calibration=falling(), speed=2, frames=8, size=32)
    assert (again.between(0, 8).images == made).all()
    named = ppbench.ccc("hard", images, [0] * 6, calibration=file, speed=2, frames=8, size=32, ids=list("fedcba"))
    assert (named.between(0, 8).images != made).any()  # their order is drawn by their ids
    folder = write_class_folders(tmp_path / "images", size=40)
    of_files = ppbench.ccc("hard", data=folder, calibration=file, speed=2, frames=4, size=32)
    assert [batch.images.shape for batch in of_files.batches(3)] == [(3, 32, 32, 3), (1, 32, 32, 3)]
    assert of_files.dataset == "imagefolder"


@pytest.mark.parametrize("kind", [np.int64, np.uint8, torch.tensor], ids=lambda kind: kind.__name__)
def test_numbers_of_numpy_and_torch_are_numbers(kind: Callable[[int], Any]) -> None:
    given = {"speed": 2, "seed": 43, "frames": 4, "size": 32}
    images, known = np.stack(photographs(32, 6)), falling()
    of_numpy = ppbench.ccc(
        "hard", images, [0] * 6, calibration=known, **{name: kind(value) for name, value in given.items()}
    )
    plain = ppbench.ccc("hard", images, [0] * 6, calibration=known, **given)  # type: ignore[arg-type]
    assert (of_numpy.between(kind(0), kind(4)).images == plain.between(0, 4).images).all()


def test_embedded_images_need_no_folder() -> None:
    stream = ppbench.ccc(calibration=falling(), frames=3)
    assert stream.between(0, 3).images.shape == (3, 28, 28, 1)


def test_without_a_calibration_the_way_to_one_is_told() -> None:
    source = open_source("fashion-mnist-2k", None, Geometry(28, None))
    with pytest.raises(DataError, match="needs a calibration") as caught:
        frames_of(source, "ccc", 43, None, 5)
    assert "ppbench calibrate" in caught.value.hint
    assert "docs/streams.md" in caught.value.hint


def test_corrupted_images_and_other_recipes_are_refused(tmp_path: Path) -> None:
    tree = write_published(tmp_path / "c", ("fog",), (1,), size=32)
    source = open_source("imagefolder", tree, Geometry(32, None))
    with pytest.raises(UsageError, match="made from clean images"):
        frames_of(source, "ccc", 43, falling(), 5)
    bar = open_source("fashion-mnist-2k", None, Geometry(28, None), recipe="cifar-c-bar")
    with pytest.raises(UsageError, match="has none of a stream's corruptions"):
        frames_of(bar, "ccc", 43, falling(), 5)
