import csv
import io
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ppbench.cli.main import app
from ppbench.metrics.intervals import wilson
from ppbench.run import write_run
from ppbench.vocabulary import C15, C_3D, C_BAR, SEVERITIES
from tests.builders import make_bits, make_errors, make_run, write_csv, write_resnet50
from tests.report import images
from tests.streams.runs import uneven, write_stream_run


def invoke(*arguments):
    return CliRunner().invoke(app, ["show", *map(str, arguments)])


def metrics_of(*arguments):
    """The JSON's metrics by name."""
    result = invoke(*arguments, "--format", "json")
    assert result.exit_code == 0, result.output
    return {metric["name"]: metric for metric in json.loads(result.stdout)["metrics"]}


@pytest.fixture
def resnet50(tmp_path):
    return write_resnet50(tmp_path / "resnet50.csv")


@pytest.fixture
def run_file(tmp_path):
    path = tmp_path / "run.json"
    write_run(path, make_run(make_errors(0)))
    return path


def test_the_resnet50_anchor(resnet50):
    metrics = metrics_of(resnet50)
    assert metrics["mCE"]["label"] == "mCE[alexnet,c15,s1-5]"
    assert round(metrics["mCE"]["value"], 2) == 76.70
    assert round(metrics["relative_mCE"]["value"], 1) == 105.0
    assert round(metrics["mean_error"]["value"], 2) == 60.83
    assert round(metrics["clean_error"]["value"], 2) == 23.87
    assert metrics["R_net"]["value"] is None
    assert metrics["R_net"]["reason"] == "no baseline given (--baseline RUN)"


def test_a_csv_as_normaliser_and_baseline(resnet50):
    metrics = metrics_of(resnet50, "--normalizer", resnet50, "--baseline", resnet50)
    assert metrics["mCE"]["label"] == "mCE[resnet50,c15,s1-5]"
    assert (metrics["mCE"]["value"], metrics["relative_mCE"]["value"], metrics["R_net"]["value"]) == (
        100,
        100,
        0,
    )
    assert metrics["R_net"]["label"] == "R_net[resnet50,c15,s1-5]"


def test_the_push_pull_paper_s_row_through_the_command(tmp_path):
    def write(name, mean_error, clean_error):
        cells = {(c, s): 1 - mean_error for c in C15 for s in SEVERITIES}
        return write_csv(tmp_path / name, {("clean", 0): 1 - clean_error, **cells})

    metrics = metrics_of(write("pp5.csv", 0.645, 0.276), "--baseline", write("plain.csv", 0.667, 0.269))
    assert round(metrics["R_net"]["value"], 2) == 2.79


def test_a_run_uses_its_own_normaliser_unless_told(run_file):
    assert metrics_of(run_file)["mCE"]["value"] is None
    assert metrics_of(run_file)["mCE"]["label"] == "mCE[none,c15,s1-5]"
    assert metrics_of(run_file, "--normalizer", "alexnet")["mCE"]["value"] > 0
    assert metrics_of(run_file, "--normalizer", run_file)["mCE"]["value"] == pytest.approx(100)


def test_the_content_tells_the_kind_where_the_name_does_not(tmp_path, run_file, resnet50):
    for path in (run_file, resnet50):
        bare = tmp_path / path.stem
        bare.write_bytes(path.read_bytes())
        assert metrics_of(bare)["mean_error"] == metrics_of(path)["mean_error"]


@pytest.mark.parametrize(
    ("form", "piece"),
    [
        ("rich", "mCE[alexnet,c15,s1-5]"),
        ("csv", "mCE,,,,76.69"),
        ("markdown", r"| mCE | 76.70 % |"),
        ("latex", r"mCE & 76.70 \%"),
    ],
)
def test_every_format_goes_to_stdout_and_nothing_to_stderr(resnet50, form, piece):
    result = invoke(resnet50, "--format", form)
    assert result.exit_code == 0
    assert piece in result.stdout
    assert result.stderr == ""


def test_formulas(resnet50):
    assert "sum_s" in invoke(resnet50, "--formulas").stdout


