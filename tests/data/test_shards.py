"""Datasets in several files: patterns of their names, and parts for training and testing."""

from __future__ import annotations

from pathlib import Path

import pytest

from ppbench.data.layout import FolderFound, ShardsFound, look
from ppbench.data.shards import is_pattern, matching, place_of, starts_of
from ppbench.data.splits import choose_split, splits
from ppbench.errors import DataError
from tests.shards import as_structs, files_in, labels_in, write_mixed_folders, write_table, write_tar


def write(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def names(pattern: Path) -> list[str]:
    return [path.name for path in matching(pattern)]


def test_patterns_stand_for_files(tmp_path: Path) -> None:
    write(tmp_path, "a-0009.tar", "a-0010.tar", "a-0011.tar", "b.tar", "folder.tar/x")
    assert names(tmp_path / "a-*.tar") == ["a-0009.tar", "a-0010.tar", "a-0011.tar"]
    assert names(tmp_path / "*.tar") == ["a-0009.tar", "a-0010.tar", "a-0011.tar", "b.tar"]
    assert names(tmp_path / "a-{0009..0010}.tar") == ["a-0009.tar", "a-0010.tar"]
    assert names(tmp_path / "{b,a-0011}.tar") == ["b.tar", "a-0011.tar"]
    assert names(tmp_path / "{a,c}-00{09..10}.tar".replace("{a,c}", "{a,a}")) == ["a-0009.tar", "a-0010.tar"]
    assert names(tmp_path / "a-00[01][19].tar") == ["a-0009.tar", "a-0011.tar"]


def test_what_exists_is_no_pattern(tmp_path: Path) -> None:
    write(tmp_path, "odd[1].tar")
    assert not is_pattern(tmp_path / "odd[1].tar")
    assert is_pattern(tmp_path / "*.tar")
    assert not is_pattern(tmp_path / "none.tar")


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("no-*.tar", r"no file is named .*no-\*\.tar\n.*in quotes"),
        ("a-{0009..0012}.tar", r"no file is named .*a-0012\.tar"),
        ("a-{9..1}.tar", r"\{9\.\.1\} is not a range of file numbers"),
        ("{0..9999}{0..9999}.tar", "stands for more than 1,000,000 files"),
    ],
)
def test_patterns_that_stand_for_nothing(tmp_path: Path, pattern: str, message: str) -> None:
    write(tmp_path, "a-0009.tar", "a-0010.tar", "a-0011.tar")
    with pytest.raises(DataError, match=message):
        matching(tmp_path / pattern)


def test_rows_are_in_the_part_that_they_fall_into() -> None:
    starts = starts_of([2, 0, 3])
    assert [place_of(row, starts) for row in range(5)] == [(0, 0), (0, 1), (2, 0), (2, 1), (2, 2)]


SPLITS = {
    "test": ["data/test-00000-of-00002.parquet", "data/test-00001-of-00002-1a2b.parquet"],
    "train": ["data/train-00000-of-00001.parquet"],
}


def test_files_are_grouped_by_split() -> None:
    assert splits([name for files in SPLITS.values() for name in files]) == SPLITS
    converted = ["default/test/0000.parquet", "default/test/0001.parquet", "default/train/0000.parquet"]
    assert splits(converted) == {"default/test": converted[:2], "default/train": converted[2:]}
    assert splits(["0000.parquet", "0001.parquet"]) == {"": ["0000.parquet", "0001.parquet"]}


def test_names_that_say_nothing_of_splits_are_one_set(tmp_path: Path) -> None:
    found = look(write(tmp_path, "part-00000-c000.snappy.parquet", "part-00001-c000.snappy.parquet"))
    assert isinstance(found, ShardsFound)
    assert len(found.files) == 2


@pytest.mark.parametrize(
    ("there", "wanted", "chosen"),
    [
        (["train", "validation", "test"], "", "test"),
        (["train", "validation"], "", "validation"),
        (["train"], "", "train"),
        (["a/test", "a/train", "b/train"], "", "a/test"),
        (["a/test", "b/test"], "b/test", "b/test"),
        (["train", "extra"], "extra", "extra"),
    ],
)
def test_the_split_to_evaluate(there: list[str], wanted: str, chosen: str) -> None:
    assert choose_split({name: [] for name in there}, wanted, "x", "`{}`") == chosen


@pytest.mark.parametrize(
    ("there", "wanted", "message"),
    [
        (["a/test", "b/test"], "", r"x has 2 parts of this name: a/test, b/test\nChoose one: `a/test`"),
        (["train", "extra"], "", "x has no part that is usual for an evaluation; it has train, extra"),
        (["train"], "test", "x has no part 'test'; it has train"),
    ],
)
def test_splits_that_are_not_clear(there: list[str], wanted: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        choose_split({name: [] for name in there}, wanted, "x", "`{}`")


def test_a_folder_of_several_splits_says_how_to_choose(tmp_path: Path) -> None:
    write(tmp_path, *SPLITS["test"], *SPLITS["train"], "README.md")
    with pytest.raises(DataError, match=r"has 2 parts: test, train\n.*--data '.*/data/test-\*\.parquet'"):
        look(tmp_path)
    for name in SPLITS["train"]:
        (tmp_path / name).rename(tmp_path / "README.txt")
    found = look(tmp_path)
    assert isinstance(found, ShardsFound)
    assert (found.form, [path.name for path in found.files]) == ("parquet", [Path(n).name for n in SPLITS["test"]])


def test_the_content_decides_not_the_name(tmp_path: Path) -> None:
    folders = write_mixed_folders(tmp_path / "folders", per_class=1)
    table = write_table(tmp_path / "a.parquet", as_structs(files_in(folders)), labels_in(folders))
    bare = table.rename(tmp_path / "table")
    tar = write_tar(tmp_path / "x.tar", [("0.png", files_in(folders)[0].read_bytes()), ("0.cls", b"0")])
    for path, form in ((bare, "parquet"), (tar, "tar"), (tmp_path / "*.tar", "tar")):
        found = look(path)
        assert isinstance(found, ShardsFound)
        assert found.form == form
    # A table about the images is no set of images.
    write(folders, "metadata.parquet")
    write(folders / "n00000000", "notes.parquet")
    assert isinstance(look(folders), FolderFound)
    with pytest.raises(DataError, match="names Parquet files and others"):
        look(tmp_path / "{x.tar,table}")
