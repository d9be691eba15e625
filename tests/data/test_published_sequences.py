"""Published sequences as frames: in order, not resized, and what is wrong with them in one line."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from ppbench.copies.video import encode_video
from ppbench.data.npy import array_file
from ppbench.data.published_sequences import PublishedFiles, PublishedFrames
from ppbench.data.sequence_layout import look_for_sequences
from ppbench.data.video import read_video
from ppbench.errors import DataError
from tests.trees import photographs

NAMES = ["n01/a.mp4", "n01/b.mp4", "n02/c.mp4"]


def write(root: Path, folder: str, count: int, size: int = 32, names: list[str] = NAMES) -> None:
    for name, image in zip(names, photographs(size, len(names)), strict=True):
        path = root / folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        frames = np.stack([np.roll(image, step, axis=1) for step in range(count)])
        path.write_bytes(encode_video(frames, is_noise="noise" in folder))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for folder, count in (("translate", 5), ("snow", 4), ("shot_noise", 4), ("shot_noise_2", 4)):
        write(tmp_path, folder, count)
    return tmp_path


def videos(root: Path, recipe: str = "imagenet-p") -> PublishedFiles:
    found = look_for_sequences(root)
    assert found is not None
    assert found.form is not None
    return PublishedFiles(root, recipe, recipe, found.form, found.folders)


def test_frames_are_those_of_the_videos(root: Path) -> None:
    source = pickle.loads(pickle.dumps(videos(root)))
    assert source.corruptions == ("shot_noise", "snow", "translate")
    assert (source.kind, source.encoding, source.size, source.cut) == ("published", "h264", 32, "32 px as is")
    assert (source.ids, source.strata.tolist()) == (["n01/a", "n01/b", "n02/c"], [0, 0, 1])
    assert [source.frames_of(name) for name in source.corruptions] == [4, 4, 5]
    source.check(source.corruptions, (1, 2))
    assert source.reading("translate", 2) == ("translate", 1), "difficulty 2 compares frames two apart"
    assert source.reading("shot_noise", 2) == ("shot_noise", 2)
    assert np.array_equal(source.read_one(2, ("translate", 1)), read_video(root / "translate" / "n02" / "c.mp4"))
    source.limit(np.array([2]))
    read = source.read(("shot_noise", 2), np.array([0]))
    assert np.array_equal(read.arrays[0], read_video(root / "shot_noise_2" / "n02" / "c.mp4"))


def test_a_video_that_is_wrong_is_a_broken_image(root: Path) -> None:
    source = videos(root)
    frames = source.read_one(0, ("snow", 1))
    for frames_there, message in (
        (frames[:3], "has 3 frames, others have 4"),
        (frames[:, :24, :24], "has 24 x 24 pixels, others have 32 x 32"),
        (None, "it is no MP4 file, or it was cut off"),
    ):
        path = root / "snow" / "n01" / "b.mp4"
        path.write_bytes(b"x" if frames_there is None else encode_video(frames_there, is_noise=False))
        read = source.read(("snow", 1), np.arange(3))
        assert [broken.place for broken in read.broken] == [1]
        assert message in read.broken[0].reason
        assert str(path) in read.broken[0].reason
        assert read.places.tolist() == [0, 2]


def test_the_first_video_may_be_the_wrong_one(root: Path) -> None:
    frames = read_video(root / "snow" / "n01" / "a.mp4")
    (root / "snow" / "n01" / "a.mp4").write_bytes(encode_video(frames[:2], is_noise=False))
    read = videos(root).read(("snow", 1), np.arange(3))
    assert [broken.place for broken in read.broken] == [0]
    assert "has 2 frames, others have 4" in read.broken[0].reason


def test_what_is_missing_is_said_before_any_frame_is_read(root: Path) -> None:
    source = videos(root)
    with pytest.raises(DataError, match=r"no rotate in .*") as caught:
        source.check(["snow", "rotate"], (1,))
    assert "There are shot_noise, snow, translate" in caught.value.hint
    with pytest.raises(DataError, match="no shot_noise_3 in"):
        source.check(["snow", "shot_noise"], (3,))
    (root / "snow" / "n02" / "c.mp4").unlink()
    with pytest.raises(DataError, match=r"snow lacks 1 video: n02/c\.mp4 is missing"):
        source.check(["snow"], (1,))


def test_folders_of_two_sets_are_refused(root: Path) -> None:
    write(root, "brightness", 4, size=24)
    write(root, "shot_noise_3", 5)
    source = videos(root)
    with pytest.raises(DataError, match="brightness has frames of 24 x 24 pixels, others have 32 x 32"):
        source.check(["brightness"], (1,))
    with pytest.raises(DataError, match=r"the sequences of shot_noise in .* have 4 and 5 frames"):
        source.check(["shot_noise"], (1, 3))
    for path in (root / "tilt" / "n01").parent, root / "tilt" / "n01":
        path.mkdir()
    for name in NAMES:
        (root / "tilt" / name).parent.mkdir(exist_ok=True)
        (root / "tilt" / name).write_bytes(b"x")
    with pytest.raises(DataError, match=r"none of the first 3 videos in .*tilt can be read: .*no MP4 file"):
        videos(root).check(["tilt"], (1,))


def test_blurred_frames_of_tiny_imagenet_have_any_length(tmp_path: Path) -> None:
    for folder, widths in (("motion_blur", (32, 48)), ("snow", (32, 48))):
        for name, width in zip(NAMES[:2], widths, strict=True):
            path = tmp_path / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encode_video(np.zeros((3, 32, width, 3), np.uint8), is_noise=False))
    source = videos(tmp_path, "tiny-imagenet-p")
    assert source.read_one(1, ("motion_blur", 1)).shape == (3, 32, 48, 3)
    with pytest.raises(DataError, match="has 48 x 32 pixels, others have 32 x 32"):
        source.read_one(1, ("snow", 1))


def arrays(root: Path) -> PublishedFrames:
    found = look_for_sequences(root)
    assert found is not None
    return PublishedFrames(root, "cifar10-p", "cifar-p", found.arrays)


def test_arrays_give_their_rows(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 256, (6, 5, 8, 8, 3), dtype=np.uint8)
    np.save(tmp_path / "snow.npy", values)
    np.save(tmp_path / "shot_noise_2.npy", values[:, ::-1])
    source = pickle.loads(pickle.dumps(arrays(tmp_path)))
    assert (source.encoding, source.size, source.frames_of("snow"), source.channels) == ("lossless", 8, 5, 3)
    assert source.ids == [f"test/{place:05}" for place in range(6)]
    source.limit(np.array([1, 4]))
    assert np.array_equal(source.read_one(1, ("snow", 1)), values[4])
    assert np.array_equal(source.read(("shot_noise", 2), np.array([0])).arrays[0], values[1, ::-1])
    with pytest.raises(DataError, match="no shot_noise in"):
        source.check(["shot_noise"], (1,))
    before = source.content([("snow", 1)])
    values[0] ^= 1
    np.save(tmp_path / "snow.npy", values)
    assert arrays(tmp_path).content([("snow", 1)]) != before


def test_arrays_that_do_not_fit_are_one_line(tmp_path: Path) -> None:
    np.save(tmp_path / "snow.npy", np.zeros((6, 5, 8, 8, 3), np.uint8))
    np.save(tmp_path / "tilt.npy", np.zeros((7, 5, 8, 8, 3), np.uint8))
    np.save(tmp_path / "scale.npy", np.zeros((6, 5, 8, 8, 3), np.float32))
    np.save(tmp_path / "rotate.npy", np.zeros((6, 1, 8, 8, 3), np.uint8))
    whole = (tmp_path / "snow.npy").read_bytes()
    (tmp_path / "brightness.npy").write_bytes(whole[:-7])
    source = arrays(tmp_path)
    for name, message in (
        ("tilt", "has 7 images of 8 px, others 6 of 8 px"),
        ("scale", r"has the shape \(6, 5, 8, 8, 3\) of float32"),
        ("rotate", "have 1 frames"),
        ("brightness", "ends early"),
    ):
        with pytest.raises(DataError, match=message):
            source.check([name], (1,))
    with pytest.raises(DataError, match="has the shape"):
        PublishedFrames(tmp_path, "cifar10-p", "cifar-p", {("scale", 1): array_file(tmp_path / "scale.npy")})
