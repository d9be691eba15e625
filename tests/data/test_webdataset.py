"""Images in WebDataset's tars: samples by their names, read in place, and refused with the reason."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from ppbench.data.decode import decode_rgb
from ppbench.data.opening import open_source
from ppbench.data.source import Geometry, Source
from ppbench.data.webdataset import TarImages
from ppbench.errors import DataError
from tests.shards import files_in, ids_in, labels_in, write_mixed_folders, write_tar, write_webdataset

CUT = Geometry(32, None)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_mixed_folders(tmp_path_factory.mktemp("folders"))


@pytest.fixture(scope="module")
def png(folders: Path) -> bytes:
    return files_in(folders)[0].read_bytes()


def opened(path: Path) -> Source:
    return open_source("imagefolder", path, CUT)


def test_images_come_in_any_order_also_in_another_process(folders: Path, tmp_path: Path) -> None:
    source = opened(write_webdataset(folders, tmp_path, shards=3))
    assert (source.ids, source.labels.tolist()) == (ids_in(folders), labels_in(folders))
    expected = np.stack([decode_rgb(path, CUT) for path in files_in(folders)])
    for reader in (source, pickle.loads(pickle.dumps(source))):
        pixels, broken = reader.load("clean", 0, np.array([7, 0, 3, 3]))
        assert not broken
        assert np.array_equal(pixels, expected[[7, 0, 3, 3]])
    # The same files with the same ids are the same set.
    assert source.fingerprint() == open_source("imagefolder", folders, CUT).fingerprint()


@pytest.mark.parametrize(
    ("labels", "class_names"),
    [
        ([("cls", b"1"), ("cls", b" 0\n")], ("0", "1")),
        ([("txt", b"dog\n"), ("cls", b"cat")], ("cat", "dog")),
        ([("json", b'{"label": 1, "width": 40}'), ("json", b"0")], ("0", "1")),
        ([("json", b'{"class_name": "dog"}'), ("json", b'{"label": "cat"}')], ("cat", "dog")),
        ([("cls", b"1_1"), ("cls", b"1_0")], ("1_0", "1_1")),  # which Python takes for 11 and 10
    ],
)
def test_labels_in_members_of_each_kind(
    png: bytes, tmp_path: Path, labels: list[tuple[str, bytes]], class_names: tuple[str, ...]
) -> None:
    members = [("./0.PNG", png), (f"./0.{labels[0][0]}", labels[0][1])]
    members += [(f"1.{labels[1][0]}", labels[1][1]), ("1.png", png), ("._1.png", b"macOS's"), ("1.npy", b"features")]
    source = opened(write_tar(tmp_path / "a.tar", members))
    assert (source.class_names, source.labels.tolist()) == (class_names, [1, 0])
    named = class_names[0] != "0"
    assert source.ids == ([f"{class_names[1]}/0.PNG", f"{class_names[0]}/1.png"] if named else ["0.PNG", "1.png"])


def test_labels_that_are_not_needed_may_be_none(png: bytes, tmp_path: Path) -> None:
    for number, label in enumerate((b"\xff", b"cat", None)):
        members = [("0.png", png), ("0.cls", b"1"), ("1.png", png)] + [("1.cls", label)] * (label is not None)
        source = open_source("imagefolder", write_tar(tmp_path / f"{number}.tar", members), CUT, labels="predicted")
        assert source.ids == ["0.png", "1.png"]


def test_a_broken_image_is_reported_and_a_label_without_image_left_out(png: bytes, tmp_path: Path) -> None:
    members = [("0.png", png), ("0.cls", b"0"), ("1.png", png[:80]), ("1.cls", b"0"), ("2.cls", b"1")]
    source = opened(write_tar(tmp_path / "a.tar", members))
    assert source.notes == (f"{tmp_path / 'a.tar'}: 1 sample without an image left out",)
    _, broken = source.load("clean", 0, np.arange(2))
    assert [one.place for one in broken] == [1]
    assert f"cannot read the image {tmp_path / 'a.tar'}: 1.png" in broken[0].reason


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"0.png": None, "1.png": None}, r"a\.tar: its images have no label: 0\.png first"),
        ({"0.png": None, "0.cls": b"0", "1.png": None}, r"1 of 2 images have no label: 1\.png first"),
        ({"0.png": None, "0.left.png": None, "0.cls": b"0"}, r"the sample 0 has 2 images: 0\.png, 0\.left\.png"),
        ({"0.png": None, "0.json": b'{"caption": "a"}'}, r"0\.json: it has caption, but none of label, cls"),
        ({"0.png": None, "0.json": b"{"}, r"cannot read the label 0\.json"),
        ({"0.png": None, "0.cls": b""}, r"0\.cls is no label: ''"),
        ({"0.png": None, "0.cls": b"\xff"}, r"cannot read the label 0\.cls"),
        ({"0.png": None, "0.json": json.dumps({"label": [1]}).encode()}, r"0\.json is no label: '\[1\]'"),
        ({"0.png": None, "0.cls": b"0", "1.png": None, "1.cls": b"cat"}, "some labels are numbers, and some names"),
        ({"0.png": None, "0.cls": b"-3"}, r"0\.png has the label -3; allowed are"),
        ({"0.mp3": b"x", "0.cls": b"0"}, "no corrupted set and no samples"),
        ({"0.png": None, "./0.png": None, "0.cls": b"0"}, r"has the member \./0\.png twice"),
    ],
)
def test_archives_that_are_refused(png: bytes, tmp_path: Path, members: dict[str, bytes | None], message: str) -> None:
    path = write_tar(
        tmp_path / "a.tar", [(name, content or png * (content is None)) for name, content in members.items()]
    )
    with pytest.raises(DataError, match=message):
        opened(path)


def test_labels_that_are_not_needed_may_be_missing(png: bytes, tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a.tar", [("0.png", png), ("0.cls", b"cat"), ("1.png", png)])
    images = TarImages([path], path, labelled=False)
    assert (images.ids, images.labels.tolist(), images.class_names) == (["0.png", "1.png"], [0, 0], None)


def test_an_archive_that_ends_early_is_not_half_a_set(folders: Path, tmp_path: Path) -> None:
    tars = write_webdataset(folders, tmp_path)
    shard = tars / "shard-0001.tar"
    shard.write_bytes(shard.read_bytes()[:-12_000])
    with pytest.raises(DataError, match=r"shard-0001\.tar ends early\n.*wget -c"):
        opened(tars)
