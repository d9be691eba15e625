import json
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner

from ppbench.cli.main import app
from ppbench.run import write_run
from tests.builders import make_errors
from tests.compare.runs import make_measured, shifted, write_measured

ERRORS = make_errors(0)


def invoke(*arguments):
    return CliRunner().invoke(app, ["check", *map(str, arguments)])


def words(text):
    return " ".join(text.split())


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    """The pyproject.toml of this repository is not that of the tests."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def old(tmp_path):
    return write_measured(tmp_path / "old.json", make_measured(ERRORS, name="old", n=500))


@pytest.fixture
def new(tmp_path):
    worse = make_measured(shifted(ERRORS, "noise", 5), name="new", seed=1, n=500, weights="1")
    return write_measured(tmp_path / "new.json", worse)


def test_the_exit_code_is_the_verdict(old, new):
    assert invoke(new, "--baseline", old, "--max-drop", "noise=1").exit_code == 1
    assert invoke(new, "--baseline", old, "--max-drop", "noise=9").exit_code == 0
    assert invoke(new, "--baseline", old, "--max-drop", "fogg=1").exit_code == 2
    assert invoke(new, "--baseline", "none.json").exit_code == 3
    assert invoke(new).exit_code == 2


def test_other_protocols_end_with_4(tmp_path, new):
    path = write_measured(tmp_path / "seed.json", make_measured(ERRORS, name="seed", n=500, seed=1, recipe="cifar-c"))
    result = invoke(new, "--baseline", path)
    assert result.exit_code == 4
    assert "recipe imagecorruptions, seed cifar-c" in words(result.stderr)
    assert invoke(new, "--baseline", path, "--allow", "recipe", "--max-drop", "noise=9").exit_code == 0


def test_a_baseline_that_is_not_there_says_how_one_is_written(new):
    result = invoke(new, "--baseline", "absent.json")
    assert result.exit_code == 3
    assert "--update-baseline absent.json" in words(result.stderr)
    assert "commit absent.json and absent.bits.npy" in words(result.stderr)


def test_without_bits_the_mend_is_told(tmp_path, old):
    write_run(tmp_path / "bare.json", make_measured(ERRORS, n=500).run)
    result = invoke(tmp_path / "bare.json", "--baseline", old)
    assert result.exit_code == 3
    assert "Evaluate again to get them" in result.stderr


def test_no_rules_is_the_mean_and_said(old, new):
    result = invoke(new, "--baseline", old)
    assert "no rules given; using --max-drop mean=0.5" in result.stderr
    assert "mean" in result.stdout


def test_the_rules_that_are_used_are_not_told_before_an_error(tmp_path, old, new):
    other = write_measured(tmp_path / "other.json", make_measured(ERRORS, name="other", n=500, recipe="cifar-c"))
    for options in (["--confidence", "95"], ["--allow", "sede"], ["--baseline", "none.json"], ["--baseline", other]):
        result = invoke(new, "--baseline", old, *options)
        assert result.exit_code > 1
        assert "no rules given" not in result.stderr


def test_options_win_over_the_file(tmp_path, old, new):
    (tmp_path / "pyproject.toml").write_text(
        '[tool.ppbench.check]\nbaseline = "old.json"\n[tool.ppbench.check.max-drop]\nnoise = 1\nfog = 2\n'
    )
    assert invoke(new).exit_code == 1
    content = json.loads(invoke(new, "--max-drop", "noise=9", "--format", "json").stdout)
    assert {rule["rule"]: rule["max_drop"] for rule in content["rules"]} == {"noise": 9, "fog": 2}
    assert content["verdict"] == "pass"
    other = tmp_path / "other.toml"
    other.write_text("[tool.ppbench.check.max-drop]\nmean = 50\n")
    assert invoke(new, "--config", other, "--baseline", old).exit_code == 0


@pytest.mark.parametrize("form", ["rich", "json", "csv", "markdown", "latex"])
def test_every_format(old, new, form):
    result = invoke(new, "--baseline", old, "--max-drop", "noise=1", "--format", form)
    assert (result.exit_code, result.stderr) == (1, "")
    assert "noise" in result.stdout


def test_what_is_undecided_passes_with_a_word_unless_told(tmp_path, old):
    slightly = make_measured(shifted(ERRORS, "noise", 0.4), name="new", seed=1, n=500, weights="1")
    path = write_measured(tmp_path / "slightly.json", slightly)
    result = invoke(path, "--baseline", old, "--max-drop", "gaussian_noise/3=0")
    assert result.exit_code == 0
    assert "all 500 images of the dataset are too few to decide it with a probability of 80 %" in words(result.stdout)
    assert "warning: gaussian_noise/3: undecided, but tolerated" in words(result.stderr)
    strict = invoke(path, "--baseline", old, "--max-drop", "gaussian_noise/3=0", "--on-inconclusive", "fail")
    assert strict.exit_code == 1
    assert invoke(path, "--baseline", old, "--on-inconclusive", "maybe").exit_code == 2


def test_the_older_option_works_and_says_so(tmp_path, old, new):
    rule = ("--baseline", old, "--max-drop", "noise=1")
    result = invoke(new, *rule, "--on-inconclusive", "pass")
    assert result.exit_code == 1
    assert "warning: on-inconclusive is the older name of fail-on" in words(result.stderr)
    assert invoke(new, *rule, "--on-inconclusive", "pass", "--fail-on", "worse").exit_code == 2
    (tmp_path / "pyproject.toml").write_text('[tool.ppbench.check]\non-inconclusive = "fail"\n')
    result = invoke(new, *rule, "--format", "json")
    assert (result.exit_code, json.loads(result.stdout)["fail_on"]) == (1, "undecided")
    assert "older name" in result.stderr
    result = invoke(new, *rule, "--format", "json", "--fail-on", "perhaps")
    assert json.loads(result.stdout)["fail_on"] == "perhaps"
    assert "older name" not in result.stderr


def test_a_pass_without_power_is_marked_warned_of_and_may_fail(tmp_path):
    old = write_measured(tmp_path / "old.json", make_measured(ERRORS, name="old", n=50))
    new = write_measured(tmp_path / "new.json", make_measured(ERRORS, name="new", n=50, seed=1, weights="1"))
    rule = ("--baseline", old, "--max-drop", "clean=0.5")
    result = invoke(new, *rule)
    assert result.exit_code == 0
    assert "pass (underpowered)" in result.stdout
    assert "warning: clean: underpowered: too few images to show a drop a little larger than allowed" in words(
        result.stderr
    )
    quiet = invoke(new, *rule, "--on-powerless", "pass")
    assert (quiet.exit_code, quiet.stderr) == (0, "")
    assert invoke(new, *rule, "--on-powerless", "fail").exit_code == 1
    (tmp_path / "pyproject.toml").write_text('[tool.ppbench.check]\non-powerless = "fail"\n')
    assert invoke(new, *rule).exit_code == 1
    assert invoke(new, *rule, "--on-powerless", "warn").exit_code == 0


def test_junit_and_github_summary(tmp_path, old, new, monkeypatch):
    arguments = (new, "--baseline", old, "--max-drop", "noise=1", "--junit", "out/junit.xml", "--github-summary")
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    assert "no summary was written" in words(invoke(*arguments).stderr)
    summary = tmp_path / "summary.md"
    summary.write_text("# before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    assert invoke(*arguments).exit_code == 1
    assert ElementTree.parse("out/junit.xml").getroot().get("failures") == "1"
    assert summary.read_text().startswith("# before\n### FAIL: new against old")
    assert "| **noise** | **worse than allowed** |" in summary.read_text()


def test_a_baseline_is_written_and_renewed_only_by_what_passes(tmp_path, old, new):
    base = tmp_path / "base.json"
    assert "commit both" in invoke(old, "--update-baseline", base).stderr
    before = base.read_text()
    failed = invoke(new, "--baseline", base, "--max-drop", "noise=1", "--update-baseline", base)
    assert failed.exit_code == 1
    assert "is unchanged" in words(failed.stderr)
    assert base.read_text() == before
    assert invoke(new, "--baseline", base, "--max-drop", "noise=9", "--update-baseline", base).exit_code == 0
    assert base.read_text() != before
    assert invoke(new, "--baseline", base).exit_code == 0


@pytest.mark.parametrize(
    "options",
    [
        ["--max-drop", "noise=1"],
        ["--confidence", "0.9"],
        ["--on-inconclusive", "fail"],
        ["--fail-on", "worse"],
        ["--on-powerless", "fail"],
        ["--allow", "precision"],
        ["--junit", "junit.xml"],
        ["--github-summary"],
        ["--format", "json"],
    ],
)
def test_what_a_first_baseline_would_ignore_is_refused(tmp_path, old, options):
    result = invoke(old, "--update-baseline", "base.json", *options)
    assert result.exit_code == 2
    assert f"{options[0]} with --update-baseline needs a baseline to check against" in words(result.stderr)
    assert not (tmp_path / "base.json").exists()


def test_an_undecided_drop_does_not_become_the_baseline(tmp_path, old):
    slightly = make_measured(shifted(ERRORS, "noise", 0.4), name="new", seed=1, n=500, weights="1")
    path = write_measured(tmp_path / "slightly.json", slightly)
    invoke(old, "--update-baseline", "base.json")
    before = (tmp_path / "base.json").read_text()
    rule = ("--max-drop", "gaussian_noise/3=0")
    result = invoke(path, "--baseline", "base.json", *rule, "--update-baseline", "base.json")
    assert result.exit_code == 0
    assert "undecided: base.json is unchanged" in words(result.stderr)
    assert (tmp_path / "base.json").read_text() == before


def test_the_baseline_of_the_config_guards_the_update(tmp_path, old, new):
    (tmp_path / "pyproject.toml").write_text(
        '[tool.ppbench.check]\nbaseline = "base.json"\n[tool.ppbench.check.max-drop]\nnoise = 1\n'
    )
    assert "commit both" in invoke(old, "--update-baseline", "base.json").stderr  # there is none yet
    before = (tmp_path / "base.json").read_text()
    result = invoke(new, "--update-baseline", "base.json")
    assert result.exit_code == 1
    assert "to accept the drop, delete the baseline of the config" in words(result.stderr)
    assert (tmp_path / "base.json").read_text() == before
    assert invoke(new, "--update-baseline", "base.json", "--max-drop", "noise=9", "--junit", "j.xml").exit_code == 0
    assert (tmp_path / "base.json").read_text() != before
    assert (tmp_path / "j.xml").exists()


def test_the_way_to_accept_a_drop_is_one_that_works(tmp_path, old, new):
    invoke(old, "--update-baseline", "base.json")
    arguments = (new, "--baseline", "base.json", "--max-drop", "noise=1", "--update-baseline", "base.json")
    assert "to accept the drop, leave --baseline out" in words(invoke(*arguments).stderr)
    before = (tmp_path / "base.json").read_text()
    assert invoke(new, "--update-baseline", "base.json").exit_code == 0
    assert (tmp_path / "base.json").read_text() != before
    (tmp_path / "pyproject.toml").write_text('[tool.ppbench.check]\nbaseline = "base.json"\n')
    invoke(old, "--update-baseline", "base.json")  # better than what is there
    assert "delete the baseline of the config and write it again" in words(invoke(*arguments).stderr)
    (tmp_path / "base.json").unlink()
    assert invoke(new, "--update-baseline", "base.json").exit_code == 0
    assert (tmp_path / "base.json").exists()


@pytest.mark.parametrize("target", ["old.json", "old.bits.npy", "new.json", "new.bits.npy", "own.toml", "base.json"])
def test_junit_never_takes_the_place_of_what_is_read(tmp_path, old, new, target):
    (tmp_path / "own.toml").write_text("[tool.ppbench.check.max-drop]\nnoise = 9\n")
    (tmp_path / "elsewhere").mkdir()
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    spelled = f"elsewhere/../{target}"
    options = ("--config", "own.toml", "--update-baseline", "base.json", "--junit", spelled)
    result = invoke(new, "--baseline", old, *options)
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"--junit {spelled} would overwrite" in words(result.stderr)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before


@pytest.mark.parametrize("points", [1, 9])
def test_what_can_be_no_baseline_is_told_before_the_verdict(old, new, points):
    for target, message in (("base.txt", "is not allowed"), (new, "is the run itself")):
        result = invoke(new, "--baseline", old, "--max-drop", f"noise={points}", "--update-baseline", target)
        assert (result.exit_code, result.stdout) == (2, "")
        assert message in words(result.stderr)


@pytest.mark.parametrize(("points", "code"), [(1, 1), (9, 3)])
@pytest.mark.parametrize("option", ["--junit", "--github-summary"])
def test_what_cannot_be_written_neither_hides_a_regression_nor_a_pass(
    tmp_path, old, new, option, points, code, monkeypatch
):
    (tmp_path / "folder").mkdir()
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "folder"))
    options = ["--junit", "folder" if option == "--junit" else "j.xml", "--github-summary"]
    result = invoke(new, "--baseline", old, "--max-drop", f"noise={points}", *options)
    assert result.exit_code == code
    assert ("FAIL" if code == 1 else "PASS") in result.stdout
    assert "error: cannot write the summary" in words(result.stderr)
    if option == "--junit":
        assert "error: cannot write folder: Is a directory Choose another place with `--junit FILE`" in words(
            result.stderr
        )
    else:
        assert (tmp_path / "j.xml").exists()


def test_a_place_for_the_baseline_that_cannot_be_written_is_told_by_its_option(tmp_path, old):
    (tmp_path / "file").write_text("")
    result = invoke(old, "--update-baseline", "file/base.json")
    assert result.exit_code == 3
    assert "Choose another place with `--update-baseline FILE`" in words(result.stderr)


def test_a_new_baseline_that_is_not_written_is_not_said_to_be_there(tmp_path, old, new):
    result = invoke(new, "--baseline", old, "--max-drop", "noise=1", "--update-baseline", "base.json")
    assert "worse than allowed: base.json is not written; to accept the drop" in words(result.stderr)
    assert not (tmp_path / "base.json").exists()


def test_a_config_that_is_no_table_is_no_regression(tmp_path, old, new):
    (tmp_path / "pyproject.toml").write_text("[tool]\nppbench = 3\n")
    result = invoke(new, "--baseline", old)
    assert result.exit_code == 2
    assert "pyproject.toml: tool.ppbench is not a table" in words(result.stderr)


def test_a_confidence_that_says_nothing_is_refused(old, new):
    result = invoke(new, "--baseline", old, "--confidence", "1e-300")
    assert result.exit_code == 2
    assert "It is a fraction from 0.5 to below 1" in words(result.stderr)


def test_junit_is_xml_whatever_the_model_is_called(tmp_path, old):
    odd = make_measured(shifted(ERRORS, "noise", 5), name="a\x1b[31m\x00<&>\ufffe", seed=1, n=500, weights="1")
    result = invoke(
        write_measured(tmp_path / "odd.json", odd), "--baseline", old, "--max-drop", "noise=1", "--junit", "j.xml"
    )
    assert result.exit_code == 1
    assert (tmp_path / "j.xml").read_bytes().startswith(b"<?xml version='1.0' encoding='utf-8'?>")
    (case,) = ElementTree.parse("j.xml").getroot().iter("testcase")
    assert case.get("classname") == r"ppbench.check.a\x1b[31m\x00<&>\ufffe"


def test_bits_that_a_renamed_baseline_still_uses_are_not_written_over(tmp_path, old, new):
    old.rename(tmp_path / "renamed.json")
    before = (tmp_path / "old.bits.npy").read_bytes()
    options = ("--max-drop", "noise=9", "--update-baseline", "old.json")
    result = invoke(new, "--baseline", "renamed.json", *options)
    assert result.exit_code == 2
    assert "--update-baseline old.bits.npy would overwrite the input old.bits.npy" in words(result.stderr)
    assert (tmp_path / "old.bits.npy").read_bytes() == before
