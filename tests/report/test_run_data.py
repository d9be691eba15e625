import csv
import io
import json
import re

import pytest

from ppbench.cli.output import Format, written
from ppbench.metrics.cell_errors import CellErrors
from ppbench.metrics.references import ALEXNET
from ppbench.report.report import RunReport
from ppbench.report.run_data import RUN_COLUMNS
from ppbench.report.summary import summarise
from ppbench.vocabulary import C15, C_3D, C_BAR, CLEAN, FAMILIES_3D, FAMILY_OF, SEVERITIES, family_of
from tests.builders import make_classes, make_errors, make_run


def export(runs, form, **options):
    return written(RunReport(runs, **options), Format(form))


RUN = make_run(make_errors(0), name="a_b|c%", n=500, total=2000)


@pytest.fixture
def document():
    return summarise(RUN, ALEXNET)


def test_json_has_every_part(document):
    content = json.loads(export([document], "json"))
    assert [metric["name"] for metric in content["metrics"]] == [
        "clean_error",
        "mean_error",
        "mCE",
        "relative_mCE",
        "R_net",
    ]
    assert content["metrics"][2] == {
        "name": "mCE",
        "label": "mCE[alexnet,generated,c15,s1-5,500 of 2000]",
        "value": pytest.approx(document.metrics[2].value),
        "unit": "%",
    }
    assert content["metrics"][4]["value"] is None
    assert content["metrics"][4]["reason"] == "no baseline given (--baseline RUN)"
    assert [row["corruption"] for row in content["corruptions"]] == list(C15)
    assert [row["family"] for row in content["families"]] == ["noise", "blur", "weather", "digital"]
    assert [row["severity"] for row in content["severities"]] == list(SEVERITIES)
    assert content["source"] == "a_b|c%"
    assert content["images"] == {
        "n": 500,
        "total": 2000,
        "source": "generated",
        "recipe": "imagecorruptions",
        "engine": "imagecorruptions-imaug 1.1.5",
    }
    assert (content["classes"], content["precision"]) == (None, "fp32")
    assert content["calibration"][0]["label"] == "expected_calibration_error[clean,500 of 2000]"


def test_json_parts_agree_with_each_other(document):
    content = json.loads(export([document], "json"))
    headline = {metric["name"]: metric["value"] for metric in content["metrics"]}
    rows = content["corruptions"]
    for name, key in (("mCE", "CE"), ("relative_mCE", "relative_CE"), ("mean_error", "mean_error")):
        assert sum(row[key] for row in rows) / 15 == pytest.approx(headline[name])
    assert sum(row["mean_error"] for row in content["severities"]) / 5 == pytest.approx(headline["mean_error"])
    fog = next(row for row in rows if row["corruption"] == "fog")
    assert fog["severities"]["3"] == RUN.cell("fog", 3).top1 / 500
    worst = content["worst_cell"]
    assert worst["accuracy"] == min(value for row in rows for value in row["severities"].values())


def test_csv_is_one_tidy_table_that_agrees_with_json(document):
    rows = list(csv.DictReader(io.StringIO(export([document], "csv"))))
    assert tuple(rows[0]) == RUN_COLUMNS
    headline = [row for row in rows if not row["family"] and not row["corruption"] and not row["severity"]]
    expected = json.loads(export([document], "json"))
    for row, metric in zip(headline, expected["metrics"] + expected["calibration"], strict=True):
        assert (row["metric"], row["label"], row["unit"]) == (metric["name"], metric["label"], metric["unit"])
        assert row["value"] == ("" if metric["value"] is None else str(metric["value"]))
        assert bool(row["reason"]) == (metric["value"] is None)
    assert len({(r["label"], r["family"], r["corruption"], r["severity"]) for r in rows}) == len(rows)
    cells = {(r["corruption"], int(r["severity"])): float(r["value"]) for r in rows if r["metric"] == "accuracy"}
    assert cells == pytest.approx({cell.key: cell.top1 / cell.n for cell in RUN.cells})


