"""Reports in a real browser: with and without script, light and dark, on a phone and on a desk."""

import itertools

import pytest
from typer.testing import CliRunner

from ppbench.cli.main import app
from ppbench.evaluation.api import evaluate
from tests.browser import SHAKEN, chromium, opened, seen_at, serious_faults
from tests.full_size import write_pair
from tests.page.runs import html_of, tiny, write_pages_run

pytestmark = pytest.mark.usefixtures("_small_forwards")

WAYS = list(itertools.product((360, 1400), ("light", "dark"), (True, False)))
EVERY_TWO = [(360, "light", True), (360, "dark", False), (1400, "light", False), (1400, "dark", True)]
"""Half of them: any two of width, ground and script meet in each combination."""


PAPER = 720
"""Width of A4 between its margins, px."""


@pytest.fixture(scope="module")
def browser():
    with chromium() as found:
        yield found


def looked_at(browser, file, ways=EVERY_TWO, judged=((1400, "light"),), rows=None):
    """Open a page in all ways, print it, and have axe-core judge it at some widths and grounds.

    It takes seconds for hundreds of rows that are alike: ``rows`` is how many of each table it is given; None: all.
    """
    texts = set()
    # Loading is what costs, and a page lays itself out by style alone: it follows the window and the ground by itself.
    for has_script in (False, True):
        with opened(browser, file, has_script=has_script) as page:
            for width, scheme in (way[:2] for way in ways if way[2] is has_script):
                seen_at(page, width, scheme)
                assert not page.evaluate(SHAKEN), f"{file.name} overflows at {width} px"
                texts.add(page.inner_text("main"))
            if has_script:
                seen_at(page, PAPER, "light", media="print")
                assert all(one.is_visible() for one in page.locator("#heat .view").all()), "paper has no switches"
                assert not page.evaluate(SHAKEN), f"{file.name} overflows on paper"
                judge(page, judged, rows)
    assert len(texts) == 1, "the script adds no content, and the ground changes none"


def judge(page, judged, rows):
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    for width, scheme in judged:
        seen_at(page, width, scheme)
        assert not page.evaluate(SHAKEN), "open tables scroll inside their own container"
        if rows:
            page.evaluate(
                f"document.querySelectorAll('tbody tr:nth-child(n + {rows + 1})').forEach(row => row.remove())"
            )
        assert serious_faults(page) == []


@pytest.fixture(scope="module")
def pair_page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("browser")
    runs = write_pages_run(folder / "plain.json"), write_pages_run(folder / "better.json", "better")
    (folder / "pair.html").write_text(html_of(runs[1], baseline=runs[0]))
    return folder / "pair.html"


def test_a_pair(browser, pair_page):
    looked_at(browser, pair_page, WAYS, judged=((360, "dark"), (1400, "light")))


def test_the_embedded_pair_with_pictures_of_what_it_saw(browser, tmp_path):
    names = ("fashion-mnist-resnet8", "fashion-mnist-resnet8-pp3")
    runs = [tmp_path / f"{name}.json" for name in names]
    for name, run in zip(names, runs, strict=True):
        evaluate(name, corruptions=["noise", "fog", "pixelate"], limit=16, severities=["1", "3", "5"], output=run)
    page = tmp_path / "embedded.html"
    result = CliRunner().invoke(app, ["report", str(runs[1]), "--baseline", str(runs[0]), "-o", str(page)])
    assert result.exit_code == 0, result.output
    with opened(browser, page) as found:
        assert found.locator("#pictures img").count() > 30
    looked_at(browser, page, WAYS, judged=((360, "light"), (1400, "dark")))


def test_a_run_with_missing_cells(browser, tmp_path):
    gaps = write_pages_run(tmp_path / "gaps.json", "gaps")
    (tmp_path / "gaps.html").write_text(html_of(gaps, baseline=write_pages_run(tmp_path / "plain.json")))
    looked_at(browser, tmp_path / "gaps.html")


def test_a_pair_of_full_size(browser, tmp_path):
    # All cells and classes, of fewer images: a page shows their numbers, not the images.
    old, new = write_pair(tmp_path, images=2000, predicted=True)
    (tmp_path / "full.html").write_text(html_of(new, baseline=old))
    looked_at(browser, tmp_path / "full.html", rows=5)


def test_long_names_overflow_nothing(browser, tmp_path):
    runs = [
        tiny(tmp_path / f"{place}.json", f"{'m' * 300}{place}", dataset="d" * 300, seed=place, weights=str(place))
        for place in range(3)
    ]
    (tmp_path / "long.html").write_text(html_of(*runs))
    looked_at(browser, tmp_path / "long.html", [(360, "light", True), (1400, "dark", False)], judged=())


def test_the_switch_works_without_script(browser, pair_page):
    with opened(browser, pair_page, has_script=False) as page:
        maps = page.locator("#heat .view")
        assert [one.is_visible() for one in maps.all()] == [True, False, False]
        page.get_by_text("difference", exact=True).click()
        assert [one.is_visible() for one in maps.all()] == [False, False, True]
        page.keyboard.press("ArrowLeft")
        assert [one.is_visible() for one in maps.all()] == [False, True, False]


def test_the_keyboard_reaches_the_content_first(browser, pair_page):
    with opened(browser, pair_page) as page:
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "main"


def test_the_script_sorts_tables(browser, pair_page):
    with opened(browser, pair_page) as page:
        table = page.locator("#families table")
        heading = table.locator("thead th").nth(1)
        numbers = "rows => rows.map(row => Number(row.cells[1].dataset.sort))"
        for order in ("ascending", "descending"):
            heading.locator("button").click()
            assert heading.get_attribute("aria-sort") == order
            found = table.locator("tbody tr").evaluate_all(numbers)
            assert found == sorted(found, reverse=order == "descending")


def test_a_mark_shows_its_number(browser, pair_page):
    with opened(browser, pair_page) as page:
        mark = page.locator("#severity [data-run=better][data-corruption=fog][data-severity='3']")
        mark.hover(force=True)
        tip = page.locator(".tip")
        assert tip.is_visible()
        assert tip.inner_text().startswith("better, fog, 3: ")
        page.keyboard.press("Escape")
        assert not tip.is_visible()
