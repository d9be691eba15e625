from ppbench.figures.content import SeverityCurves
from ppbench.figures.forest import Forest
from ppbench.figures.reliability import Reliability
from ppbench.figures.scatter import Scatter
from ppbench.page.html_table import (
    curve_table,
    forest_table,
    metric_cell,
    reliability_table,
    scatter_table,
    sheet_table,
)
from ppbench.tables.sheet import Line, Sheet
from tests.figures.runs import better, calibrated, difference, plain, summary_of, with_gaps


def test_a_row_for_each_curve_of_each_panel():
    content = SeverityCurves.of([summary_of(better()), summary_of(with_gaps())], baseline=summary_of(plain()))
    table = curve_table(content)
    assert table.header == ("corruption", "run", "clean", "s1", "s2", "s3", "s4", "s5")
    assert len(table.rows) == 5 * 3
    (gap,) = [row for row in table.rows if [cell.text for cell in row.cells[:2]] == ["fog", "gaps"]]
    assert gap.cells[5].text == "–"
    assert 'data-reason="' in gap.cells[5].data
    assert "±" in gap.cells[4].text or "[" in gap.cells[4].text
    assert table.is_sortable


def test_a_row_for_each_difference():
    content = Forest.of(difference())
    table = forest_table(content)
    assert not table.is_sortable
    of_noise = next(row for row in table.rows if row.cells[0].text == "noise")
    change = next(d for d in difference().group("family") if d.name == "noise")
    assert change.points is not None
    assert of_noise.cells[3].text == f"{change.points.value:+.2f}*"
    assert of_noise.cells[4].text == f"{change.points.low:+.2f} to {change.points.high:+.2f}"
    assert [len(group) for group in table.groups][-2:] == [3, 3], "a family with its corruptions"


def test_runs_and_published_results_are_told_apart():
    content = Scatter.of([summary_of(better()), summary_of(plain())])
    table = scatter_table(content)
    assert [row.cells[0].text for row in table.rows] == ["better", "plain"]
    assert {row.cells[3].text for row in table.rows} == {"this report"}
    assert table.header[1:3] == (content.x_label, content.y_label)


def test_bins_with_images_are_listed():
    content = Reliability.of(calibrated())
    table = reliability_table(content)
    filled = [one for panel in content.panels for one in panel.bins if one.n]
    assert len(table.rows) == len(filled)
    assert [row.cells[2].text for row in table.rows] == [f"{one.n:,}" for one in filled]


def test_a_sheet_keeps_its_notes_groups_and_labels():
    lines = (Line(("of all",), "group"), Line(("  a", "1,234.50 ± 0.4")), Line(("sum", "n/a"), "total"))
    table = sheet_table(Sheet("Title", ("name", "value"), lines, notes=("note.",), labels=("mCE[alexnet]",)))
    assert [row.kind for row in table.rows] == ["group", "plain", "total"]
    assert [[cell.text for cell in row.cells] for row in table.rows][:2] == [["of all", ""], ["a", "1,234.50 ± 0.4"]]
    assert table.rows[1].cells[1].data == ' data-sort="1234.5"'
    assert table.rows[2].cells[1].data == ""
    assert table.notes == ("note.", "In full: mCE[alexnet].")
    assert [len(group) for group in table.groups] == [2, 1]


def test_a_number_that_is_missing_is_a_dash():
    assert metric_cell(None).text == "–"
