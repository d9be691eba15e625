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


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser."""
    program = skip_without_browser()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # A container's root has no sandbox.
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def opened(browser: Any, file: Path, width: int = 1400, scheme: str = "light", **options: Any) -> Iterator[Any]:
    """The page of a file; when the block ends, its console must have been silent and nothing fetched."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, **options)
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: said.append(request.url) if request.url.startswith("http") else None)
    try:
        page.goto(file.as_uri())
        yield page
        assert not said, said
    finally:
        context.close()


def serious_faults(page: Any) -> list[str]:
    """What axe-core finds that is serious or critical; the context needs ``bypass_csp``."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    return [
        f"{one['id']}: {one['help']}: {node['html'][:200]}"
        for one in found
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"][:3]
    ]
