"""Copies of image files."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import ppbench
from ppbench.copies import images
from ppbench.copies.api import corrupt_folder
from ppbench.errors import DataError
from tests.copies.trees import CELLS, FEW, pixels, tree, write_photos


def test_few_values_are_held_where_small_and_large_images_are_mixed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = write_photos(tmp_path / "photos", 24, size=16)
    for number in range(0, 12, 2):
        Image.effect_noise((400, 300), 50).convert("RGB").save(photos / f"n04/{number:04}.png")
    corrupt_folder(photos, tmp_path / "whole", **FEW, batch_size=64)
    held: list[int] = []
    make_all = images._make_all

    def count(context: object, corruptor: object, opened: list) -> object:
        held.append(sum(source.pixels.size for source in opened))
        return make_all(context, corruptor, opened)  # type: ignore[arg-type]

    monkeypatch.setattr(images, "_make_all", count)
    corrupt_folder(photos, tmp_path / "c", **FEW)
    assert max(held) == 400 * 300 * 3, "one that is larger than the limit is alone"
    assert tree(tmp_path / "c") == tree(tmp_path / "whole")


def test_alpha_is_kept_and_orientation_applied(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    rgba = np.random.default_rng(0).integers(0, 256, (20, 30, 4), np.uint8)
    Image.fromarray(rgba).save(tmp_path / "photos" / "a.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(rgba[..., :3]).save(tmp_path / "photos" / "turned.png", exif=exif)
    corrupt_folder(tmp_path / "photos", tmp_path / "c", **FEW)
    got = pixels(tmp_path / "c" / "contrast" / "5" / "a.png")
    assert np.array_equal(got[..., 3], rgba[..., 3])
    assert np.array_equal(got[..., :3], ppbench.corrupt(rgba[..., :3].copy(), "contrast", 5, recipe="cifar-c"))
    turned = np.rot90(rgba[..., :3], -1).copy()
    expected = ppbench.corrupt(turned, "contrast", 5, recipe="cifar-c")
    assert np.array_equal(pixels(tmp_path / "c" / "contrast" / "5" / "turned.png"), expected)


def test_broken_images_are_told_and_do_not_stop_the_others(photos: Path, tmp_path: Path) -> None:
    whole = corrupt_folder(photos, tmp_path / "whole", **FEW).dest
    (photos / "n01" / "html.jpg").write_text("<!DOCTYPE html>")
    (photos / "n01" / "cut.png").write_bytes((photos / "a.png").read_bytes()[:500])
    Image.fromarray(np.zeros((20, 20), np.uint16)).save(photos / "deep.png")
    Image.new("LAB", (20, 20)).save(photos / "lab.tif")
    Image.new("RGB", (4, 20)).save(photos / "tiny.png")
    (photos / "gone.png").symlink_to("nowhere.png")
    report = corrupt_folder(photos, tmp_path / "c", **FEW)
    assert report.written == 12
    failed = {(failure.source, failure.cell): failure.reason for failure in report.failures}
    for name, reason in (
        ("n01/html.jpg", "it is not a supported image, but a web page"),
        ("n01/cut.png", "damaged: "),
        ("deep.png", "16 bits"),
        ("lab.tif", "LAB"),
        ("gone.png", "cannot be read: No such file"),
    ):
        assert reason in failed[name, None]
    assert "images of 20 x 4 pixels" in failed["tiny.png", "contrast/2"]
    assert len(failed) == 7
    manifest = json.loads((tmp_path / "c" / "manifest.json").read_text())
    assert len(manifest["failed"]) == 7
    assert str(tmp_path) not in json.dumps(manifest)
    assert set(manifest["sources"]) == set(json.loads((whole / "manifest.json").read_text())["sources"])
    again = corrupt_folder(photos, tmp_path / "c", **FEW)
    assert again.failures == report.failures
    assert manifest == json.loads((tmp_path / "c" / "manifest.json").read_text())
    for name in ("n01/html.jpg", "n01/cut.png", "deep.png", "lab.tif", "tiny.png", "gone.png"):
        (photos / name).unlink()
    corrupt_folder(photos, tmp_path / "c", **FEW)
    assert len(json.loads((tmp_path / "c" / "manifest.json").read_text())["failed"]) == 7, "what was not tried stays"


def test_alpha_in_jpeg_is_told_once_an_image(tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos", 2)
    Image.new("RGBA", (20, 20)).save(photos / "alpha.png")
    report = corrupt_folder(photos, **CELLS, format="jpeg")
    assert [(f.source, f.cell) for f in report.failures] == [("alpha.png", None)]
    assert "has an alpha channel, which JPEG cannot keep" in report.failures[0].reason
    assert report.written == 12


def test_a_name_that_is_not_utf_8_is_told(photos: Path) -> None:
    path = os.fsencode(photos) + b"/\xff.png"
    try:
        Path(os.fsdecode(path)).write_bytes((photos / "a.png").read_bytes())
    except OSError:
        pytest.skip("this file system has no such names")
    report = corrupt_folder(photos, **FEW)
    assert report.written == 12
    assert [failure.reason for failure in report.failures] == ["its name is not valid UTF-8"]


@pytest.mark.parametrize("after", [0, 5])
def test_a_full_disk_ends_the_job_in_one_line_and_loses_nothing(
    photos: Path, tmp_path: Path, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    corrupt_folder(photos, tmp_path / "whole", **CELLS)
    write, written = Path.write_bytes, 0

    def fill(self: Path, data: bytes) -> int:
        nonlocal written
        written += 1
        if written > after:
            write(self, data[:10])
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(self, data)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", fill)
        with pytest.raises(DataError, match=r"cannot write .*: No space left on device") as caught:
            corrupt_folder(photos, tmp_path / "c", **CELLS, batch_size=1)
    assert "resumes the job" in caught.value.hint
    assert not list((tmp_path / "c").rglob("*.part"))
    assert len(list((tmp_path / "c").rglob("*.png"))) <= after
    corrupt_folder(photos, tmp_path / "c", **CELLS)
    assert tree(tmp_path / "c") == tree(tmp_path / "whole")
