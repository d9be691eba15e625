"""Archives read in place."""

from __future__ import annotations

import pickle
import shutil
import tarfile
from pathlib import Path

import pytest

from ppbench.data.layout import look
from ppbench.data.tar import members
from ppbench.errors import DataError
from tests.data.sets import TREE, assert_gives_the_files, published
from tests.trees import class_names, pack, pack_groups, write_imagenet_c

LONG = "ImageNet-C-" + 60 * "long" + "/"


def variants(tree: Path, to: Path) -> dict[str, Path]:
    """The same set in all the ways it is found."""
    mixed = to / "mixed"
    shutil.copytree(tree / "snow", mixed / "snow")
    pack(tree, mixed / "others.tar", ("fog", "gaussian_noise"))
    doubled = to / "doubled"
    shutil.copytree(tree, doubled)
    pack_groups(tree, doubled)
    for name in TREE:
        pack(tree / name, to / "each" / f"{name}.tar")
    return {
        "groups": write_imagenet_c(to / "groups", TREE, (1, 3), groups=True),
        "wrapped": shutil.copytree(tree, to / "wrapped" / "ImageNet-C").parent,
        "wrapped groups": write_imagenet_c(to / "wg" / "ImageNet-C", TREE, (1, 3), groups=True).parent,
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
        source.check(TREE, (1, 3))
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


def test_an_archive_whose_download_was_broken_off(tree: Path, tmp_path: Path) -> None:
    tar = pack(tree, tmp_path / "all.tar", ("gaussian_noise", "snow", "fog/1", "fog/3"))
    tar.write_bytes(tar.read_bytes()[: -tarfile.RECORDSIZE])
    source = published(tar)
    source.check(TREE[:2], (1, 3))
    with pytest.raises(DataError, match=r"all.tar: fog/3 lacks .*\n.*all.tar ends early: .*wget -c"):
        source.check(TREE, (1, 3))


def test_no_archive(tmp_path: Path) -> None:
    path = tmp_path / "noise.tar"
    path.write_bytes(b"\x1f\x8b" + bytes(2000))
    with pytest.raises(DataError, match=r"noise.tar is not an uncompressed tar archive.*\n.*gunzip noise.tar.gz"):
        look(path)


def test_sources_for_workers_are_small(tmp_path: Path) -> None:
    tree = write_imagenet_c(tmp_path / "c", TREE, names=class_names(10), per_class=4)
    one, all_cells = (published(pack(tree, tmp_path / f"{count}.tar", TREE[:count])) for count in (1, 3))
    more = len(pickle.dumps(all_cells)) - len(pickle.dumps(one))
    assert more < 10 * (16 * 40 + 500)  # per cell 16 bytes an image; the names are there once


def test_a_length_that_leads_backwards_is_refused(tmp_path: Path) -> None:
    """It would lead to the same header for ever."""
    info = tarfile.TarInfo("a/1.jpg")
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[124:136] = (-512).to_bytes(12, "big", signed=True)
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    (tmp_path / "a.tar").write_bytes(bytes(header) + bytes(1024))
    with pytest.raises(DataError, match=r"a\.tar is damaged: there is no header at byte 0"):
        list(members(tmp_path / "a.tar"))


def test_a_damaged_header_in_the_middle_hides_nothing(tmp_path: Path) -> None:
    """tarfile stops there without a word, and the rest would be missing."""
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for number in range(3):
            tar.addfile(tarfile.TarInfo(f"{number}.jpg"))
    content = bytearray((tmp_path / "a.tar").read_bytes())
    content[512:520] = b"garbage!"
    (tmp_path / "a.tar").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.tar is damaged: there is no header at byte 512"):
        list(members(tmp_path / "a.tar"))
