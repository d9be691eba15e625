"""Reports of runs of sequences and of several passes: their words, numbers and notes in every format."""

import csv
import io
import json
import re

import pytest
from rich.console import Console

from ppbench.cli.output import Format, written
from ppbench.errors import UsageError
from ppbench.metrics import headline_metrics
from ppbench.report.load import load_summary, load_with_images
from ppbench.report.report import RunReport
from ppbench.report.summary import summarise, trial_notes
from ppbench.tables.terminal import drawn
from tests.metrics.test_of_sequences import RESNEXT_FP, RESNEXT_UT5D, write_flips
from tests.report.printed import line_of, render
from tests.trial_runs import passes_run, sequence_run

FORMATS = ("rich", "json", "csv", "markdown", "latex")
FOREIGN = re.compile(r"accurac|severit|corruption|\berror", re.IGNORECASE)
"""Words of other runs."""


def text_of(report, form):
    """A report in one of the five formats; a terminal is 120 columns wide."""
    if form != "rich":
        return written(report, Format(form))
    console = Console(file=io.StringIO(), width=120)
    console.print(drawn(report.sheets()))
    return console.file.getvalue()


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Run files: of sequences, of the same at two difficulties, and of passes; and a normaliser."""
    folder = tmp_path_factory.mktemp("trials")
    sequence_run(n=30).write(folder / "one.json")
    sequence_run(n=30, difficulties=(1, 2)).write(folder / "two.json")
    sequence_run("other", n=30, jump=0.3).write(folder / "other.json")
    passes_run(n=30).write(folder / "passes.json")
    write_flips(folder / "alexnet.csv", RESNEXT_FP, RESNEXT_UT5D)
    return folder


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", ["one", "two"])
def test_no_format_speaks_of_accuracies_and_severities(files, name, form):
    report = RunReport([load_summary(files / f"{name}.json", str(files / "alexnet.csv"), None, 0.95)], formulas=True)
    text = text_of(report, form)
    assert not FOREIGN.search(text), FOREIGN.search(text)
    assert re.search("flip.probabilit", text)
    assert "perturbation" in text
    intervals = RunReport([load_summary(files / f"{name}.json", None, None, 0.95)], intervals=True)
    assert not FOREIGN.search(text_of(intervals, form))


def test_tables_have_flips_and_distances(files):
    run = sequence_run(n=30, difficulties=(1, 2))
    text = render(load_summary(files / "two.json", str(files / "alexnet.csv"), None, 0.95), width=120)
    rotate = [100 * run.run.cell("rotate", level).error for level in (1, 2)]
    assert line_of(text, "rotate")[1:4] == [f"{rotate[0]:.2f}", f"{rotate[1]:.2f}", f"{sum(rotate) / 2:.2f}"]
    assert "Flip probabilities by difficulty (d1 easy … d3 hard), %; uT5D in places" in text
    flat = " ".join(text.split())
    assert "mFP[p10,d1-2,lossless], mFR[alexnet,p10,d1-2,lossless]" in flat
    assert "lacks 10 of 20 cells: gaussian_noise d2" in flat, "the CSV has one difficulty"
    one = render(load_summary(files / "one.json", str(files / "alexnet.csv"), None, 0.95), width=120)
    assert line_of(one, "mFP")[2:3] == ["±"] or "[" in line_of(one, "mFP")[2]
    assert "Flip probabilities, %; uT5D in places" in one
    assert re.search(r"perturbation\s+flip probability\s+±\s+FR\s+uT5D\s+T5D", one)


def test_json_and_csv_agree(files):
    summary = load_summary(files / "two.json", None, None, 0.95)
    content = json.loads(written(RunReport([summary]), Format("json")))
    rows = list(csv.DictReader(io.StringIO(written(RunReport([summary]), Format("csv")))))
    assert content["sequences"]["encoding"] == "lossless"
    assert [metric["name"] for metric in content["metrics"]] == ["mFP", "mFR", "uT5D", "mT5D"]
    assert content["metrics"][2]["unit"] == "places"
    assert content["calibration"] is None
    first = content["perturbations"][0]
    assert first["perturbation"] == "gaussian_noise"
    cell = next(
        r for r in rows if (r["metric"], r["perturbation"], r["difficulty"]) == ("flip_probability", "tilt", "2")
    )
    tilt = next(one for one in content["perturbations"] if one["perturbation"] == "tilt")
    assert float(cell["value"]) == tilt["difficulties"]["2"]
    assert [float(cell[end]) for end in ("low", "high")] == [tilt["intervals"]["d2"][end] for end in ("low", "high")]
    assert content["worst_cell"].keys() == {"perturbation", "difficulty", "flip_probability"}


def test_the_default_normaliser_is_the_baseline_and_never_alexnet(files):
    summary = load_summary(files / "one.json", None, str(files / "other.json"), 0.95)
    assert summary.metrics[1].label == "mFR[other,p10,d1,lossless]"
    assert summary.metrics[1].interval is not None
    bare = summarise(sequence_run(n=5, normalizer="alexnet").run)
    assert bare.metrics[1].reason == "no normaliser (--normalizer RUN or CSV)"
    given = load_summary(files / "one.json", "alexnet", None, 0.95)
    assert "in no source that could be read" in given.metrics[1].reason


def test_a_csv_of_flips_is_a_normaliser_and_no_run(files):
    with pytest.raises(UsageError, match="flip probabilities to divide by") as refused:
        load_summary(files / "alexnet.csv", None, None, 0.95)
    assert "--normalizer" in refused.value.hint


def test_notes_say_what_is_compared_and_when_distances_say_little():
    videos = summarise(sequence_run(n=5, encoding="h264", dataset="cifar10-p", difficulties=(1, 2)).run)
    text = " ".join(trial_notes(videos))
    assert "two and three before" in text
    assert "The frames are of videos" in text
    assert "With 10 classes the top-5 distance says little" in text
    assert len(trial_notes(summarise(sequence_run(n=5, classes=20).run))) == 1


def test_runs_side_by_side_have_a_row_for_each_metric(files):
    runs = [load_summary(files / f"{name}.json", str(files / "alexnet.csv"), None, 0.95) for name in ("one", "other")]
    (sheet,) = RunReport(runs).sheets()
    names = [line.cells[0] for line in sheet.lines]
    assert names[:6] == ["mFP", "mFR", "uT5D, places", "mT5D", "flip probability by family", "  noise"]
    assert names[-2:] == ["flip probability by difficulty", "  d1"]
    assert not FOREIGN.search(text_of(RunReport(runs), "markdown"))
    assert {metric.name for metric in headline_metrics(runs[0].cell_errors, None, None)} == {
        "mFP", "mFR", "uT5D", "mT5D",
    }  # fmt: skip


def test_without_the_trials_there_are_no_intervals_and_a_note_says_why(files, tmp_path):
    path = tmp_path / "run.json"
    sequence_run(n=30).write(path)
    path.with_name("run.trials.npy.gz").unlink()
    summary = load_summary(path, None, None, 0.95)
    assert all(metric.interval is None for metric in summary.metrics)
    assert "cannot read" in summary.interval_notes[0]


def test_passes_have_their_spread_in_every_format(files):
    summary, by_image = load_with_images(files / "passes.json", None, None, 0.95)
    mean = summary.metrics[1]
    assert mean.label == "mean_error[fog+frost,s1,3,4 passes]"
    text = render(summary)
    assert f"sd {mean.spread:.2f}" in text
    assert "Values are means over 4 passes of each image." in " ".join(text.split())
    assert "4 passes" in summary.heading
    content = json.loads(written(RunReport([summary]), Format("json")))
    assert content["passes"] == 4
    assert content["metrics"][1]["spread_over_passes"] == pytest.approx(mean.spread)
    rows = list(csv.DictReader(io.StringIO(written(RunReport([summary]), Format("csv")))))
    assert any(row["metric"] == "mean_error_spread_over_passes" for row in rows)
    (sheet,) = RunReport([summary, summary]).sheets()
    sds = [line.cells[1:] for line in sheet.lines if line.cells[0] == "  sd over passes"]
    assert sds[1] == (f"{mean.spread:.2f}",) * 2
    assert not summary.calibration
    assert len(set(by_image.reasons.values())) == 1
    assert "4 passes" in by_image.reasons["first_flips"]
    fog = passes_run(n=30).run.cell("fog", 3)
    assert line_of(text, "fog")[2] == f"{100 - 100 * fog.error:.1f}"
