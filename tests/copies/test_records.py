"""The journal and the manifest."""

from __future__ import annotations

import json
from io import FileIO
from pathlib import Path

import pytest

from ppbench.copies.records import Records
from ppbench.errors import DataError

HEADER = {"settings": {"seed": 0}, "made_with": {"engine": "x 1"}}
NAMES = ["b.png", "a/é\n.png", "settings", "#c.png", 'd"}.png']


def record(number: int) -> dict[str, object]:
    return {"sha256": f"{number:064}", "files": {f"fog/1/{number}": {"bytes": number, "sha256": "0" * 64}}}


def written(folder: Path, names: list[str] = NAMES) -> Records:
    """Records with the names, numbered; the journal is open."""
    folder.mkdir(exist_ok=True)
    records = Records(folder, folder)
    records.begin(HEADER, ["fog/1"])
    for number, name in enumerate(names):
        records.add(name, record(number))
    return records


def test_what_is_added_is_known_at_once_and_after_a_kill(tmp_path: Path) -> None:
    first = written(tmp_path)  # never closed nor finished
    for records in (first, Records(tmp_path, tmp_path)):
        assert len(records) == 5
        assert [records.get(name) for name in NAMES] == [record(number) for number in range(5)]
        assert records.get("z.png") is None
        assert records.header == HEADER
        assert records.cells == {"fog/1"}


def test_the_manifest_is_sorted_json_whatever_the_order(tmp_path: Path) -> None:
    written(tmp_path / "a").finish([])
    text = (tmp_path / "a" / "manifest.json").read_text()
    records = written(tmp_path / "b", [])
    for name in reversed(NAMES):
        records.add(name, record(9))
        records.add(name, record(NAMES.index(name)))
    records.finish([])
    assert (tmp_path / "b" / "manifest.json").read_text() == text
    assert not (tmp_path / "b" / "journal").exists()
    content = json.loads(text)
    assert content == {
        **HEADER,
        "manifest": 1,
        "cells": ["fog/1"],
        "failed": [],
        "sources": {name: record(number) for number, name in enumerate(NAMES)},
    }
    assert list(content["sources"]) == sorted(NAMES)
    assert (
        text == json.dumps(content, indent=2, sort_keys=True)[: text.index('"sources"')] + text[text.index('"sour') :]
    )


def test_a_manifest_is_continued(tmp_path: Path) -> None:
    written(tmp_path, NAMES[:3]).finish([{"source": "q", "cell": None, "reason": "damaged"}])
    records = Records(tmp_path, tmp_path)
    assert (records.header, records.cells, len(records)) == (HEADER, {"fog/1"}, 3)
    assert records.failed == [{"source": "q", "cell": None, "reason": "damaged"}]
    records.begin(HEADER, ["fog/2"])
    records.add(NAMES[0], record(7))
    records.add(NAMES[3], record(3))
    again = Records(tmp_path, tmp_path)
    assert [(again.get(name) or {}).get("sha256", "")[-1:] for name in NAMES] == ["7", "1", "2", "3", ""]
    records.finish([])
    content = json.loads((tmp_path / "manifest.json").read_text())
    assert content["cells"] == ["fog/1", "fog/2"]
    assert len(content["sources"]) == 4


def test_without_sources_it_is_still_a_manifest(tmp_path: Path) -> None:
    written(tmp_path, []).finish([])
    assert json.loads((tmp_path / "manifest.json").read_text())["sources"] == {}
    assert len(Records(tmp_path, tmp_path)) == 0


@pytest.mark.parametrize("lost", range(1, 200, 7))
def test_a_torn_line_is_left_out_and_written_over(tmp_path: Path, lost: int) -> None:
    written(tmp_path)
    journal = tmp_path / "journal"
    journal.write_bytes(journal.read_bytes()[:-lost])
    records = Records(tmp_path, tmp_path)
    assert len(records) == journal.read_bytes().count(b"\n") - 1
    records.begin(HEADER, ["fog/1"])
    for number, name in enumerate(NAMES):
        records.add(name, record(number))
    records.finish([])
    assert len(json.loads((tmp_path / "manifest.json").read_text())["sources"]) == 5


def test_a_journal_with_holes_after_a_loss_of_power_counts_as_far_as_it_goes(tmp_path: Path) -> None:
    written(tmp_path)
    journal = tmp_path / "journal"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:3]) + b"\0" * 100 + b"\n" + lines[4])
    assert len(Records(tmp_path, tmp_path)) == 2


