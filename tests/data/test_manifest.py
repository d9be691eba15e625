"""Folders that `ppbench corrupt` wrote are labelled by their record, never as published."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from ppbench.copies.api import corrupt_folder
from ppbench.corruptions.backends import BACKENDS
from ppbench.data.manifest import copy_record
from ppbench.data.opening import open_source
from ppbench.data.source import Geometry, Source
from ppbench.errors import DataError, UsageError
from tests.trees import write_class_folders

CUT = Geometry(16, None)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clean images in ``val``, and their copies in ``c``."""
    root = tmp_path_factory.mktemp("written")
    write_class_folders(root / "val", classes=2, per_class=2, size=16)
    corrupt_folder(root / "val", root / "c", corruptions=["gaussian_noise", "clean"], severities=2, seed=7)
    return root


@pytest.fixture
def copies(written: Path, tmp_path: Path) -> Path:
    """A folder of copies that may be changed."""
    return shutil.copytree(written / "c", tmp_path / "c")


def opened(folder: Path, *corruptions: str, **options: str) -> Source:
    source = open_source("imagefolder", folder, CUT, **options)
    source.choose(corruptions)
    return source


def test_copies_are_those_made_on_the_fly(written: Path) -> None:
    source = opened(written / "c", "gaussian_noise")
    made = open_source("imagefolder", written / "val", CUT, seed=7, jpeg=False)
    assert (source.kind, source.recipe, source.engine, source.made_seed, source.has_clean) == (
        made.kind, made.recipe, made.engine, 7, True,
    )  # fmt: skip
    assert made.engine == BACKENDS["ppbench"].version()
    assert source.ids == made.ids
    every = np.arange(4)
    for cell in (("gaussian_noise", 2), ("clean", 0)):
        assert np.array_equal(source.load(*cell, every).pixels, made.load(*cell, every).pixels)


def test_jpegs_and_factors_are_in_the_label(written: Path, tmp_path: Path) -> None:
    corrupt_folder(written / "val", tmp_path / "c", corruptions=["contrast"], severities=1, format="jpeg", scale=2)
    source = opened(tmp_path / "c", "contrast")
    assert (source.kind, source.recipe, source.made_seed) == ("generated-jpeg85", "cifar-c, scale 2.0", 0)


def test_what_has_no_record_is_published(copies: Path) -> None:
    shutil.copytree(copies / "gaussian_noise", copies / "fog")
    source = opened(copies, "fog")
    assert (source.kind, source.recipe, source.engine, source.made_seed) == ("published", "unknown", "published", None)
    with pytest.raises(DataError, match=r"made gaussian_noise with recipe cifar-c, .* seed 7, and it did not make fog"):
        opened(copies, "gaussian_noise", "fog")
    (copies / "manifest.json").unlink()
    assert opened(copies, "gaussian_noise").kind == "published"


def test_two_jobs_are_not_mixed(copies: Path, written: Path, tmp_path: Path) -> None:
    corrupt_folder(written / "val", tmp_path / "other", corruptions=["contrast"], severities=2, seed=8)
    (tmp_path / "both").mkdir()
    for name, folder in (("one", copies), ("two", tmp_path / "other")):
        folder.rename(tmp_path / "both" / name)
    assert opened(tmp_path / "both", "contrast").made_seed == 8
    with pytest.raises(DataError, match=r"and it made contrast with recipe cifar-c, .* seed 8") as caught:
        opened(tmp_path / "both", "gaussian_noise", "contrast")
    assert "`--corruptions gaussian_noise`, then `--corruptions contrast`" in caught.value.hint


def test_the_recipe_is_that_of_the_record(copies: Path) -> None:
    assert opened(copies, "gaussian_noise", recipe="cifar-c").recipe == "cifar-c"
    with pytest.raises(UsageError, match="--recipe imagenet-c is for generated images"):
        opened(copies, "gaussian_noise", recipe="imagenet-c")


def test_a_job_that_has_not_finished_is_no_dataset(copies: Path) -> None:
    (copies / ".ppbench").mkdir()
    with pytest.raises(DataError, match="has not finished writing"):
        opened(copies, "gaussian_noise")


@pytest.mark.parametrize(
    ("old", "new"),
    [('"seed": 7', '"seed": "7"'), ('"recipe": "cifar-c"', '"recipe": 3'), ('"manifest": 1', '"manifest": 9')],
)
def test_a_damaged_record_is_one_line(copies: Path, old: str, new: str) -> None:
    path = copies / "manifest.json"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(DataError, match=r"manifest\.json is not a manifest of ppbench, or damaged") as caught:
        copy_record(copies)
    assert f"`ppbench corrupt … {copies} --overwrite`" in caught.value.hint
