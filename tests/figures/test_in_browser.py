"""All drawings for pages in a browser: nothing overflows, every text can be read, and names do nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ppbench.compare.comparison import compare
from ppbench.figures.colours import figure_css
from ppbench.figures.content import HeatMap, SeverityCurves
from ppbench.figures.forest import Forest
from ppbench.figures.heat_table import heat_table
from ppbench.figures.reliability import Reliability
from ppbench.figures.scatter import Scatter
from ppbench.figures.svg import curves_svg, forest_svg
from ppbench.figures.svg_diagrams import reliability_svg, scatter_svg
from tests.browser import Chromium, chromium, faults, opened, seen_at
from tests.compare.runs import make_measured
from tests.figures.runs import HOSTILE, better, calibrated, difference, plain, summary_of, with_gaps

pytestmark = pytest.mark.usefixtures("_small_forwards")

LONG = ("W" * 64, "x_" * 32, "fog")
"""Names of corruptions as long as a run file allows, in the widest letters and with many breaks."""

NARROWEST = """[...document.querySelectorAll('svg[role=img] text')].map(
    text => parseFloat(getComputedStyle(text).fontSize) * text.getScreenCTM().a)"""

OUTSIDE = """[...document.querySelectorAll('svg[role=img] text')].filter(text => {
    const box = text.getBoundingClientRect(), view = text.ownerSVGElement.getBoundingClientRect();
    return box.left < view.left - 1 || box.right > view.right + 1 || box.top < view.top - 2 ||
        box.bottom > view.bottom + 2;
}).map(text => text.textContent)"""


def drawn(hostile: bool) -> str:
    first, second, third = plain(), better(), with_gaps()
    comparison, run = difference(), calibrated()
    if hostile:
        errors = {("clean", 0): 0.1, **{(name, s): 0.1 + 0.15 * s for name in LONG for s in range(1, 6)}}
        first, second, third = (
            make_measured(errors, name=name, corruptions=LONG, n=60, seed=seed)
            for seed, name in enumerate((HOSTILE, '"><img src=x onerror=alert(1)>', "\u05d0" * 80))
        )
        comparison, run = compare(first, second, first.cell_errors), first.run
    summaries = [summary_of(one) for one in (first, second, third)]
    body = [
        heat_table(HeatMap.of_errors(summaries[0]), "a"),
        heat_table(HeatMap.of_errors(summaries[2]), "b"),
        heat_table(HeatMap.of_ratios(summaries[0]), "c"),
        heat_table(HeatMap.of_differences(comparison), "d"),
        curves_svg(SeverityCurves.of(summaries), "e"),
        forest_svg(Forest.of(comparison), "f"),
        reliability_svg(Reliability.of(run), "g"),
        scatter_svg(Scatter.of(summaries), "h"),
    ]
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Figures</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width">'
        f"<style>{figure_css()} body{{margin:16px;background:var(--fig-ground);color:var(--fig-ink)}}</style></head>"
        f"<body><main><h1>Figures</h1>{''.join(body)}</main></body></html>"
    )


@pytest.fixture(scope="module")
def browser() -> Iterator[Chromium]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All drawings, of runs with usual names."""
    file = tmp_path_factory.mktemp("figures") / "usual.html"
    file.write_text(drawn(hostile=False))
    return file


def check_texts(browser: Chromium, file: Path) -> None:
    """Nothing overflows on a phone or a desk, and no text is small."""
    with opened(browser, file) as page:
        for width in (360, 1400):
            seen_at(page, width, "light")
            assert page.evaluate("document.documentElement.scrollWidth") == width
            assert min(page.evaluate(NARROWEST)) >= 11
            assert page.evaluate(OUTSIDE) == []


def test_nothing_overflows_and_every_text_can_be_read(browser: Chromium, usual: Path) -> None:
    check_texts(browser, usual)


def test_nor_with_hostile_names_which_do_nothing(browser: Chromium, tmp_path: Path) -> None:
    (tmp_path / "hostile.html").write_text(drawn(hostile=True))
    check_texts(browser, tmp_path / "hostile.html")


def test_a_checker_of_accessibility_finds_nothing(browser: Chromium, usual: Path) -> None:
    with opened(browser, usual) as page:
        for scheme in ("light", "dark"):
            seen_at(page, 1280, scheme)
            assert faults(page) == []


def test_colours_follow_the_ground_that_the_reader_prefers(browser: Chromium, usual: Path) -> None:
    colour = "getComputedStyle(document.querySelector('td[data-value]')).backgroundColor"
    seen = []
    with opened(browser, usual) as page:
        for scheme, media in (("light", "screen"), ("dark", "screen"), ("dark", "print")):
            seen_at(page, 1280, scheme, media)
            seen.append(page.evaluate(colour))
    light, dark, printed = seen
    assert light != dark
    assert printed == light, "paper is white, whatever the screen is"
