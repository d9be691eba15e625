"""Arrays of images."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import ppbench
from ppbench.copies.api import corrupt_folder
from tests.copies.trees import saved
from tests.trees import photographs

pytestmark = pytest.mark.usefixtures("_workers_of_one_server")

CELLS = {"corruptions": ["gaussian_noise", "contrast"], "severities": ["2-3"], "recipe": "cifar-c"}
PHOTOS = np.stack(photographs(32, 20))


def expected(images: np.ndarray, cell: tuple[str, int]) -> np.ndarray:
    return ppbench.corrupt(images, *cell, recipe="cifar-c", ids=[str(place) for place in range(len(images))])


@pytest.mark.parametrize(("workers", "batch"), [(0, None), (0, 1), (0, 7), (0, 64), (2, 7)])
def test_every_cell_is_an_array_like_the_source(tmp_path: Path, workers: int, batch: int | None) -> None:
    report = corrupt_folder(saved(tmp_path, PHOTOS), **CELLS, workers=workers, batch_size=batch)
    assert (report.images, report.written, report.failures) == (20, 4, [])
    for cell in [("gaussian_noise", 2), ("gaussian_noise", 3), ("contrast", 2), ("contrast", 3)]:
        path = tmp_path / "images.npy-c" / cell[0] / str(cell[1]) / "images.npy"
        assert np.array_equal(np.load(path), expected(PHOTOS, cell))
        np.save(tmp_path / "again.npy", np.load(path))
        assert (tmp_path / "again.npy").read_bytes() == path.read_bytes()
    assert not (tmp_path / "images.npy-c" / ".ppbench").exists()


def test_cifars_rows_are_planes(tmp_path: Path) -> None:
    rows = PHOTOS.transpose(0, 3, 1, 2).reshape(20, 3072)
    corrupt_folder(saved(tmp_path, rows), tmp_path / "c", **CELLS)
    got = np.load(tmp_path / "c" / "contrast" / "2" / "images.npy")
    assert got.shape == (20, 3072)
    assert np.array_equal(got.reshape(20, 3, 32, 32).transpose(0, 2, 3, 1), expected(PHOTOS, ("contrast", 2)))


def test_grey_one_image_alpha_and_other_orders_in_memory(tmp_path: Path) -> None:
    alpha = np.arange(20 * 1024, dtype=np.uint8).reshape(20, 32, 32, 1)
    for name, array, colour in (
        ("grey", PHOTOS[..., 0], PHOTOS[..., :1]),
        ("one", PHOTOS[0], PHOTOS[:1]),
        ("alpha", np.concatenate([PHOTOS, alpha], axis=3), PHOTOS),
        ("fortran", np.asfortranarray(PHOTOS), PHOTOS),
    ):
        corrupt_folder(saved(tmp_path / name, array), tmp_path / name / "c", **CELLS)
        got = np.load(tmp_path / name / "c" / "gaussian_noise" / "3" / "images.npy")
        assert got.shape == array.shape
        if name == "alpha":
            assert np.array_equal(got[..., 3:], alpha)
            got = got[..., :3]
        assert np.array_equal(got.reshape(colour.shape), expected(colour, ("gaussian_noise", 3)))


def tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("stop_after", [1, 3, 7])
def test_an_interrupted_array_goes_on_and_ends_the_same(tmp_path: Path, stop_after: int) -> None:
    path = saved(tmp_path, PHOTOS)
    corrupt_folder(path, tmp_path / "whole", **CELLS, batch_size=3)
    done = 0

    def stop(images: int) -> None:
        nonlocal done
        done += images
        if done >= min(3 * stop_after, 20):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        corrupt_folder(path, tmp_path / "c", **CELLS, batch_size=3, advance=stop)
    assert {path.parts[-2] for path in (tmp_path / "c").rglob("*") if path.is_file()} == {".ppbench"}
    with (tmp_path / "c" / ".ppbench" / "chunks").open("a") as journal:
        journal.write('[999, 1002, {"to')  # torn by a kill
    made: list[int] = []
    corrupt_folder(path, tmp_path / "c", **CELLS, batch_size=3, advance=made.append)
    assert sum(made) == 20
    assert tree(tmp_path / "c") == tree(tmp_path / "whole")


def test_interrupted_between_the_last_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path, PHOTOS)
    corrupt_folder(path, tmp_path / "whole", **CELLS)
    moved: list[Path] = []
    replace = Path.replace

    def stop(self: Path, target: Path) -> Path:
        moved.append(target)
        if len(moved) == 3:
            raise KeyboardInterrupt
        return replace(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", stop)
        with pytest.raises(KeyboardInterrupt):
            corrupt_folder(path, tmp_path / "c", **CELLS)
    assert len(list((tmp_path / "c").rglob("images.npy"))) == 2
    corrupt_folder(path, tmp_path / "c", **CELLS)
    assert tree(tmp_path / "c") == tree(tmp_path / "whole")


def test_a_file_in_place_that_was_removed_before_the_job_went_on_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(tmp_path, PHOTOS)
    corrupt_folder(path, tmp_path / "whole", **CELLS)
    replace = Path.replace

    def stop(self: Path, target: Path) -> Path:
        if "3" in target.parts:
            raise KeyboardInterrupt
        return replace(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", stop)
        with pytest.raises(KeyboardInterrupt):
            corrupt_folder(path, tmp_path / "c", **CELLS)
    for placed in (tmp_path / "c").rglob("images.npy"):
        placed.unlink()
    corrupt_folder(path, tmp_path / "c", **CELLS)
    assert tree(tmp_path / "c") == tree(tmp_path / "whole")


def test_the_data_are_on_the_disk_before_a_chunk_counts_and_before_a_file_is_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def sync(number: int) -> None:
        events.append(Path(f"/proc/self/fd/{number}").resolve().name)
        fsync(number)

    def place(self: Path, target: Path) -> Path:
        events.append("placed")
        return replace(self, target)

    if not Path("/proc/self/fd").exists():
        pytest.skip("which file is meant cannot be told here")
    path = saved(tmp_path, PHOTOS)
    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(Path, "replace", place)
    corrupt_folder(path, tmp_path / "c", **{**CELLS, "severities": ["2"]}, batch_size=20)
    parts = ["contrast-2.npy", "gaussian_noise-2.npy"]
    assert events == [*parts, "chunks", parts[0], "placed", parts[1], "placed", "manifest.part", "placed"]


def test_done_again_kept_extended_and_redone(tmp_path: Path) -> None:
    path = saved(tmp_path, PHOTOS)
    few = {**CELLS, "severities": ["2"]}
    assert corrupt_folder(path, tmp_path / "c", **few).written == 2
    assert corrupt_folder(path, tmp_path / "c", **few).kept == 2
    report = corrupt_folder(path, tmp_path / "c", **CELLS)
    assert (report.written, report.kept) == (2, 2)
    np.save(path, PHOTOS[::-1])
    assert corrupt_folder(path, tmp_path / "c", **few).written == 4
    got = np.load(tmp_path / "c" / "contrast" / "3" / "images.npy")
    assert np.array_equal(got, expected(PHOTOS[::-1].copy(), ("contrast", 3)))


def test_clean_arrays_are_kept(tmp_path: Path) -> None:
    path, cells = saved(tmp_path, PHOTOS), {**CELLS, "corruptions": ["clean", "contrast"]}
    assert corrupt_folder(path, tmp_path / "c", **cells).written == 3
    report = corrupt_folder(path, tmp_path / "c", **cells)
    assert (report.written, report.kept) == (0, 3)
    assert np.array_equal(np.load(tmp_path / "c" / "clean" / "0" / "images.npy"), PHOTOS)
