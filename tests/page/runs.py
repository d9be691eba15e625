"""Small runs for the tests of pages, and a reader of what a page says."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from ppbench.page.document import report_html, report_page
from ppbench.page.embedded import measured_run
from ppbench.page.inputs import read_inputs
from ppbench.page.pictures import PictureStrip
from ppbench.run import image_keys, write_run
from tests.builders import make_predictions
from tests.compare.runs import make_measured
from tests.figures.runs import CORRUPTIONS, better, calibrated, plain, with_gaps

IMAGES = 400


def write_pages_run(path: Path, kind: str = "plain", *, predictions: bool = True, bits: bool = True) -> Path:
    """Write ``plain``, ``better`` or ``gaps`` (three cells are missing), with everything beside it."""
    measured = {"plain": plain, "better": better, "gaps": with_gaps}[kind]()
    run = calibrated() if kind == "plain" else measured.run
    keys = image_keys([f"image {number}" for number in range(IMAGES)])
    kept = make_predictions(measured.bits) if predictions else None
    write_run(path, run, measured.bits if bits else None, keys, kept)
    return path


def html_of(*paths: Path, baseline: Path | None = None, **options: Any) -> str:
    """The page of these runs."""
    inputs = read_inputs(paths, baseline, **options)
    pictures = PictureStrip(reason="No pictures here.")
    first = inputs.runs[0]
    return report_html(report_page(inputs, pictures), measured_run(first.path, first.run), first.path.name)[0]


class Elements(HTMLParser):
    """The elements of a page with their attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self._skipped = 0
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))
        self._skipped += tag in ("script", "style")

    def handle_endtag(self, tag: str) -> None:
        self._skipped -= tag in ("script", "style")

    def handle_data(self, data: str) -> None:
        if not self._skipped:
            self.words.append(data)

    @property
    def text(self) -> str:
        """What can be read, with single blanks."""
        return " ".join(" ".join(self.words).split())

    def having(self, **data: str) -> list[dict[str, str]]:
        """Attributes of the elements with these ``data-…`` attributes."""
        wanted = {f"data-{name.replace('_', '-')}": value for name, value in data.items()}
        return [attributes for _, attributes in self.found if wanted.items() <= attributes.items()]

    def ids(self) -> list[str]:
        return [attributes["id"] for _, attributes in self.found if "id" in attributes]


def tiny(path: Path, name: str, *, n: int = 40, **fields: Any) -> Path:
    """A run of 40 images under any name."""
    errors = {("clean", 0): 0.2, **{(c, s): 0.3 + 0.05 * s for c in CORRUPTIONS for s in range(1, 6)}}
    measured = make_measured(errors, name=name, n=n, corruptions=CORRUPTIONS, **fields)
    write_run(path, measured.run, measured.bits, None, make_predictions(measured.bits))
    return path
