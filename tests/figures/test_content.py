from __future__ import annotations

import pytest

from ppbench.compare.comparison import compare
from ppbench.compare.report import ComparisonReport
from ppbench.errors import NotComparableError, UsageError
from ppbench.figures.content import HeatMap, SeverityCurves, as_metric
from ppbench.metrics.cell_errors import CellErrors
from ppbench.metrics.references import ALEXNET
from ppbench.report.run_data import run_dict
from ppbench.report.summary import summarise
from ppbench.tables.rows import low_and_high, rounded
from tests.builders import make_errors, make_run
from tests.figures.runs import CORRUPTIONS, MISSING, better, difference, plain, summary_of, with_gaps


def test_a_heat_map_has_the_numbers_of_the_report_in_the_order_of_its_table() -> None:
    report = run_dict(summary_of(plain()))
    content = HeatMap.of_errors(summary_of(plain()))
    assert [column.key for column in content.columns] == ["s1", "s2", "s3", "s4", "s5", "mean_error", "mCE"]
    assert [(row.name, row.kind) for row in content.rows] == [
        ("noise", "family"), ("gaussian_noise", "corruption"), ("shot_noise", "corruption"),
        ("weather", "family"), ("snow", "corruption"), ("fog", "corruption"), ("mean of 4", "mean"),
    ]  # fmt: skip
    for one in report["corruptions"]:
        row = next(row for row in content.rows if row.name == one["corruption"])
        assert row.family == one["family"]
        for column, cell in zip(content.columns, row.cells, strict=True):
            assert cell is not None
            assert cell.interval is not None
            if column.key.startswith("s"):
                assert rounded(1 - (cell.value or 0) / 100) == one["severities"][column.key[1:]]
                ends = one["intervals"][column.key]
                assert rounded(1 - cell.interval.high / 100) == ends["low"]
                assert rounded(1 - cell.interval.low / 100) == ends["high"]
            else:
                assert rounded(cell.value) == one[cell.name]
                assert low_and_high(cell.interval) == one["intervals"][cell.name]


def test_missing_cells_say_why_and_keep_their_place() -> None:
    content = HeatMap.of_errors(summary_of(with_gaps()))
    for corruption, severity in MISSING:
        row = next(row for row in content.rows if row.name == corruption)
        cell = row.cells[severity - 1]
        assert cell is not None
        assert cell.value is None
        assert cell.reason == f"gaps lacks the cell {corruption} s{severity}"
    assert any("gaps lacks 3 of 20 cells" in reason for reason in content.reasons)


def test_the_map_of_ratios_has_ce_or_the_reason_why_there_is_none() -> None:
    summary = summary_of(plain())
    report = {one["corruption"]: one for one in run_dict(summary)["corruptions"]}
    content = HeatMap.of_ratios(summary)
    assert content.has_values
    assert [column.heading for column in content.columns] == ["CE", "relative CE"]
    for row in content.rows:
        if row.kind == "corruption":
            assert [rounded(cell.value) for cell in row.cells if cell] == [
                report[row.name]["CE"], report[row.name]["relative_CE"],
            ]  # fmt: skip
    without = HeatMap.of_ratios(summarise(plain().run))
    assert not without.has_values
    assert without.reasons == ("no normaliser (--normalizer RUN or CSV)",)
    assert "mCE" not in [column.key for column in HeatMap.of_errors(summarise(plain().run)).columns]


def test_the_map_of_differences_has_those_of_the_comparison() -> None:
    records = ComparisonReport([difference()]).as_dict()["comparisons"][0]["differences"]
    found = {(one["group"], one["name"]): one for one in records if one["metric"] == "mean_error"}
    content = HeatMap.of_differences(difference())
    assert (content.scale.ends, content.unit) == ((-10, 10), "points")
    for row in content.rows:
        for column, cell, shown in zip(content.columns, row.cells, row.shown, strict=True):
            key = {
                "family": ("family", row.name), "mean": ("metric", "mean_error"),
                "corruption": ("cell", f"{row.name}/{column.key[1:]}"),
            }[row.kind]  # fmt: skip
            if column.key == "mean_error" and row.kind == "corruption":
                key = ("corruption", row.name)
            elif column.key != "mean_error" and row.kind != "corruption":
                assert cell is None
                continue
            assert cell is not None
            assert rounded(cell.value) == found[key]["difference"]
            assert low_and_high(cell.interval) == {end: found[key][end] for end in ("low", "high")}
            assert shown == (found[key]["p"] < 0.05)
    assert {row.name: row.shown[-1] for row in content.rows if row.kind == "family"} == {"noise": True, "weather": True}