@pytest.mark.parametrize(
    ("name", "content", "code", "message"),
    [
        ("none.csv", None, 3, "cannot read"),
        ("none.json", None, 3, "cannot read"),
        ("none", None, 3, "cannot read"),
        ("bad.json", "corruption,severity,accuracy\n", 3, "is not a run file"),
        ("bad.csv", '{"version": 1}', 3, "has no column"),
        ("bad.csv", "corruption,severity,accuracy\nfogg,1,.5\n", 3, "did you mean 'fog'"),
        ("future.json", '{"version": 99}', 3, "version 99"),
    ],
)
def test_a_bad_file_is_one_clear_error(tmp_path, name, content, code, message):
    path = tmp_path / name
    if content is not None:
        path.write_text(content)
    result = invoke(path)
    assert result.exit_code == code
    assert message in " ".join(result.stderr.split())
    assert result.stdout == ""
    assert "Traceback" not in result.output


def test_an_unknown_normaliser_or_format_is_a_usage_error(resnet50):
    result = invoke(resnet50, "--normalizer", "alexnt")
    assert result.exit_code == 2
    assert "did you mean 'alexnet'" in result.stderr
    assert invoke(resnet50, "--normalizer", "nun").exit_code == 2
    assert invoke(resnet50, "--format", "yaml").exit_code == 2
    assert invoke(resnet50, "--baseline", "none.json").exit_code == 3


@pytest.mark.parametrize("value", ["./nope", "folder/nope", "nope.csv", "alexnt.json", "..\\nope"])
def test_a_normaliser_that_looks_like_a_file_is_looked_for_as_one(resnet50, value):
    result = invoke(resnet50, "--normalizer", value)
    assert result.exit_code == 3
    assert f"there is no file {value}" in " ".join(result.stderr.split())
    assert "did you mean" not in result.stderr


def test_alexnet_and_none_are_known_in_any_case(resnet50):
    assert metrics_of(resnet50, "--normalizer", "AlexNet") == metrics_of(resnet50)
    assert metrics_of(resnet50, "--normalizer", "NONE")["mCE"]["value"] is None


def test_showing_imports_numpy_for_bits_and_nothing_slow_without(run_file, with_bits, resnet50):
    program = (
        "import sys; from ppbench.cli.main import app\n"
        "for path in sys.argv[1:]:\n"
        "    for form in ('json', 'rich'):\n"
        "        app(['show', path, '--format', form], standalone_mode=False)\n"
        "        print('slow:', sorted({'torch', 'pandas', 'numpy', 'scipy'} & set(sys.modules)))\n"
    )
    ask = [sys.executable, "-c", program, *map(str, (run_file, resnet50, with_bits))]
    shown = subprocess.run(ask, capture_output=True, text=True, check=True).stdout
    slow = [line for line in shown.splitlines() if line.startswith("slow:")]
    assert slow == ["slow: []"] * 4 + ["slow: ['numpy']"] * 2


def write_with_bits(path, seed, n=400, **fields):
    run = make_run(make_errors(seed), name=path.stem, n=n, **fields)
    write_run(path, run, make_bits(run, seed))
    return path


@pytest.fixture
def with_bits(tmp_path):
    return write_with_bits(tmp_path / "net.json", 0)


