"""The leaderboard and the strip of pictures in a real browser."""

from __future__ import annotations

import pytest

from ppbench.page.leaderboard import write_leaderboard
from ppbench.page.rendering import page_of
from ppbench.pictures.strip import picture_strip
from tests.browser import SHAKEN, chromium, opened, seen_at, serious_faults
from tests.page.runs import tiny
from tests.pictures.runs import embedded_run


@pytest.fixture(scope="module")
def browser():
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    folder = tmp_path_factory.mktemp("board")
    for name, fields in (("alpha", {}), ("beta", {"weights": "1", "seed": 1}), ("gamma", {"recipe": "cifar-c"})):
        tiny(folder / f"{name}.json", name, **fields)
    (folder / "odd.json").write_text("{}")
    write_leaderboard(folder, folder / "site", lambda run: f"<title>{run.stem}</title>")
    return folder / "site" / "index.html"


@pytest.mark.parametrize("has_script", [True, False])
@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (1400, "light")])
def test_it_fits_and_a_link_shows_one_protocol(browser, board, width, scheme, has_script):
    with opened(browser, board, width, scheme, has_script=has_script) as page:
        assert not page.evaluate(SHAKEN)
        sections = page.locator(".board > section")
        assert [one.is_visible() for one in sections.all()] == [True, True, True]
        page.locator(".contents a").nth(1).click()
        assert [one.is_visible() for one in sections.all()] == [False, True, False]
        assert page.locator(".board > section").nth(1).locator("tbody a").inner_text() == "gamma"
        page.locator(".contents a", has_text="all").last.click()
        assert [one.is_visible() for one in sections.all()] == [True, True, True]


def test_a_phone_shows_the_error_beside_the_model(browser, board):
    with opened(browser, board, 360) as page:
        for table in page.locator(".board table").all():
            box = table.locator("tbody tr").first.locator("[data-metric=mean_error]").bounding_box()
            assert box["x"] + box["width"] <= 360
            caption = table.locator("caption span").bounding_box()
            assert caption["x"] + caption["width"] <= 360


def test_models_are_searched_and_columns_sorted(browser, board):
    with opened(browser, board) as page:
        rows = page.locator("tr[data-model]")
        page.locator(".filter input").fill("ALPH")
        assert [one.is_visible() for one in rows.all()] == [True, False, False]
        page.locator(".filter input").fill("")
        heading = page.locator("thead").first.locator("th", has_text="model")
        heading.locator("button").click()
        heading.locator("button").click()
        assert heading.get_attribute("aria-sort") == "descending"
        assert [one.get_attribute("data-model") for one in rows.all()][:2] == ["beta", "alpha"]


def test_a_name_leads_to_the_report(browser, board):
    with opened(browser, board) as page:
        page.get_by_role("link", name="beta").click()
        assert page.title() == "beta"


def test_nothing_is_seriously_inaccessible(browser, board, tmp_path):
    strip = picture_strip(embedded_run(), None)
    shown = tmp_path / "strip.html"
    whole = board.read_text()
    start, end = whole.index("<main"), whole.index("</main>")
    part = f'<main id="main"><h2>Pictures</h2>{page_of("strip.html.j2", strip=strip)}'
    shown.write_text(whole[:start] + part + whole[end:])
    for file in (board, shown):
        with opened(browser, file) as page:
            for width, scheme in ((360, "dark"), (1400, "light")):
                seen_at(page, width, scheme)
                assert not page.evaluate(SHAKEN)
                assert serious_faults(page) == []
