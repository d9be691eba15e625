"""What must stay the same while a folder is added to."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import ppbench
from ppbench.copies.api import corrupt_folder
from ppbench.copies.encode import ImageFormat
from ppbench.copies.settings import PixelSettings, check_same
from ppbench.data.whole import decode_whole
from ppbench.errors import UsageError
from tests.copies.trees import CELLS, FEW, interrupt_after, pixels, tree


def test_a_scale_is_recorded_and_part_of_what_must_stay(photos: Path, tmp_path: Path) -> None:
    options = {**CELLS, "corruptions": ["gaussian_noise"]}
    dest = corrupt_folder(photos, tmp_path / "c", **options, scale=2).dest
    image = decode_whole((photos / "a.png").read_bytes())
    expected = ppbench.corrupt(image, "gaussian_noise", 5, recipe="cifar-c", ids=["a.png"], scale=2)
    assert np.array_equal(pixels(dest / "gaussian_noise" / "5" / "a.png"), expected)
    assert json.loads((dest / "manifest.json").read_text())["settings"]["scale"] == 2
    with pytest.raises(UsageError, match=r"was made with --scale 2\.0, now it is no --scale"):
        corrupt_folder(photos, tmp_path / "c", **options)
    plain = corrupt_folder(photos, tmp_path / "d", **options, scale=1).dest
    assert "scale" not in json.loads((plain / "manifest.json").read_text())["settings"]
    auto = corrupt_folder(photos, tmp_path / "e", **options, scale="auto").dest
    assert json.loads((auto / "manifest.json").read_text())["settings"]["scale"] == "auto"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 1}, "was made with --seed 0, now it is --seed 1"),
        ({"recipe": "imagenet-c"}, "was made with --recipe cifar-c, now it is --recipe imagenet-c"),
        ({"format": "png"}, "was made with --format same, now it is --format png"),
        ({"size": 32}, "was made with no --size, now it is --size 32"),
        ({"backend": "imagecorruptions", "recipe": None}, "was made with --backend ppbench, now it is"),
    ],
)
@pytest.mark.parametrize("interrupted", [False, True])
def test_other_settings_are_refused(photos: Path, change: dict, message: str, interrupted: bool) -> None:
    if interrupted:
        interrupt_after(1, photos, photos.with_name("photos-c"))
    else:
        corrupt_folder(photos, **CELLS)
    before = tree(photos.with_name("photos-c"))
    with pytest.raises(UsageError, match=message) as caught:
        corrupt_folder(photos, **{**CELLS, **change})
    assert "--overwrite" in caught.value.hint
    after = tree(photos.with_name("photos-c"))
    assert {name for name in after if not name.endswith("lock")} == {n for n in before if not n.endswith("lock")}


def test_another_format_is_named_before_what_follows_from_it() -> None:
    video = PixelSettings("cifar-p", "ppbench", 0, ImageFormat.MP4, None, "cpu", sequences=True)
    frames = replace(video, format=ImageFormat.PNG)
    begun, now = ({"settings": one.record(), "made_with": {}} for one in (video, frames))
    with pytest.raises(UsageError, match="out was made with --format mp4, now it is --format png"):
        check_same(begun, now, "out")
    with pytest.raises(UsageError, match="out was made with --format png, now it is --format mp4"):
        check_same(now, begun, "out")


def test_another_version_is_refused_and_overwriting_begins_anew(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dest = corrupt_folder(photos, **CELLS).dest
    monkeypatch.setattr("ppbench.corruptions.backends.ENGINE", "ppbench corruptions 99")
    with pytest.raises(
        UsageError, match=r"made with engine ppbench corruptions .*, now it is engine ppbench corrupt.* 99"
    ):
        corrupt_folder(photos, **CELLS)
    (dest / "fog" / "2" / "mine.txt").touch()
    assert corrupt_folder(photos, **FEW, overwrite=True).written == 12
    assert {path.name for path in dest.iterdir()} == {"contrast", "fog", "manifest.json"}
    assert list(tree(dest / "fog")) == ["2/mine.txt"], "what is not recorded is not removed"
