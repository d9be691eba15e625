"""What is corrupted."""

from __future__ import annotations

from pathlib import Path

import pytest

from ppbench.copies.api import corrupt_folder
from ppbench.copies.plan import opened_plan
from ppbench.copies.request import CopyRequest
from ppbench.data.walk import OUTPUT
from ppbench.errors import DataError
from tests.copies.trees import FEW, interrupt_after


def test_what_jobs_wrote_is_no_source(photos: Path) -> None:
    before = corrupt_folder(photos, photos / "done", **FEW)
    interrupt_after(1, photos, photos / "n01" / "half")
    (photos / "n02" / "manifest.json").write_text('{"name": "theirs"}')
    with opened_plan(CopyRequest(photos, photos / "new", **FEW), claim=False) as plan:
        assert plan.source.left_out == {OUTPUT: 2, ".json": 1}
        assert len(plan.source) == before.images


def test_wrong_sources_are_told_and_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").touch()
    (tmp_path / "data_batch_1").touch()
    (tmp_path / "shard.tar").touch()
    for src, message in (
        ("empty", "no images in .*empty"),
        ("missing", "there is no .*missing"),
        ("notes.txt", r"notes\.txt is not a folder, an image file .* or a \.npy file"),
        ("shard.tar", r"shard\.tar is not a folder, an image file .*\n.*ppbench eval --dataset imagefolder"),
        ("data_batch_1", "data_batch_1 is not a folder"),
    ):
        with pytest.raises(DataError, match=message):
            corrupt_folder(tmp_path / src)
    assert {path.name for path in tmp_path.iterdir()} == {"empty", "notes.txt", "data_batch_1", "shard.tar"}
