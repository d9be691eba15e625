"""What ``--help`` shows: groups, the most used options first, examples that the commands take."""

from __future__ import annotations

import shlex
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from ppbench.cli.help import GROUPS, MOST_USED, OTHER, Page, group_of
from ppbench.cli.main import app

COMMANDS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]


def options_of(name: str) -> set[str]:
    return {option for parameter in COMMANDS[name].params for option in parameter.opts if option.startswith("--")}


PAGES: dict[str, Page] = {name: command.page for name, command in COMMANDS.items()}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_in_a_group(name: str) -> None:
    groups = {parameter.name: group_of(parameter, PAGES[name]) for parameter in COMMANDS[name].params}
    assert OTHER not in groups.values(), groups


@pytest.mark.parametrize("name", COMMANDS)
def test_what_a_page_names_are_options_of_the_command(name: str) -> None:
    page = PAGES[name]
    named = {*page.first, *(option for group in page.groups.values() for option in group)}
    assert named <= options_of(name)
    assert len(page.first) <= 5


def test_the_groups_of_all_commands_have_no_option_that_is_gone() -> None:
    named = {option for group in GROUPS.values() for option in group}
    assert named <= {option for name in COMMANDS for option in options_of(name)}


@pytest.mark.parametrize("line", [line for page in PAGES.values() for line in page.examples])
def test_the_examples_are_command_lines_that_parse(line: str) -> None:
    program, name, *arguments = shlex.split(line)
    assert program == "ppbench"
    COMMANDS[name].make_context(name, arguments)  # raises where an option or a value is not allowed
    assert len(line) <= 78


def test_the_most_used_come_first_and_the_examples_last() -> None:
    shown = CliRunner().invoke(app, ["eval", "--help"]).stdout
    headings = [line.removesuffix(":") for line in shown.splitlines() if line.endswith(":") and line[0] != " "]
    assert headings == [MOST_USED, *(name for name in GROUPS), OTHER, "Examples"]
    first = [line.split()[0] for line in shown[shown.index(MOST_USED) :].splitlines() if line.startswith("  -")][:5]
    assert first == ["-m,", "--dataset", "--data", "--limit", "-o,"]


def test_perturbations_have_one_short_option_wherever_they_are_given() -> None:
    given = {
        name: [parameter.opts for parameter in command.params if "--perturbation" in parameter.opts]
        for name, command in COMMANDS.items()
    }
    assert {name for name, options in given.items() if options} >= {"eval", "corrupt"}
    assert all("-p" in options for found in given.values() for options in found)


def test_types_and_defaults_are_written_plainly() -> None:
    shown = " ".join(CliRunner().invoke(app, ["corrupt", "--help"]).stdout.split())
    assert "--severities TEXT" in shown
    assert "[default: c15]" in shown
    assert "<" not in shown.replace("<corruption>/<severity>/<same relative path>", "")


@pytest.mark.parametrize("name", COMMANDS)
def test_it_is_as_wide_as_the_terminal_up_to_100(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    main: Any = typer.main.get_command(app)
    command = main.commands[name]
    ctx = command.context_class(command, info_name=name, parent=main.make_context("ppbench", [name]))
    widths = {}
    for terminal in (80, 100, 160):  # CliRunner's are always 80
        monkeypatch.setenv("COLUMNS", str(terminal))
        text = command.get_help(ctx).partition("\nExamples:")[0]
        widths[terminal] = max(map(len, text.splitlines()))
    assert widths[80] <= 80 < widths[100] <= 100
    assert widths[160] == widths[100]


def test_an_unlisted_option_is_shown_under_other() -> None:
    class Unlisted:
        param_type_name = "option"
        opts = ("--unheard-of",)

    assert group_of(Unlisted(), Page()) == OTHER


def test_the_list_of_commands_has_whole_lines_and_usage_is_written_as_people_do() -> None:
    assert all(0 < len(page.summary) <= 60 for page in PAGES.values())
    shown = CliRunner().invoke(app, ["--help"]).stdout
    assert all(page.summary in shown for page in PAGES.values())
    assert "[OPTIONS] SRC [DEST]\n" in CliRunner().invoke(app, ["corrupt", "--help"]).stdout
    assert "[OPTIONS] MODEL [IMAGE]...\n" in CliRunner().invoke(app, ["inspect", "--help"]).stdout