def content_of(*arguments):
    result = invoke(*arguments, "--format", "json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_means_have_intervals_where_the_bits_are(with_bits):
    content = content_of(with_bits, "--normalizer", "alexnet")
    assert content["confidence"] == 0.95
    clean, mean, mce, relative, net = content["metrics"]
    assert (clean["low"], clean["high"]) == pytest.approx([100 * end for end in wilson(80, 400)[1:]])
    for metric in (mean, mce, relative):
        assert metric["low"] < metric["value"] < metric["high"]
    assert "low" not in net
    fog = next(row for row in content["corruptions"] if row["corruption"] == "fog")
    right = round(400 * fog["severities"]["3"])
    assert list(fog["intervals"]["s3"].values()) == pytest.approx(wilson(right, 400)[1:])
    assert set(fog["intervals"]) == {*(f"s{s}" for s in SEVERITIES), "mean_error", "CE", "relative_CE"}
    for row in (*content["families"], *content["severities"]):
        ends = row["intervals"]["mean_error"]
        assert ends["low"] < row["mean_error"] < ends["high"]


def test_the_csv_has_the_same_ends(with_bits):
    rows = list(csv.DictReader(io.StringIO(invoke(with_bits, "--format", "csv").stdout)))
    content = content_of(with_bits)
    cell = next(row for row in rows if (row["metric"], row["corruption"], row["severity"]) == ("accuracy", "fog", "3"))
    fog = next(row for row in content["corruptions"] if row["corruption"] == "fog")
    assert {key: float(cell[key]) for key in ("low", "high")} == fog["intervals"]["s3"]
    assert cell["confidence"] == "0.95"
    mean = next(row for row in rows if row["metric"] == "mean_error")
    assert float(mean["high"]) == content["metrics"][1]["high"]
    worst = next(row for row in rows if row["metric"] == "worst_cell")
    assert (worst["low"], worst["high"], worst["confidence"]) == ("", "", "")


def test_a_higher_confidence_makes_wider_intervals(with_bits):
    widths = {}
    for confidence in (0.8, 0.99):
        content = content_of(with_bits, "--confidence", confidence)
        assert content["confidence"] == confidence
        widths[confidence] = content["metrics"][1]["high"] - content["metrics"][1]["low"]
    assert widths[0.99] / widths[0.8] == pytest.approx(2.5758 / 1.2816, rel=0.01)
    assert "± or [low, high]: 80 % interval" in invoke(with_bits, "--confidence", 0.8).stdout


@pytest.mark.parametrize("value", ["95", "0", "1", "-0.5", "nan"])
def test_a_confidence_that_is_none_is_a_usage_error(with_bits, value):
    result = invoke(with_bits, "--confidence", value)
    assert result.exit_code == 2
    assert "is not allowed" in result.stderr
    assert ("finite number" if value == "nan" else "such as 0.95") in result.stderr


def test_the_tables_show_margins(with_bits):
    text = invoke(with_bits, "--normalizer", "alexnet").stdout
    assert "20.00 [16.37, 24.20] %" in text
    assert "± or [low, high]: 95 % interval, for images like these 400." in text
    latex = invoke(with_bits, "--format", "latex").stdout
    assert r"20.00 [16.37, 24.20] \%" in latex
    assert r"60.10 $\pm$ 0.50 \%" in latex
    assert "±" not in latex


def test_without_bits_there_are_no_intervals_and_a_note_why(tmp_path, with_bits, run_file, resnet50):
    beside = with_bits.with_name("net.bits.npy")
    assert "No intervals: run.json was written without correctness bits." in words_of(run_file)
    assert "No intervals: resnet50.csv is a CSV, which has no correctness bits." in words_of(resnet50)
    for change, told in ((lambda: beside.write_bytes(b"x"), "is not the file"), (beside.unlink, "cannot read")):
        change()
        assert "No intervals: " in words_of(with_bits)
        assert told in words_of(with_bits)
        content = content_of(with_bits)
        assert content["confidence"] is None
        assert "low" not in content["metrics"][0]
        assert content["corruptions"][0]["intervals"] == {}
    alone = write_with_bits(tmp_path / "alone.json", 0, n=1)
    assert "No intervals: there are fewer than two images." in words_of(alone)


def words_of(path):
    result = invoke(path)
    assert (result.exit_code, result.stderr) == (0, "")
    return " ".join(result.stdout.split())


def test_a_normaliser_and_a_baseline_on_the_same_images_are_paired(tmp_path, with_bits):
    other = write_with_bits(tmp_path / "other.json", 1)
    metrics = metrics_of(with_bits, "--normalizer", other, "--baseline", other)
    assert metrics["R_net"]["low"] < metrics["R_net"]["value"] < metrics["R_net"]["high"]
    assert metrics["mCE"]["low"] < metrics["mCE"]["value"] < metrics["mCE"]["high"]
    against_itself = metrics_of(with_bits, "--normalizer", with_bits, "--baseline", with_bits)
    for name, value in (("mCE", 100), ("relative_mCE", 100), ("R_net", 0)):
        assert [against_itself[name][key] for key in ("low", "value", "high")] == pytest.approx([value] * 3)


def test_errors_that_are_not_of_the_same_images_count_as_exact_and_the_note_says_so(tmp_path, with_bits, resnet50):
    elsewhere = write_with_bits(tmp_path / "elsewhere.json", 1, ids_sha256="3" * 64)
    for normalizer, name in ((elsewhere, "elsewhere"), (resnet50, "resnet50")):
        text = " ".join(invoke(with_bits, "--normalizer", normalizer).stdout.split())
        assert f"The intervals of CE treat the errors of {name} as exact." in text
    bare = tmp_path / "bare.json"
    write_run(bare, make_run(make_errors(1), name="bare", n=400))
    metrics = metrics_of(with_bits, "--baseline", bare)
    assert metrics["R_net"]["value"] is not None
    assert "low" not in metrics["R_net"], "the baseline's errors are of the same images, and one by one unknown"


def test_an_interrupted_run_has_intervals_of_what_is_there(tmp_path):
    errors = make_errors(0)
    del errors["fog", 3]
    run = make_run(errors, n=400)
    write_run(tmp_path / "part.json", run, make_bits(run))
    content = content_of(tmp_path / "part.json")
    assert "low" in content["metrics"][0]
    assert "low" not in content["metrics"][1]
    fog = next(row for row in content["corruptions"] if row["corruption"] == "fog")
    assert set(fog["intervals"]) == {"s1", "s2", "s4", "s5"}


RUNS = Path(__file__).parents[1] / "runs"


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("form", ["rich", "json", "csv", "markdown", "latex"])
def test_run_files_of_every_version_are_shown_in_every_format(version, form):
    result = invoke(RUNS / f"v{version}.json", "--format", form)
    assert (result.exit_code, result.stderr) == (0, "")
    assert ("Mist" in result.stdout) == (version == 2)


@pytest.mark.parametrize(("names", "label"), [(C_BAR, "cbar"), (C_3D, "3dcc")])
def test_a_csv_of_another_published_set(tmp_path, names, label):
    path = write_csv(tmp_path / "net.csv", {("clean", 0): 0.75, **{(c, s): 0.5 for c in names for s in SEVERITIES}})
    metrics = metrics_of(path)
    assert metrics["mean_error"] == {
        "name": "mean_error",
        "label": f"mean_error[{label},s1-5]",
        "value": 50,
        "unit": "%",
    }
    assert metrics["mCE"]["reason"] == f"alexnet has no published error for {names[0]}"
    assert metrics_of(path, "--normalizer", path)["mCE"]["value"] == pytest.approx(100)


@pytest.mark.parametrize(
    ("form", "accuracy", "ce"),
    [
        ("rich", r"  fog +\d+\.\d \[\d+\.\d, \d+\.\d\] ", r"  fog +\d+\.\d\d ± \d\.\d\d +\d+\.\d\d ± \d\.\d\d "),
        (
            "markdown",
            r"\| fog \| \d+\.\d \\\[\d+\.\d, \d+\.\d\] \| \d+\.\d ±\d\.\d \|",
            r"\| fog \| \d+\.\d\d ± \d\.\d\d \| \d+\.\d\d ± \d\.\d\d \|",
        ),
        (
            "latex",
            r"fog & \d+\.\d \[\d+\.\d, \d+\.\d\] & \d+\.\d \$\\pm\$\d\.\d &",
            r"fog & \d+\.\d\d \$\\pm\$ \d\.\d\d & \d+\.\d\d \$\\pm\$ \d\.\d\d &",
        ),
    ],
    ids=["rich", "markdown", "latex"],
)
def test_intervals_of_single_cells_and_of_ce_on_request(with_bits, form, accuracy, ce):
    options = (with_bits, "--normalizer", "alexnet", "--format", form)
    asked, plain = invoke(*options, "--intervals").stdout, invoke(*options).stdout
    for pattern in (accuracy, ce):
        assert re.search(pattern, asked)
        assert not re.search(pattern, plain)


def test_data_formats_have_all_intervals_without_asking(with_bits):
    for form in ("json", "csv"):
        options = (with_bits, "--format", form)
        assert invoke(*options, "--intervals").stdout == invoke(*options).stdout


def test_classes_flips_and_confusions_on_request(tmp_path):
    path = tmp_path / "run.json"
    write_run(path, images.run(), images.bits(), predictions=images.predictions())
    plain, asked = invoke(path), invoke(path, "--classes")
    assert asked.exit_code == 0, asked.output
    assert asked.stdout.startswith(plain.stdout.rstrip())
    for title in ("Worst classes", "Confusions that corruptions add", "First flips"):
        assert title in asked.stdout
        assert title not in plain.stdout
    assert "not available" not in asked.stdout
    content = json.loads(invoke(path, "--classes", "--format", "json", "--confidence", "0.8").stdout)
    assert content["by_image"]["class_errors"][0]["class"] == "cat"
    assert content["by_image"]["confidence"] == 0.8
    for form in ("csv", "markdown", "latex"):
        assert "owl" in invoke(path, "--classes", "--format", form).stdout


def test_classes_of_a_run_without_predictions_say_how_to_get_them(tmp_path, resnet50):
    path = tmp_path / "run.json"
    write_run(path, images.run(), images.bits())
    text = " ".join(invoke(path, "--classes").stdout.split())
    assert "First flips" in text
    assert "Worst classes" not in text
    assert "without --no-predictions" in text
    write_run(path, images.run())
    assert "was written without correctness bits" in " ".join(invoke(path, "--classes").stdout.split())
    assert invoke(resnet50, "--classes").exit_code == 0
    assert json.loads(invoke(resnet50, "--classes", "--format", "json").stdout)["by_image"]["first_flips"] is None


def test_classes_of_a_run_whose_predictions_are_damaged_say_so(tmp_path):
    path = tmp_path / "run.json"
    write_run(path, images.run(), images.bits(), predictions=images.predictions())
    (tmp_path / "run.predictions.npy.gz").write_bytes(b"nothing")
    result = invoke(path, "--classes")
    assert result.exit_code == 0
    assert "is not the file" in " ".join(result.stdout.split())


def test_open_writes_the_report_for_the_browser(tmp_path, monkeypatch):
    path, opened = tmp_path / "run.json", []
    write_run(path, images.run(), images.bits(), predictions=images.predictions())
    monkeypatch.setattr("ppbench.cli.browser.open_in_browser", opened.append)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    plain, asked = invoke(path), invoke(path, "--open")
    assert (asked.exit_code, asked.stdout) == (0, plain.stdout)
    (page,) = opened
    assert page.parent.parent == tmp_path
    assert [
        row["class"]
        for row in json.loads(invoke(page, "--classes", "--format", "json").stdout)["by_image"]["class_errors"]
    ]
    assert invoke(page).stdout == plain.stdout, "the page holds the run"


def test_open_without_a_display_says_where_the_report_is(tmp_path, monkeypatch):
    path = tmp_path / "run.json"
    write_run(path, images.run())
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.delenv("BROWSER", raising=False)
    monkeypatch.setenv("SSH_TTY", "/dev/pts/0")
    result = invoke(path, "--open", "--format", "json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["source"] == "net"
    assert "report.html" in result.stderr.replace("\n", "")


def test_a_csv_has_no_report_to_open(resnet50):
    result = invoke(resnet50, "--open")
    assert result.exit_code == 3
    assert "is not a run file" in result.stderr


def test_several_runs_are_shown_if_all_are_of_streams(tmp_path, run_file):
    paths = [
        write_stream_run(tmp_path / f"{seed}.json", uneven(points=4), seed=seed, ids_sha256=str(seed))
        for seed in (43, 44)
    ]
    result = invoke(*paths, "--format", "csv")
    assert result.exit_code == 0, result.output
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert [row["seed"] for row in rows] == ["43", "44", ""]
    assert "mean of 2 streams" in invoke(*paths).stdout
    for arguments, message in (
        ((*paths, "--classes"), "--classes is not allowed with several runs"),
        ((run_file, *paths), "is of no stream: several runs are shown together if all are of streams"),
    ):
        refused = invoke(*arguments)
        assert refused.exit_code == 2
        assert message in " ".join(refused.stderr.split())
