"""Frames: what is in them, and that nothing but their number decides it."""

from __future__ import annotations

import io
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ppbench.corruptions.fractions import corrupt_at
from ppbench.data.generated import GeneratedImages
from ppbench.data.opening import open_source
from ppbench.data.source import Geometry
from ppbench.errors import UsageError
from ppbench.streams.crops import RandomCrops
from ppbench.streams.frames import CCC, FrameIds, StreamFrames
from ppbench.streams.walk import LENGTH, StreamName
from tests.streams.calibrations import falling
from tests.trees import write_class_folders

SPEED = 3


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> GeneratedImages:
    root = write_class_folders(tmp_path_factory.mktemp("images"), classes=2, per_class=5, size=40)
    source = open_source("imagefolder", root, Geometry(32, 36), recipe="cifar-c")
    assert isinstance(source, GeneratedImages)
    return source


def stream_of(images: GeneratedImages, seed: int = 43, frames: int | None = 60, level: str = "easy") -> StreamFrames:
    return StreamFrames(images, StreamName(level, SPEED), seed, falling(), frames)


@pytest.fixture(scope="module")
def whole(images: GeneratedImages) -> np.ndarray:
    return stream_of(images).between(0, 60).images


def test_a_frame_is_a_crop_under_two_corruptions_and_jpeg(images: GeneratedImages, whole: np.ndarray) -> None:
    stream = stream_of(images)
    place = next(n for n in range(60) if stream.point(n).first_severity and stream.point(n).second_severity)
    point = stream.point(place)
    x, _ = RandomCrops(images, 43).load(np.array([place]))
    for name, severity in ((point.first, point.first_severity), (point.second, point.second_severity)):
        x = corrupt_at(x, name, severity, recipe="cifar-c", seed=43, ids=[f"ccc/{place}"])
    file = io.BytesIO()
    Image.fromarray(x[0]).save(file, "JPEG", quality=85, optimize=True)
    assert (whole[place] == np.asarray(Image.open(file))).all()


def test_points_last_as_many_frames_as_the_speed_says(images: GeneratedImages) -> None:
    stream = stream_of(images)
    assert stream.point(0) == stream.point(2) != stream.point(3) == stream.point(5)


def test_a_stream_that_was_stopped_goes_on_with_the_same_frames(images: GeneratedImages, whole: np.ndarray) -> None:
    first = stream_of(images)
    before = [next(first.batches(7)).images]
    again = pickle.loads(pickle.dumps(first))  # as another process has it
    after = [batch.images for batch in again.batches(11, start=7)]
    assert (np.concatenate([*before, *after]) == whole).all()
    assert (stream_of(images).between(41, 44).images == whole[41:44]).all()


def test_order_and_batches_change_nothing(images: GeneratedImages, whole: np.ndarray) -> None:
    places = np.random.default_rng(0).permutation(60)
    made = stream_of(images).load(CCC, 1, places).pixels
    assert (made == whole[places]).all()
    device = stream_of(images)
    clean = device.load("clean", 0, np.arange(60)).pixels
    assert (device.corrupt(torch.from_numpy(clean), CCC, 1, np.arange(60)).numpy() == whole).all()


def test_each_argument_gives_another_stream(images: GeneratedImages, whole: np.ndarray) -> None:
    assert (stream_of(images, seed=44).between(0, 60).images != whole).any()
    assert (stream_of(images, level="hard").between(0, 60).images != whole).any()
    longer = stream_of(images, frames=500)
    assert (longer.between(57, 60).images == whole[57:]).all()
    assert (len(longer.ids), longer.total) == (500, LENGTH)


def test_the_record_says_which_stream_it_is(images: GeneratedImages) -> None:
    record = stream_of(images).stream
    assert record is not None
    assert (record.level, record.speed, record.products) == ("easy", 3, True)
    names = stream_of(images).stream.label  # type: ignore[union-attr]
    assert names == f"ccc:easy,3 a point,calibration {record.calibration[:8]} of products"


def test_without_jpeg_frames_say_so(images: GeneratedImages) -> None:
    plain = StreamFrames(images, StreamName("easy", SPEED), 43, falling(), 6, jpeg=False)
    assert (plain.kind, stream_of(images).kind) == ("generated", "generated-jpeg85")
    assert (plain.between(0, 6).images != stream_of(images).between(0, 6).images).any()


def test_ids_are_made_when_they_are_asked_for() -> None:
    ids = FrameIds(LENGTH)
    assert (len(ids), ids[0], ids[-1], ids[5:7]) == (LENGTH, "ccc/0", f"ccc/{LENGTH - 1}", ["ccc/5", "ccc/6"])
    assert list(FrameIds(3)) == ["ccc/0", "ccc/1", "ccc/2"]


@pytest.mark.parametrize("frames", [0, LENGTH + 1])
def test_other_lengths_are_refused(images: GeneratedImages, frames: int) -> None:
    with pytest.raises(UsageError, match="--limit"):
        stream_of(images, frames=frames)


def test_stamps_are_those_of_the_images_files(images: GeneratedImages, tmp_path: Path) -> None:
    stream = stream_of(images)
    stamps = stream.stamps((CCC, 1))
    assert len(stamps) == 60
    assert len(set(stamps.tolist())) <= 10


def test_frames_that_the_stream_does_not_have_are_refused(images: GeneratedImages, whole: np.ndarray) -> None:
    stream = stream_of(images)
    for start, stop in ((5, 5), (7, 5), (-5, 5), (-5, -1), (60, 70), (55, 61)):
        with pytest.raises(UsageError, match=f"the frames from {start} to before {stop} are not in the stream"):
            stream.between(start, stop)
    assert (stream.between(57, 60).images == whole[57:]).all()
    for frame in (-1, 60):
        with pytest.raises(UsageError, match="not in the stream"):
            stream.point(frame)
    for size, start in ((0, 0), (-2, 0), (7, -1)):
        with pytest.raises(UsageError, match=f"batches of {size} frames from frame {start} on"):
            stream.batches(size, start)
    assert [len(batch.labels) for batch in stream.batches(25, 5)] == [25, 25, 5]
    assert list(stream.batches(7, 60)) == []
