"""The folder job: what is written where, and that nothing but the images and the key changes a byte."""

from __future__ import annotations

import json
import shutil
import sys
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import ppbench
from ppbench.copies.api import corrupt_folder
from ppbench.copies.encode import encode
from ppbench.copies.records import Records
from ppbench.data.decode import decode_rgb
from ppbench.data.opening import open_source
from ppbench.data.source import Geometry
from ppbench.data.whole import decode_whole
from ppbench.errors import DataError, UsageError
from tests.copies.trees import CELLS, FEW, interrupt_after, pixels, tree, write_photos
from tests.forks import run
from tests.trees import write_class_folders

GEOMETRY = Geometry(32, 36)


def test_every_cell_has_the_same_tree(photos: Path) -> None:
    report = corrupt_folder(photos, **CELLS)
    dest = photos.with_name("photos-c")
    assert (report.dest, report.images, report.written, report.kept) == (dest, 6, 36, 0)
    assert report.failures == []
    expected = {"a.png", "n01/b.JPEG", "n01/c d.jpg", "n02/deep/é\n.PNG", "n02/deep/[bold].png", "n03/f.png"}
    for corruption in CELLS["corruptions"]:
        for severity in "25":
            assert set(tree(dest / corruption / severity)) == expected
    assert {path.name for path in dest.iterdir()} == {*CELLS["corruptions"], "manifest.json"}


def test_the_pixels_are_those_of_corrupt_and_the_id_is_the_relative_path(photos: Path, tmp_path: Path) -> None:
    corrupt_folder(photos, tmp_path / "c", **CELLS, format="png", seed=7)
    for name in ("a.png", "n01/b.JPEG", "n01/c d.jpg", "n02/deep/é\n.PNG"):
        image = np.array(Image.open(photos / name))
        expected = ppbench.corrupt(image, "gaussian_noise", 5, recipe="cifar-c", seed=7, ids=[name])
        path = tmp_path / "c" / "gaussian_noise" / "5" / name
        got = pixels(path if path.suffix.lower() == ".png" else path.with_suffix(".png"))
        assert np.array_equal(got, expected)
        assert got.ndim == image.ndim


def test_numbers_of_numpy_and_torch_are_numbers(photos: Path, tmp_path: Path) -> None:
    few: dict = {"corruptions": "fog", "severities": np.int64(2)}
    corrupt_folder(photos, tmp_path / "a", **few, seed=np.uint8(7), size=torch.tensor(16), batch_size=np.int64(2))
    corrupt_folder(photos, tmp_path / "b", **few, seed=7, size=16, scale=torch.tensor(1.0), workers=np.int64(0))
    assert tree(tmp_path / "a") == tree(tmp_path / "b")
    with pytest.raises(UsageError, match=r"size 16\.5 is not allowed"):
        corrupt_folder(photos, tmp_path / "c", **few, size=16.5)  # type: ignore[arg-type]


def test_a_folder_made_on_the_fly_by_eval_has_the_same_pixels(tmp_path: Path) -> None:

    root = write_class_folders(tmp_path / "photos", size=40)
    corrupt_folder(root, tmp_path / "c", corruptions="noise", severities=3, size=32)
    source = open_source("imagefolder", root, Geometry(32, 37))
    for place, name in enumerate(source.ids):
        for corruption in ("gaussian_noise", "shot_noise", "impulse_noise"):
            expected = source.load(corruption, 3, np.array([place])).pixels[0]
            assert np.array_equal(pixels(tmp_path / "c" / corruption / "3" / name), expected)


def test_global_generators_and_threads_are_left_alone(photos: Path) -> None:
    np.random.seed(3)  # noqa: NPY002
    torch.manual_seed(3)
    numpy_before, torch_before = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    threads = torch.get_num_threads()
    first = corrupt_folder(photos, **CELLS)
    assert np.array_equal(np.random.get_state()[1], numpy_before)  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), torch_before)
    assert torch.get_num_threads() == threads
    before = tree(first.dest)
    np.random.seed(4)  # noqa: NPY002
    assert tree(corrupt_folder(photos, photos.with_name("again"), **CELLS).dest) == before


