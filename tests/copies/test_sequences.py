"""Perturbation sequences as copies: their frames, their places, and that a job can be interrupted and resumed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import ppbench
from ppbench.copies.api import corrupt_folder
from ppbench.copies.sequences import sequence_recipe_for, shape_of_frames
from ppbench.errors import UsageError
from tests.copies.trees import pixels, saved, tree
from tests.trees import photographs

FEW = {"perturbations": ["shot_noise", "translate"], "difficulties": "1-2", "workers": 0}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Colour, grey and alpha, in class folders, one of them called like a severity."""
    root = tmp_path_factory.mktemp("small")
    for name, image in zip(("1/a.png", "1/b.PNG", "2/c.jpg"), photographs(16, 3), strict=True):
        (root / name).parent.mkdir(exist_ok=True)
        Image.fromarray(image).save(root / name)
    Image.fromarray(photographs(16, 1)[0]).convert("LA").save(root / "2" / "grey.png")
    return root


@pytest.fixture(scope="module")
def made(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    dest = tmp_path_factory.mktemp("made")
    report = corrupt_folder(small, dest, **FEW)
    assert (report.written, report.kept, report.failures, report.sequences) == (12, 0, [], True)
    return dest


def frames_in(folder: Path) -> np.ndarray:
    return np.stack([pixels(path) for path in sorted(folder.iterdir())])


def test_each_image_has_a_folder_of_frames_in_each_perturbation(small: Path, made: Path) -> None:
    for folder, name, difficulty in (
        ("shot_noise", "shot_noise", 1),
        ("shot_noise_2", "shot_noise", 2),
        ("translate", "translate", 1),  # the frames of other difficulties are the same
    ):
        for file, stem in (("1/a.png", "1/a"), ("1/b.PNG", "1/b"), ("2/c.jpg", "2/c"), ("2/grey.png", "2/grey")):
            image = np.asarray(Image.open(small / file).convert("RGB"))
            expected = ppbench.perturb(image[None], name, recipe="cifar-p", difficulty=difficulty, ids=[file], seed=0)[
                0
            ]
            assert np.array_equal(frames_in(made / folder / stem), expected)
    assert not (made / "translate_2").exists()
    assert sorted(path.name for path in (made / "translate" / "1" / "a").iterdir()) == [
        f"{i:02}.png" for i in range(16)
    ]


def test_the_record_says_what_was_made_and_how(made: Path) -> None:
    manifest = json.loads((made / "manifest.json").read_text())
    assert manifest["settings"]["sequences"] is True
    assert manifest["settings"]["recipe"] == "cifar-p"
    assert "jpeg_quality" not in manifest["settings"]
    assert manifest["made_with"]["engine"].startswith("ppbench sequences")
    assert manifest["cells"] == ["shot_noise/1", "shot_noise/2", "translate/1"]
    files = manifest["sources"]["1/b.PNG"]["files"]
    assert sorted(files) == ["shot_noise/1/b/", "shot_noise_2/1/b/", "translate/1/b/"]
    for name, entry in files.items():
        content = [path.read_bytes() for path in sorted((made / name).iterdir())]
        assert entry["bytes"] == sum(map(len, content))


def test_an_interrupted_job_ends_with_the_same_bytes(small: Path, made: Path, tmp_path: Path) -> None:
    def stop(images: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        corrupt_folder(small, tmp_path / "c", **FEW, batch_size=1, advance=stop)
    scratch = tmp_path / "c" / ".ppbench"
    assert (tmp_path / "c" / "shot_noise" / "1" / "a").is_dir()
    (scratch / "7.part").mkdir()
    (scratch / "7.part" / "00.png").write_bytes(b"torn by a kill")
    (tmp_path / "c" / "translate" / "1" / "a" / "03.png").unlink()
    report = corrupt_folder(small, tmp_path / "c", **FEW, batch_size=3)
    assert (report.written, report.kept) == (10, 2), "the folder that lacks a frame is made again"
    assert tree(tmp_path / "c") == tree(made)
    again = corrupt_folder(small, tmp_path / "c", **FEW)
    assert (again.written, again.kept) == (0, 12)


def test_overwriting_removes_what_was_made_and_nothing_else(small: Path, tmp_path: Path) -> None:
    dest = tmp_path / "c"
    corrupt_folder(small, dest, perturbations="brightness")
    (dest / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="was made with --perturbation, now it is no --perturbation"):
        corrupt_folder(small, dest, corruptions="contrast", severities=1)
    corrupt_folder(small, dest, corruptions="contrast", severities=1, overwrite=True)
    assert sorted(path.name for path in dest.iterdir()) == ["contrast", "manifest.json", "notes.txt"]
    with pytest.raises(UsageError, match="was made with no --perturbation, now it is --perturbation"):
        corrupt_folder(small, dest, perturbations="brightness")
    corrupt_folder(small, dest, perturbations="brightness", overwrite=True)
    assert sorted(path.name for path in dest.iterdir()) == ["brightness", "manifest.json", "notes.txt"]
    (dest / "manifest.json").unlink()
    with pytest.raises(UsageError, match=r"brightness exists already, and .*manifest\.json does not exist"):
        corrupt_folder(small, dest, perturbations="brightness")


def test_an_array_becomes_an_array_of_each_perturbation(tmp_path: Path) -> None:
    images = np.stack(photographs(16, 5))
    path = saved(tmp_path / "src", images)
    report = corrupt_folder(path, tmp_path / "c", **FEW, batch_size=2)
    assert (report.written, report.sequences) == (3, False)
    ids = [str(place) for place in range(5)]
    for file, name, difficulty, count in (
        ("shot_noise.npy", "shot_noise", 1, 31), ("shot_noise_2.npy", "shot_noise", 2, 31),
        ("translate.npy", "translate", 1, 16),
    ):  # fmt: skip
        array = np.load(tmp_path / "c" / file)
        assert (array.shape, array.dtype) == ((5, count, 16, 16, 3), np.uint8)
        expected = ppbench.perturb(images, name, recipe="cifar-p", difficulty=difficulty, ids=ids)
        assert np.array_equal(array, expected)
    before = tree(tmp_path / "c")
    chunks = 0

    def stop(done: int) -> None:
        nonlocal chunks
        chunks += 1
        if chunks == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        corrupt_folder(path, tmp_path / "d", **FEW, batch_size=2, advance=stop)
    assert corrupt_folder(path, tmp_path / "d", **FEW, batch_size=2).written == 3
    assert tree(tmp_path / "d") == before
    with pytest.raises(UsageError, match=r"snow\.npy is .*snow\.npy, which would be written to"):
        corrupt_folder(path.rename(tmp_path / "src" / "snow.npy"), tmp_path / "src", perturbations="snow")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"corruptions": ["fog"]}, "--corruption is not for --perturbation"),
        ({"severities": [3]}, "--severity is not for --perturbation"),
        ({"size": 32}, "--size is not for --perturbation"),
        ({"scale": 2}, "--scale is not for --perturbation"),
        ({"backend": "imagecorruptions"}, "--backend imagecorruptions is not for --perturbation"),
        ({"format": "jpeg"}, "--format jpeg is not for --perturbation"),
        ({"perturbations": "fog"}, "unknown perturbation 'fog'"),
        ({"difficulties": 4}, "difficulty '4' is not allowed"),
        ({"recipe": "imagenet-c"}, "unknown recipe 'imagenet-c'"),
        ({"perturbations": None, "format": "mp4"}, "--format mp4 is for perturbation sequences"),
        ({"perturbations": None, "difficulties": 2}, "--difficulty is for perturbation sequences"),
    ],
)
def test_options_of_the_other_kind_are_refused(small: Path, tmp_path: Path, options: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        corrupt_folder(small, tmp_path / "c", **{"perturbations": "snow", **options})
    assert not (tmp_path / "c").exists()


def test_an_image_that_cannot_be_read_stops_no_other(small: Path, tmp_path: Path) -> None:
    src = tmp_path / "src"
    src.mkdir()
    (src / "a.png").write_bytes((small / "1" / "a.png").read_bytes())
    (src / "html.png").write_text("<html>")
    (src / "a.bmp").write_bytes((small / "1" / "b.PNG").read_bytes())
    report = corrupt_folder(src, tmp_path / "c", perturbations="brightness", format="npy")
    assert [failure.source for failure in report.failures] == ["html.png"]
    assert report.longer == {"a.bmp": "a.bmp.npy", "a.png": "a.png.npy"}
    assert np.load(tmp_path / "c" / "brightness" / "a.bmp.npy").shape == (31, 16, 16, 3)
    assert sorted(path.name for path in (tmp_path / "c" / "brightness").iterdir()) == ["a.bmp.npy", "a.png.npy"]


def test_recipes_resize_images_before_they_perturb_them(tmp_path: Path) -> None:
    wide = Image.fromarray(photographs(96, 1)[0]).resize((120, 80))
    (tmp_path / "src").mkdir()
    wide.save(tmp_path / "src" / "a.png")
    corrupt_folder(
        tmp_path / "src", tmp_path / "c", perturbations=["translate", "motion_blur"], recipe="tiny-imagenet-p"
    )
    small = np.asarray(wide.resize((96, 64), Image.Resampling.BILINEAR))
    expected = ppbench.perturb(small[None], "translate", recipe="tiny-imagenet-p", frames=[3])[0, 0]
    assert np.array_equal(pixels(tmp_path / "c" / "translate" / "a" / "03.png"), expected)
    blurred = ppbench.perturb(np.asarray(wide)[None], "motion_blur", recipe="tiny-imagenet-p", frames=[3])[0, 0]
    assert blurred.shape == (64, 96, 3), "whole images are blurred, then resized and not cropped"
    assert np.array_equal(pixels(tmp_path / "c" / "motion_blur" / "a" / "03.png"), blurred)


def test_the_recipe_and_the_shape_of_frames_follow_from_the_size() -> None:
    assert [sequence_recipe_for(*size) for size in ((32, 32), (64, 70), (299, 299), (375, 500))] == [
        "cifar-p", "tiny-imagenet-p", "imagenet-p", "imagenet-p",
    ]  # fmt: skip
    for recipe, height, width in (("tiny-imagenet-p", 64, 85), ("cifar-p", 16, 20), ("imagenet-p-299", 30, 40)):
        images = np.zeros((1, height, width, 3), np.uint8)
        for name in ("motion_blur", "translate"):
            frames = ppbench.perturb(images, name, recipe=recipe, frames=[0])
            assert shape_of_frames(name, recipe, height, width)[1:] == frames.shape[2:4]
