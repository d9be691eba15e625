"""Where a job refuses to write."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from ppbench.copies.api import corrupt_folder, make_copies
from ppbench.copies.plan import opened_plan
from ppbench.copies.request import CopyRequest
from ppbench.errors import DataError, UsageError
from tests.copies.trees import CELLS, FEW, tree, write_photos


def test_files_that_no_record_knows_are_not_written_over(photos: Path, tmp_path: Path) -> None:
    mine = tmp_path / "c" / "contrast" / "2" / "a.png"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    with pytest.raises(UsageError, match=r"contrast exists already, and .*manifest\.json does not exist"):
        corrupt_folder(photos, tmp_path / "c", **FEW)
    assert tree(tmp_path / "c") == {"contrast/2/a.png": b"mine"}
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "notes.txt").touch()
    assert corrupt_folder(photos, tmp_path / "d", **FEW).written == 12


def test_files_that_the_record_does_not_know_are_not_written_over(photos: Path) -> None:
    dest = corrupt_folder(photos, **FEW).dest
    for mine, cells, found in (
        (dest / "fog" / "notes.png", CELLS, "fog"),
        (dest / "contrast" / "3" / "a.png", {**FEW, "severities": "1-5"}, r"contrast.3"),
    ):
        mine.parent.mkdir(parents=True)
        mine.write_text("mine")
        with pytest.raises(UsageError, match=rf"{found} exists already, and .*manifest\.json does not list it"):
            corrupt_folder(photos, **cells)
        assert mine.read_text() == "mine"
    assert corrupt_folder(photos, **FEW).kept == 12


@pytest.mark.parametrize("src", ["out/contrast", "out/contrast/2", "out/contrast/2/a.png", "out/link"])
def test_the_folder_read_may_not_lie_in_one_written_to(tmp_path: Path, src: str) -> None:
    write_photos(tmp_path / "out" / "contrast" / "2")
    (tmp_path / "out" / "link").symlink_to("contrast")
    before = tree(tmp_path)
    with pytest.raises(UsageError, match=r"is in .*contrast, which would be written to"):
        corrupt_folder(tmp_path / src, tmp_path / "out", **FEW, overwrite=True)
    assert tree(tmp_path) == before


def test_a_folder_that_cannot_be_written_is_told_before_the_work(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for dest in (tmp_path / "file", tmp_path / "file" / "c"):
        with pytest.raises(DataError, match="cannot write"):
            corrupt_folder(photos, dest, **FEW)
    (tmp_path / "locked").mkdir(mode=0o500)
    if not os.access(tmp_path / "locked", os.W_OK):  # root may write everywhere
        with pytest.raises(DataError, match=r"cannot write .*: Permission denied"):
            corrupt_folder(photos, tmp_path / "locked" / "c", **FEW)


def test_a_read_only_disk_is_told(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, *arguments: object, **options: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(DataError, match=r"cannot write .*photos-c: Read-only file system"):
        corrupt_folder(photos, **FEW)


def test_two_jobs_in_one_folder_do_not_meet(photos: Path) -> None:
    with opened_plan(CopyRequest(photos, **FEW)) as plan:
        with pytest.raises(UsageError, match=r"another ppbench is writing to .*photos-c"):
            corrupt_folder(photos, **FEW)
        make_copies(plan)
    assert corrupt_folder(photos, **FEW).kept == 12


def test_the_folder_written_to_may_lie_in_the_one_read_but_not_be_it(photos: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read from and written to"):
        corrupt_folder(photos, photos / "n01" / "..", **FEW)
    for _ in range(2):
        assert corrupt_folder(photos, photos / "out", **FEW).images == 6
