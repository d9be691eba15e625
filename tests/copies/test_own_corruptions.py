"""Corruptions of one's own as copies on disk."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import ppbench
from ppbench.cli.main import app
from ppbench.copies.api import corrupt_folder
from ppbench.errors import DataError, UsageError
from tests.trees import photographs, write_class_folders

CODE = """
def darker(images, severity, random):
    return images // (1 + severity)

def colour_only(images, severity, random):
    assert images.shape[3] == 3, "colour only"
    return images

def broken(images, severity, random): return images[0]
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    write(tmp_path, CODE)
    write_class_folders(tmp_path / "photos", 1, 2, 32)
    yield tmp_path
    sys.modules.pop("mine_on_disk", None)


def write(folder: Path, code: str) -> None:
    sys.modules.pop("mine_on_disk", None)
    (folder / "mine_on_disk.py").write_text(code)


def test_copies_have_the_pixels_and_the_manifest_the_source(folder: Path) -> None:
    rgba = np.dstack([photographs(32, 1)[0], np.arange(32 * 32, dtype=np.uint32).reshape(32, 32).astype(np.uint8)])
    Image.fromarray(rgba).save(folder / "photos" / "alpha.png")
    report = corrupt_folder("photos", corruptions=["mine_on_disk:darker", "brightness"], severities=3)
    assert (report.written, report.failures) == (6, [])
    for path in (folder / "photos").rglob("*.png"):
        made = np.asarray(Image.open(folder / "photos-c" / "darker" / "3" / path.relative_to(folder / "photos")))
        whole = np.asarray(Image.open(path))
        assert np.array_equal(made[..., :3], whole[..., :3] // 4)
        assert np.array_equal(made[..., 3:], whole[..., 3:])
    manifest = json.loads((folder / "photos-c" / "manifest.json").read_text())
    assert list(manifest["own"]) == ["darker"]
    before = (folder / "photos-c" / "manifest.json").read_bytes()
    again = corrupt_folder("photos", corruptions=["mine_on_disk:darker", "brightness"], severities=3)
    assert (again.written, again.kept) == (0, 6)
    assert (folder / "photos-c" / "manifest.json").read_bytes() == before
    # Further cells keep the record, and other folders have none.
    corrupt_folder("photos", corruptions="contrast", severities=3)
    assert json.loads((folder / "photos-c" / "manifest.json").read_text())["own"] == manifest["own"]
    corrupt_folder("photos", "other", corruptions="contrast", severities=3)
    assert "own" not in json.loads((folder / "other" / "manifest.json").read_text())


def test_another_version_is_not_mixed_in(folder: Path) -> None:
    corrupt_folder("photos", corruptions="mine_on_disk:darker", severities=1)
    write(folder, CODE.replace("1 + severity", "11 + severity"))
    with pytest.raises(UsageError, match="photos-c has copies of another version of darker") as caught:
        corrupt_folder("photos", corruptions="mine_on_disk:darker", severities=1)
    assert "--overwrite" in caught.value.hint
    assert corrupt_folder("photos", corruptions="mine_on_disk:darker", severities=1, overwrite=True).written == 2


def test_what_a_function_cannot_do_is_a_failure_of_that_image(folder: Path) -> None:
    Image.fromarray(photographs(32, 1)[0]).convert("L").save(folder / "photos" / "grey.png")
    report = corrupt_folder("photos", corruptions=["mine_on_disk:colour_only", "brightness"], severities=2)
    assert report.written == 5
    (failure,) = report.failures
    assert (failure.source, failure.cell) == ("grey.png", "colour_only/2")
    assert "AssertionError: colour only" in failure.reason


def test_a_function_that_never_works_stops_before_the_start(folder: Path) -> None:
    with pytest.raises(DataError, match="mine_on_disk:broken returns an array of shape"):
        corrupt_folder("photos", corruptions="mine_on_disk:broken")
    assert not list((folder / "photos-c").rglob("*.png"))


def test_arrays_and_estimates(folder: Path) -> None:
    images = np.stack(photographs(32, 3))
    np.save(folder / "images.npy", images)
    line = ["corrupt", "images.npy", "out", "-c", "mine_on_disk:darker", "-s", "5"]
    dry = CliRunner().invoke(app, [*line, "--dry-run"])
    assert dry.exit_code == 0, dry.output
    assert CliRunner().invoke(app, line).exit_code == 0
    made = np.load(folder / "out" / "darker" / "5" / "images.npy")
    assert np.array_equal(made, ppbench.corrupt(images, "mine_on_disk:darker", 5))
