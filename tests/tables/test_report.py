"""Reports that are no tables, or other tables in a terminal."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ppbench.cli.output import Format, show
from ppbench.tables.report import Facts, Rows
from ppbench.tables.sheet import Line, Sheet

FACTS = Facts("What it takes", [("images", "10 in 2 cells"), ("time", "a minute")], {"images": 10, "minutes": 1.0})


@pytest.mark.parametrize(
    ("format", "expected"),
    [
        (Format.RICH, "images  10 in 2 cells\ntime    a minute\n"),
        (Format.CSV, "images,minutes\n10,1.0\n"),
    ],
)
def test_facts_are_lines_in_a_terminal_and_a_row_in_csv(
    format: Format, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    show(FACTS, format)
    assert capsys.readouterr().out == expected


def test_facts_are_an_object_in_json_and_a_table_in_text(capsys: pytest.CaptureFixture[str]) -> None:
    show(FACTS, Format.JSON)
    assert json.loads(capsys.readouterr().out) == {"images": 10, "minutes": 1.0}
    show(FACTS, Format.MARKDOWN)
    assert "| images | 10 in 2 cells |" in capsys.readouterr().out


class Numbers:
    """A report that shows its sum in a terminal only."""

    def sheets(self) -> list[Sheet]:
        return [Sheet("Numbers", ("number",), (Line(("1",)), Line(("2",))))]

    def terminal_sheets(self) -> list[Sheet]:
        return [Sheet("Sum", ("sum",), (Line(("3",)),))]

    def as_dict(self) -> dict[str, Any]:
        return {"numbers": [1, 2]}

    def rows(self) -> Rows:
        return Rows.of_records([{"number": 1, "odd": True}, {"number": 2, "odd": False}], ["number"])


def test_a_report_may_have_other_tables_in_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    show(Numbers(), Format.RICH)
    shown = capsys.readouterr().out
    assert "Sum" in shown
    assert "Numbers" not in shown
    show(Numbers(), Format.MARKDOWN)
    assert "Sum" not in capsys.readouterr().out
    show(Numbers(), Format.CSV)
    assert capsys.readouterr().out == "number\n1\n2\n"