def test_curves_have_a_panel_for_the_mean_and_each_corruption() -> None:
    summaries = [summary_of(plain()), summary_of(better())]
    content = SeverityCurves.of(summaries)
    assert content.severities == (0, 1, 2, 3, 4, 5)
    assert [panel.name for panel in content.panels] == ["", *(row.name for row in summaries[0].corruptions)]
    for panel in content.panels:
        assert [curve.name for curve in panel.curves] == ["plain", "better"]
        for curve, summary in zip(panel.curves, summaries, strict=True):
            row = next((row for row in summary.corruptions if row.name == panel.name), None)
            assert curve.errors[0] == summary.metrics[0]
            assert {s: m for s, m in curve.errors.items() if s} == (row.errors if row else summary.severities)
    highest = max(m.interval.high for p in content.panels for c in p.curves for m in c.errors.values() if m.interval)
    assert highest <= content.top <= 100


def test_a_baseline_is_a_reference_below_the_runs() -> None:
    content = SeverityCurves.of([summary_of(better())], baseline=summary_of(plain()))
    assert content.references == ("plain (baseline)",)
    assert [(curve.name, curve.is_reference) for curve in content.panels[1].curves] == [
        ("plain (baseline)", True), ("better", False),
    ]  # fmt: skip


def imagenet(**protocol: object) -> SeverityCurves:
    wanted = {"dataset": "imagenet-c", "source": "published", "corruptions": ("fog", "spatter"), **protocol}
    run = make_run(**wanted)  # type: ignore[arg-type]
    return SeverityCurves.of([summarise(run, ALEXNET)])


def test_published_errors_stand_only_beside_numbers_of_the_same_label() -> None:
    fog, spatter = imagenet().panels[1:]
    assert [curve.name for curve in fog.curves] == ["alexnet (published)", "net"]
    assert [curve.name for curve in spatter.curves] == ["net"], "AlexNet's errors on spatter have no severities"
    published, own = fog.curves
    assert [published.errors[s].label for s in range(6)] == [own.errors[s].label for s in range(6)]
    assert published.errors[3].value == pytest.approx(84.378)
    for other in ({"total": 50_000}, {"source": "generated-jpeg85"}, {"dataset": "tiny-imagenet-c"}):
        assert not imagenet(**other).references


def test_runs_of_other_protocols_are_not_drawn_as_one() -> None:
    other = summarise(make_run(make_errors(0, CORRUPTIONS), corruptions=CORRUPTIONS, n=400, precision="bf16"))
    with pytest.raises(NotComparableError, match="precision bf16"):
        SeverityCurves.of([summary_of(plain()), other])
    assert len(SeverityCurves.of([summary_of(plain()), other], allow=["precision"]).runs) == 2
    csv = summarise(CellErrors.from_errors("table", {("fog", 1): 0.5}, 0.1))
    with pytest.raises(NotComparableError, match="table is a CSV"):
        SeverityCurves.of([summary_of(plain()), csv])
    assert SeverityCurves.of([csv, csv]).runs == ("table", "table (2)")


def test_more_runs_than_can_be_told_apart_are_refused() -> None:
    with pytest.raises(UsageError, match="7 runs in one figure"):
        SeverityCurves.of([summary_of(plain())] * 7)


def test_a_difference_that_is_missing_says_why() -> None:
    gone = compare(plain(), with_gaps(), None)
    cell = as_metric(next(d for d in gone.group("cell") if d.name == "fog/3"))
    assert cell is not None
    assert (cell.value, cell.reason) == (None, "gaps lacks the cell fog s3")
    assert as_metric(None) is None