@pytest.mark.parametrize(
    "text",
    ["", "{}", "hello", "\xff", '{\n  "sources": {\n  }\n}\n', '{"manifest": 2,\n  "sources": {\n  }\n}\n', "[1, 2]"],
)
def test_another_file_of_the_name_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(DataError, match=r"manifest\.json is not a manifest of ppbench, or damaged") as caught:
        Records(tmp_path, tmp_path)
    assert "--overwrite" in caught.value.hint


def test_a_manifest_cut_short_is_refused(tmp_path: Path) -> None:
    written(tmp_path).finish([])
    path = tmp_path / "manifest.json"
    whole = path.read_bytes()
    for length in (len(whole) - 1, len(whole) - 5, len(whole) // 2):
        path.write_bytes(whole[:length])
        with pytest.raises(DataError, match="damaged"):
            Records(tmp_path, tmp_path)


def test_forgetting_removes_the_recorded_files_and_nothing_else(tmp_path: Path) -> None:
    records = written(tmp_path)
    (tmp_path / "fog" / "1").mkdir(parents=True)
    for name in ("0", "1", "mine"):
        (tmp_path / "fog" / "1" / name).touch()
    records.forget()
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["mine"]
    assert (len(records), records.header) == (0, {})
    (tmp_path / "fog" / "1" / "mine").unlink()
    other = written(tmp_path)
    (tmp_path / "fog" / "1" / "3").touch()
    other.forget()
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    records = written(tmp_path)
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(DataError, match=r"cannot write .*manifest\.json: No space left on device"):
        records.finish([])


def test_an_error_on_closing_hides_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(FileIO):
        def close(self) -> None:
            super().close()
            raise OSError(28, "No space left on device")

    records = written(tmp_path)
    monkeypatch.setattr(records, "_append", Full(tmp_path / "journal", "ab"))
    records.close()
    assert len(Records(tmp_path, tmp_path)) == 5


@pytest.mark.parametrize("place", ["manifest", "journal"])
def test_clean_is_a_cell_of_severity_0_alone(tmp_path: Path, place: str) -> None:
    def reopened(cell: str) -> Records:
        records = Records(folder := tmp_path / cell.replace("/", "-"), folder)
        folder.mkdir()
        records.begin(HEADER, [cell])
        records.add("a.png", {"sha256": "a", "files": {f"{cell}/a.png": {"bytes": 1, "sha256": "b"}}})
        if place == "manifest":
            records.finish([])
        records.close()
        return Records(folder, folder)

    clean = reopened("clean/0")
    assert (clean.cells, [*(clean.get("a.png") or {})["files"]]) == ({"clean/0"}, ["clean/0/a.png"])
    for cell in ("clean/3", "fog/0", "fog/6", "clean/00", "xclean/0"):
        if place == "manifest":
            with pytest.raises(DataError, match=f"'{cell}' is not a cell"):
                reopened(cell)
        else:
            assert len(reopened(cell)) == 0, "a journal counts as far as it can be read"


@pytest.mark.parametrize("name", ["../precious", "fog/1/../../../precious", "/precious", "C:/precious", "precious"])
def test_a_record_that_names_files_elsewhere_removes_none(name: str, tmp_path: Path) -> None:
    dest = tmp_path / "dest"
    dest.mkdir()
    for place in (tmp_path / "precious", dest / "precious"):
        place.write_text("mine")
    settings = {"cells": ["fog/1"], "made_with": {}, "settings": {}}
    record = {"sha256": "a", "files": {name: {"bytes": 4, "sha256": "b"}}}
    begun = json.dumps({"b.png": "../../../precious"})
    head = json.dumps({**settings, "failed": [], "manifest": 1, "sources": {}}, indent=2, sort_keys=True).splitlines()
    text = "\n".join([*head[:-2], '  "sources": {', f'    "a.png": {json.dumps(record)}', "  }", "}", ""])
    (dest / "manifest.json").write_text(text)
    (dest / "journal").write_text(f"#{json.dumps(settings)}\n!{begun}\n")
    records = Records(dest, dest)
    assert "a.png" in records
    with pytest.raises(DataError, match="is not a manifest of ppbench, or damaged"):
        records.forget()
    assert (tmp_path / "precious").read_text() == (dest / "precious").read_text() == "mine"