def test_csv_has_families_severities_and_the_worst_cell(document):
    rows = list(csv.DictReader(io.StringIO(export([document], "csv"))))
    expected = json.loads(export([document], "json"))

    def value(metric, **place):
        place = {"family": "", "corruption": "", "severity": "", **place}
        found = [row for row in rows if row["metric"] == metric and place.items() <= row.items()]
        assert len(found) == 1
        return float(found[0]["value"])

    for family in expected["families"]:
        for metric in ("mean_error", "mCE", "relative_mCE"):
            assert value(metric, family=family["family"]) == family[metric]
        for severity, accuracy in family["severities"].items():
            error = value("mean_error", family=family["family"], severity=severity)
            assert error == pytest.approx(100 * (1 - accuracy))
    for row in expected["corruptions"]:
        assert value("CE", family=row["family"], corruption=row["corruption"]) == row["CE"]
    for row in expected["severities"]:
        assert value("mean_error", severity=str(row["severity"])) == row["mean_error"]
    worst = expected["worst_cell"]
    place = {"corruption": worst["corruption"], "severity": str(worst["severity"])}
    assert value("worst_cell", family=FAMILY_OF[worst["corruption"]], **place) == worst["accuracy"]


def test_markdown_escapes_pipes_and_keeps_its_columns(document):
    text = export([document], "markdown")
    assert r"### a\_b\|c% · fashion-mnist · 500 of 2000 images · generated by imagecorruptions-imaug 1.1.5" in text
    tables = [block.splitlines() for block in re.split(r"\n\n", text) if block.startswith("|")]
    assert len(tables) == 2
    for table in tables:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table}) == 1
    assert f"| {document.metrics[2].value:.2f} % |" in text
    assert "| **noise** | **" in text


def test_latex_escapes_its_special_characters_and_closes_what_it_opens(document):
    text = export([document], "latex")
    assert r"a\_b|c\%" in text
    assert r"mean\_error[c15,s1-5,500 of 2000]" in text
    assert not re.search(r"(?<!\\)[%_#]", text)
    assert text.count(r"\begin{") == text.count(r"\end{") == 4
    assert text.count(r"\toprule") == text.count(r"\bottomrule") == 2
    body = text.split(r"\toprule")[2].split(r"\bottomrule")[0]
    columns = {len(re.findall(r"(?<!\\)&", line)) for line in body.splitlines() if line.endswith(r"\\")}
    assert columns == {8}


def test_latex_escapes_backslash_tilde_caret_and_ampersand():
    table = CellErrors.from_errors(r"a\b~c^d&e{f}", {("fog", 1): 0.5}, None)
    expected = r"a\textbackslash{}b\textasciitilde{}c\textasciicircum{}d\&e\{f\}"
    assert expected in export([summarise(table)], "latex")


def test_the_formats_show_the_same_headline_values(document):
    values = [f"{metric.value:.2f}" for metric in document.metrics if metric.value is not None]
    for form in ("markdown", "latex"):
        text = export([document], form)
        assert all(value in text for value in values)


def test_several_runs_are_a_list_in_json_a_column_in_csv_and_one_table_elsewhere(document):
    other = summarise(make_run(make_errors(1), name="other"), ALEXNET)
    assert json.loads(export([document, other], "json"))["runs"][1] == json.loads(export([other], "json"))
    rows = list(csv.DictReader(io.StringIO(export([document, other], "csv"))))
    assert {row["run"] for row in rows} == {"a_b|c%", "other"}
    assert r"| % | a\_b\|c% | other |" in export([document, other], "markdown")
    assert export([document, other], "latex").count(r"\begin{tabular}") == 1


def test_formulas_are_added_on_request(document):
    assert json.loads(export([document], "json", formulas=True))["formulas"]["R_net"].startswith("((B_0")
    assert r"B\_0" in export([document], "latex", formulas=True)
    assert "sum\\_s" in export([document], "markdown", formulas=True)


def test_a_missing_cell_is_null_and_has_a_reason():
    document = summarise(make_run({(CLEAN, 0): 0.1, ("fog", 1): 0.5}, corruptions=("fog",), severities=(1, 2)))
    row = json.loads(export([document], "json"))["corruptions"][0]
    assert (row["severities"], row["mean_error"]) == ({"1": 0.5, "2": None}, None)
    assert row["reasons"]["s2"] == "net lacks the cell fog s2"
    assert row["reasons"]["mean_error"] == "net lacks 1 of 2 cells: fog s2"
    rows = list(csv.DictReader(io.StringIO(export([document], "csv"))))
    assert rows[-1]["reason"] == "net lacks the cell fog s2"


