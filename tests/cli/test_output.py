"""The sink of the command line: what goes to stdout, what to stderr, and in which format."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from ppbench.cli import output
from ppbench.cli.output import Format
from ppbench.errors import DataError
from ppbench.tables.report import Rows
from ppbench.tables.sheet import Line, Sheet


class Result:
    """A report of one number."""

    def sheets(self) -> list[Sheet]:
        return [Sheet("A result", ("name", "value"), (Line(("x", "1")),), notes=("A note.",))]

    def as_dict(self) -> dict[str, Any]:
        return {"x": 1}

    def rows(self) -> Rows:
        return Rows(("name", "value"), [("x", 1)])


@pytest.mark.parametrize("form", Format)
def test_a_report_is_printed_to_stdout_in_every_format(form: Format, capsys: pytest.CaptureFixture[str]) -> None:
    output.show(Result(), form)
    printed = capsys.readouterr()
    assert printed.err == ""
    if form is Format.JSON:
        assert json.loads(printed.out) == {"x": 1}
    elif form is Format.CSV:
        assert printed.out == "name,value\nx,1\n"
    else:
        assert "A result" in printed.out
        assert "A note." in printed.out


def test_what_others_print_meanwhile_is_kept_out_of_the_data(capfd: pytest.CaptureFixture[str]) -> None:
    with output.stdout_for_data():
        print("from Python")
        os.write(1, b"from compiled code\n")
    output.data("data")
    out, err = capfd.readouterr()
    assert out == "data\n"
    assert "from Python" in err
    assert "from compiled code" in err


def test_an_error_and_its_hint_go_to_stderr_without_what_a_terminal_obeys(capsys: pytest.CaptureFixture[str]) -> None:
    output.fail(DataError("cannot read a\x1b[31m[red].json", "First.\nSecond."))
    assert capsys.readouterr() == ("", "error: cannot read a\\x1b[31m[red].json\n  First.\n  Second.\n")


@pytest.mark.parametrize("columns", ["0", "1", "9"])
def test_a_width_that_no_terminal_has_is_taken_as_unknown(
    columns: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    output._console.cache_clear()
    output.show(Result(), Format.RICH)
    output._console.cache_clear()
    assert "A result" in capsys.readouterr().out
