import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ppbench.cli.main import app
from ppbench.run import write_run
from ppbench.vocabulary import C15, C_3D, C_BAR, SEVERITIES
from tests.builders import make_errors, make_run, write_csv, write_resnet50


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
        ("markdown", r"| mCE\[alexnet,c15,s1-5] | 76.70 % |"),
        ("latex", r"mCE[alexnet,c15,s1-5] & 76.70 \%"),
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


def test_showing_a_run_imports_neither_torch_nor_pandas_nor_numpy(run_file):
    program = (
        "import sys; from ppbench.cli.main import app; app(['show', *sys.argv[1:]], standalone_mode=False);"
        "print(sorted({'torch', 'pandas', 'numpy'} & set(sys.modules)))"
    )
    for form in ("json", "rich"):
        ask = [sys.executable, "-c", program, str(run_file), "--format", form]
        answer = subprocess.run(ask, capture_output=True, text=True, check=True)
        assert answer.stdout.splitlines()[-1] == "[]"


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
