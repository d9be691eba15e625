"""Published sets of image files, in folders and in tars."""

from __future__ import annotations

import os
import pickle
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ppbench.data.layout import TreeFound, look
from ppbench.data.opening import open_source
from ppbench.data.published import PublishedImages
from ppbench.data.source import Geometry, Source
from ppbench.errors import DataError, UsageError
from ppbench.vocabulary import C_3D, C_BAR
from tests.trees import (
    BAR_STRENGTHS,
    class_names,
    pack,
    pack_groups,
    write_3dcc,
    write_c_bar,
    write_corrupted,
    write_imagenet_c,
    write_tiny_imagenet_c,
)  # fmt: skip

NAMES = ("gaussian_noise", "snow", "fog")
LONG = "ImageNet-C-" + 60 * "long" + "/"


def published(root: Path) -> PublishedImages:
    found = look(root)
    assert isinstance(found, TreeFound)
    return PublishedImages(found.root, "imagenet-c", found.cells, "imagenet-c")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return write_imagenet_c(tmp_path / "c", NAMES, (1, 3))


def assert_gives_the_files(source: Source, tree: Path, names: tuple[str, ...] = NAMES) -> None:
    """Every image of every cell is what Pillow reads from its file."""
    for corruption in names:
        for severity in (1, 3):
            pixels, broken = source.load(corruption, severity, np.arange(len(source.ids)))
            assert not broken
            for image, name in zip(pixels, source.ids, strict=True):
                expected = Image.open(tree / corruption / str(severity) / name).convert("RGB")
                assert np.array_equal(image, np.asarray(expected))


def test_folders_are_read_as_they_are(tree: Path) -> None:
    source = published(tree)
    source.check(NAMES, (1, 3))
    assert_gives_the_files(source, tree)
    assert source.corruptions == NAMES
    assert source.ids == sorted(p.relative_to(tree / "fog/1").as_posix() for p in (tree / "fog/1").rglob("*.JPEG"))
    assert source.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert (source.kind, source.engine, source.has_clean, source.image_major) == (
        "published",
        "published",
        False,
        False,
    )
    assert (source.size, source.cut, source.channels) == (32, "32 px as is", 3)


def variants(tree: Path, to: Path) -> dict[str, Path]:
    """The same set in all the ways it is found."""
    mixed = to / "mixed"
    shutil.copytree(tree / "snow", mixed / "snow")
    pack(tree, mixed / "others.tar", ("fog", "gaussian_noise"))
    doubled = to / "doubled"
    shutil.copytree(tree, doubled)
    pack_groups(tree, doubled)
    for name in NAMES:
        pack(tree / name, to / "each" / f"{name}.tar")
    return {
        "groups": write_imagenet_c(to / "groups", NAMES, (1, 3), groups=True),
        "wrapped": shutil.copytree(tree, to / "wrapped" / "ImageNet-C").parent,
        "wrapped groups": write_imagenet_c(to / "wg" / "ImageNet-C", NAMES, (1, 3), groups=True).parent,
        "group tars": pack_groups(tree, to / "tars"),
        "dotted tars": pack_groups(tree, to / "dotted", prefix="./"),
        "tar per corruption": to / "each",
        "one tar": pack(tree, to / "one.tar"),
        "gnu long names": pack(tree, to / "gnu.tar", prefix=LONG),
        "pax": pack(tree, to / "pax.tar", prefix="ümläut/" + LONG, format=tarfile.PAX_FORMAT),
        "mixed": mixed,
        "unpacked beside the tars": doubled,
    }


def test_tars_and_wrapped_folders_are_the_same_set(tree: Path, tmp_path: Path) -> None:
    plain = published(tree)
    for way, root in variants(tree, tmp_path / "ways").items():
        source = published(root)
        source.check(NAMES, (1, 3))
        assert source.fingerprint() == plain.fingerprint(), way
        assert (source.ids, source.corruptions) == (plain.ids, plain.corruptions), way
        assert source.labels.tolist() == plain.labels.tolist(), way
        assert_gives_the_files(pickle.loads(pickle.dumps(source)), tree)


