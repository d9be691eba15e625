"""Finding image files."""

from __future__ import annotations

from pathlib import Path

import pytest

from ppbench.data.walk import find_images


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
    assert found.others == 3


def test_hidden_files_and_folders_are_left_out_and_not_counted(tmp_path: Path) -> None:
    touch(tmp_path, "x.png", "._x.png", ".thumbnails/x.png", "a/.DS_Store")
    assert find_images(tmp_path) == (["x.png"], 0)


def test_the_folder_written_to_is_not_looked_into(tmp_path: Path) -> None:
    touch(tmp_path, "x.png", "out/fog/1/x.png", "output/y.png")
    assert find_images(tmp_path, tmp_path / "a" / ".." / "out").names == ["output/y.png", "x.png"]


def test_links_to_folders_are_followed_but_never_in_a_circle(tmp_path: Path) -> None:
    touch(tmp_path, "elsewhere/n01/x.png", "photos/n02/y.png")
    (tmp_path / "photos" / "n01").symlink_to(tmp_path / "elsewhere" / "n01")
    (tmp_path / "photos" / "n02" / "up").symlink_to(tmp_path / "photos")
    assert find_images(tmp_path / "photos").names == ["n01/x.png", "n02/y.png"]


def test_a_link_that_leads_nowhere_is_an_image_if_its_name_says_so(tmp_path: Path) -> None:
    touch(tmp_path, "x.png")
    (tmp_path / "gone.jpg").symlink_to("nowhere.jpg")
    (tmp_path / "gone.txt").symlink_to("nowhere.txt")
    assert find_images(tmp_path) == (["gone.jpg", "x.png"], 1)


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        find_images(tmp_path / "missing")
