"""The documents: links lead somewhere, the schema is the code's, examples are of commands that exist."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from ppbench.cli.main import app
from ppbench.run import json_schema

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")] + sorted(
    (ROOT / "docs").glob("*.md")
)


def test_the_schema_in_the_docs_is_that_of_the_code() -> None:
    stored = json.loads((ROOT / "docs" / "run-v3.schema.json").read_text())
    assert stored == json_schema(), "write it again: see docs/run-file.md"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_to_other_files_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_every_page_is_listed_once_on_the_first_page() -> None:
    """The site's navigation is made from these lists."""
    listed = re.findall(r"^- \[[^\]]+\]\(([\w/-]+)\.md\)", (ROOT / "docs" / "index.md").read_text(), re.MULTILINE)
    assert sorted(listed) == sorted({page.stem for page in (ROOT / "docs").glob("*.md")} - {"index"})


def prose_of(page: Path) -> list[tuple[int, str]]:
    """The lines of a page outside code, tables and what a command printed, with their numbers."""
    lines, skipped = [], False
    for number, line in enumerate(page.read_text().splitlines(), start=1):
        if re.match(r"\s*```|<!-- ", line):
            skipped = not skipped
        elif not skipped and not line.startswith("|"):
            lines.append((number, line))
    return lines


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.name)
def test_a_page_opens_with_what_the_reader_can_do_after_it(page: Path) -> None:
    title, blank, opening = page.read_text().splitlines()[:3]
    assert title.startswith("# ")
    assert not blank
    # The first page says what ppbench is before it leads on.
    assert opening.startswith("ppbench measures " if page.name == "index.md" else "After this page ")


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "CHANGELOG.md"], ids=lambda page: page.name)
def test_prose_is_wrapped_at_one_width_and_has_no_word_that_reads_like_a_translation(page: Path) -> None:
    for number, line in prose_of(page):
        assert len(line) <= 120, f"{page.name}:{number} has {len(line)} characters"
        found = re.search(r"\b(mend\w*|anew|errs|told|tells of|is to be|kin|reckons?)\b", line)
        assert not found, f"{page.name}:{number} {found}"


@cache
def help_of(command: str) -> str:
    return CliRunner().invoke(app, [command, "--help"]).stdout


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_in_the_pages_use_options_that_exist(page: Path) -> None:
    commands = "|".join(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
    for command, rest in re.findall(rf"ppbench ({commands})\b([^\n`#]*)", page.read_text()):
        helped = help_of(command)
        for option in re.findall(r"(?<=\s)--[a-z-]+", rest):
            assert option in helped, f"ppbench {command} {option}"
