from __future__ import annotations

import pytest

from ppbench.compare.comparison import compare
from ppbench.compare.report import ComparisonReport
from ppbench.figures.content import HeatMap
from ppbench.figures.heat_table import heat_table
from ppbench.report.run_data import run_dict
from ppbench.report.summary import summarise
from ppbench.tables.rows import rounded
from tests.builders import make_run
from tests.compare.runs import make_measured
from tests.figures.runs import HOSTILE, better, difference, having, ids, parsed, plain, summary_of, with_gaps


@pytest.mark.parametrize("measured", [plain(), with_gaps(), plain(n=1)], ids=["plain", "gaps", "one image"])
def test_numbers_read_back_are_those_of_show(measured: object) -> None:
    summary = summary_of(measured)  # type: ignore[arg-type]
    tree = parsed(heat_table(HeatMap.of_errors(summary), "a"))
    compared = 0
    for one in run_dict(summary)["corruptions"]:
        (row,) = having(tree, row=one["corruption"])
        _, *cells = row
        for cell, (severity, accuracy) in zip(cells, one["severities"].items(), strict=False):
            if accuracy is None:
                assert cell.attrib["data-reason"] == one["reasons"][f"s{severity}"]
                assert "data-value" not in cell.attrib
                continue
            assert float(cell.attrib["data-accuracy"]) == accuracy
            ends = one["intervals"].get(f"s{severity}")
            if ends:
                low, high = (float(cell.attrib[f"data-{end}"]) for end in ("low", "high"))
                assert (1 - high / 100, 1 - low / 100) == pytest.approx((ends["low"], ends["high"]), abs=2e-10)
            compared += 1
        assert cells[5].attrib.get("data-value") == (None if one["mean_error"] is None else shown(one["mean_error"]))
    assert compared == len(measured.run.cells) - 1  # type: ignore[attr-defined]


def shown(value: float) -> str:
    return repr(value).removesuffix(".0")


def test_differences_read_back_are_those_of_compare() -> None:
    records = ComparisonReport([difference()]).as_dict()["comparisons"][0]["differences"]
    tree = parsed(heat_table(HeatMap.of_differences(difference()), "a"))
    for one in records:
        if one["group"] in ("cell", "corruption", "family") and one["metric"] == "mean_error":
            name, _, severity = one["name"].partition("/")
            (row,) = having(tree, row=name)
            cell = row[int(severity) if severity else -1]
            assert [cell.attrib[f"data-{end}"] for end in ("value", "low", "high")] == [
                shown(rounded(one[key]) or 0.0) for key in ("difference", "low", "high")
            ]
            assert ("data-shown" in cell.attrib) == ("*" in "".join(cell.itertext())) == (one["p"] < 0.05)


def test_headings_are_headings_and_families_are_groups_of_rows() -> None:
    tree = parsed(heat_table(HeatMap.of_errors(summary_of(plain())), "a"))
    assert [th.text for th in tree.iter("th") if th.attrib["scope"] == "col"] == [
        "corruption", "s1", "s2", "s3", "s4", "s5", "mean", "CE",
    ]  # fmt: skip
    assert [[row.attrib["data-row"] for row in body] for body in tree.iter("tbody")] == [
        ["noise", "gaussian_noise", "shot_noise"], ["weather", "snow", "fog"], ["mean of 4"],
    ]  # fmt: skip
    assert ids(tree) == ["a-heat", "a-title"]


def test_the_colour_of_a_cell_is_its_step() -> None:
    content = HeatMap.of_errors(summary_of(plain()))
    tree = parsed(heat_table(content, "a"))
    for row in content.rows:
        (drawn,) = having(tree, row=row.name)
        for cell, column, metric in zip(drawn[1:], content.columns, row.cells, strict=True):
            assert metric is not None
            expected = f"fig-h{content.scale.step(metric.value or 0)}" if column.is_coloured else None
            assert cell.attrib.get("class") == expected


def test_hostile_names_do_nothing() -> None:
    measured = make_measured({("clean", 0): 0.1, ("fog", 1): 0.5}, name=HOSTILE, corruptions=("fog",), severities=(1,))
    other = make_measured({("clean", 0): 0.2, ("fog", 1): 0.4}, name="b", corruptions=("fog",), severities=(1,))
    comparison = compare(other, measured, None)
    for content in (HeatMap.of_errors(summary_of(measured)), HeatMap.of_differences(comparison)):
        drawn = heat_table(content, "a")
        assert not list(parsed(drawn).iter("script"))
        assert not set("\u202e\x1b\n") & set(drawn)


def test_a_run_without_normaliser_or_cells_is_drawn_as_what_it_is() -> None:
    tree = parsed(heat_table(HeatMap.of_ratios(summarise(plain().run)), "a"))
    cells = list(tree.iter("td"))
    assert {cell.text for cell in cells} == {"n/a"}
    empty = summarise(make_run({}, corruptions=("fog",), severities=(1, 2)))
    texts = [cell.text for cell in parsed(heat_table(HeatMap.of_errors(empty), "a")).iter("td")]
    assert texts == ["–", "–", "n/a"] * 3


def test_drawings_are_the_same_every_time() -> None:
    content = HeatMap.of_differences(compare(plain(), better(), None))
    assert heat_table(content, "a") == heat_table(content, "a")
    assert "nan" not in heat_table(content, "a")