def test_the_manifest_tells_how_and_what(photos: Path, tmp_path: Path) -> None:
    corrupt_folder(photos, tmp_path / "c", **CELLS, seed=5)
    manifest = json.loads((tmp_path / "c" / "manifest.json").read_text())
    assert manifest["settings"] == {
        "backend": "ppbench", "device": "cpu", "format": "same", "jpeg_quality": 85, "recipe": "cifar-c", "seed": 5,
        "size": None,
    }  # fmt: skip
    assert set(manifest["made_with"]) == {
        "engine", "libjpeg", "numba", "numpy", "opencv-python", "pillow", "ppbench", "torch",
    }  # fmt: skip
    assert "unknown" not in manifest["made_with"].values()
    assert manifest["made_with"]["ppbench"] == ppbench.__version__
    assert manifest["cells"] == sorted(f"{c}/{s}" for c in CELLS["corruptions"] for s in (2, 5))
    files = {}
    for name, source in manifest["sources"].items():
        assert source["sha256"] == sha256((photos / name).read_bytes()).hexdigest()
        files.update(source["files"])
    content = tree(tmp_path / "c")
    del content["manifest.json"]
    expected = {name: {"bytes": len(data), "sha256": sha256(data).hexdigest()} for name, data in content.items()}
    assert files == expected
    assert str(tmp_path) not in (tmp_path / "c" / "manifest.json").read_text()


def test_formats(photos: Path, tmp_path: Path) -> None:
    for form, ending in (("png", ".png"), ("npy", ".npy"), ("jpeg", ".jpg")):
        corrupt_folder(photos, tmp_path / form, **FEW, format=form)
        assert (tmp_path / form / "contrast" / "2" / "n03" / f"f{ending}").is_file()
    exact = np.load(tmp_path / "npy" / "contrast" / "2" / "n01" / "c d.npy")
    assert exact.ndim == 2
    assert np.array_equal(exact, pixels(tmp_path / "png" / "contrast" / "2" / "n01" / "c d.png"))
    jpeg = (tmp_path / "jpeg" / "contrast" / "2" / "n01" / "c d.jpg").read_bytes()
    assert jpeg == encode(exact[..., None], "x.jpg")


def test_one_image_and_a_size(photos: Path, tmp_path: Path) -> None:
    report = corrupt_folder(photos / "a.png", **FEW, size=32)
    assert report.dest == photos.with_name("photos-c"), "not in its own folder, where it would be found as an image"
    expected = decode_whole((photos / "a.png").read_bytes(), 32)
    made = ppbench.corrupt(expected.copy(), "contrast", 2, recipe="cifar-c")
    assert np.array_equal(pixels(report.dest / "contrast" / "2" / "a.png"), made)


def test_clean_is_the_image_as_it_is_cut(photos: Path, tmp_path: Path) -> None:
    report = corrupt_folder(photos, tmp_path / "c", corruptions=["clean", "contrast"], severities=[2], size=32)
    assert report.written == 12
    expected = decode_whole((photos / "a.png").read_bytes(), 32)
    assert np.array_equal(pixels(tmp_path / "c" / "clean" / "0" / "a.png"), expected)
    assert corrupt_folder(photos, tmp_path / "d", corruptions="clean", size=32).written == 6
    assert tree(tmp_path / "d" / "clean") == tree(tmp_path / "c" / "clean")


def test_the_package_can_make_them_too(tmp_path: Path) -> None:
    from ppbench.corruptions.reference import corrupt_image

    photos = write_photos(tmp_path / "photos", 3)
    report = corrupt_folder(photos, corruptions="gaussian_noise", severities=3, backend="imagecorruptions")
    assert report.recipe == "imagecorruptions"
    expected = corrupt_image(pixels(photos / "a.png"), "gaussian_noise", 3, seed=0, image_id="a.png")
    assert np.array_equal(pixels(report.dest / "gaussian_noise" / "3" / "a.png"), expected)
    manifest = json.loads((report.dest / "manifest.json").read_text())
    assert manifest["made_with"]["engine"].startswith("imagecorruptions")


# Going on


