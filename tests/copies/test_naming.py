"""What copies are called."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

import ppbench
from ppbench.copies.api import corrupt_folder
from ppbench.data.whole import decode_whole
from tests.copies.trees import CELLS, FEW, interrupt_after, pixels, tree


def test_images_that_would_become_one_file_are_kept_apart(photos: Path, tmp_path: Path) -> None:
    (photos / "a.jpg").write_bytes((photos / "n01" / "b.JPEG").read_bytes())
    (photos / "a.jpg.png").write_bytes((photos / "n03" / "f.bmp").read_bytes())
    report = corrupt_folder(photos, tmp_path / "c", **FEW, format="png")
    assert report.longer == {"a.jpg": "a.jpg.png.png"}
    there = {path.name for path in (tmp_path / "c" / "contrast" / "2").iterdir() if path.is_file()}
    assert there == {"a.png", "a.jpg.png", "a.jpg.png.png"}
    manifest = json.loads((tmp_path / "c" / "manifest.json").read_text())
    assert next(iter(manifest["sources"]["a.jpg"]["files"])) == "contrast/2/a.jpg.png.png"
    expected = ppbench.corrupt(decode_whole((photos / "a.jpg").read_bytes()), "contrast", 2, recipe="cifar-c")
    assert np.array_equal(pixels(tmp_path / "c" / "contrast" / "2" / "a.jpg.png.png"), expected)
    again = corrupt_folder(photos, tmp_path / "c", **FEW, format="png")
    assert (again.written, again.kept) == (0, report.written)
    interrupt_after(3, photos, tmp_path / "d", format="png")
    for dest in ("c", "d"):
        corrupt_folder(photos, tmp_path / dest, **CELLS, format="png")
    assert tree(tmp_path / "d") == tree(tmp_path / "c")


def test_of_images_added_later_the_first_keeps_its_name(photos: Path, tmp_path: Path) -> None:
    (photos / "a.png").rename(photos / "a.bmp")
    corrupt_folder(photos, tmp_path / "c", **FEW)
    before = (tmp_path / "c" / "contrast" / "2" / "a.png").read_bytes()
    (photos / "a.png").write_bytes((photos / "n03" / "f.bmp").read_bytes())
    assert corrupt_folder(photos, tmp_path / "c", **FEW).longer == {"a.png": "a.png.png"}
    assert (tmp_path / "c" / "contrast" / "2" / "a.png").read_bytes() == before
