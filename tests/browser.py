"""A headless Chromium for the tests of pages, or the reason why there is none."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")

SHAKEN = "document.documentElement.scrollWidth > innerWidth"
"""Whether the whole page can be moved sideways."""


def skip_without_browser() -> str:
    """The program of a browser; skips the test if there is none, or no package to drive it."""
    pytest.importorskip("playwright.sync_api", reason="no playwright: uv sync installs it")
    found = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if found is None:
        pytest.skip("no browser: apt-get install chromium")
    return found


KINDS = """() => {
    const grounds = new Map();
    const ground = element => {
        if (element && !grounds.has(element)) {
            const style = getComputedStyle(element);
            const own = [style.backgroundColor, style.backgroundImage, style.opacity, style.filter, style.position];
            grounds.set(element, own + ground(element.parentElement));
        }
        return grounds.get(element);
    };
    const kinds = new Map();
    for (const element of document.querySelectorAll('body *')) {
        const written = [...element.childNodes].some(node => node.nodeType === Node.TEXT_NODE && node.data.trim());
        if (!element.checkVisibility({visibilityProperty: true}) || !(written || element.matches('input, select')))
            continue;
        const style = getComputedStyle(element);
        const kind = [style.color, style.fill, style.fontSize, style.fontWeight, style.textShadow, ground(element)];
        if (!kinds.has(kind.join()))
            kinds.set(kind.join(), element);
    }
    return [...kinds.values()];
}"""
"""One element of each colour and size of text on each ground, with all grounds below it.

Whether a text stands out from its ground takes axe-core milliseconds to find out, and hundreds of cells are alike.
"""

FAULTS = f"""async () => {{
    const kept = {{resultTypes: ['violations']}};
    const contrast = await axe.run(({KINDS})(), {{...kept, runOnly: ['color-contrast']}});
    const others = await axe.run(document, {{...kept, rules: {{'color-contrast': {{enabled: false}}}}}});
    return [...contrast.violations, ...others.violations].flatMap(({{id, impact, help, nodes}}) =>
        nodes.slice(0, 3).map(node => [impact, `${{id}}: ${{help}}: ${{node.html.slice(0, 200)}}`]));
}}"""


class Chromium:
    """A browser that opens files one after another in the same windows: a new one costs a second of a core.

    Args:
        browser: Of playwright.
    """

    def __init__(self, browser: Any) -> None:
        self._browser = browser
        self._windows: dict[bool, tuple[Any, list[str]]] = {}

    def window(self, has_script: bool) -> tuple[Any, list[str]]:
        """A page and what is said there: on the console, in dialogs, and as requests to other machines."""
        if has_script not in self._windows:
            page = self._browser.new_context(java_script_enabled=has_script).new_page()
            said: list[str] = []
            page.on("console", lambda message: said.append(message.text))
            page.on("pageerror", lambda error: said.append(str(error)))
            page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
            page.on("request", lambda request: said.append(request.url) if request.url.startswith("http") else None)
            self._windows[has_script] = page, said
        return self._windows[has_script]


@contextmanager
def chromium() -> Iterator[Chromium]:
    """A browser."""
    program = skip_without_browser()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # A container's root has no sandbox.
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--in-process-gpu"])
        try:
            yield Chromium(browser)
        finally:
            browser.close()


@contextmanager
def opened(
    browser: Chromium, file: Path, width: int = 1400, scheme: str = "light", *, has_script: bool = True
) -> Iterator[Any]:
    """The page of a file; when the block ends, nothing must have been said and nothing fetched."""
    page, said = browser.window(has_script)
    seen_at(page, width, scheme)
    page.mouse.move(0, 0)  # it stays where the last test left it
    said.clear()
    page.goto(file.as_uri())
    yield page
    assert not said, said


def seen_at(page: Any, width: int, scheme: str, media: str = "screen") -> None:
    """Give an open page another width, ground or medium; it lays itself out by style alone."""
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme, media=media)


def faults(page: Any) -> list[tuple[str, str]]:
    """What axe-core finds, with the impact: ``minor`` to ``critical``."""
    from axe_playwright_python.base import AXE_SCRIPT

    if not page.evaluate("'axe' in window"):
        page.evaluate(f"{AXE_SCRIPT}; 0")
    return [(impact, text) for impact, text in page.evaluate(FAULTS)]


def serious_faults(page: Any) -> list[str]:
    """What of it is serious or critical."""
    return [text for impact, text in faults(page) if impact in ("serious", "critical")]
