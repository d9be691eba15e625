"""Published sets of image files, in folders and in tars."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ppbench.data.layout import TreeFound, look
from ppbench.data.opening import open_source
from ppbench.data.published import PublishedImages
from ppbench.data.source import Geometry
from ppbench.errors import DataError, UsageError
from ppbench.vocabulary import C_3D, C_BAR
from tests.data.sets import TREE, assert_gives_the_files, published
from tests.trees import (
    class_names,
    pack,
    pack_groups,
    write_3dcc,
    write_c_bar,
    write_corrupted,
    write_imagenet_c,
    write_tiny_imagenet_c,
)  # fmt: skip


def test_folders_are_read_as_they_are(tree: Path) -> None:
    source = published(tree)
    source.check(TREE, (1, 3))
    assert_gives_the_files(source, tree)
    assert source.corruptions == TREE
    assert source.ids == sorted(p.relative_to(tree / "fog/1").as_posix() for p in (tree / "fog/1").rglob("*.JPEG"))
    assert source.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert (source.kind, source.engine, source.has_clean, source.image_major) == (
        "published",
        "published",
        False,
        False,
    )
    assert (source.size, source.cut, source.channels) == (32, "32 px as is", 3)


def test_subsets_and_classes_are_the_same_in_every_cell(tree: Path, tmp_path: Path) -> None:
    for root in (tree, pack(tree, tmp_path / "all.tar")):
        source = published(root)
        whole, names = source.fingerprint(), source.ids
        source.keep_classes(("n00000002", "n00000000"))
        assert source.class_names == ("n00000000", "n00000002")
        assert (source.labels.tolist(), source.total) == ([0, 0, 1, 1], 4)
        source.limit(np.array([1, 2]))
        assert source.ids == [names[1], names[4]]
        assert (source.fingerprint(), source.total, len(source.stamps(("fog", 1)))) == (whole, 4, 2)
        assert_gives_the_files(source, tree)


def test_stamps_change_with_a_file_and_with_an_archive(tree: Path, tmp_path: Path) -> None:
    source = published(tree)
    before = source.stamps(("fog", 1))
    os.utime(tree / "fog/1" / source.ids[2], ns=(0, 5))
    assert np.flatnonzero(before != source.stamps(("fog", 1))).tolist() == [2]
    tars = published(pack_groups(tree, tmp_path / "tars"))
    fog, noise = tars.stamps(("fog", 1)), tars.stamps(("gaussian_noise", 1))
    os.utime(tmp_path / "tars/weather.tar", ns=(0, 5))
    assert (fog != tars.stamps(("fog", 1))).all()
    assert (noise == tars.stamps(("gaussian_noise", 1))).all()
    assert tars.mean_bytes() == source.mean_bytes() > 100


def test_broken_images_are_told_and_the_others_given(tree: Path, tmp_path: Path) -> None:
    ids = published(tree).ids
    cell = tree / "fog/3"
    (cell / ids[0]).write_bytes((cell / ids[0]).read_bytes()[:500])
    (cell / ids[1]).write_text("no image")
    Image.fromarray(np.zeros((48, 32, 3), np.uint8)).save(cell / ids[2])
    Image.fromarray(np.full((32, 32), 40_000, np.uint16)).save(cell / ids[3], format="PNG")
    expected = np.asarray(Image.open(cell / ids[5]))
    for root in (tree, pack(tree, tmp_path / "all.tar")):
        source = published(root)
        source.limit(np.array([5, 3, 2, 1, 0]))
        pixels, broken = source.load("fog", 3, np.array([0, 4, 3, 2, 1]))
        assert [one.place for one in broken] == [4, 3, 2, 1]
        where = str(cell) if root is tree else f"{root}: fog/3"
        for one, name, reason in zip(broken, ids, ("runcated", "not an image", "32 x 48", "8 bits"), strict=False):
            assert f"{where}/{name}" in one.reason
            assert reason in one.reason
        assert all("again" in one.hint for one in broken)
        assert np.array_equal(pixels[0], expected)
        assert not pixels[1:].any()


def test_a_file_that_vanished_after_the_start_is_told(tree: Path, tmp_path: Path) -> None:
    tar = pack(tree, tmp_path / "all.tar")
    folders, archive = published(tree), published(tar)
    shutil.rmtree(tree / "fog")
    tar.unlink()
    for source in (folders, archive):
        broken = source.load("fog", 1, np.arange(2)).broken
        assert [one.place for one in broken] == [0, 1]
        assert "No such file" in broken[0].reason


class TestTraps:
    """Errors before any inference, with their hints."""

    def test_a_missing_cell(self, tree: Path) -> None:
        shutil.rmtree(tree / "fog/3")
        source = published(tree)
        with pytest.raises(
            DataError, match=r"the cell fog/3 is missing in .*/c\n.*There are fog/1: choose with"
        ) as caught:
            source.check(("fog",), (1, 3))
        assert "unpack the missing archive" in caught.value.hint
        with pytest.raises(DataError, match=r"the cell frost/1 is missing.*\n.*There are gaussian_noise, snow, fog"):
            source.check(("frost",), (1,))

    def test_frost_of_the_first_tiny_imagenet_c(self, tmp_path: Path) -> None:
        root = write_tiny_imagenet_c(tmp_path, ("frost", "fog", "contrast"), (1, 2), wrong_frost=4)
        source = published(root)
        assert source.num_classes == 3
        source.check(("fog", "contrast"), (1, 2))
        with pytest.raises(
            DataError, match=r"frost/1 has 7 class folders, most cells have 3: n00000003 and 3 others"
        ) as caught:
            source.check(("frost",), (1,))
        for part in ("hendrycks/robustness#60", "zenodo.org/records/8206060", "--corruptions fog,contrast"):
            assert part in caught.value.hint

    def test_the_datasets_number_of_classes_decides_where_cells_are_as_many(self, tmp_path: Path) -> None:
        write_tiny_imagenet_c(tmp_path, ("frost", "fog"), (1,), size=32, wrong_frost=4)
        found = look(tmp_path)
        assert isinstance(found, TreeFound)
        assert PublishedImages(tmp_path, "tiny-imagenet-c", found.cells, "", 3).num_classes == 3
        assert PublishedImages(tmp_path, "tiny-imagenet-c", found.cells, "", 7).num_classes == 7

    def test_only_the_wrong_frost(self, tmp_path: Path) -> None:
        root = fake_cells(tmp_path, 1000, 64, ("frost",))
        with pytest.raises(DataError, match=r"1000 classes, tiny-imagenet-c has 200: the frost .*wrong") as caught:
            open_source("tiny-imagenet-c", root, Geometry(64, None))
        assert "8206060" in caught.value.hint

    def test_classes_of_two_datasets(self, tree: Path) -> None:
        (tree / "fog/1/n00000002").rename(tree / "fog/1/zebra")
        with pytest.raises(DataError, match=r"fog/1 has 3 class folders, .*zebra.*\n.*Cells of two datasets"):
            published(tree).check(TREE, (1,))

    def test_missing_class_folders(self, tree: Path) -> None:
        shutil.rmtree(tree / "fog/1/n00000002")
        source = published(tree)
        with pytest.raises(DataError, match=r"fog/1 lacks 1 class folders, the first is n00000002\n.*Unpack"):
            source.check(TREE, (1,))
        source.keep_classes(("n00000000",))
        source.check(TREE, (1,))

    def test_missing_images(self, tree: Path) -> None:
        source = published(tree)
        (tree / "snow/3" / source.ids[3]).unlink()
        with pytest.raises(
            DataError, match=f"snow/3 lacks 1 image: {source.ids[3]} is missing\n.*Unpack its archive again"
        ):
            source.check(TREE, (1, 3))
        source.limit(np.array([0, 1]))
        source.check(TREE, (1, 3))

    def test_additional_images(self, tree: Path) -> None:
        source = published(tree)
        shutil.copy(tree / "snow/3" / source.ids[0], tree / "snow/3/n00000001/more.JPEG")
        with pytest.raises(
            DataError, match=r"snow/3 has 1 image that .*gaussian_noise/1 lacks, the first is n00000001/more"
        ):
            source.check(TREE, (1, 3))
        source.keep_classes(("n00000000",))
        source.check(TREE, (1, 3))

    def test_images_of_another_size(self, tree: Path) -> None:
        shutil.rmtree(tree / "fog")
        write_imagenet_c(tree, ("fog",), (1, 3), size=40)
        with pytest.raises(
            DataError, match=r"fog/1 has images of 40 x 40 pixels, others have 32 x 32\n.*never resized"
        ):
            published(tree).check(TREE, (1, 3))

    def test_images_that_are_not_square(self, tree: Path) -> None:
        for path in tree.rglob("*.JPEG"):
            Image.fromarray(np.zeros((30, 20, 3), np.uint8)).save(path)
        with pytest.raises(DataError, match="images of 20 x 30 pixels"):
            published(tree)

    def test_nothing_that_can_be_read(self, tree: Path) -> None:
        for path in tree.rglob("*.JPEG"):
            path.write_bytes(b"")
        with pytest.raises(DataError, match=r"none of the first 6 images in .*gaussian_noise/1 can be read"):
            published(tree)

    def test_a_recipe_for_images_that_are_made(self, tree: Path) -> None:
        with pytest.raises(UsageError, match=r"--recipe cifar-c is for generated images, but .* corrupted images"):
            open_source("imagenet-c", tree, Geometry(32, None), recipe="cifar-c")


def fake_cells(root: Path, classes: int, size: int, corruptions: tuple[str, ...]) -> Path:
    """Cells with many classes, all of one grey image."""
    for corruption in corruptions:
        for name in class_names(classes):
            folder = root / corruption / "1" / name
            folder.mkdir(parents=True)
            if name == "n00000000":
                Image.fromarray(np.full((size, size, 3), 99, np.uint8)).save(folder / "a.png")
            else:
                os.link(root / corruption / "1/n00000000/a.png", folder / "a.png")
    return root


def test_a_dataset_that_is_another_is_told(tmp_path: Path) -> None:
    tiny = fake_cells(tmp_path / "tiny", 200, 64, ("fog",))
    with pytest.raises(DataError, match=r"fog, … of 200 classes at 64 px: that is not imagenet-c") as caught:
        open_source("imagenet-c", tiny, Geometry(224, None))
    assert "--dataset tiny-imagenet-c" in caught.value.hint
    assert open_source("tiny-imagenet-c", tiny, Geometry(224, None)).recipe == "tiny-imagenet-c"
    assert open_source("imagefolder", tiny, Geometry(224, None)).recipe == "unknown"
    with pytest.raises(DataError, match=r"not imagenet-c, but looks like imagenet-c-bar\n.*--dataset imagenet-c-bar"):
        open_source("imagenet-c", write_c_bar(tmp_path / "bar", C_BAR[:2]), Geometry(32, None))
    with pytest.raises(DataError, match=r"image files, but cifar10-c consists of arrays\n.*--dataset imagenet-c"):
        open_source("cifar10-c", tiny, Geometry(32, None))


def test_3dcc_comes_in_one_archive_per_corruption(tmp_path: Path) -> None:
    root = write_3dcc(tmp_path / "3d", severities=(2,))
    for name in C_3D[1:]:
        pack(root, tmp_path / "tars" / f"{name}.tar", (name,))
    source = open_source("imagenet-3dcc", tmp_path / "tars", Geometry(32, None))
    assert source.corruptions == C_3D[1:]
    assert source.recipe == "imagenet-3dcc"
    source.check(C_3D[1:], (2,))


def test_unknown_corruptions_are_found_by_their_structure(tmp_path: Path) -> None:
    root = write_corrupted(tmp_path, ("fog",), (1, 2))
    shutil.copytree(root / "fog", root / "Leaves-2.0")
    source = open_source("imagefolder", root, Geometry(64, None))
    assert source.corruptions == ("fog", "Leaves-2.0")
    assert source.recipe == "unknown"
    source.check(source.corruptions, (1, 2))
    (root / "Leaves-2.0").rename(root / "leaves in the wind")
    source = open_source("imagefolder", root, Geometry(64, None))
    source.check(("fog",), (1, 2))
    with pytest.raises(DataError, match=r"cannot be called 'leaves in the wind'\n.*Rename its folder"):
        source.check(source.corruptions, (1, 2))
