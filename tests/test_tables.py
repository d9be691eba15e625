"""The tables in the pages are those of the files of measurements."""

from __future__ import annotations

import argparse
import copy
import json
import re
from pathlib import Path

import pytest

from tests.bench import record
from tools.benchmark_tables import UNKNOWN, benchmark_table, figure, goal
from tools.write_tables import DOCS, PAGES, TABLE, with_tables

RECORDS = [file for file in sorted((DOCS / "benchmarks").glob("*.json")) if file.stem != "gpu"]
"""Of the scripts in tests/bench; the check on a GPU writes another form (`tools.gpu_table`)."""


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_the_tables_of_its_files(name: str) -> None:
    page = (DOCS / name).read_text()
    assert TABLE.search(page)
    assert with_tables(page) == page, "python -m tools.write_tables"


def test_every_file_of_measurements_has_a_table() -> None:
    named = {found[1] for name in PAGES for found in TABLE.finditer((DOCS / name).read_text())}
    assert {"benchmarks/gpu", *(f"benchmarks/{file.stem}" for file in RECORDS)} <= named


@pytest.mark.parametrize("file", RECORDS, ids=lambda file: file.stem)
def test_a_record_says_machine_and_what_it_does_not_know(file: Path) -> None:
    found = json.loads(file.read_text())
    assert found["machine"]["cpu"]
    assert found["machine"]["cores"] >= 1
    assert {"commit", "date", "n", "versions"} <= set(found)
    assert (DOCS.parent / found["script"]).is_file() or found["script"].startswith("ppbench ")
    table = benchmark_table(file)
    assert (found["commit"] or UNKNOWN) in table
    for row in found["rows"]:
        assert row["name"] in table


def test_a_changed_figure_changes_the_table(tmp_path: Path) -> None:
    found = json.loads(RECORDS[0].read_text())
    changed = copy.deepcopy(found)
    changed["rows"][0][changed["columns"][0]["key"]]["median"] += 1
    for name, content in (("old", found), ("new", changed)):
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    assert benchmark_table(tmp_path / "old.json") != benchmark_table(tmp_path / "new.json")


def test_a_goal_that_was_missed_is_said_to_be() -> None:
    row = {"ratio": record.single(1.06), "goal": {"of": "ratio", "at_most": 1.05}}
    assert goal(row) == "at most 1.05: **missed**"
    assert goal(row | {"goal": record.wanted("ratio", ">= 1.05; GPU 2")}) == "at least 1.05: met"
    assert goal(row | {"goal": record.wanted("ratio", "none")}) == "none"


def test_figures_have_quartiles_or_the_extremes_or_are_not_recorded() -> None:
    assert figure(record.figure([1, 2, 3, 4]), 2) == "2.50 (1.25 to 3.75)"
    assert figure(record.figure([1, 3]), 0) == "2 [1, 3]"
    assert figure(None, 0) == UNKNOWN


def test_a_script_writes_a_record_that_gives_a_table(tmp_path: Path) -> None:
    parser = argparse.ArgumentParser()
    record.add_json_option(parser)
    file = parser.parse_args(["--json", str(tmp_path / "found.json")]).json
    rows = [{"name": "a", "time": record.figure([1.0, 2.0, 3.0, 4.0]), "goal": None}]
    record.save(file, __file__, "here", [record.column("time", "time", 1, "s")], rows, n=4, first_column="what")
    written = json.loads(file.read_text())
    assert written["script"] == "tests/bench/test_tables.py"
    assert written["commit"] is None or re.fullmatch(r"[0-9a-f]+\+?", written["commit"])
    assert "| a | 2.5 (1.2 to 3.8) | none |" in benchmark_table(file)
    record.save(None, __file__, "here", [], [], n=0, first_column="what")


def test_all_benchmarks_have_the_option() -> None:
    for script in sorted((DOCS.parent / "tests" / "bench").glob("bench_*.py")):
        assert "record.add_json_option(parser)" in script.read_text(), script.name
