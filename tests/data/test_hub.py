"""Datasets of the hub, from a server on this machine that answers as the hub does."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ppbench.data.opening import open_source
from ppbench.data.source import Geometry, Source
from ppbench.errors import DataError, UsageError
from tests.hub import Hub, serving
from tests.shards import files_in, ids_in, write_mixed_folders, write_parquet


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Hub]]:
    write_parquet(write_mixed_folders(tmp_path / "folders"), tmp_path / "written")
    files = {f"data/{path.name}": path.read_bytes() for path in (tmp_path / "written/data").iterdir()}
    files |= {"README.md": b"cats", "data/train-00000-of-00001.parquet": b"not fetched"}
    with serving(monkeypatch, tmp_path / "cache", kind="datasets", name="me/cats", revisions={"main": files}) as hub:
        yield hub


def opened(name: str) -> Source:
    return open_source(name, None, Geometry(32, None))


TEST = ["data/test-00000-of-00002.parquet", "data/test-00001-of-00002.parquet"]


def test_the_files_of_the_test_split_are_downloaded(hub: type[Hub], tmp_path: Path) -> None:
    source = opened("hf:me/cats")
    assert (source.dataset, source.ids) == ("hf:me/cats", ids_in(tmp_path / "folders"))
    assert sorted(hub.asked) == TEST
    assert source.notes[0].startswith(f"hf:me/cats: the part test, 2 files in {tmp_path / 'cache'}")
    assert not source.load("clean", 0, np.arange(len(files_in(tmp_path / "folders")))).broken


def test_the_copy_that_the_hub_makes_is_taken_where_there_is_no_other(hub: type[Hub]) -> None:
    files = {f"default/test/{number:04}.parquet": hub.revisions["main"][name] for number, name in enumerate(TEST)}
    hub.revisions = {"main": {"images.zip": b""}, "refs/convert/parquet": files}
    assert opened("hf:me/cats@test").total == 8
    assert sorted(hub.asked) == sorted(files)


def test_without_a_network_what_was_downloaded_before_is_enough(
    hub: type[Hub], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = opened("hf:me/cats")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    again = opened("hf:me/cats")
    assert (again.ids, again.notes) == (first.ids, first.notes)
    with pytest.raises(DataError, match=r"cannot fetch me/dogs from huggingface.co, .* it is not reachable") as caught:
        opened("hf:me/dogs")
    assert "\n" not in caught.value.message
    assert "--data 'DIR/*.parquet'" in caught.value.hint


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "hf:me/cats@extra",
            r"hf:me/cats@extra has no part 'extra'; it has test, train\nChoose one: `--dataset hf:me/cats@test`",
        ),
        ("hf:cats", r"--dataset hf:cats is not hf:ORG/NAME\n"),
        ("hf:me/", "is not hf:ORG/NAME"),
        ("hf:m e/cats", "is not hf:ORG/NAME"),
        ("hf:me/dogs", "there is no dataset me/dogs on huggingface.co"),
    ],
)
def test_names_that_do_not_do(hub: type[Hub], name: str, message: str) -> None:
    with pytest.raises((DataError, UsageError), match=message):
        opened(name)


def test_what_cannot_be_had_is_one_line(hub: type[Hub], monkeypatch: pytest.MonkeyPatch) -> None:
    hub.revisions = {"main": {"images.zip": b""}}
    with pytest.raises(DataError, match="hf:me/cats has no Parquet files on the hub"):
        opened("hf:me/cats")
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(UsageError, match="needs huggingface_hub, which is not installed"):
        opened("hf:me/cats")
