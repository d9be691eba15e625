"""Finding image files."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from ppbench.data import walk
from ppbench.data.walk import describe_left_out, find_images, kind_of


def touch(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def test_images_at_any_depth_in_the_order_of_their_parts(tmp_path: Path) -> None:
    touch(tmp_path, "b.png", "a/x.JPG", "a/deep/er/y.Tiff", "a-b/z.webp", "notes.txt", "a/clip.mp4", "noending")
    found = find_images(tmp_path)
    assert found.names == ["a/deep/er/y.Tiff", "a/x.JPG", "a-b/z.webp", "b.png"]
    assert found.names == [
        path.relative_to(tmp_path).as_posix() for path in sorted(map(tmp_path.joinpath, found.names))
    ]
    assert found.left_out == {".txt": 1, ".mp4": 1, "file without an ending": 1}


def test_hidden_files_and_folders_are_left_out_and_not_counted(tmp_path: Path) -> None:
    touch(tmp_path, "x.png", "._x.png", ".thumbnails/x.png", "a/.DS_Store")
    assert find_images(tmp_path) == (["x.png"], {})


def test_the_folder_written_to_is_not_looked_into(tmp_path: Path) -> None:
    touch(tmp_path, "x.png", "out/fog/1/x.png", "output/y.png")
    assert find_images(tmp_path, tmp_path / "a" / ".." / "out").names == ["output/y.png", "x.png"]


def test_links_to_folders_are_followed_but_never_in_a_circle(tmp_path: Path) -> None:
    touch(tmp_path, "elsewhere/n01/x.png", "photos/n02/y.png")
    (tmp_path / "photos" / "n01").symlink_to(tmp_path / "elsewhere" / "n01")
    (tmp_path / "photos" / "n02" / "up").symlink_to(tmp_path / "photos")
    assert find_images(tmp_path / "photos") == (["n01/x.png", "n02/y.png"], {"link in a ring": 1})


def test_links_among_folders_are_followed_once_and_not_in_every_order(tmp_path: Path) -> None:
    """Ten folders with links to all others: 10! ways through them."""
    folders = [f"n{number}" for number in range(10)]
    touch(tmp_path, *(f"{name}/x.png" for name in folders))
    for name in folders:
        for other in folders:
            (tmp_path / name / f"to-{other}").symlink_to(tmp_path / other)
    found = find_images(tmp_path)
    assert found.names == [f"{name}/x.png" for name in folders]
    assert found.left_out == {"link to a folder that is read already": 100}


def test_a_link_to_itself_is_left_out(tmp_path: Path) -> None:
    touch(tmp_path, "x.png")
    (tmp_path / "a.jpg").symlink_to("b.jpg")
    (tmp_path / "b.jpg").symlink_to("a.jpg")
    (tmp_path / "folder").symlink_to("folder")
    assert find_images(tmp_path) == (["x.png"], {"link in a ring": 3})


def test_pipes_and_devices_are_left_out_and_counted(tmp_path: Path) -> None:
    touch(tmp_path, "x.png")
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "zero.jpg").symlink_to("/dev/zero")
    assert find_images(tmp_path) == (["x.png"], {"pipe or device": 2})


def test_the_systems_own_folders_are_not_looked_into(tmp_path: Path) -> None:
    if not Path("/proc/self/root").exists():
        pytest.skip("this system has no such folder")
    touch(tmp_path, "x.png")
    (tmp_path / "proc").symlink_to("/proc")
    (tmp_path / "me").symlink_to("/proc/self/task")
    assert find_images(tmp_path) == (["x.png"], {"folder of the system": 2})
    assert find_images(Path("/proc")) == ([], {"folder of the system": 1})


def test_names_that_are_not_utf_8_are_left_out_and_counted(tmp_path: Path) -> None:
    touch(tmp_path, "x.png")
    try:
        (tmp_path / os.fsdecode(b"\xff.png")).touch()
        touch(tmp_path, os.fsdecode(b"n\xe9/y.png"))
    except OSError:
        pytest.skip("this file system has no such names")
    assert find_images(tmp_path) == (["x.png"], {"name that is not UTF-8": 2})
    assert len(find_images(tmp_path, any_name=True).names) == 3


def test_what_ppbench_wrote_is_left_out_and_counted(tmp_path: Path) -> None:
    touch(tmp_path, "x.png", "x-c/fog/1/x.png", "begun/.ppbench/journal", "begun/fog/1/x.png", "other/y.png")
    (tmp_path / "x-c" / "manifest.json").write_text('{\n  "cells": [],\n  "manifest": 1\n}\n')
    (tmp_path / "other" / "manifest.json").write_text("{}")
    assert find_images(tmp_path) == (["other/y.png", "x.png"], {"folder of corrupted images": 2, ".json": 1})


def test_what_is_left_out_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walk, "has_heif", lambda: False)
    told = describe_left_out(Counter({".gif": 1, ".heic": 2, "pipe or device": 3}))
    assert told.startswith("3 pipes or devices, 2 .heic, 1 .gif. To read HEIC and AVIF, install the extra `heif`. ")
    assert "uv sync --extra heif" in told
    assert describe_left_out(Counter({".gif": 1, "file without an ending": 2})) == "2 files without an ending, 1 .gif"
    many = Counter({f".e{number}": 20 - number for number in range(12)})
    assert describe_left_out(many).endswith(", 13 .e7, 42 others")


@pytest.mark.parametrize("name", ["a.png\x1b[2J", "a. png", "a." + 300 * "x", "a.[link=x]"])
def test_only_what_is_an_ending_is_told_as_one(name: str) -> None:
    assert kind_of(name) == "file without an ending"


def test_a_link_that_leads_nowhere_is_an_image_if_its_name_says_so(tmp_path: Path) -> None:
    touch(tmp_path, "x.png")
    (tmp_path / "gone.jpg").symlink_to("nowhere.jpg")
    (tmp_path / "gone.txt").symlink_to("nowhere.txt")
    assert find_images(tmp_path) == (["gone.jpg", "x.png"], {".txt": 1})


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        find_images(tmp_path / "missing")
