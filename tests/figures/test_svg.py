from __future__ import annotations

import re

import pytest

from ppbench.compare.comparison import compare
from ppbench.compare.report import ComparisonReport
from ppbench.figures.content import SeverityCurves
from ppbench.figures.forest import Forest
from ppbench.figures.svg import curves_svg, forest_svg
from ppbench.report.run_data import run_dict
from ppbench.report.summary import summarise
from tests.builders import make_run
from tests.compare.runs import make_measured
from tests.figures.runs import (
    CORRUPTIONS,
    HOSTILE,
    MISSING,
    better,
    difference,
    having,
    ids,
    parsed,
    plain,
    summary_of,
    with_gaps,
)

CURVES = curves_svg(SeverityCurves.of([summary_of(one) for one in (plain(), better(), with_gaps())]), "k")


@pytest.mark.parametrize("measured", [plain(), better(), with_gaps()], ids=lambda measured: measured.name)
def test_points_of_curves_read_back_are_those_of_show(measured: object) -> None:
    report, tree = run_dict(summary_of(measured)), parsed(CURVES)  # type: ignore[arg-type]
    name = measured.name  # type: ignore[attr-defined]
    for one in report["corruptions"]:
        (clean,) = having(tree, run=name, corruption=one["corruption"], severity="0")
        assert float(clean.attrib["data-value"]) == report["metrics"][0]["value"]
        for severity, accuracy in one["severities"].items():
            marks = list(having(tree, run=name, corruption=one["corruption"], severity=severity))
            assert len(marks) == (accuracy is not None)
            for mark in marks:
                assert 1 - float(mark.attrib["data-value"]) / 100 == pytest.approx(accuracy, abs=2e-10)
                ends = one["intervals"][f"s{severity}"]
                assert 1 - float(mark.attrib["data-high"]) / 100 == pytest.approx(ends["low"], abs=2e-10)
    for one in report["severities"]:
        marks = list(having(tree, run=name, corruption="mean", severity=str(one["severity"])))
        assert [float(mark.attrib["data-value"]) for mark in marks] == [one["mean_error"]] * len(marks)
        assert len(marks) == (one["mean_error"] is not None)


def test_a_line_does_not_cross_a_gap() -> None:
    tree = parsed(curves_svg(SeverityCurves.of([summary_of(with_gaps())]), "k"))
    lines = {}
    for number, name in enumerate(("mean", *(row.name for row in summary_of(with_gaps()).corruptions))):
        (panel,) = (one for one in tree.iter("svg") if one.attrib.get("aria-labelledby", "").startswith(f"k-{number}-"))
        drawn = [p for p in panel.iter("path") if p.attrib.get("class", "").startswith("fig-line ")]
        lines[name] = [path.attrib["d"].count("L") + 1 for path in drawn]
    assert lines == {"mean": [3], "gaussian_noise": [6], "shot_noise": [6], "fog": [3, 2], "snow": [4]}
    assert {("fog", 3), ("snow", 4), ("snow", 5)} == set(MISSING)


def test_each_panel_is_a_picture_with_its_numbers_in_words() -> None:
    tree = parsed(CURVES)
    panels = [one for one in tree.iter("svg") if one.attrib.get("role") == "img"]
    assert len(panels) == 1 + len(CORRUPTIONS)
    assert len(ids(tree)) == len(set(ids(tree)))
    fog = next(one for one in panels if str(one[0].text).startswith("fog"))
    assert "gaps: clean 20.00" in str(fog[1].text)
    assert "3 n/a: gaps lacks the cell fog s3" in str(fog[1].text)


def test_lines_differ_in_markers_and_dashes_and_not_in_colour_alone() -> None:
    panel = next(one for one in parsed(CURVES).iter("svg") if one.attrib.get("role") == "img")
    shapes = {
        re.sub(r"[\d.]+", "", mark.attrib.get("d", mark.tag.rpartition("}")[2])) + mark.attrib["class"]
        for mark in panel.iter()
        if "data-run" in mark.attrib
    }
    assert len(shapes) == 3


