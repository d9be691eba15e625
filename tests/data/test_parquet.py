"""Images in Parquet files: found by their columns, read in any order, and refused with the reason."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ppbench.data.decode import decode_rgb
from ppbench.data.opening import open_source
from ppbench.data.parquet import ParquetImages
from ppbench.data.source import Geometry, Source
from ppbench.errors import DataError, UsageError
from tests.shards import as_structs, files_in, ids_in, labels_in, write_mixed_folders, write_parquet, write_table

CUT = Geometry(32, None)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_mixed_folders(tmp_path_factory.mktemp("folders"))


def opened(path: Path, **options: Any) -> Source:
    return open_source("imagefolder", path, CUT, **options)


def table(folders: Path, path: Path, **options: Any) -> Path:
    return write_table(path, as_structs(files_in(folders)), labels_in(folders), **options)


def test_images_come_in_any_order_also_in_another_process(folders: Path, tmp_path: Path) -> None:
    source = opened(write_parquet(folders, tmp_path, shards=3))
    assert (source.ids, source.labels.tolist()) == (ids_in(folders), labels_in(folders))
    expected = np.stack([decode_rgb(path, CUT) for path in files_in(folders)])
    for order in ([0, 1, 2, 3, 4, 5, 6, 7], [7, 0, 6, 1, 1, 5], [3]):
        for reader in (source, pickle.loads(pickle.dumps(source))):
            pixels, broken = reader.load("clean", 0, np.array(order))
            assert not broken
            assert np.array_equal(pixels, expected[order])


def test_labels_are_numbers_of_outputs_names_of_classes_or_texts(folders: Path, tmp_path: Path) -> None:
    numbers = table(folders, tmp_path / "numbers.parquet")
    assert opened(numbers, outputs=["x", "y", "z"]).class_names == ("x", "y", "z")
    assert opened(numbers).class_names == ("0", "1")
    # Without names of classes, a file's name alone is its id.
    assert opened(numbers).ids == [path.name for path in files_in(folders)]
    texts = write_table(
        tmp_path / "texts.parquet", [path.read_bytes() for path in files_in(folders)], ["b", "a"] * 4,
        columns=("photo", "class"),
    )  # fmt: skip
    source = opened(texts)
    assert (source.class_names, source.labels.tolist()) == (("a", "b"), [1, 0] * 4)
    assert source.ids[:2] == ["b/00000000", "a/00000001"]


def test_a_name_that_occurs_again_gets_a_number(folders: Path, tmp_path: Path) -> None:
    structs = [{**one, "path": "same.png"} for one in as_structs(files_in(folders))]
    source = opened(write_table(tmp_path / "a.parquet", structs, labels_in(folders)))
    assert source.ids[:3] == ["same.png", "same.png#2", "same.png#3"]
    assert len(set(source.ids)) == 8


def test_one_bad_row_is_reported_and_the_rest_is_read(folders: Path, tmp_path: Path) -> None:
    structs = as_structs(files_in(folders))
    structs[2]["bytes"] = structs[2]["bytes"][:100]
    structs[5]["bytes"] = None
    source = opened(write_table(tmp_path / "a.parquet", structs, labels_in(folders)))
    pixels, broken = source.load("clean", 0, np.arange(8))
    assert [one.place for one in broken] == [2, 5]
    assert f"{tmp_path / 'a.parquet'}: {source.ids[2]}: damaged" in broken[0].reason
    assert "the row has no bytes" in broken[1].reason
    assert np.array_equal(pixels[7], decode_rgb(files_in(folders)[7], CUT))


def test_damaged_pages_are_reported_for_each_of_their_rows(folders: Path, tmp_path: Path) -> None:
    path = table(folders, tmp_path / "a.parquet", groups=4)
    content = bytearray(path.read_bytes())
    start = content.index(b"\x89PNG")
    content[start - 6 : start] = b"\xff" * 6  # where the compressed data of the first row group begin
    path.write_bytes(content)
    images = ParquetImages([path], path)
    read = list(images.read(np.arange(8)))
    assert all(isinstance(one, DataError) and "damaged from row" in one.message for one in read[:4])
    assert not any(isinstance(one, DataError) for one in read[4:])


@pytest.mark.parametrize(
    ("columns", "labels", "message"),
    [
        (("image", "label"), None, r"has no column of labels; its columns are image \(struct<bytes: binary"),
        (("image", "label"), [0.5] * 8, r"has no column of labels; .*label \(double\)"),
        (("image", "label"), [0, None] * 4, "row 1 has no label in the column label"),
        (("image", "label"), [0, -1] * 4, r"img002\.png has the label -1; allowed are 0 to 1.*4 images in all"),
        (("image", "label"), [0, 7] * 4, r"has the label 7; allowed are 0 to 1, the 2 outputs of the model"),
    ],
)
def test_labels_that_are_none(
    folders: Path, tmp_path: Path, columns: tuple[str, str], labels: list[Any] | None, message: str
) -> None:
    path = write_table(tmp_path / "a.parquet", as_structs(files_in(folders)), labels, columns=columns)
    with pytest.raises(DataError, match=message):
        opened(path, outputs=["0", "1"])


@pytest.mark.parametrize("labels", [None, [0, None] * 4, [0, -1] * 4])
def test_labels_that_are_not_needed_may_be_missing(folders: Path, tmp_path: Path, labels: list[Any] | None) -> None:
    path = write_table(tmp_path / "a.parquet", as_structs(files_in(folders)), labels)
    images = ParquetImages([path], path, labelled=False)
    assert images.ids == [file.name for file in files_in(folders)]
    assert images.labels.tolist() == ([0, -1] * 4 if labels == [0, -1] * 4 else [0] * 8)
    assert not any(isinstance(one, DataError) for one in images.read(np.arange(8)))


def test_files_that_are_no_images(folders: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has no column of images; its columns are text \(string\), label \(int64\)"):
        opened(write_table(tmp_path / "text.parquet", ["a", "b"], [0, 1], columns=("text", "label")))
    two = table(folders, tmp_path / "two.parquet", columns=("left", "label"), extra={"right": [b"x"] * 8})
    plain = {"columns": ("left", "label"), "extra": {"right": [b"y"]}, "described": False}
    both = write_table(tmp_path / "both.parquet", [b"x"], [0], **plain)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="several columns that may be images: left, right; its columns"):
        opened(both)
    assert opened(two).ids  # Hugging Face's metadata says which one
    (tmp_path / "none.parquet").write_bytes(b"<!doctype html>")
    with pytest.raises(DataError, match=r"none\.parquet is no whole Parquet file"):
        opened(tmp_path / "none.parquet")
    whole = table(folders, tmp_path / "whole.parquet").read_bytes()
    (tmp_path / "cut.parquet").write_bytes(whole[:-200])
    with pytest.raises(DataError, match=r"cut\.parquet is no whole Parquet file") as caught:
        opened(tmp_path / "cut.parquet")
    assert "download it again" in caught.value.hint


def test_columns_that_are_odd(folders: Path, tmp_path: Path) -> None:
    structs = [{**one, "path": number} for number, one in enumerate(as_structs(files_in(folders)))]
    numbered = write_table(tmp_path / "paths.parquet", structs, labels_in(folders))
    assert opened(numbered).ids == [f"{number:08d}" for number in range(8)]  # a path is a text
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    twice = arrow.Table.from_arrays([arrow.array([b"x"])] * 2 + [arrow.array([0])], names=["image", "image", "label"])
    large = arrow.table({"image": [b"x"], "label": arrow.array([2**63], arrow.uint64())})
    parquet.write_table(large, tmp_path / "large.parquet")
    assert opened(tmp_path / "large.parquet", labels="predicted").labels.tolist() == [0]
    parquet.write_table(twice, tmp_path / "twice.parquet")
    with pytest.raises(DataError, match="has several columns called image"):
        opened(tmp_path / "twice.parquet")


def test_shards_of_two_sets_are_refused(folders: Path, tmp_path: Path) -> None:
    table(folders, tmp_path / "test-00000-of-00002.parquet", names=["a", "b"])
    table(folders, tmp_path / "test-00001-of-00002.parquet", names=["a", "c"])
    with pytest.raises(DataError, match="has other columns or classes than"):
        opened(tmp_path)


def test_without_pyarrow_one_line_says_what_to_install(
    folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = table(folders, tmp_path / "a.parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UsageError, match="needs pyarrow, which is not installed") as caught:
        opened(path)
    assert "--extra parquet" in caught.value.hint


def test_the_fingerprint_is_of_the_content(folders: Path, tmp_path: Path) -> None:
    one, same = (table(folders, tmp_path / f"{name}.parquet") for name in ("one", "same"))
    assert opened(one).fingerprint() == opened(same).fingerprint()
    other = write_table(tmp_path / "other.parquet", as_structs(files_in(folders)), labels_in(folders)[::-1])
    assert opened(one).fingerprint() != opened(other).fingerprint()
    assert (opened(one).stamps(("clean", 0)) == opened(one).stamps(("clean", 0))).all()
