"""Devices, processes and batches."""

from __future__ import annotations

from pathlib import Path

import pytest

from ppbench.copies import computing
from ppbench.copies.api import corrupt_folder
from ppbench.copies.plan import opened_plan
from ppbench.copies.request import CopyRequest
from tests.copies.trees import CELLS, tree, write_photos

pytestmark = pytest.mark.usefixtures("_workers_of_one_server")


@pytest.mark.parametrize("batch", [1, 7, 16])
def test_batches_change_no_byte(tmp_path: Path, batch: int) -> None:
    photos = write_photos(tmp_path / "photos", 20, size=16)
    corrupt_folder(photos, tmp_path / "c", **CELLS)
    corrupt_folder(photos, tmp_path / "other", **CELLS, batch_size=batch)
    assert tree(tmp_path / "other") == tree(tmp_path / "c")


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_change_no_byte(photos: Path, tmp_path: Path, workers: int) -> None:
    corrupt_folder(photos, tmp_path / "c", **CELLS)
    corrupt_folder(photos, tmp_path / "other", **CELLS, workers=workers, batch_size=1)
    assert tree(tmp_path / "other") == tree(tmp_path / "c")


def test_processes_are_started_only_where_they_pay(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def workers() -> int:
        with opened_plan(CopyRequest(photos, **CELLS, workers=None), claim=False) as plan:
            return plan.workers

    assert workers() == 0
    monkeypatch.setattr(computing, "_STARTING_PAYS", 1)
    assert workers() == computing.usable_cores()
