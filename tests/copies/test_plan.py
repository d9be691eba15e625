"""What a plan says before anything is made."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from ppbench.copies.api import corrupt_folder, make_copies
from ppbench.copies.plan import opened_plan
from ppbench.copies.request import CopyRequest
from tests.copies.trees import CELLS, tree, write_photos


def test_the_order_changes_no_byte(photos: Path, tmp_path: Path) -> None:
    corrupt_folder(photos, tmp_path / "c", **CELLS)
    with opened_plan(CopyRequest(photos, tmp_path / "other", **CELLS, batch_size=2)) as plan:
        np.random.default_rng(0).shuffle(plan.source.names)
        assert plan.source.names != sorted(plan.source.names)
        make_copies(plan)
    assert tree(tmp_path / "other") == tree(tmp_path / "c")


def test_the_recipe_is_chosen_by_size_and_stays(tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos", 3, size=32)
    assert corrupt_folder(photos, corruptions="contrast", severities=1).recipe == "cifar-c"
    for number in range(5):
        Image.new("RGB", (224, 224)).save(photos / f"large{number}.png")
    assert corrupt_folder(photos, corruptions="contrast", severities=1).recipe == "cifar-c"
    assert corrupt_folder(photos, tmp_path / "d", corruptions="contrast", severities=1).recipe == "imagenet-c"
    assert (
        corrupt_folder(photos, tmp_path / "e", corruptions="contrast", severities=1, size=64).recipe
        == "tiny-imagenet-c"
    )