def test_a_tar_appended_to_counts_as_it_unpacks(tree: Path, tmp_path: Path) -> None:
    tar = pack(tree, tmp_path / "all.tar", ("fog/1", "snow", "gaussian_noise", "fog/3"))
    image = next((tree / "fog/1").rglob("*.JPEG"))
    shutil.copy(next((tree / "snow/3").rglob("*.JPEG")), image)
    with tarfile.open(tar, "a") as archive:
        archive.add(image, f"fog/1/{image.parent.name}/{image.name}")
    assert_gives_the_files(published(tar), tree)


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
        for one, name, reason in zip(broken, ids, ("runcated", "no image", "32 x 48", "8 bits"), strict=False):
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
    """What is told before any inference, with what mends it."""

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
            published(tree).check(NAMES, (1,))

    def test_missing_class_folders(self, tree: Path) -> None:
        shutil.rmtree(tree / "fog/1/n00000002")
        source = published(tree)
        with pytest.raises(DataError, match=r"fog/1 lacks 1 class folders, the first is n00000002\n.*Unpack"):
            source.check(NAMES, (1,))
        source.keep_classes(("n00000000",))
        source.check(NAMES, (1,))

    def test_missing_images(self, tree: Path) -> None:
        source = published(tree)
        (tree / "snow/3" / source.ids[3]).unlink()
        with pytest.raises(
            DataError, match=f"snow/3 lacks 1 image: {source.ids[3]} is missing\n.*Unpack its archive again"
        ):
            source.check(NAMES, (1, 3))
        source.limit(np.array([0, 1]))
        source.check(NAMES, (1, 3))

    def test_additional_images(self, tree: Path) -> None:
        source = published(tree)
        shutil.copy(tree / "snow/3" / source.ids[0], tree / "snow/3/n00000001/more.JPEG")
        with pytest.raises(
            DataError, match=r"snow/3 has 1 image that .*gaussian_noise/1 lacks, the first is n00000001/more"
        ):
            source.check(NAMES, (1, 3))
        source.keep_classes(("n00000000",))
        source.check(NAMES, (1, 3))

    def test_an_archive_whose_download_was_broken_off(self, tree: Path, tmp_path: Path) -> None:
        tar = pack(tree, tmp_path / "all.tar", ("gaussian_noise", "snow", "fog/1", "fog/3"))
        tar.write_bytes(tar.read_bytes()[: -tarfile.RECORDSIZE])
        source = published(tar)
        source.check(NAMES[:2], (1, 3))
        with pytest.raises(DataError, match=r"all.tar: fog/3 lacks .*\n.*all.tar ends early: .*wget -c"):
            source.check(NAMES, (1, 3))

    def test_no_archive(self, tmp_path: Path) -> None:
        path = tmp_path / "noise.tar"
        path.write_bytes(b"\x1f\x8b" + bytes(2000))
        with pytest.raises(DataError, match=r"noise.tar is no uncompressed tar archive.*\n.*gunzip noise.tar.gz"):
            look(path)

    def test_images_of_another_size(self, tree: Path) -> None:
        shutil.rmtree(tree / "fog")
        write_imagenet_c(tree, ("fog",), (1, 3), size=40)
        with pytest.raises(
            DataError, match=r"fog/1 has images of 40 x 40 pixels, others have 32 x 32\n.*never resized"
        ):
            published(tree).check(NAMES, (1, 3))

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

    def test_images_without_class_folders(self, tree: Path) -> None:
        for path in list((tree / "snow/1").rglob("*.JPEG")):
            path.rename(tree / "snow/1" / path.name)
        with pytest.raises(
            DataError, match=r"snow/1 holds images without class folders.*\n.*<corruption>/<severity>/<class>"
        ):
            published(tree).check(NAMES, (1,))

    def test_no_class_folders_at_all(self, tmp_path: Path) -> None:
        (tmp_path / "fog/1").mkdir(parents=True)
        Image.fromarray(np.zeros((30, 20, 3), np.uint8)).save(tmp_path / "fog/1/a.png")
        with pytest.raises(DataError, match="without class folders"):
            published(tmp_path)

    def test_folders_one_too_deep(self, tree: Path) -> None:
        inner = tree / "snow/1/n00000001"
        shutil.copytree(inner, inner / "n00000001")
        with pytest.raises(DataError, match=r"snow/1/n00000001 holds a folder, n00000001, where images should be"):
            published(tree).check(NAMES, (1,))

    def test_a_recipe_for_images_that_are_made(self, tree: Path) -> None:
        with pytest.raises(UsageError, match=r"--recipe cifar-c makes images, and those in .* are made already"):
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
    with pytest.raises(DataError, match=r"fog, … of 200 classes at 64 px: not imagenet-c") as caught:
        open_source("imagenet-c", tiny, Geometry(224, None))
    assert "--dataset tiny-imagenet-c" in caught.value.hint
    assert open_source("tiny-imagenet-c", tiny, Geometry(224, None)).recipe == "tiny-imagenet-c"
    assert open_source("imagefolder", tiny, Geometry(224, None)).recipe == "unknown"
    with pytest.raises(DataError, match=r"not imagenet-c, it looks like imagenet-c-bar\n.*--dataset imagenet-c-bar"):
        open_source("imagenet-c", write_c_bar(tmp_path / "bar", C_BAR[:2]), Geometry(32, None))
    with pytest.raises(DataError, match=r"folders of images; cifar10-c is made of others\n.*--dataset imagenet-c"):
        open_source("cifar10-c", tiny, Geometry(32, None))


def test_c_bar_has_severities_named_by_strength(tmp_path: Path) -> None:
    names = ("plasma_noise", "sparkles")
    root = write_c_bar(tmp_path / "bar", names)
    for place in (root, pack(root, tmp_path / "bar.tar", prefix="imagenet_c_bar/")):
        source = open_source("imagenet-c-bar", place, Geometry(32, None))
        source.check(names, (1, 2, 3, 4, 5))
        for severity, strength in enumerate(BAR_STRENGTHS, 1):
            expected = np.asarray(Image.open(root / "sparkles" / strength / source.ids[1]))
            assert np.array_equal(source.load("sparkles", severity, np.array([1])).pixels[0], expected)


def test_of_fewer_strengths_nobody_knows_which_they_are(tmp_path: Path) -> None:
    root = write_c_bar(tmp_path, ("sparkles", "plasma_noise"), strengths=("1", "2", "3", "4", "5"))
    shutil.rmtree(root / "sparkles/5")
    (root / "sparkles/4").rename(root / "sparkles/3.75")
    source = open_source("imagenet-c-bar", root, Geometry(32, None))
    with pytest.raises(DataError, match=r"the cell sparkles/1 is missing.*\n.*or by five strengths"):
        source.check(("sparkles",), (1,))


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


def test_sources_for_workers_are_small(tmp_path: Path) -> None:
    tree = write_imagenet_c(tmp_path / "c", NAMES, names=class_names(10), per_class=4)
    one, all_cells = (published(pack(tree, tmp_path / f"{count}.tar", NAMES[:count])) for count in (1, 3))
    more = len(pickle.dumps(all_cells)) - len(pickle.dumps(one))
    assert more < 10 * (16 * 40 + 500)  # per cell 16 bytes an image; the names are there once