def test_done_again_nothing_is_written(photos: Path) -> None:
    dest = corrupt_folder(photos, **CELLS).dest
    before, times = tree(dest), {path: path.stat().st_mtime_ns for path in dest.rglob("*.png")}
    report = corrupt_folder(photos, **CELLS)
    assert (report.written, report.kept) == (0, 36)
    assert tree(dest) == before
    assert {path: path.stat().st_mtime_ns for path in dest.rglob("*.png")} == times


def test_copies_of_images_that_are_gone_or_damaged_are_counted_and_stay(photos: Path) -> None:
    dest = corrupt_folder(photos, **FEW).dest
    before = sorted(tree(dest))
    assert corrupt_folder(photos / "a.png", **FEW).outdated == 0, "the others are there, though not asked for"
    (photos / "a.png").unlink()
    report = corrupt_folder(photos, **FEW)
    assert (report.outdated, report.kept) == (2, 10)
    (photos / "n01" / "b.JPEG").write_bytes(b"no image")
    report = corrupt_folder(photos, **FEW)
    assert (report.outdated, report.kept, len(report.failures)) == (4, 8, 1)
    assert sorted(tree(dest)) == before
    (dest / "contrast" / "2" / "a.png").unlink()
    assert corrupt_folder(photos, **FEW).outdated == 3


@pytest.mark.parametrize("images", [1, 3, 6])
def test_an_interrupted_job_goes_on_and_ends_the_same(photos: Path, tmp_path: Path, images: int) -> None:
    corrupt_folder(photos, tmp_path / "whole", **CELLS)
    interrupt_after(images, photos, tmp_path / "c")
    assert not (tmp_path / "c" / "manifest.json").exists()
    report = corrupt_folder(photos, tmp_path / "c", **CELLS)
    assert (report.written, report.kept) == (36 - 6 * images, 6 * images)
    assert tree(tmp_path / "c") == tree(tmp_path / "whole")


def test_an_interrupted_job_with_clean_images_goes_on_and_ends_the_same(photos: Path, tmp_path: Path) -> None:
    options = {**CELLS, "corruptions": ["clean", "contrast"], "size": 32}
    corrupt_folder(photos, tmp_path / "whole", **options)
    interrupt_after(3, photos, tmp_path / "c", **options)
    report = corrupt_folder(photos, tmp_path / "c", **options)
    assert (report.written, report.kept) == (9, 9)
    assert tree(tmp_path / "c") == tree(tmp_path / "whole")