def nulls_without_reason(row):
    """Keys of a JSON row that are null, cells as ``s3``, and whether each has a reason, and no other has one."""
    cells = {f"s{severity}": value for severity, value in row.get("severities", {}).items()}
    nulls = {key for key, value in {**row, **cells}.items() if value is None}
    return nulls ^ row["reasons"].keys()


@pytest.mark.parametrize("normalizer", [None, ALEXNET])
def test_every_null_of_a_row_has_its_reason_and_only_they(normalizer):
    errors = make_errors(0)
    del errors["fog", 3]
    for run in (make_run(errors), make_run(make_errors(0)), make_run({("fog", 1): 0.1}, corruptions=("fog", "snow"))):
        content = json.loads(export([summarise(run, normalizer)], "json"))
        for part in ("corruptions", "families", "severities"):
            assert all(not nulls_without_reason(row) for row in content[part])


def test_ce_without_a_normaliser_says_why():
    row = json.loads(export([summarise(RUN)], "json"))["corruptions"][0]
    assert (row["CE"], row["relative_CE"]) == (None, None)
    assert row["reasons"]["CE"] == row["reasons"]["relative_CE"]
    assert row["reasons"]["CE"].startswith("no normaliser")


def test_only_clean_images_have_no_worst_cell():
    document = summarise(make_run({(CLEAN, 0): 0.1}, corruptions=()))
    assert json.loads(export([document], "json"))["worst_cell"] is None
    assert "worst_cell" not in export([document], "csv")


BEYOND = (*C_BAR, *C_3D, "mist")


@pytest.fixture
def beyond():
    """A run of corruptions beyond the nineteen, on a class subset, predicted elsewhere as labels."""
    errors = make_errors(0, BEYOND)
    run = make_run(errors, corruptions=BEYOND, classes=make_classes(), precision="unknown", labels_only=True)
    return summarise(run, ALEXNET)


def test_json_has_the_families_of_every_set_the_classes_and_the_precision(beyond):
    content = json.loads(export([beyond], "json"))
    assert [row["family"] for row in content["families"]] == ["c-bar", *FAMILIES_3D, "own"]
    assert {row["corruption"]: row["family"] for row in content["corruptions"]} == {n: family_of(n) for n in BEYOND}
    assert content["classes"] == {"n": 200, "outputs": 1000, "names_sha256": "3" * 64, "logits": "masked"}
    assert content["precision"] == "unknown"
    reasons = {metric["reason"] for metric in content["calibration"]}
    (reason,) = reasons
    assert reason.startswith("no probabilities: the predictions were labels")
    for part in ("corruptions", "families", "severities"):
        assert all(not nulls_without_reason(row) for row in content[part])


def test_csv_has_the_families_of_every_set(beyond):
    rows = list(csv.DictReader(io.StringIO(export([beyond], "csv"))))
    cells = [(row["family"], row["corruption"]) for row in rows if row["metric"] == "accuracy" and row["family"]]
    assert cells == [(family_of(name), name) for name in BEYOND for _ in SEVERITIES]
    assert rows[1]["label"] == "mean_error[cbar+3dcc+mist,s1-5,200 classes masked]"
    worst = next(row for row in rows if row["metric"] == "worst_cell")
    assert worst["family"] == family_of(worst["corruption"])


def test_markdown_and_latex_have_the_families_of_every_set(beyond):
    markdown, latex = export([beyond], "markdown"), export([beyond], "latex")
    for family in ("c-bar", *FAMILIES_3D, "own"):
        assert f"| **{family}** |" in markdown
        assert rf"\textbf{{{family}}} &" in latex
    assert r"| single\_frequency\_greyscale |" in markdown
    assert r"\quad single\_frequency\_greyscale &" in latex


def test_a_csv_has_neither_classes_nor_a_precision():
    content = json.loads(export([summarise(CellErrors.from_errors("net", {("fog", 1): 0.5}, None))], "json"))
    assert (content["images"], content["classes"], content["precision"]) == (None, None, None)
