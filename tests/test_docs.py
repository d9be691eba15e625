"""The documents: links lead somewhere, the schema is the code's, examples are of commands that exist."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ppbench.cli.main import app
from ppbench.run import json_schema

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")] + sorted(
    (ROOT / "docs").glob("*.md")
)


def test_the_schema_in_the_docs_is_that_of_the_code() -> None:
    stored = json.loads((ROOT / "docs" / "run-v2.schema.json").read_text())
    assert stored == json_schema(), "write it anew: see docs/run-file.md"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_to_other_files_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target


@cache
def help_of(command: str) -> str:
    return CliRunner().invoke(app, [command, "--help"]).stdout


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_in_the_pages_use_options_that_exist(page: Path) -> None:
    commands = "eval|corrupt|show|compare|check|train|reproduce|inspect|convert|list|doctor"
    for command, rest in re.findall(rf"ppbench ({commands})\b([^\n`#]*)", page.read_text()):
        helped = help_of(command)
        for option in re.findall(r"(?<=\s)--[a-z-]+", rest):
            assert option in helped, f"ppbench {command} {option}"
