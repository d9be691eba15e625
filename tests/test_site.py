"""The documentation site: it builds without a warning, every page is in its navigation, no link in it is dead."""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import typer
import yaml

from ppbench.cli.main import app
from tests.forks import run

pytest.importorskip("furo", reason="the site needs the dependency group docs: uv sync --group docs")

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


class Page(HTMLParser):
    """What a page of the site links to, and what can be linked to in it."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.anchors: set[str] = set()
        self.text = file.read_text()
        self.feed(self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if given.get("id"):
            self.anchors.add(str(given["id"]))
        link = given.get("src") if tag in ("img", "script") else given.get("href") if tag in ("a", "link") else None
        if link is not None:
            self.links.add(link)


def dead_links(pages: dict[Path, Page]) -> list[str]:
    """Links of pages to files or anchors that are not there."""
    dead = []
    for file, page in pages.items():
        for link in sorted(page.links):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
            found = pages[target].anchors if target in pages else None
            if not target.exists() or (parts.fragment and (found is None or unquote(parts.fragment) not in found)):
                dead.append(f"{file.name}: {link}")
    return dead


def test_the_site_builds_without_a_warning_and_all_its_links_lead_somewhere(tmp_path: Path) -> None:
    site = (tmp_path / "site").resolve()
    options = ("-q", "-W", "--keep-going", "-d", str(tmp_path / "cache"))
    built = run("import sys\nfrom sphinx.cmd.build import main\nsys.exit(main())", *options, str(DOCS), str(site))
    assert built.returncode == 0, built.stderr
    pages = {file: Page(file) for file in sorted(site.rglob("*.html"))}
    assert {file.stem for file in DOCS.glob("*.md")} <= {file.stem for file in pages}
    assert not dead_links(pages)
    assert (site / "searchindex.js").exists()
    check_commands(pages[site / "cli.html"])
    check_python(pages[site / "python.html"])
    assert "Keep a Changelog" in pages[site / "changelog.html"].text
    assert "To add a metric" in pages[site / "contributing.html"].text


def check_commands(page: Page) -> None:
    """The page has each command, each of its options and its examples."""
    for name, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        assert f"ppbench-{name}" in page.anchors
        shown = [given for given in command.params if not getattr(given, "hidden", False)]
        for option in (option for given in shown for option in given.opts if option.startswith("--")):
            assert option in page.text, f"{name} {option}"
        assert all(line.partition(" --")[0] in page.text for line in command.page.examples)


def check_python(page: Page) -> None:
    """The page has each public name."""
    import ppbench
    from ppbench import metrics

    names = {f"ppbench.{name}" for name in ppbench.__all__} - {"ppbench.metrics", "ppbench.__version__"}
    names |= {f"ppbench.metrics.{name}" for name in metrics.__all__}
    assert names <= page.anchors


def test_a_dead_link_and_a_dead_anchor_are_found(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text('<a href="b.html#there">x</a><a href="b.html#gone">y</a><img src="no.png">')
    (tmp_path / "b.html").write_text('<h1 id="there">b</h1><a href="https://example.org/gone">z</a>')
    pages = {file.resolve(): Page(file) for file in sorted(tmp_path.iterdir())}
    assert dead_links(pages) == ["a.html: b.html#gone", "a.html: no.png"]


def test_the_workflow_and_contributing_build_the_site_with_one_command() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "docs.yml").read_text())
    steps = [step.get("run") for step in workflow["jobs"]["build"]["steps"]]
    command = "uv run --no-dev --group docs sphinx-build -W --keep-going docs build/docs"
    assert command in steps
    assert command in (ROOT / "CONTRIBUTING.md").read_text()
    assert set(workflow["jobs"]) == {"build", "publish"}


def test_pages_are_reached_by_the_keyboard_and_lists_are_named() -> None:
    sys.path.insert(0, str(DOCS / "_ext"))
    try:
        from accessible import improved
    finally:
        sys.path.pop(0)
    assert improved('<pre id="a">x</pre>') == '<pre tabindex="0" id="a">x</pre>'
    assert improved('<p role="heading">x</p>') == '<p role="heading" aria-level="2">x</p>'
    assert improved("(\n<dl>\n<dd>a,</dd>\n</dl>\n)") == '(\n<span class="parameter">a,</span>\n\n)'
    once = improved('<pre>x</pre><div class="table-wrapper docutils"><aside class="sidebar-drawer">')
    assert improved(once) == once
