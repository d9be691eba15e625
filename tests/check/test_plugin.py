import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.builders import make_errors
from tests.compare.runs import make_measured, shifted, write_measured

ROOT = Path(__file__).parents[2]
ERRORS = make_errors(0)


@pytest.fixture
def folder(tmp_path):
    write_measured(tmp_path / "old.json", make_measured(ERRORS, name="old", n=500))
    write_measured(tmp_path / "new.json", make_measured(shifted(ERRORS, "noise", 9), name="new", n=500, weights="1"))
    return tmp_path


class Ended(NamedTuple):
    """How pytest ended, and what it printed."""

    returncode: int
    stdout: str


@pytest.fixture
def run_pytest(folder, monkeypatch, capsys):
    """Run one test with the plugin, whether or not its entry point is installed: by pytest in this process."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    monkeypatch.chdir(folder)

    def run(test):
        Path("test_it.py").write_text(test)
        Path("pytest.ini").write_text("[pytest]\n")  # so that it looks for settings no further
        options = ("--import-mode=importlib", "-p", "no:cacheprovider", "-p", "no:faulthandler", "-q")
        code = pytest.main(["-p", "ppbench.pytest_plugin", *options, "test_it.py"])
        del sys.modules["test_it"]
        return Ended(int(code), capsys.readouterr().out)

    return run


def test_a_regression_fails_the_test_with_the_verdict(run_pytest):
    result = run_pytest("def test_it(ppbench_check): ppbench_check('new.json', 'old.json', noise=1, **{'fog/3': 2})")
    assert result.returncode == 1
    assert "FAIL: new against old: of 2 rules 1 worse than allowed; 1 pass" in result.stdout
    assert "fog/3: pass" in result.stdout
    assert "Traceback" not in result.stdout


def test_a_pass_returns_the_verdict(run_pytest):
    result = run_pytest("def test_it(ppbench_check): assert ppbench_check('new.json', 'old.json', noise=20).passed")
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(
    ("name", "run", "message"),
    [
        ("undecided", {"errors": shifted(ERRORS, "noise", 0.4), "weights": "1"}, "gaussian_noise/3: undecided: drop"),
        ("same", {"errors": ERRORS}, "same weights"),
        ("other", {"errors": ERRORS, "weights": "1", "precision": "bf16"}, "allowed to differ: precision bf16"),
    ],
)
def test_what_a_pass_should_not_hide_is_a_warning(folder, run_pytest, name, run, message):
    write_measured(folder / f"{name}.json", make_measured(name=name, n=500, seed=1, **run))
    rules = "**{'gaussian_noise/3': 0}, allow=['precision']"
    test = f"def test_it(ppbench_check): assert ppbench_check('{name}.json', 'old.json', {rules}).passed"
    result = run_pytest(test)
    assert result.returncode == 0, result.stdout
    assert f"UserWarning: {'NOT DECIDED (not failed)' if name == 'undecided' else 'PASS'}: " in result.stdout
    assert message in result.stdout


def test_another_word_for_on_inconclusive_is_a_usage_error(run_pytest):
    test = "def test_it(ppbench_check): ppbench_check('new.json', 'old.json', noise=20, on_inconclusive='warn')"
    result = run_pytest(test)
    assert result.returncode == 1
    assert "UsageError: on-inconclusive warn is not allowed" in result.stdout


def test_a_powerless_pass_can_fail_and_the_older_name_is_said(folder, run_pytest):
    write_measured(folder / "few.json", make_measured(ERRORS, name="few", n=50))
    write_measured(folder / "less.json", make_measured(ERRORS, name="less", n=50, seed=1, weights="1"))
    test = "def test_it(ppbench_check): ppbench_check('less.json', 'few.json', clean=0.5{})"
    options = ", on_powerless='pass', on_inconclusive='pass'"
    allowed = run_pytest(test.format(options))
    assert allowed.returncode == 0, allowed.stdout
    assert "on-inconclusive is the older name of fail-on" in allowed.stdout
    strict = run_pytest(test.format(", on_powerless='fail'"))
    assert strict.returncode == 1
    assert "clean: pass (underpowered)" in strict.stdout


def test_no_rules_are_a_warning(run_pytest):
    result = run_pytest("def test_it(ppbench_check): ppbench_check('old.json', 'old.json')")
    assert result.returncode == 0
    assert "no rules given" in result.stdout


def test_nothing_heavy_is_imported_at_the_start_of_pytest():
    code = (
        "import pytest, sys; before = set(sys.modules); import ppbench.pytest_plugin;"
        "print(sorted({m.split('.')[0] for m in set(sys.modules) - before}))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "numpy" not in answer.stdout
    assert "torch" not in answer.stdout
    assert "pydantic" not in answer.stdout


def test_the_entry_point_of_the_installed_distribution_is_the_fixture():
    (entry,) = metadata.distribution("pushpull-bench").entry_points.select(group="pytest11")
    assert (entry.name, entry.value) == ("ppbench", "ppbench.pytest_plugin")
    assert entry.load().ppbench_check


def test_pytest_finds_the_fixture_by_its_entry_point_alone(folder):
    (folder / "test_it.py").write_text("def test_it(ppbench_check): ppbench_check('new.json', 'old.json', noise=1)")
    own = ("PYTHONPATH", "PYTEST_DISABLE_PLUGIN_AUTOLOAD", "PYTEST_PLUGINS", "PYTEST_ADDOPTS")
    environment = {name: value for name, value in os.environ.items() if name not in own}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "test_it.py"]
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "FAIL: new against old: 1 rule, worse than allowed (500 images)" in result.stdout


def test_the_entry_point_is_declared():
    assert '[project.entry-points.pytest11]\nppbench = "ppbench.pytest_plugin"' in (ROOT / "pyproject.toml").read_text()
