"""Which copies are there, and which are made."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from PIL import Image

from ppbench.copies.api import corrupt_folder
from ppbench.copies.plan import opened_plan
from ppbench.copies.request import CopyRequest
from tests.copies.trees import CELLS, FEW, pixels, tree


def test_clean_images_are_kept_and_further_cells_added(photos: Path, tmp_path: Path) -> None:
    first = {"corruptions": ["clean", "contrast"], "severities": [2], "size": 32}
    dest = corrupt_folder(photos, **first).dest
    before = tree(dest)
    report = corrupt_folder(photos, **first)
    assert (report.written, report.kept) == (0, 12)
    assert tree(dest) == before
    with opened_plan(CopyRequest(photos, corruptions=["clean"], size=32), claim=False) as plan:
        assert plan.missing() == {("clean", 0): 0}
    more = {**first, "severities": [2, 3]}
    report = corrupt_folder(photos, **more)
    assert (report.written, report.kept) == (6, 12)
    assert tree(dest) == tree(corrupt_folder(photos, tmp_path / "whole", **more).dest)
    assert corrupt_folder(photos, **first, overwrite=True).written == 12
    assert tree(dest) == before


def test_more_cells_and_images_are_added(photos: Path, tmp_path: Path) -> None:
    (photos / "a.png").rename(tmp_path / "a.png")
    corrupt_folder(photos, tmp_path / "c", **FEW)
    (tmp_path / "a.png").rename(photos / "a.png")
    report = corrupt_folder(photos, tmp_path / "c", **CELLS)
    assert (report.written, report.kept) == (26, 10)
    corrupt_folder(photos, tmp_path / "whole", **CELLS)
    assert tree(tmp_path / "c") == tree(tmp_path / "whole")
    assert corrupt_folder(photos, tmp_path / "c", **FEW).kept == 12
    assert tree(tmp_path / "c") == tree(tmp_path / "whole"), "what was not asked for again stays"


@pytest.mark.parametrize("damage", ["removed", "cut short"])
def test_files_that_were_lost_are_made_again(photos: Path, damage: str) -> None:
    dest = corrupt_folder(photos, **CELLS).dest
    before = tree(dest)
    for path in (dest / "fog" / "5" / "a.png", dest / "fog" / "2" / "n01" / "b.JPEG"):
        path.unlink() if damage == "removed" else os.truncate(path, 0)
    assert corrupt_folder(photos, **CELLS).written == 2
    assert tree(dest) == before


def test_a_changed_source_is_made_again_in_every_cell_that_there_is(photos: Path, tmp_path: Path) -> None:
    corrupt_folder(photos, tmp_path / "c", **CELLS)
    Image.fromarray(pixels(photos / "a.png")[::-1]).save(photos / "a.png")
    assert corrupt_folder(photos, tmp_path / "c", **FEW).written == 6
    corrupt_folder(photos, tmp_path / "whole", **CELLS)
    assert tree(tmp_path / "c") == tree(tmp_path / "whole")
