from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from ppbench.cli.options import command_line, expanded, split_values
from ppbench.errors import UsageError


@pytest.mark.parametrize("values", [["fog", "frost"], ["fog,frost"], ["fog frost"], [" fog, ", "frost,"]])
def test_repeated_values_and_one_list_are_the_same(values: list[str]) -> None:
    assert split_values("--corruptions", values, "c15") == ["fog", "frost"]


@pytest.mark.parametrize("values", [[], [""], [" , "]])
def test_an_option_without_a_value_is_an_error_that_names_the_default(values: list[str]) -> None:
    with pytest.raises(UsageError, match="--corruptions has no value") as caught:
        split_values("--corruptions", values, "c15")
    assert "Leave it out for c15" in caught.value.hint


def test_the_command_line_can_be_typed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["/usr/bin/ppbench", "show", "my run.json"])
    assert command_line() == "ppbench show 'my run.json'"


@dataclass(frozen=True)
class Colours:
    """Options that several commands would have."""

    red: Annotated[int, typer.Option(help="Red.")] = 1
    blue: Annotated[bool, typer.Option("--blue", help="Blue.")] = False


def test_a_group_of_options_is_declared_once_and_comes_as_one_value() -> None:
    given: list[object] = []

    @expanded
    def paint(what: str, *, colours: Colours, times: int = 1) -> None:
        given.append((what, colours, times))

    assert list(inspect.signature(paint).parameters) == ["what", "red", "blue", "times"]
    app = typer.Typer()
    app.command()(paint)
    for words in (["wall", "--red", "3", "--blue", "--times", "2"], ["door"]):
        assert CliRunner().invoke(app, words).exit_code == 0
    assert given == [("wall", Colours(3, True), 2), ("door", Colours(), 1)]
