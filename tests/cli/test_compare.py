import json
import shutil
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from ppbench.cli.main import app
from ppbench.run import write_run
from tests.builders import make_errors
from tests.compare.runs import make_measured, shifted, write_measured

ERRORS = make_errors(0)


def invoke(*arguments):
    return CliRunner().invoke(app, ["compare", *map(str, arguments)])


def words(text):
    return " ".join(text.split())


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A folder with two runs, of which the second is worse on noise."""
    folder = tmp_path_factory.mktemp("written")
    write_measured(folder / "old.json", make_measured(ERRORS, name="resnet50"))
    worse = make_measured(shifted(ERRORS, "noise", 5), name="resnet50-pp5", seed=1, weights="1")
    write_measured(folder / "new.json", worse)
    return folder


def copied(written, target):
    """The run of this name, with its bits."""
    for file in written.glob(f"{target.stem}.*"):
        shutil.copy(file, target.parent)
    return target


@pytest.fixture
def old(written, tmp_path):
    return copied(written, tmp_path / "old.json")


@pytest.fixture
def new(written, tmp_path):
    return copied(written, tmp_path / "new.json")


@pytest.mark.parametrize("form", ["rich", "json", "csv", "markdown", "latex"])
def test_every_format_goes_to_stdout_and_nothing_to_stderr(old, new, form):
    result = invoke(old, new, "--format", form)
    assert (result.exit_code, result.stderr) == (0, "")
    assert "noise" in result.stdout


def test_the_first_is_the_reference_unless_told(old, new):
    def names(*options):
        content = json.loads(invoke(old, new, *options, "--format", "json").stdout)["comparisons"]
        return [(c["reference"], c["run"]) for c in content]

    assert names() == [("resnet50", "resnet50-pp5")]
    assert names("--baseline", new) == [("resnet50-pp5", "resnet50")]


def test_runs_of_one_model_name_are_called_by_their_files(tmp_path, old):
    twin = write_measured(tmp_path / "twin.json", make_measured(ERRORS, name="resnet50"))
    assert "twin against old" in invoke(old, twin).stdout


def drawn(monkeypatch, width, *arguments):
    """What stands in a terminal of this width."""
    from ppbench.cli import output

    monkeypatch.setenv("COLUMNS", str(width))
    output._console.cache_clear()
    text = invoke(*arguments).stdout
    output._console.cache_clear()
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    return text


@pytest.mark.parametrize("width", [80, 100])
def test_the_table_fits_the_terminal_in_one_block(old, new, width, monkeypatch):
    text = drawn(monkeypatch, width, old, new)
    assert text.count("gaussian_noise") == 2  # the table and the verdict


LONG = ("fashion-mnist-resnet8", "fashion-mnist-resnet8-pp3", "fashion-mnist-resnet8-pp3-again")


@pytest.fixture(scope="module")
def long_names(tmp_path_factory):
    folder = tmp_path_factory.mktemp("long")
    made = [make_measured(ERRORS, name=n, n=500, total=2000, seed=i, weights=str(i)) for i, n in enumerate(LONG)]
    return [write_measured(folder / f"{measured.name}.json", measured) for measured in made]


@pytest.mark.parametrize("width", [80, 120])
def test_long_names_leave_the_table_of_a_pair_in_one_block(long_names, width, monkeypatch):
    text = drawn(monkeypatch, width, *long_names[:2], "--normalizer", long_names[0])
    assert sum("detects" in line and "interval" in line for line in text.splitlines()) == 1
    assert text.count("gaussian_noise") == 1
    assert f"mCE[{LONG[0]}," in text


@pytest.mark.parametrize("width", [80, 120])
def test_three_runs_of_long_names_are_one_block_too(long_names, width, monkeypatch):
    text = drawn(monkeypatch, width, *long_names)
    assert text.count("gaussian_noise") == 1
    assert "Side by side, reference fashion-mnist-resnet8" in text
    assert drawn(monkeypatch, width, *long_names, "--pairs").count("gaussian_noise") == 3


def test_json_and_csv_have_all_metrics_and_each_pair_whatever_the_tables_show(long_names):
    plain = {form: invoke(*long_names, "--format", form).stdout for form in ("json", "csv")}
    for form, text in plain.items():
        assert text == invoke(*long_names, "--format", form, "--cells", "--all-metrics", "--pairs").stdout
    content = json.loads(plain["json"])["comparisons"]
    assert [c["run"] for c in content] == list(LONG[1:])
    groups = {d["group"] for d in content[0]["differences"]}
    assert groups >= {"metric", "family", "corruption", "cell", "ce_corruption", "calibration_family"}


def test_the_tables_of_more_metrics_are_there_if_wanted(old, new):
    assert "log_loss" not in invoke(old, new).stdout
    assert "log_loss" in invoke(old, new, "--all-metrics").stdout


def test_other_protocols_end_with_4_and_can_be_allowed(tmp_path, old):
    half = write_measured(tmp_path / "half.json", make_measured(ERRORS, name="half", seed=1, precision="bf16"))
    result = invoke(old, half)
    assert result.exit_code == 4
    assert "half was not measured like resnet50: precision bf16, resnet50 fp32" in " ".join(result.stderr.split())
    assert "--allow precision" in result.stderr
    allowed = invoke(old, half, "--allow", "precision")
    assert allowed.exit_code == 0
    assert "Allowed to differ: precision bf16" in " ".join(allowed.stdout.split())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--allow", "ids_sha256"], "image by image"),
        (["--confidence", "95"], "a confidence of 95 is not allowed"),
        (["--normalizer", "alexnt"], "did you mean 'alexnet'"),
        (["--published", "imagenet"], "unknown set of published results"),
    ],
)
def test_usage(old, new, options, message):
    result = invoke(old, new, *options)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())


def test_one_run_or_one_without_bits_is_told(tmp_path, old):
    assert invoke(old).exit_code == 2
    write_run(tmp_path / "bare.json", make_measured(ERRORS).run)
    result = invoke(old, tmp_path / "bare.json")
    assert result.exit_code == 3
    assert "has no correctness bits" in " ".join(result.stderr.split())
    assert "Evaluate again" in result.stderr


def test_published_results(tmp_path, old):
    assert invoke(old, "--published", "imagenet-c-resnet50").exit_code == 4
    run = make_measured(ERRORS, name="mine", dataset="imagenet-c", source="published", normalizer="alexnet")
    result = invoke(write_measured(tmp_path / "mine.json", run), "--published", "imagenet-c-resnet50")
    assert result.exit_code == 0
    assert "DeepAugment+AugMix" in result.stdout


def test_neither_torch_nor_pandas_is_imported(old, new):
    """By `compare`, and by `check` after it."""
    program = (
        "import json, sys; from ppbench.cli.main import app\n"
        "for call in json.loads(sys.argv[1]):\n"
        "    app(call, standalone_mode=False)\n"
        "    print('imported', call[0], sorted({'torch', 'pandas'} & set(sys.modules)))"
    )
    calls = json.dumps([["compare", str(old), str(new)], ["check", str(old), "--baseline", str(new)]])
    answer = subprocess.run([sys.executable, "-c", program, calls], capture_output=True, text=True, check=True)
    told = [line for line in answer.stdout.splitlines() if line.startswith("imported ")]
    assert told == ["imported compare []", "imported check []"]


def test_a_path_is_a_file_however_it_is_spelled(tmp_path, old, new, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def content(*options):
        return json.loads(invoke("old.json", "new.json", *options, "--format", "json").stdout)["comparisons"]

    by_old = content("--normalizer", old)
    assert by_old == content("--normalizer", "old.json")
    assert content("--baseline", old) == content("--baseline", "old.json") == content()
    assert by_old != content("--normalizer", new)


def test_a_run_is_not_compared_with_itself(tmp_path, old, new, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for runs in (("old.json", old), ("old.json", new, "./new.json")):
        result = invoke(*runs)
        assert result.exit_code == 2
        assert "is given twice: a run does not differ from itself" in words(result.stderr)


@pytest.mark.parametrize(
    "option",
    [
        ["--baseline", "x"],
        ["--allow", "precision"],
        ["--cells"],
        ["--confidence", "0.95"],
        ["--all-metrics"],
        ["--pairs"],
    ],
)
def test_what_does_not_apply_to_published_results_is_refused(old, option):
    result = invoke(old, "--published", "imagenet-c-resnet50", *option)
    assert result.exit_code == 2
    assert f"{option[0]} is not allowed with --published" in words(result.stderr)
