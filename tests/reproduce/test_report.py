"""What is printed of a reproduced table."""

from __future__ import annotations

import pytest

from ppbench.cli.output import Format, written
from ppbench.errors import DataError
from ppbench.reproduce.figures import Results, compute
from ppbench.reproduce.report import ReproduceReport
from tests.reproduce.miniature import make_table
from tests.reproduce.synthetic import OTHER, PLAIN, TABLE, make_results, measured


@pytest.fixture(scope="module")
def results() -> Results:
    return make_results()


def test_the_seeds_stand_beside_each_other(results: Results) -> None:
    sheet = ReproduceReport(results).sheets()[-1]
    assert sheet.title == "By seed: 0, 1"
    values = [figure.by_seed for figure in results.rows[1].figures]
    assert sheet.lines[1].cells[1] == f"{values[0][0]:.2f} / {values[0][1]:.2f}"
    assert sheet.lines[1].cells[3] == f"{values[1][0]:.2f} / {values[1][1]:.2f}"
    changes = results.rows[1].against[1].by_seed
    assert sheet.lines[1].cells[-1] == f"{changes[0]:+.2f} / {changes[1]:+.2f}"
    assert sheet.lines[0].cells[-1] == "–"


def test_a_table_that_is_not_finished_says_what_is_missing() -> None:
    failures = {"plain": {"plain-0": DataError("the loss is not finite")}}
    nothing = compute(TABLE, TABLE.rows, {}, failures)
    (table,) = ReproduceReport(nothing).sheets()
    assert [line.cells[1:] for line in table.lines] == [("–", "–", "–")] * 2
    assert "ResNet-8: plain-0 failed (the loss is not finite)." in table.notes
    assert any("not trained or not measured yet: + PP3" in note for note in table.notes)
    without = compute(TABLE, TABLE.rows, {"pp3": [measured(0, OTHER[0])]}, {})
    assert without.rows[1].figures[2].metric.reason == "the row plain is not measured"
    assert any(
        "n/a: R_net: the row plain is not measured." in note for note in ReproduceReport(without).sheets()[0].notes
    )


def test_one_seed_has_no_range_and_says_so() -> None:
    results = compute(TABLE, TABLE.rows, {"plain": [measured(0, PLAIN[0])], "pp3": [measured(0, OTHER[0])]}, {})
    assert results.rows[1].figures[0].range is None
    tables = ReproduceReport(results).sheets()
    assert [table.title for table in tables[1:]] == ["Against ResNet-8"]
    assert any("One training per row" in note for note in tables[0].notes)


def test_published_figures_stand_beside_the_measured() -> None:
    published = {"clean_error": 26.9, "R_net[plain,c15,s1-5]": 1.67}
    rows = [TABLE.rows[0], TABLE.rows[1].model_copy(update={"published": published})]
    table = make_table(rows=rows, protocol_differences=["Other images."])
    results = compute(table, table.rows, {"plain": [measured(0, PLAIN[0])], "pp3": [measured(0, OTHER[0])]}, {})
    sheet = ReproduceReport(results).sheets()[0]
    assert sheet.header[1:3] == ("clean error published", "clean error measured")
    assert [sheet.lines[1].cells[place] for place in (1, 3, 5)] == ["26.90", "–", "1.67"]
    assert "Differs from the publication: Other images." in sheet.notes


def test_all_formats_tell_the_same(results: Results) -> None:
    report = ReproduceReport(results)
    content = report.as_dict()
    value = results.rows[1].figures[1].metric.value
    assert value is not None
    assert content["rows"][1]["measured"][1]["value"] == pytest.approx(value)
    csv = written(report, Format.CSV).splitlines()
    assert csv[0] == "row,what,label,seed,value,unit,low,high,p,reason"
    line = next(line for line in csv if line.startswith('pp3,measured,"mean_error[c15,s1-5]",,'))
    assert float(line.split('",,')[1].split(",")[0]) == pytest.approx(value)
    for form in (Format.MARKDOWN, Format.LATEX):
        assert f"{value:.2f}" in written(report, form)
