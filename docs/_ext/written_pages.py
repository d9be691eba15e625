"""Pages, and parts of pages, that are written while the site is built.

On GitHub a page has only a comment, such as ``<!-- the site has here: commands -->``. On the site, the commands'
reference, the Python API or another file of the repository stands in its place. `docs/index.md` lists all pages once,
as links; the site's navigation is made from these lists.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from commands_page import commands_page
from python_page import python_page
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

HERE = re.compile(r"<!-- the site has here: (.+?) -->")
LISTED = re.compile(r"^- \[([^\]]+)\]\(([\w/-]+)\.md\)", re.MULTILINE)
FROM_ABOVE = {"CHANGELOG.md": "changelog", "CONTRIBUTING.md": "contributing"}
"""Files beside ``docs/`` that have a page of the site."""


def above(docs: Path, name: str) -> str:
    """Text of a file beside ``docs/``, without its title, its links as they are from a page in ``docs/``."""
    text = (docs.parent / name).read_text()
    return re.sub(r"\]\(docs/", "](", text.partition("\n")[2])


def written(docs: Path, what: str) -> str:
    """The Markdown that takes the place of a comment.

    Raises:
        KeyError: If there is nothing of that name.
    """
    if what in FROM_ABOVE:
        return above(docs, what)
    parts: dict[str, Callable[[], str]] = {"commands": commands_page, "python": python_page}
    return parts[what]()


def navigation(index: str) -> str:
    """The index with a hidden table of contents after each of its lists, under the list's heading."""
    sections = re.split(r"(?m)^(?=## )", index)
    for place, section in enumerate(sections):
        pages = LISTED.findall(section)
        if pages:
            heading = section.partition("\n")[0].removeprefix("## ")
            entries = "\n".join(f"{title} <{name}>" for title, name in pages)
            sections[place] += f"\n```{{toctree}}\n:hidden:\n:caption: {heading}\n\n{entries}\n```\n\n"
    return "".join(sections)


def rewrite(app: Sphinx, name: str, source: list[str]) -> None:
    """Put what is written for the site into a page that was just read."""
    docs = Path(app.srcdir)
    text = HERE.sub(lambda found: written(docs, found[1]), source[0])
    text = re.sub(r"\]\(\.\./(\w+\.md)", lambda found: f"]({FROM_ABOVE.get(found[1], found[1])}.md", text)
    source[0] = navigation(text) if name == "index" else text


def always_read(app: Sphinx, env: BuildEnvironment, *changes: set[str]) -> list[str]:
    """Pages whose content changes while their file does not."""
    docs = Path(app.srcdir)
    return [name for name in sorted(env.found_docs) if HERE.search((docs / f"{name}.md").read_text())]


def setup(app: Sphinx) -> dict[str, bool]:
    """Sphinx's entry point."""
    app.connect("source-read", rewrite)
    app.connect("env-get-outdated", always_read)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
