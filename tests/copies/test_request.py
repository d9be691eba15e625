"""The values that are asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from ppbench.copies.api import corrupt_folder
from ppbench.copies.request import CopyRequest
from ppbench.errors import UsageError
from tests.copies.trees import CELLS


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 7}, "--size 7 is not allowed"),
        ({"workers": -1}, "--workers -1 is not allowed"),
        ({"batch_size": 0}, "--batch-size 0 is not allowed"),
        ({"format": "gif"}, "--format gif is not allowed"),
        ({"backend": "imgaug"}, "unknown backend 'imgaug'"),
        ({"device": "cuda", "backend": "imagecorruptions", "recipe": None}, "--device cuda is not for --backend"),
        ({"scale": "0.5"}, "--scale 0.5 is not allowed"),
        ({"scale": "big"}, "--scale big is not allowed"),
        ({"scale": "2", "backend": "imagecorruptions", "recipe": None}, "--scale 2 is not for --backend"),
        ({"backend": "imagecorruptions"}, "--recipe cifar-c is not what --backend imagecorruptions makes"),
    ],
)
def test_wrong_values_are_refused_and_nothing_is_left(photos: Path, options: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        corrupt_folder(photos, **{**CELLS, **options})
    assert not photos.with_name("photos-c").exists()


def test_default_destinations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert CopyRequest(Path("photos/")).folder() == Path("photos-c")
    assert CopyRequest(Path("photos/a.JPG")).folder() == Path("photos-c")
    assert CopyRequest(Path("photos/"), perturbations="snow").folder() == Path("photos-p")
    assert CopyRequest(Path("a.jpg")).folder() == tmp_path.with_name(f"{tmp_path.name}-c")
    assert CopyRequest(Path("cifar10.npy")).folder() == Path("cifar10.npy-c")
    assert CopyRequest(Path()).folder() == tmp_path.with_name(f"{tmp_path.name}-c")
    with pytest.raises(UsageError, match="/ has no name"):
        CopyRequest(Path("/")).folder()
