"""Videos in archives are those in folders."""

from __future__ import annotations

import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest

from ppbench.copies.video import encode_video
from ppbench.data.layout import look
from ppbench.data.published_sequences import PublishedFiles
from ppbench.data.sequence_layout import look_for_sequences
from ppbench.errors import DataError
from tests.trees import photographs


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("ImageNet-P")
    for folder in ("gaussian_noise", "gaussian_noise_2", "snow"):
        for number, image in enumerate(photographs(16, 3)):
            path = root / folder / f"n0{number % 2}" / f"{number}.mp4"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encode_video(np.stack([image, np.roll(image, number)]), is_noise="noise" in folder))
    return root


def pack(tar: Path, root: Path, names: dict[str, str]) -> None:
    with tarfile.open(tar, "w") as archive:
        for name, called in names.items():
            archive.add(root / name, called)


def source_of(root: Path) -> PublishedFiles:
    found = look_for_sequences(root)
    assert found is not None
    assert found.form is not None
    return PublishedFiles(root, "imagenet-p", "imagenet-p", found.form, found.folders)


def assert_same(root: Path, unpacked: Path) -> None:
    here, there = pickle.loads(pickle.dumps(source_of(root))), source_of(unpacked)
    assert here.corruptions == there.corruptions
    assert (here.ids, here.strata.tolist()) == (there.ids, there.strata.tolist())
    here.check(here.corruptions, (1,))
    here.check(["gaussian_noise"], (1, 2))
    for reading in (("gaussian_noise", 1), ("gaussian_noise", 2), ("snow", 1)):
        found = [source.read(reading, np.arange(3)).arrays for source in (here, there)]
        for one, other in zip(*found, strict=True):
            assert np.array_equal(one, other)
    cells = [("snow", 1), ("gaussian_noise", 2)]
    assert here.content(cells) == there.content(cells)
    assert here.fingerprint() == there.fingerprint()
    assert len(here.stamps(("snow", 1))) == 3


def test_the_archives_of_the_groups_are_read_in_place(unpacked: Path, tmp_path: Path) -> None:
    noise = {name: f"noise/{name}" for name in ("gaussian_noise", "gaussian_noise_2")}
    pack(tmp_path / "noise.tar", unpacked, noise)
    pack(tmp_path / "snow.tar", unpacked, {"snow/n01": "./n01", "snow/n00": "./n00"})
    assert_same(tmp_path, unpacked)


def test_one_archive_may_have_all(unpacked: Path, tmp_path: Path) -> None:
    names = ("snow", "gaussian_noise", "gaussian_noise_2")
    pack(tmp_path / "all.tar", unpacked, {name: f"ImageNet-P/{name}" for name in names})
    assert_same(tmp_path / "all.tar", unpacked)


def test_a_damaged_video_in_an_archive_is_named(unpacked: Path, tmp_path: Path) -> None:
    (tmp_path / "b.mp4").write_bytes(b"nothing")
    with tarfile.open(tmp_path / "snow.tar", "w") as archive:
        archive.add(unpacked / "snow" / "n00" / "0.mp4", "snow/n00/a.mp4")
        archive.add(tmp_path / "b.mp4", "snow/n00/b.mp4")
    read = source_of(tmp_path / "snow.tar").read(("snow", 1), np.arange(2))
    assert [broken.reason for broken in read.broken] == [
        f"cannot read the video {tmp_path / 'snow.tar'}: snow/n00/b.mp4: it is no MP4 file, or it was cut off"
    ]


def test_other_archives_are_none(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"x")
    pack(tmp_path / "others.tar", tmp_path, {"a.mp4": "films/a.mp4"})
    assert look_for_sequences(tmp_path / "others.tar") is None
    (tmp_path / "snow.tar").write_bytes(b"no archive" * 200)
    assert look_for_sequences(tmp_path) is None
    with pytest.raises(DataError, match="is not an uncompressed tar archive"):
        look(tmp_path / "snow.tar")
