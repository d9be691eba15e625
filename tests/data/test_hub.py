"""Datasets of the hub, whose library is replaced by one that finds files in a folder."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ppbench.data.opening import open_source
from ppbench.data.source import Geometry, Source
from ppbench.errors import DataError, UsageError
from tests.shards import files_in, ids_in, write_mixed_folders, write_parquet


class NoRevisionError(Exception):
    pass


class Hub:
    """The hub's library: files by repository and revision, and what was asked for."""

    errors = SimpleNamespace(RevisionNotFoundError=NoRevisionError)

    def __init__(self, root: Path, revisions: dict[str, list[str]]) -> None:
        self.root, self.revisions, self.asked = root, revisions, list[Any]()
        self.network, self.cached = True, False

    def HfApi(self) -> Hub:  # noqa: N802
        return self

    def list_repo_files(self, repository: str, *, repo_type: str, revision: str) -> list[str]:
        if not self.network:
            raise OSError("[Errno -2] Name or service not known")
        if revision not in self.revisions:
            raise NoRevisionError
        return self.revisions[revision]

    def snapshot_download(self, repository: str, *, repo_type: str, revision: str, **more: Any) -> str:
        if more.get("local_files_only") and not (self.cached and revision == "main"):
            raise OSError("not in the cache")
        self.asked.append((repository, repo_type, revision, more.get("allow_patterns")))
        return str(self.root)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    write_parquet(write_mixed_folders(tmp_path / "folders"), tmp_path / "snapshot")
    files = [path.relative_to(tmp_path / "snapshot").as_posix() for path in (tmp_path / "snapshot/data").iterdir()]
    made = Hub(tmp_path / "snapshot", {"main": ["README.md", "data/train-00000-of-00001.parquet", *sorted(files)]})
    monkeypatch.setitem(sys.modules, "huggingface_hub", made)  # type: ignore[arg-type]
    return made


def opened(name: str) -> Source:
    return open_source(name, None, Geometry(32, None))


TEST = ["data/test-00000-of-00002.parquet", "data/test-00001-of-00002.parquet"]


def test_the_files_of_the_test_split_are_downloaded(hub: Hub, tmp_path: Path) -> None:
    source = opened("hf:me/cats")
    assert (source.dataset, source.ids) == ("hf:me/cats", ids_in(tmp_path / "folders"))
    assert hub.asked == [("me/cats", "dataset", "main", TEST)]
    assert source.notes == (f"hf:me/cats: the part test, 2 files in {hub.root}",)
    assert not source.load("clean", 0, np.arange(len(files_in(tmp_path / "folders")))).broken


def test_the_copy_that_the_hub_makes_is_taken_where_there_is_no_other(hub: Hub) -> None:
    hub.revisions = {"main": ["images.zip"], "refs/convert/parquet": TEST}
    assert opened("hf:me/cats@test").total == 8
    assert hub.asked[-1][2] == "refs/convert/parquet"


def test_without_a_network_what_was_downloaded_before_is_enough(hub: Hub) -> None:
    hub.network, hub.cached = False, True
    assert opened("hf:me/cats").total == 8


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "hf:me/cats@extra",
            r"hf:me/cats@extra has no part 'extra'; it has test, train\nChoose one: `--dataset hf:me/cats@test`",
        ),
        ("hf:cats", r"--dataset hf:cats is not hf:ORG/NAME\n"),
        ("hf:me/", "is not hf:ORG/NAME"),
    ],
)
def test_names_that_do_not_do(hub: Hub, name: str, message: str) -> None:
    with pytest.raises((DataError, UsageError), match=message):
        opened(name)


def test_what_cannot_be_had_is_one_line(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.revisions = {"main": ["images.zip"]}
    with pytest.raises(DataError, match="hf:me/cats has no Parquet files on the hub"):
        opened("hf:me/cats")
    hub.network = False
    with pytest.raises(DataError, match=r"cannot get hf:me/cats from the .* hub: .*Name or service") as caught:
        opened("hf:me/cats")
    assert "\n" not in caught.value.message
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(UsageError, match="needs huggingface_hub, which is not installed"):
        opened("hf:me/cats")
