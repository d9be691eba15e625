"""Published sets of sequences are recognized by what is in their folders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ppbench.data.layout import look
from ppbench.data.sequence_files import SEQUENCE_FORMS
from ppbench.data.sequence_layout import look_for_sequences
from ppbench.errors import DataError


def touch(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def array(root: Path, name: str, *shape: int) -> None:
    root.mkdir(parents=True, exist_ok=True)
    np.save(root / name, np.zeros(shape, np.uint8))


def test_videos_are_found_below_the_folders_of_the_archives(tmp_path: Path) -> None:
    root = touch(
        tmp_path, "noise/gaussian_noise/n01/a.mp4", "noise/gaussian_noise_3/n01/a.mp4", "weather/snow/n01/a.mp4",
        "snow/n01/a.mp4", "rotate/a.mp4", "rotate_2/n01/a.mp4", "fog/n01/a.mp4", "tilt/n01/a.png",
    )  # fmt: skip
    found = look_for_sequences(root)
    assert found is not None
    assert found.arrays == {}
    assert found.form is SEQUENCE_FORMS[0]
    assert found.folders == {
        ("gaussian_noise", 1): root / "noise" / "gaussian_noise",
        ("gaussian_noise", 3): root / "noise" / "gaussian_noise_3",
        ("snow", 1): root / "snow",  # what is nearer to the root counts
        ("rotate", 1): root / "rotate",
    }


def test_arrays_of_sequences_are_found_by_their_shape(tmp_path: Path) -> None:
    root = tmp_path / "CIFAR-10-P"
    array(root, "snow.npy", 2, 31, 8, 8, 3)
    array(root, "shot_noise_2.npy", 2, 31, 8, 8, 3)
    array(root, "brightness.npy", 10, 8, 8, 3)
    array(root, "mine.npy", 2, 31, 8, 8, 3)
    (root / "tilt.npy").write_bytes((root / "snow.npy").read_bytes()[:500])
    found = look_for_sequences(tmp_path)
    assert found is not None
    assert (found.form, found.folders) == (None, {})
    assert sorted(found.arrays) == [("shot_noise", 2), ("snow", 1), ("tilt", 1)]
    touch(root, "rotate/n01/a.mp4")
    with pytest.raises(DataError, match="contains sequences as videos and as arrays of all images"):
        look_for_sequences(tmp_path)


def test_other_folders_are_no_sequences(tmp_path: Path) -> None:
    for name in ("snow/1/n01/a.JPEG", "n01/a.mp4", "n01/b.png"):
        touch(tmp_path, name)
    assert look_for_sequences(tmp_path) is None
    for name in ("n01/b.png", "none", "val-*.parquet"):
        assert look_for_sequences(tmp_path / name) is None
    touch(tmp_path, "rotate/album/00.png", "rotate/album/01.png")
    assert look_for_sequences(tmp_path) is None, "photographs"


def test_corruptions_are_not_looked_for_among_sequences(tmp_path: Path) -> None:
    array(tmp_path, "snow.npy", 2, 31, 8, 8, 3)
    with pytest.raises(DataError, match=r"snow\.npy has perturbation sequences") as caught:
        look(tmp_path)
    assert "--dataset cifar10-p" in caught.value.hint


def test_videos_are_listed_in_order_and_a_ring_of_links_ends(tmp_path: Path) -> None:
    touch(tmp_path, "n02/b.mp4", "n01/c.mp4", "n01/B.MP4", "n01/.hidden.mp4", "n01/a.txt", "a.mp4")
    (tmp_path / "n03").mkdir()
    (tmp_path / "n03" / "ring").symlink_to(tmp_path)
    assert list(SEQUENCE_FORMS[0].below(tmp_path))[:4] == ["a.mp4", "n01/B.MP4", "n01/c.mp4", "n02/b.mp4"]
