"""The folder job: what is written where, and that nothing but the images and the key changes a byte."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import ppbench
from ppbench.copies import job as job_module
from ppbench.copies import worker
from ppbench.copies.encode import encode
from ppbench.copies.job import Request, corrupt_folder, default_dest, opened
from ppbench.copies.records import Records
from ppbench.data.decode import decode_rgb, decode_whole
from ppbench.data.opening import open_source
from ppbench.data.source import Geometry
from ppbench.data.walk import OUTPUT
from ppbench.errors import DataError, UsageError
from tests.copies.trees import pixels, tree, write_photos
from tests.trees import write_class_folders

GEOMETRY = Geometry(32, 36)
CELLS = {"corruptions": ["gaussian_noise", "contrast", "fog"], "severities": ["2", "5"], "recipe": "cifar-c"}
FEW = {**CELLS, "corruptions": ["contrast"]}
ROOT = str(Path(__file__).parents[2])


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return write_photos(tmp_path / "photos")


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


def test_a_folder_made_on_the_fly_by_eval_has_the_same_pixels(tmp_path: Path) -> None:

    root = write_class_folders(tmp_path / "photos", size=40)
    corrupt_folder(root, tmp_path / "c", corruptions="noise", severities=3, size=32)
    source = open_source("imagefolder", root, Geometry(32, 37))
    for place, name in enumerate(source.ids):
        for corruption in ("gaussian_noise", "shot_noise", "impulse_noise"):
            expected = source.load(corruption, 3, np.array([place])).pixels[0]
            assert np.array_equal(pixels(tmp_path / "c" / corruption / "3" / name), expected)


@pytest.mark.parametrize("batch", [1, 7, 64])
def test_batches_change_no_byte(tmp_path: Path, batch: int) -> None:
    photos = write_photos(tmp_path / "photos", 70, size=16)
    corrupt_folder(photos, tmp_path / "c", **CELLS)
    corrupt_folder(photos, tmp_path / "other", **CELLS, batch_size=batch)
    assert tree(tmp_path / "other") == tree(tmp_path / "c")


def test_few_values_are_held_where_small_and_large_images_are_mixed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = write_photos(tmp_path / "photos", 24, size=16)
    for number in range(0, 12, 2):
        Image.effect_noise((400, 300), 50).convert("RGB").save(photos / f"n04/{number:04}.png")
    corrupt_folder(photos, tmp_path / "whole", **FEW, batch_size=64)
    held: list[int] = []
    make_all = worker._make_all

    def count(work: worker.Work, corruptor: object, opened: list) -> object:
        held.append(sum(source.pixels.size for source in opened))
        return make_all(work, corruptor, opened)  # type: ignore[arg-type]

    monkeypatch.setattr(worker, "_make_all", count)
    corrupt_folder(photos, tmp_path / "c", **FEW)
    assert max(held) == 400 * 300 * 3, "one that is larger than the limit is alone"
    assert tree(tmp_path / "c") == tree(tmp_path / "whole")


@pytest.mark.parametrize("workers", [1, 4])
def test_workers_change_no_byte(photos: Path, tmp_path: Path, workers: int) -> None:
    corrupt_folder(photos, tmp_path / "c", **CELLS)
    corrupt_folder(photos, tmp_path / "other", **CELLS, workers=workers, batch_size=1)
    assert tree(tmp_path / "other") == tree(tmp_path / "c")


def test_the_order_changes_no_byte(photos: Path, tmp_path: Path) -> None:
    corrupt_folder(photos, tmp_path / "c", **CELLS)
    with opened(Request(photos, tmp_path / "other", **CELLS, batch_size=2)) as (job, scratch):
        np.random.default_rng(0).shuffle(job.source.names)
        assert job.source.names != sorted(job.source.names)
        job.run(scratch)
    assert tree(tmp_path / "other") == tree(tmp_path / "c")


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


def test_clean_images_are_kept_and_further_cells_added(photos: Path, tmp_path: Path) -> None:
    first = {"corruptions": ["clean", "contrast"], "severities": [2], "size": 32}
    dest = corrupt_folder(photos, **first).dest
    before = tree(dest)
    report = corrupt_folder(photos, **first)
    assert (report.written, report.kept) == (0, 12)
    assert tree(dest) == before
    with opened(Request(photos, corruptions=["clean"], size=32), claim=False) as (job, _):
        assert job.missing() == {("clean", 0): 0}
    more = {**first, "severities": [2, 3]}
    report = corrupt_folder(photos, **more)
    assert (report.written, report.kept) == (6, 12)
    assert tree(dest) == tree(corrupt_folder(photos, tmp_path / "whole", **more).dest)
    assert corrupt_folder(photos, **first, overwrite=True).written == 12
    assert tree(dest) == before


def test_more_cells_and_images_are_added(photos: Path, tmp_path: Path) -> None:
    (photos / "a.png").rename(tmp_path / "a.png")
    corrupt_folder(photos, tmp_path / "c", **FEW)
    (tmp_path / "a.png").rename(photos / "a.png")
    report = corrupt_folder(photos, tmp_path / "c", **CELLS)
    assert (report.written, report.kept) == (26, 10)
    corrupt_folder(photos, tmp_path / "whole", **CELLS)
    assert tree(tmp_path / "c") == tree(tmp_path / "whole")
    assert corrupt_folder(photos, tmp_path / "c", **FEW).kept == 12
    assert tree(tmp_path / "c") == tree(tmp_path / "whole"), "what was not asked for again stays"


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


@pytest.mark.parametrize("damage", ["removed", "cut short"])
def test_files_that_were_lost_are_made_again(photos: Path, damage: str) -> None:
    dest = corrupt_folder(photos, **CELLS).dest
    before = tree(dest)
    for path in (dest / "fog" / "5" / "a.png", dest / "fog" / "2" / "n01" / "b.JPEG"):
        path.unlink() if damage == "removed" else os.truncate(path, 0)
    assert corrupt_folder(photos, **CELLS).written == 2
    assert tree(dest) == before


def test_a_changed_source_is_made_again_in_every_cell_that_there_is(photos: Path, tmp_path: Path) -> None:
    corrupt_folder(photos, tmp_path / "c", **CELLS)
    Image.fromarray(pixels(photos / "a.png")[::-1]).save(photos / "a.png")
    assert corrupt_folder(photos, tmp_path / "c", **FEW).written == 6
    corrupt_folder(photos, tmp_path / "whole", **CELLS)
    assert tree(tmp_path / "c") == tree(tmp_path / "whole")


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


def test_files_that_no_record_knows_are_not_written_over(photos: Path, tmp_path: Path) -> None:
    mine = tmp_path / "c" / "contrast" / "2" / "a.png"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    with pytest.raises(UsageError, match=r"contrast is there already, and .*manifest\.json is not"):
        corrupt_folder(photos, tmp_path / "c", **FEW)
    assert tree(tmp_path / "c") == {"contrast/2/a.png": b"mine"}
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "notes.txt").touch()
    assert corrupt_folder(photos, tmp_path / "d", **FEW).written == 12


def test_files_that_the_record_does_not_know_are_not_written_over(photos: Path) -> None:
    dest = corrupt_folder(photos, **FEW).dest
    for mine, cells, found in (
        (dest / "fog" / "notes.png", CELLS, "fog"),
        (dest / "contrast" / "3" / "a.png", {**FEW, "severities": "1-5"}, r"contrast.3"),
    ):
        mine.parent.mkdir(parents=True)
        mine.write_text("mine")
        with pytest.raises(UsageError, match=rf"{found} is there already, and .*manifest\.json does not know it"):
            corrupt_folder(photos, **cells)
        assert mine.read_text() == "mine"
    assert corrupt_folder(photos, **FEW).kept == 12


def test_what_jobs_wrote_is_no_source(photos: Path) -> None:
    before = corrupt_folder(photos, photos / "done", **FEW)
    interrupt_after(1, photos, photos / "n01" / "half")
    (photos / "n02" / "manifest.json").write_text('{"name": "theirs"}')
    with opened(Request(photos, photos / "new", **FEW), claim=False) as (job, _):
        assert job.source.left_out == {OUTPUT: 2, ".json": 1}
        assert len(job.source) == before.images


@pytest.mark.parametrize("src", ["out/contrast", "out/contrast/2", "out/contrast/2/a.png", "out/link"])
def test_the_folder_read_may_not_lie_in_one_written_to(tmp_path: Path, src: str) -> None:
    write_photos(tmp_path / "out" / "contrast" / "2")
    (tmp_path / "out" / "link").symlink_to("contrast")
    before = tree(tmp_path)
    with pytest.raises(UsageError, match=r"lies in .*contrast, which would be written to"):
        corrupt_folder(tmp_path / src, tmp_path / "out", **FEW, overwrite=True)
    assert tree(tmp_path) == before


def interrupt_after(images: int, photos: Path, dest: Path, **options: object) -> None:
    """Run until some images are done, then be interrupted."""
    done = 0

    def stop(more: int) -> None:
        nonlocal done
        done += more
        if done >= images:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        corrupt_folder(photos, dest, **{**CELLS, **options}, batch_size=1, advance=stop)


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
        ("n01/html.jpg", "it is no image that is read, but a web page"),
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


def test_mended_images_leave_the_list(photos: Path) -> None:
    good = (photos / "a.png").read_bytes()
    (photos / "a.png").write_bytes(good[:100])
    dest = corrupt_folder(photos, **FEW).dest
    assert len(json.loads((dest / "manifest.json").read_text())["failed"]) == 1
    (photos / "a.png").write_bytes(good)
    assert corrupt_folder(photos, **FEW).written == 2
    assert json.loads((dest / "manifest.json").read_text())["failed"] == []


def test_alpha_in_jpeg_is_told_once_an_image(tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos", 2)
    Image.new("RGBA", (20, 20)).save(photos / "alpha.png")
    report = corrupt_folder(photos, **CELLS, format="jpeg")
    assert [(f.source, f.cell) for f in report.failures] == [("alpha.png", None)]
    assert "has an alpha channel, which JPEG cannot keep" in report.failures[0].reason
    assert report.written == 12


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

    return replace(backend, corrupt=corrupt)  # type: ignore[type-var]


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
    assert "goes on where it was" in caught.value.hint
    assert not list((tmp_path / "c").rglob("*.part"))
    assert len(list((tmp_path / "c").rglob("*.png"))) <= after
    corrupt_folder(photos, tmp_path / "c", **CELLS)
    assert tree(tmp_path / "c") == tree(tmp_path / "whole")


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


def test_a_folder_that_cannot_be_written_is_told_before_the_work(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for dest in (tmp_path / "file", tmp_path / "file" / "c"):
        with pytest.raises(DataError, match="cannot write"):
            corrupt_folder(photos, dest, **FEW)
    (tmp_path / "locked").mkdir(mode=0o500)
    if not os.access(tmp_path / "locked", os.W_OK):  # root may write everywhere
        with pytest.raises(DataError, match=r"cannot write .*: Permission denied"):
            corrupt_folder(photos, tmp_path / "locked" / "c", **FEW)


def test_a_read_only_disk_is_told(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, *arguments: object, **options: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(DataError, match=r"cannot write .*photos-c: Read-only file system"):
        corrupt_folder(photos, **FEW)


def test_two_jobs_in_one_folder_do_not_meet(photos: Path) -> None:
    with opened(Request(photos, **FEW)) as (job, scratch):
        with pytest.raises(UsageError, match=r"another ppbench is writing to .*photos-c"):
            corrupt_folder(photos, **FEW)
        job.run(scratch)
    assert corrupt_folder(photos, **FEW).kept == 12


def test_wrong_sources_are_told_and_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").touch()
    (tmp_path / "data_batch_1").touch()
    for src, message in (
        ("empty", "no images in .*empty"),
        ("missing", "there is no .*missing"),
        ("notes.txt", r"notes\.txt is no folder, no image file .* and no \.npy file"),
        ("data_batch_1", "data_batch_1 is no folder"),
    ):
        with pytest.raises(DataError, match=message):
            corrupt_folder(tmp_path / src)
    assert {path.name for path in tmp_path.iterdir()} == {"empty", "notes.txt", "data_batch_1"}


def test_the_folder_written_to_may_lie_in_the_one_read_but_not_be_it(photos: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read from and written to"):
        corrupt_folder(photos, photos / "n01" / "..", **FEW)
    for _ in range(2):
        assert corrupt_folder(photos, photos / "out", **FEW).images == 6


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
    assert default_dest(Path("photos/")) == Path("photos-c")
    assert default_dest(Path("photos/a.JPG")) == Path("photos-c")
    assert default_dest(Path("a.jpg")) == tmp_path.with_name(f"{tmp_path.name}-c")
    assert default_dest(Path("cifar10.npy")) == Path("cifar10.npy-c")
    assert default_dest(Path()) == tmp_path.with_name(f"{tmp_path.name}-c")
    with pytest.raises(UsageError, match="/ has no name"):
        default_dest(Path("/"))


def test_processes_are_started_only_where_they_pay(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def workers() -> int:
        with opened(Request(photos, **CELLS, workers=None), claim=False) as (job, _):
            return job.workers

    assert workers() == 0
    monkeypatch.setattr(job_module, "_STARTING_PAYS", 1)
    assert workers() == job_module.usable_cores()


SCRIPT = """
import resource, sys
from ppbench.copies.job import corrupt_folder
for photos in sys.argv[1:]:
    corrupt_folder(photos, photos + "-c", corruptions=["gaussian_noise", "contrast"], severities=["1-2"], device="cpu")
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)  # the peak since the start
"""


def test_memory_does_not_grow_with_the_number_of_images(tmp_path: Path) -> None:
    """1,000 images of 128 px are 49 MB, and their cells 197 MB: at most 16 MB more than for 10 may be needed."""
    kilobytes = 1 if sys.platform == "darwin" else 1024
    folders = {count: tmp_path / str(count) for count in (10, 1000)}
    for count, photos in folders.items():
        first = write_photos(photos, 2, size=128) / "n01" / "b.JPEG"
        for number in range(count - 2):
            (photos / f"{number:04}.jpg").hardlink_to(first)
    command = [sys.executable, "-c", SCRIPT, *map(str, folders.values())]
    environment = {**os.environ, "PYTHONPATH": ROOT}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    for count in folders:
        assert len(list((tmp_path / f"{count}-c" / "contrast").rglob("*.jpg"))) == 2 * (count - 2)
    peaks = [int(peak) * kilobytes for peak in done.stdout.split()]
    assert peaks[1] - peaks[0] < 16e6, f"{peaks[0] / 1e6:.0f} MB for 10 images, {peaks[1] / 1e6:.0f} MB for 1,000"
