"""Evaluations of published sequences: videos and arrays, by what is in the folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import ppbench
from ppbench.compare.comparability import differing
from ppbench.copies.api import corrupt_folder
from ppbench.copies.video import encode_video
from ppbench.data.video import read_video
from ppbench.errors import DataError, UsageError
from tests.evaluation.test_sequences import counted_plainly, logits_plainly, network, run
from tests.trees import photographs

SIDE = 16


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four images in videos of few frames; one of them is damaged in one perturbation."""
    root = tmp_path_factory.mktemp("ImageNet-P")
    for folder, count in (("snow", 6), ("shot_noise", 4), ("shot_noise_2", 4)):
        for number, image in enumerate(photographs(SIDE, 4)):
            path = root / folder / f"n0{number % 2}" / f"{number}.mp4"
            path.parent.mkdir(parents=True, exist_ok=True)
            frames = np.stack([np.roll(image, step, axis=1) for step in range(count)])
            path.write_bytes(encode_video(frames, is_noise="noise" in folder))
    (root / "snow" / "n01" / "3.mp4").write_bytes(b"damaged")
    return root


def test_videos_are_measured_where_there_are_videos(published: Path) -> None:
    ids = ["n00/0.mp4", "n00/2.mp4", "n01/1.mp4"]
    cells = {"corruptions": ("snow", "shot_noise"), "severities": ("1-2",)}
    (found,) = run(network(), dataset="imagenet-p", data=published, skip_unreadable=True, **cells)
    protocol = found.run.protocol
    assert protocol.sequences is not None
    assert (protocol.sequences.encoding, protocol.source, protocol.recipe) == ("h264", "published", "imagenet-p")
    assert protocol.sequences.frames == {"shot_noise": 4, "snow": 6}
    assert found.trials is not None
    for cell in found.run.cells:
        folder = "shot_noise_2" if cell.key == ("shot_noise", 2) else cell.corruption
        frames = np.stack([read_video(published / folder / name) for name in ids])
        flipped, moved = counted_plainly(logits_plainly(network(), frames), cell.key)
        assert (cell.n, cell.failures, cell.top5_distance) == (3, flipped.sum(), moved.sum())


@pytest.mark.usefixtures("_workers_of_one_server")
def test_a_part_and_several_workers_measure_the_same(published: Path) -> None:
    options = {"dataset": "imagenet-p", "data": published, "corruptions": ("shot_noise",), "limit": 2}
    (one,) = run(network(), **options)
    (other,) = run(network(), **options, workers=2, batch_size=1)
    assert one.run.cells == other.run.cells
    assert one.run.cells[0].n == 2


def test_arrays_are_those_of_frames_made_on_the_fly(tmp_path: Path) -> None:
    images = np.stack(photographs(SIDE, 3))
    ids = [f"test/{number:05d}" for number in range(3)]
    (tmp_path / "made").mkdir()
    (tmp_path / "clean").mkdir()
    np.save(tmp_path / "made" / "tilt.npy", ppbench.perturb(images, "tilt", recipe="cifar-p", ids=ids))
    np.save(tmp_path / "clean" / "images.npy", images)
    np.save(tmp_path / "clean" / "labels.npy", np.arange(3))
    corrupt_folder(tmp_path / "clean" / "images.npy", tmp_path / "written", perturbations=["tilt"])
    read, made, written = (
        run(network(), dataset="cifar10-p", data=tmp_path / place, corruptions=("tilt",))[0].run
        for place in ("made", "clean", "written")
    )
    assert read.cells == made.cells == written.cells
    assert read.protocol.sequences == made.protocol.sequences
    assert (read.protocol.source, made.protocol.source) == ("published", "generated")
    # Frames that `ppbench corrupt` wrote are labelled as those made on the fly: only their files differ.
    assert differing(written.protocol, made.protocol) == ["fingerprint"]


def test_another_dataset_or_option_is_one_line(published: Path, tmp_path: Path) -> None:
    for options, error, message in (
        ({"dataset": "cifar10-p"}, DataError, "contains videos, which cifar10-p is not published as"),
        ({"dataset": "imagenet-p", "exif": True}, UsageError, "--exif is for clean images in files"),
        ({"dataset": "imagenet-p", "recipe": "imagenet-p-299"}, UsageError, "--recipe imagenet-p-299 is for sequences"),
        ({"dataset": "imagenet-p", "corruptions": ("tilt",)}, DataError, "no tilt in"),
    ):
        with pytest.raises(error, match=message):
            run(network(), **{"data": published, "corruptions": ("snow",), **options})
    path = tmp_path / "snow" / "n01" / "a.mp4"
    path.parent.mkdir(parents=True)
    path.write_bytes(encode_video(np.zeros((2, 64, 64, 3), np.uint8), is_noise=False))
    with pytest.raises(DataError, match="contains frames of 64 px: that looks like tiny-imagenet-p"):
        run(network(), dataset="imagenet-p", data=tmp_path, corruptions=("snow",))
