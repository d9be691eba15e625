import csv
import io
import json

import numpy as np
import pytest

from ppbench.cli.output import Format, written
from ppbench.compare.comparison import compare
from ppbench.compare.consistency import consistencies, consistency_dict, consistency_sheet
from ppbench.compare.report import ComparisonReport
from ppbench.run import expected_cells
from tests.compare.runs import NOISY, OLD, make_measured
from tests.oracles import by_image as oracle

GRID = {"corruptions": ("fog", "snow"), "severities": (1, 2)}
CELLS = [key for key in expected_cells(*GRID.values()) if key[1]]
ERRORS = {("clean", 0): 0.1, ("fog", 1): 0.2, ("fog", 2): 0.4, ("snow", 1): 0.3, ("snow", 2): 0.5}


def measured(name, seed, errors=ERRORS, **fields):
    return make_measured(errors, name=name, seed=seed, spread=0.3, n=200, weights=str(seed), **{**GRID, **fields})


ONE, OTHER = measured("one", 1), measured("other", 2)
COMPARISON = compare(ONE, OTHER, None)


def kappa(cells):
    values = [oracle.kappa(ONE.bits[cell].tolist(), OTHER.bits[cell].tolist()) for cell in cells]
    return sum(values) / len(values)


def test_clean_mean_families_and_corruptions_have_the_mean_kappa_of_their_cells():
    found = {(one.name, one.kind): one for one in consistencies(COMPARISON)}
    assert [one.name for one in found.values()] == ["clean", "mean", "weather", "snow", "fog"]
    assert found["clean", "plain"].found.kappa == pytest.approx(kappa([("clean", 0)]))
    assert found["mean", "plain"].found.kappa == pytest.approx(kappa(CELLS))
    assert found["weather", "group"].found == found["mean", "plain"].found
    assert found["fog", "plain"].found.kappa == pytest.approx(kappa([("fog", 1), ("fog", 2)]))
    assert found["fog", "plain"].label == "error_consistency[fog,s1-2]"
    assert found["clean", "plain"].label == "error_consistency[clean]"


def test_a_pair_has_kappa_and_what_it_is_made_of():
    sheet = consistency_sheet([COMPARISON])
    assert sheet.title == "Error consistency of other and one"
    assert sheet.header == ("", "kappa", "observed", "expected")
    assert [line.cells[0] for line in sheet.lines] == ["clean", "mean", "weather", "  snow", "  fog"]
    found = next(consistencies(COMPARISON)).found
    assert sheet.lines[0].cells[1].startswith(f"{found.kappa:.2f} ")
    assert sheet.lines[0].cells[2] == f"{100 * found.observed:.1f} %"
    assert "95 % interval, over images" in sheet.notes[0]
    assert sheet.labels == ("error_consistency[fog+snow,s1-2]",)


def test_several_runs_have_a_column_each_and_a_row_for_all_that_any_has():
    fog = {cell: error for cell, error in ERRORS.items() if cell[0] != "snow"}
    third = measured("third", 3, fog, corruptions=("fog",))
    sheet = consistency_sheet([COMPARISON, compare(ONE, third, None)])
    assert sheet.title == "Error consistency of each run and one"
    assert sheet.header == ("kappa", "other", "third")
    rows = {line.cells[0].strip(): line.cells[1:] for line in sheet.lines}
    assert rows["snow"][1] == "–"
    assert rows["fog"][1] not in ("–", "n/a")


def test_where_kappa_is_undefined_the_reason_is_given():
    perfect = {**ERRORS, ("clean", 0): 0.0}
    found = compare(measured("one", 1, perfect), measured("other", 2, perfect), None)
    reason = "both models are right, or both wrong, on every image (clean)"
    assert next(consistencies(found)).reason == reason
    sheet = consistency_sheet([found])
    assert sheet.lines[0].cells == ("clean", "n/a", "100.0 %", "100.0 %")
    assert f"n/a: error consistency: {reason}." in sheet.notes
    content = consistency_dict(found)
    assert (content["clean"]["kappa"], content["clean"]["reason"]) == (None, reason)
    assert content["clean"]["undefined"] == [["clean", 0]]
    assert content["mean"]["reason"] is None


def test_a_cell_that_one_run_lacks_is_named():
    half = {cell: error for cell, error in ERRORS.items() if cell != ("fog", 2)}
    found = compare(ONE, measured("half", 3, half), None)
    content = consistency_dict(found)
    assert content["mean"]["reason"] == "the second run lacks 1 of 4 cells: fog s2"
    assert content["corruptions"][0]["corruption"] == "snow"
    assert content["corruptions"][0]["kappa"] is not None
    assert consistency_sheet([found]).lines[1].cells[1:] == ("n/a", "n/a", "n/a")


def test_the_formats_say_the_same():
    found = ComparisonReport([compare(OLD, NOISY, None), COMPARISON])
    content = json.loads(written(found, Format.JSON))["comparisons"]
    rows = list(csv.DictReader(io.StringIO(written(found, Format.CSV))))
    for comparison in content:
        known = comparison["error_consistency"]
        parts = [known["clean"], known["mean"], *known["families"], *known["corruptions"]]
        own = [r for r in rows if r["group"] == "error_consistency" and r["run"] == comparison["run"]]
        assert sorted(float(row["value"]) for row in own) == sorted(part["kappa"] for part in parts)
        assert sorted(float(row["low"]) for row in own) == sorted(part["low"] for part in parts)
        assert {(row["metric"], row["unit"], row["difference"], row["p"]) for row in own} == {
            ("error_consistency", "kappa", "", "")
        }


def test_of_a_model_and_itself_all_errors_are_the_same():
    found = [one.found for one in consistencies(compare(ONE, ONE, None))]
    assert np.array([one.kappa for one in found]) == pytest.approx(np.ones(len(found)))
    assert all(one.interval.low < 1 for one in found)