def test_places_stay_within_the_view() -> None:
    for mark in parsed(CURVES).iter("circle"):
        if "data-run" in mark.attrib:
            assert 24 <= float(mark.attrib["cx"]) <= 150
            assert 20 <= float(mark.attrib["cy"]) <= 96


def test_rows_of_a_forest_read_back_are_those_of_compare() -> None:
    records = ComparisonReport([difference()]).as_dict()["comparisons"][0]["differences"]
    tree = parsed(forest_svg(Forest.of(difference()), "f"))
    drawn = 0
    for one in records:
        if one["group"] in ("metric", "family", "corruption"):
            (row,) = having(tree, group=one["group"], name=one["name"])
            values = [float(row.attrib[f"data-{end}"]) for end in ("value", "low", "high")]
            assert values == [one["difference"], one["low"], one["high"]]
            is_better = (one["difference"] < 0) != (one["name"] == "R_net")
            expected = "undecided" if one["p"] >= 0.05 else "better" if is_better else "worse"
            assert row.attrib["data-verdict"] == expected
            drawn += 1
    assert drawn == 11


def test_a_forest_marks_what_is_shown_and_says_what_the_mark_means() -> None:
    drawn = forest_svg(Forest.of(difference()), "f")
    texts = ["".join(one.itertext()) for one in parsed(drawn).iter("text")]
    shown = [row for section in Forest.of(difference()).sections for row in section.rows if row.is_shown]
    assert sum(text.endswith("*") for text in texts) == len(shown) > 0
    assert "(of R_net: right of 0)" in drawn


@pytest.mark.parametrize(
    "place", re.findall(r'(?:x|x1|x2|cx)="([-\d.]+)%"', forest_svg(Forest.of(difference()), "f"))[:40]
)
def test_places_of_a_forest_are_within_its_width(place: str) -> None:
    assert 0 <= float(place) <= 100


def test_a_single_image_is_drawn_without_intervals() -> None:
    curves = curves_svg(SeverityCurves.of([summary_of(plain(n=1))]), "k")
    assert "fig-band fig-band-0" not in curves
    assert "data-low" not in curves
    forest = parsed(forest_svg(Forest.of(compare(plain(n=1), better(n=1), None)), "f"))
    assert {row.attrib["data-verdict"] for row in forest.iter() if "data-verdict" in row.attrib} == {"undecided"}


def test_a_run_without_any_cell_is_drawn_as_empty_panels() -> None:
    content = SeverityCurves.of([summarise(make_run({}, corruptions=("fog",), severities=(1,)))])
    tree = parsed(curves_svg(content, "k"))
    assert not [one for one in tree.iter() if "data-run" in one.attrib]
    forest = Forest.of(compare(with_gaps(), with_gaps(), None))
    row = next(having(parsed(forest_svg(forest, "f")), group="corruption", name="fog"))
    assert row.attrib["data-reason"] == "gaps lacks 1 of 5 cells: fog s3"


def test_hostile_names_do_nothing() -> None:
    cells = {("clean", 0): 0.1, ("fog", 1): 0.5}
    one, other = (
        make_measured(cells, name=name, corruptions=("fog",), severities=(1,), seed=seed)
        for seed, name in enumerate((HOSTILE, HOSTILE[::-1]))
    )
    curves = SeverityCurves.of([summary_of(one), summary_of(other)])
    for drawn in (curves_svg(curves, "k"), forest_svg(Forest.of(compare(one, other, None)), "f")):
        tree = parsed(drawn)
        assert not [element for element in tree.iter() if element.tag.endswith("script")]
        assert not set("\u202e\x1b\n") & set(drawn)


def test_drawings_are_the_same_every_time_and_have_no_colour_of_their_own() -> None:
    forest = forest_svg(Forest.of(difference()), "f")
    assert forest == forest_svg(Forest.of(difference()), "f")
    for drawn in (CURVES, forest):
        assert not re.search(r"(fill|stroke)=|\b(nan|inf)\b", drawn)
