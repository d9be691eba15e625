"""The report as a page: every number is that of ``show`` and ``compare``, and every name is only a name."""

import html
import json
import re
import shlex

import pytest
from markupsafe import escape
from typer.testing import CliRunner

from ppbench.cli.main import app
from ppbench.errors import NotComparableError, UsageError
from ppbench.metrics.quantities import QUANTITIES
from ppbench.page.document import LARGEST_PAGE
from ppbench.run import read_arrays, read_predictions, read_run
from tests.figures.runs import HOSTILE
from tests.page.runs import Elements, html_of, tiny, write_pages_run


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("pages")


@pytest.fixture(scope="module")
def pair(folder):
    return write_pages_run(folder / "plain.json"), write_pages_run(folder / "better.json", "better")


@pytest.fixture(scope="module")
def page(pair):
    return html_of(pair[1], baseline=pair[0])


@pytest.fixture(scope="module")
def elements(page):
    return Elements(page)


def printed(*arguments):
    result = CliRunner().invoke(app, [*map(str, arguments), "--format", "json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_the_sections_are_in_the_order_of_a_reader(elements):
    names = [one for one in elements.ids() if one in SECTIONS]
    assert names == SECTIONS


SECTIONS = [
    "measured", "heat", "severity", "differences", "families", "reliability", "classes", "pictures", "consistency",
    "data",
]  # fmt: skip


def test_every_cell_has_the_numbers_of_show(pair, elements):
    shown = printed("show", pair[1], "--baseline", pair[0])
    for corruption in shown["corruptions"]:
        for severity, accuracy in corruption["severities"].items():
            (mark,) = elements.having(run="better", corruption=corruption["corruption"], severity=severity)
            low, high = (corruption["intervals"][f"s{severity}"][end] for end in ("low", "high"))
            # Fractions in JSON have ten decimals, so percent have eight.
            assert float(mark["data-value"]) == pytest.approx(100 * (1 - accuracy), abs=2e-8)
            assert float(mark["data-low"]) == pytest.approx(100 * (1 - high), abs=2e-8)
            assert float(mark["data-high"]) == pytest.approx(100 * (1 - low), abs=2e-8)
            heat = elements.having(value=mark["data-value"], low=mark["data-low"])
            assert str(accuracy) in {cell.get("data-accuracy") for cell in heat}


def test_the_headline_has_the_numbers_of_show(pair, elements):
    shown = {metric["name"]: metric for metric in printed("show", pair[1], "--baseline", pair[0])["metrics"]}
    tiles = {one["data-metric"]: one for tag, one in elements.found if tag == "li" and "data-metric" in one}
    assert set(tiles) == {name for name, metric in shown.items() if metric["value"] is not None}
    for name, tile in tiles.items():
        for end in ("value", "low", "high"):
            assert float(tile[f"data-{end}"]) == shown[name][end]
        assert tile["data-label"] == shown[name]["label"]


def test_every_difference_has_the_numbers_of_compare(pair, elements):
    (comparison,) = printed("compare", *pair)["comparisons"]
    drawn = 0
    for difference in comparison["differences"]:
        for mark in elements.having(group=difference["group"], name=difference["name"]):
            if "data-metric" in mark and mark["data-metric"] == difference["metric"]:
                drawn += 1
                for end, key in (("value", "difference"), ("low", "low"), ("high", "high")):
                    assert float(mark[f"data-{end}"]) == difference[key]
    assert drawn >= 3 + 2 + 4, "headline metrics, families and corruptions"


def test_the_verdict_is_a_sentence_with_an_interval(elements):
    assert "better is better than plain: it gets" in elements.text
    assert re.search(r"points fewer of the corrupted images wrong \(95 % interval -\d\.\d to -\d\.\d\)", elements.text)


def test_what_was_measured_is_said(pair, elements):
    run = read_run(pair[1])
    for words in (run.protocol.fingerprint, run.protocol.ids_sha256, run.model.weights_sha256, "ppbench eval"):
        assert words in elements.text


def test_the_baseline_is_described_as_each_run_is(pair, page):
    measured = page.partition('id="measured"')[2].partition("</section>")[0]
    assert "Baseline: <bdi>plain</bdi>" in measured
    for run in map(read_run, pair):
        assert run.model.weights_sha256 in measured
    assert measured.count("command, as recorded") == 2


def test_the_metrics_are_defined_below_the_tiles(page):
    head = page.partition("<main")[0]
    assert "What these numbers are" in head
    for name, quantity in QUANTITIES.items():
        assert name in head
        assert str(escape(quantity.meaning)) in head
        assert str(escape(quantity.formula)) in head
    assert "except for R_net, where more is better" in head


def test_the_page_names_the_commands_that_print_its_numbers(pair, page, elements, folder, monkeypatch):
    monkeypatch.chdir(folder)
    (folder / "report.html").write_text(page)
    inside = html.unescape(page.partition('id="data"')[2].partition("</section>")[0])
    show, compare = re.findall("<code>ppbench ((?:show|compare) .*report.html.*)</code>", inside)
    shown = {one["name"]: one for one in printed(*shlex.split(show))["metrics"]}
    tiles = [one for tag, one in elements.found if tag == "li" and "data-metric" in one]
    assert {"mCE", "R_net"} <= {one["data-metric"] for one in tiles}
    for tile in tiles:
        assert float(tile["data-value"]) == shown[tile["data-metric"]]["value"]
    assert printed(*shlex.split(compare)) == printed("compare", *pair)


def test_a_page_is_read_as_a_run(pair, page, folder):
    held = folder / "held.html"
    held.write_text(page)
    run, origin = read_run(held), read_run(pair[1])
    assert run.model == origin.model
    assert run.cells == origin.cells
    bits, keys = read_arrays(held, run)
    own_bits, own_keys = read_arrays(pair[1], origin)
    assert all((bits[cell] == own_bits[cell]).all() for cell in own_bits)
    assert (keys == own_keys).all()
    assert (read_predictions(held, run).labels == read_predictions(pair[1], origin).labels).all()


@pytest.mark.parametrize("command", ["show {}", "show {} --classes", "compare plain.json {}"])
def test_commands_print_the_same_of_a_page(pair, page, folder, command, monkeypatch):
    monkeypatch.chdir(folder)
    (folder / "again.html").write_text(page)
    of_page, of_run = (printed(*command.format(name).split()) for name in ("again.html", "better.json"))
    assert of_page == of_run


def test_check_reads_a_page(page, folder, monkeypatch):
    monkeypatch.chdir(folder)
    (folder / "checked.html").write_text(page)
    verdicts = [
        CliRunner().invoke(app, ["check", name, "--baseline", "plain.json", "--max-drop", "mean=1", "--format", "json"])
        for name in ("checked.html", "better.json")
    ]
    outcomes = [json.loads(one.stdout)["rules"] for one in verdicts]
    assert outcomes[0] == outcomes[1]
    assert verdicts[0].exit_code == 0


def test_a_page_is_made_from_a_page(page, folder):
    (folder / "first.html").write_text(page)
    again = html_of(folder / "first.html", baseline=folder / "plain.json")
    assert Elements(again).having(run="better") == Elements(page).having(run="better")


def test_the_same_runs_give_the_same_bytes(pair, page):
    assert html_of(pair[1], baseline=pair[0]) == page
    assert len(page.encode()) < LARGEST_PAGE


def test_ids_are_unique(pair, elements):
    several = Elements(html_of(*pair))
    for found in (elements, several):
        assert len(set(found.ids())) == len(found.ids())


def test_labels_and_descriptions_lead_to_an_id(elements):
    ids = set(elements.ids())
    for _, attributes in elements.found:
        for name in ("aria-labelledby", "aria-describedby", "for"):
            assert set(attributes.get(name, "").split()) <= ids
        if attributes.get("href", "").startswith("#"):
            assert attributes["href"][1:] in ids


def test_nothing_is_loaded_from_anywhere(page, elements):
    for tag, attributes in elements.found:
        assert tag not in ("link", "iframe", "object", "embed", "base", "form")
        assert not attributes.get("src", "data:").startswith(("http", "//"))
        assert not attributes.get("href", "#").startswith(("http", "//"))
        assert not any(name.startswith("on") for name in attributes)
    assert "url(" not in page.partition("</style>")[0]


NAMES = [
    HOSTILE,
    '"><img src=x onerror=alert(1)>',
    "</script><script>alert(1)</script>",
    "<svg onload=alert(1)>",
    "{{ 7*7 }}{% raw %}",
    "\u202eright to left \u2066",
    "مرحبا " * 40,
    "x" * 3000,
]


@pytest.mark.parametrize("name", NAMES)
def test_a_hostile_name_is_only_a_name(name, harmless, tmp_path):
    runs = [
        tiny(tmp_path / f"{place}.json", f"{name}{place}", dataset=name, seed=place, weights=str(place))
        for place in range(2)
    ]
    page = html_of(runs[0], baseline=runs[1])
    found = Elements(page)
    for tag in ("script", "img", "svg", "style"):
        assert sum(tag == other for other, _ in found.found) == sum(tag == other for other, _ in harmless.found)
    assert not any(attribute.startswith("on") for _, attributes in found.found for attribute in attributes)
    assert not set("\u202e\u2066\x1b") & set(page)
    (tmp_path / "page.html").write_text(page)
    assert read_run(tmp_path / "page.html").model.name == read_run(runs[0]).model.name


@pytest.fixture(scope="module")
def harmless(folder):
    runs = [tiny(folder / f"h{place}.json", f"net{place}", seed=place, weights=str(place)) for place in range(2)]
    return Elements(html_of(runs[0], baseline=runs[1]))


def test_missing_cells_are_said_and_leave_gaps(pair, folder):
    gaps = write_pages_run(folder / "gaps.json", "gaps")
    found = Elements(html_of(gaps, baseline=pair[0]))
    assert "3 of 21: fog at severity 3" in found.text
    assert "Nobody can say whether gaps is better or worse than plain" in found.text
    assert not found.having(run="gaps", corruption="fog", severity="3")


def test_a_run_without_bits_and_predictions_says_how_to_get_them(pair, folder):
    bare = write_pages_run(folder / "bare.json", "better", predictions=False, bits=False)
    found = Elements(html_of(bare, baseline=pair[0]))
    assert "bare.json was written without correctness bits. Get it with ppbench eval" in found.text
    assert "bare.json has no predictions. Get it with ppbench eval" in found.text
    assert "nobody can tell from these files whether that is chance" in found.text


def test_other_protocols_are_refused(pair, folder):
    other = tiny(folder / "other.json", "other", recipe="cifar-c")
    for pages in ((other, *pair), (other,)):
        with pytest.raises(NotComparableError):
            html_of(*pages, baseline=None if len(pages) > 1 else pair[0])


def test_a_run_twice_is_refused(pair):
    with pytest.raises(UsageError, match="is given twice"):
        html_of(pair[0], pair[0])


def test_too_many_runs_are_refused(folder):
    runs = [folder / f"{number}.json" for number in range(7)]
    with pytest.raises(UsageError, match="7 runs in one report"):
        html_of(*runs)


def test_several_runs_are_compared_with_the_first(pair):
    text = Elements(html_of(*pair)).text
    assert "better is better than plain" in text
    assert "Error consistency of better and plain" in text