def killed_while_a_batch_is_written(photos: Path, dest: Path, **options: object) -> None:
    """Files of the last batch lie in ``dest``, and the journal has no record of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Records, "add", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            corrupt_folder(photos, dest, **{**CELLS, **options}, batch_size=2)


@pytest.mark.parametrize("other", [{"seed": 1}, {"corruptions": ["contrast"]}, {"format": "png"}])
def test_overwriting_removes_what_was_never_recorded(photos: Path, tmp_path: Path, other: dict) -> None:
    killed_while_a_batch_is_written(photos, tmp_path / "c")
    assert len(list((tmp_path / "c" / "fog").rglob("*.*"))) == 4
    corrupt_folder(photos, tmp_path / "c", **{**CELLS, **other}, overwrite=True)
    corrupt_folder(photos, tmp_path / "whole", **{**CELLS, **other})
    assert tree(tmp_path / "c") == tree(tmp_path / "whole")


def test_what_was_begun_of_a_source_that_is_gone_is_removed(photos: Path, tmp_path: Path) -> None:
    killed_while_a_batch_is_written(photos, tmp_path / "c")
    (photos / "a.png").unlink()
    corrupt_folder(photos, tmp_path / "c", **CELLS)
    corrupt_folder(photos, tmp_path / "whole", **CELLS)
    assert tree(tmp_path / "c") == tree(tmp_path / "whole")


def test_what_was_begun_and_is_now_made_of_another_source_stays(photos: Path, tmp_path: Path) -> None:
    (photos / "a.png").rename(photos / "0.png")
    Image.open(photos / "0.png").save(photos / "0.bmp")
    (photos / "0.png").rename(tmp_path / "0.png")
    killed_while_a_batch_is_written(photos, tmp_path / "c")
    (photos / "0.bmp").unlink()
    (tmp_path / "0.png").rename(photos / "0.png")
    corrupt_folder(photos, tmp_path / "c", **CELLS)
    corrupt_folder(photos, tmp_path / "whole", **CELLS)
    assert tree(tmp_path / "c") == tree(tmp_path / "whole")


def test_what_was_begun_in_cells_that_are_not_wanted_any_more_is_removed(photos: Path, tmp_path: Path) -> None:
    corrupt_folder(photos, tmp_path / "c", **FEW)
    killed_while_a_batch_is_written(photos, tmp_path / "c")
    (tmp_path / "c" / "fog" / "2" / "mine.png").touch()
    corrupt_folder(photos, tmp_path / "c", **FEW)
    assert set(tree(tmp_path / "c" / "fog")) == {"2/mine.png"}
    assert not (tmp_path / "c" / "gaussian_noise").exists()
    assert corrupt_folder(photos, tmp_path / "c", **FEW).kept == 12


@pytest.mark.parametrize("moment", ["manifest", "journal"])
def test_interrupted_while_the_manifest_is_written(
    photos: Path, tmp_path: Path, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    corrupt_folder(photos, tmp_path / "whole", **CELLS)
    original = Path.replace if moment == "manifest" else Path.unlink

    def stop(self: Path, *arguments: object, **options: object) -> object:
        if self.name in ("manifest.part", "journal"):
            raise KeyboardInterrupt
        return original(self, *arguments, **options)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace" if moment == "manifest" else "unlink", stop)
        with pytest.raises(KeyboardInterrupt):
            corrupt_folder(photos, tmp_path / "c", **CELLS)
    assert corrupt_folder(photos, tmp_path / "c", **CELLS).kept == 36
    assert tree(tmp_path / "c") == tree(tmp_path / "whole")


def test_the_default_output_is_something_eval_takes(tmp_path: Path) -> None:
    """Photographs of several shapes in class folders, and a few that all are squares of one size."""
    photos = write_class_folders(tmp_path / "photos", per_class=2)
    whole = open_source("imagefolder", corrupt_folder(photos, corruptions=["contrast", "fog"]).dest, GEOMETRY)
    assert (whole.kind, whole.size, whole.cut, whole.has_clean) == ("published", 40, "40 px as is", False)
    for number, path in enumerate(sorted(photos.rglob("*.png"))):
        Image.open(path).resize((40 + 7 * number, 48)).save(path)
    made = corrupt_folder(photos, tmp_path / "mixed", corruptions=["contrast", "clean"], severities=[2])
    source = open_source("imagefolder", made.dest, GEOMETRY)
    source.check(source.corruptions, (2,))
    assert (source.size, source.cut, source.has_clean) == (32, "resize 36, crop 32", True)
    first = np.array([0])
    for cell in (("contrast", 2), ("clean", 0)):
        path = made.dest / cell[0] / str(cell[1]) / source.ids[0]
        assert np.array_equal(source.load(*cell, first).pixels[0], decode_rgb(path, GEOMETRY))


@pytest.mark.parametrize(
    ("corruptions", "severities", "options"),
    [(["c15"], ["3"], "`-s 3`"), (["contrast", "fog"], ["1", "3"], "`-s 1 -s 3 -c fog -c contrast`")],
)
def test_the_message_about_missing_cells_chooses_what_is_there(
    tmp_path: Path, corruptions: list[str], severities: list[str], options: str
) -> None:
    photos = write_class_folders(tmp_path / "photos", per_class=1)
    dest = corrupt_folder(photos, corruptions=corruptions, severities=severities).dest
    source = open_source("imagefolder", dest, GEOMETRY)
    with pytest.raises(DataError) as caught:
        source.check(["gaussian_noise"], (2,))
    assert f"(all that is there: {options})" in caught.value.hint


def test_copies_of_one_image_or_class_leave_the_data_set_what_it_is(tmp_path: Path) -> None:
    photos = write_class_folders(tmp_path / "photos", classes=2, per_class=2)
    clean = open_source("imagefolder", photos, GEOMETRY)
    for place in (sorted(photos.rglob("*.png"))[0], photos / "n00000000"):
        dest = corrupt_folder(place, corruptions=["fog"], severities=[3]).dest
        assert dest == photos / "n00000000-c"
        after = open_source("imagefolder", photos, GEOMETRY)
        assert (after.kind, after.ids, after.class_names) == (clean.kind, clean.ids, clean.class_names)
        shutil.rmtree(dest)


# What goes wrong


def test_mended_images_leave_the_list(photos: Path) -> None:
    good = (photos / "a.png").read_bytes()
    (photos / "a.png").write_bytes(good[:100])
    dest = corrupt_folder(photos, **FEW).dest
    assert len(json.loads((dest / "manifest.json").read_text())["failed"]) == 1
    (photos / "a.png").write_bytes(good)
    assert corrupt_folder(photos, **FEW).written == 2
    assert json.loads((dest / "manifest.json").read_text())["failed"] == []


def test_a_corruption_that_cannot_work_leaves_the_others(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ppbench.corruptions.backends import BACKENDS

    def corrupt(images: np.ndarray, corruption: str, *rest: object) -> np.ndarray:
        if corruption == "fog":
            raise UsageError("fog cannot work here", "Go elsewhere.")
        return images

    monkeypatch.setitem(BACKENDS, "ppbench", replaced(BACKENDS["ppbench"], corrupt))
    report = corrupt_folder(photos, **CELLS)
    assert report.written == 24
    assert {failure.cell for failure in report.failures} == {"fog/2", "fog/5"}
    assert {failure.reason for failure in report.failures} == {"fog cannot work here"}


def replaced(backend: object, corrupt: object) -> object:
    from dataclasses import replace

    return replace(backend, maker=lambda: corrupt)  # type: ignore[type-var]


@pytest.mark.parametrize("moment", ["begin", "intend", "add"])
def test_a_disk_that_is_full_for_the_journal_is_told_and_loses_nothing(
    photos: Path, tmp_path: Path, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    resource = pytest.importorskip("resource", reason="limits a file's size as a full disk does")
    corrupt_folder(photos, tmp_path / "whole", **FEW)
    limits, method = resource.getrlimit(resource.RLIMIT_FSIZE), getattr(Records, moment)

    def fill(self: Records, *arguments: object) -> None:
        size = self.journal.stat().st_size if self.journal.exists() else 0
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10, limits[1]))
        method(self, *arguments)

    try:
        with monkeypatch.context() as patch:
            patch.setattr(Records, moment, fill)
            with pytest.raises(DataError, match=r"cannot write .*journal: File too large"):
                corrupt_folder(photos, tmp_path / "c", **FEW, batch_size=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    corrupt_folder(photos, tmp_path / "c", **FEW)
    assert tree(tmp_path / "c") == tree(tmp_path / "whole")


SCRIPT = """
import resource, sys
from ppbench.copies.api import corrupt_folder
for photos in sys.argv[1:]:
    corrupt_folder(photos, photos + "-c", corruptions=["gaussian_noise", "contrast"], severities=["1-2"], device="cpu")
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)  # the peak since the start
"""


def test_memory_does_not_grow_with_the_number_of_images(tmp_path: Path) -> None:
    """500 images of 128 px are 25 MB, and their cells 98 MB: at most 16 MB more than for 10 may be needed."""
    kilobytes = 1 if sys.platform == "darwin" else 1024
    folders = {count: tmp_path / str(count) for count in (10, 500)}
    for count, photos in folders.items():
        first = write_photos(photos, 2, size=128) / "n01" / "b.JPEG"
        for number in range(count - 2):
            (photos / f"{number:04}.jpg").hardlink_to(first)
    done = run(SCRIPT, *map(str, folders.values()))
    assert done.returncode == 0, done.stderr
    for count in folders:
        assert len(list((tmp_path / f"{count}-c" / "contrast").rglob("*.jpg"))) == 2 * (count - 2)
    peaks = [int(peak) * kilobytes for peak in done.stdout.split()]
    assert peaks[1] - peaks[0] < 16e6, f"{peaks[0] / 1e6:.0f} MB for 10 images, {peaks[1] / 1e6:.0f} MB for 500"
