"""What the theme's HTML lacks for a keyboard and a screen reader, put in after the site is built."""

from __future__ import annotations

import re
from pathlib import Path

from sphinx.application import Sphinx

CHANGES = (
    # Blocks of code and tables scroll sideways on a narrow screen: the keyboard has to reach them.
    (re.compile(r"<pre(?=[ >])(?![^>]*tabindex)"), '<pre tabindex="0"'),
    (re.compile(r'<div class="table-wrapper(?=[^>]*>)(?![^>]*tabindex)'), '<div tabindex="0" class="table-wrapper'),
    (re.compile(r'role="heading"(?! aria-level)'), 'role="heading" aria-level="2"'),
    (re.compile(r'<aside class="sidebar-drawer"(?! aria)'), '<aside class="sidebar-drawer" aria-label="Pages"'),
    (re.compile(r'<aside class="toc-drawer(?=[^>]*>)(?![^>]*aria)'), '<aside aria-label="This page" class="toc-drawer'),
    (re.compile(r"<th class=\"head\"><p></p></th>"), "<td></td>"),
)


PARAMETERS = re.compile(r"<dl>\n((?:<dd>.*?</dd>\n)+)</dl>")
"""A signature over several lines, which Sphinx writes as a list of definitions without the words they define."""


def improved(page: str) -> str:
    """The same page with labels, levels and places for the keyboard."""
    for pattern, replacement in CHANGES:
        page = pattern.sub(replacement, page)
    lines = {"<dd>": '<span class="parameter">', "</dd>": "</span>"}
    return PARAMETERS.sub(lambda found: re.sub("</?dd>", lambda tag: lines[tag[0]], found[1]), page)


def improve(app: Sphinx, error: Exception | None) -> None:
    """Rewrite the pages that were built."""
    if error is None and app.builder.format == "html":
        for file in sorted(Path(app.outdir).rglob("*.html")):
            file.write_text(improved(file.read_text()))


def setup(app: Sphinx) -> dict[str, bool]:
    """Sphinx's entry point."""
    app.connect("build-finished", improve)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
