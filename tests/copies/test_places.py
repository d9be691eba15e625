"""Where copies are, and what is removed with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from ppbench.copies.places import SEQUENCES, STILLS, copy_places, remove_copy, size_of


@pytest.mark.parametrize(
    ("places", "cell", "output", "file"),
    [
        (STILLS, "fog/3", "a/b\n.jpg", "fog/3/a/b\n.jpg"),
        (STILLS, "clean/0", "b.png", "clean/0/b.png"),
        (SEQUENCES, "snow/1", "a/b.mp4", "snow/a/b.mp4"),
        (SEQUENCES, "shot_noise/2", "a/b\n.mp4", "shot_noise_2/a/b\n.mp4"),
        (SEQUENCES, "shot_noise/1", "3/b.png", "shot_noise/3/b/"),
        (SEQUENCES, "snow/1", "a/b.npy", "snow/a/b.npy"),
        (SEQUENCES, "speckle_noise/3", ".npy", "speckle_noise_3.npy"),
    ],
)
def test_a_path_leads_back_to_its_cell_and_name(places, cell: str, output: str, file: str) -> None:
    assert places.file(cell, output) == file
    assert places.found(file) == (cell, output)


@pytest.mark.parametrize("file", ["fog/3", "fog/6/a.png", "clean/1/a.png", "/fog/3/a.png", "snow/a.mp4", ""])
def test_other_paths_are_no_copies_of_images(file: str) -> None:
    with pytest.raises(ValueError, match="is not a file in a cell's folder"):
        STILLS.found(file)


@pytest.mark.parametrize(
    "file", ["fog/a.mp4", "snow_4/a.mp4", "snow/", "snow//", "snow", "mine.npy", "/snow/a.mp4", ""]
)
def test_other_paths_are_no_sequences(file: str) -> None:
    with pytest.raises(ValueError, match="is not in the folder of a perturbation"):
        SEQUENCES.found(file)


def test_a_cell_claims_the_paths_that_it_may_write() -> None:
    assert STILLS.claimed("fog/3", begun=False) == ("fog",)
    assert STILLS.claimed("fog/3", begun=True) == ("fog/3",)
    assert SEQUENCES.claimed("shot_noise/2", begun=True) == ("shot_noise_2", "shot_noise_2.npy")
    assert copy_places({}) is copy_places({"recipe": "imagenet-c"}) is STILLS
    assert copy_places({"sequences": True}) is SEQUENCES


def test_frames_are_removed_and_what_is_beside_them_is_not(tmp_path: Path) -> None:
    folder = tmp_path / "frames"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number:02}.png").write_bytes(b"12")
    (folder / "notes.png").write_bytes(b"mine")
    assert (size_of(folder), size_of(folder / "00.png"), size_of(tmp_path / "none")) == (6, 2, -1)
    (tmp_path / "link").symlink_to(folder)
    remove_copy(tmp_path / "link", is_folder=True)
    assert size_of(folder) == 6, "a link leads to somebody else's files"
    with pytest.raises(OSError, match="directory"):
        remove_copy(folder, is_folder=False)
    remove_copy(folder, is_folder=True)
    assert [path.name for path in folder.iterdir()] == ["notes.png"]
    (folder / "notes.png").unlink()
    remove_copy(folder, is_folder=True)
    assert not folder.exists()
    remove_copy(folder, is_folder=True)
