"""The GitHub Action: its steps as written, with a runner and a ``gh`` that are played."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.action.runner import ACTION, Runner
from tests.builders import make_errors
from tests.compare.runs import make_measured, shifted, write_measured

CORRUPTIONS = ("gaussian_noise", "shot_noise", "fog")
ERRORS = {cell: 0.6 * error for cell, error in make_errors(0, CORRUPTIONS).items()}
MARKER = "<!-- ppbench check: ppbench -->"
BOT = "github-actions[bot]"

SCRIPTS = sorted(ACTION.glob("*.sh"))


def run_file(path: Path, points: float = 0.0, **fields: object) -> Path:
    errors = shifted(ERRORS, "noise", points) if points else ERRORS
    described = {"name": path.stem, "n": 200, "seed": 1, "weights": "1", "corruptions": CORRUPTIONS, **fields}
    return write_measured(path, make_measured(errors, **described))


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    run_file(tmp_path / "base.json", name="base", seed=0, weights="0")
    return Runner(tmp_path / "job")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_are_bash_that_stops_at_errors(script: Path) -> None:
    assert subprocess.run(["bash", "-n", script], check=False).returncode == 0
    assert "\nset -euo pipefail\n" in script.read_text()


def test_nothing_that_others_choose_is_pasted_into_a_command() -> None:
    described = yaml.safe_load((ACTION / "action.yml").read_text())
    steps = [step for step in described["runs"]["steps"] if "run" in step]
    assert [step["run"] for step in steps] == [f'bash "$ACTION/{step.get("id", "finish")}.sh"' for step in steps]
    assert all(step["shell"] == "bash" for step in steps)
    assert {Path(step["run"].rpartition("/")[2].rstrip('"')).name for step in steps} == {path.name for path in SCRIPTS}


def test_a_pass_is_summarised_reported_uploaded_and_commented(runner: Runner, tmp_path: Path) -> None:
    new, base = run_file(tmp_path / "new.json", -3), tmp_path / "base.json"
    assert runner.run(run=str(new), baseline=str(base), max_drop="mean=5\nnoise=6") == 0
    assert runner.outputs["check"]["verdict"] == "pass"
    table = Path(runner.outputs["check"]["table"]).read_text()
    assert "| mean | pass" in table
    assert "| noise | pass" in table
    assert runner.summary.read_text().strip() == table.strip()
    (upload,) = [given for name, given in runner.used if name.startswith("actions/upload-artifact@")]
    assert upload["name"] == "ppbench-report"
    page = Path(upload["path"])
    assert page.name == "report.html"
    assert "<title>" in page.read_text()
    (added,) = runner.written
    assert added["arguments"][:4] == ["api", "--method", "POST", "repos/owner/models/issues/17/comments"]
    assert added["token"] == "the token"
    (body,) = added["body"]
    assert body.startswith(f"{MARKER}\n### ppbench: pass\n")
    assert "| mean | pass" in body
    assert "https://github.com/owner/models/actions/runs/99" in body
    assert "[Report](https://github.com/owner/models/artifacts/5)" in body
    for name, one in yaml.safe_load((ACTION / "action.yml").read_text())["outputs"].items():
        step, key = re.fullmatch(r"\${{ steps\.(\w+)\.outputs\.([\w-]+) }}", one["value"]).groups()
        assert runner.outputs[step][key], name


def test_every_input_is_used() -> None:
    text = (ACTION / "action.yml").read_text()
    for name in yaml.safe_load(text)["inputs"]:
        assert f"inputs.{name} " in text, name


def test_a_report_that_cannot_be_written_is_a_warning(runner: Runner, tmp_path: Path) -> None:
    new, base = run_file(tmp_path / "new.json"), tmp_path / "base.json"
    assert runner.run(run=str(new), baseline=str(base), data=str(tmp_path / "none"), comment="false") == 0
    assert "::warning title=ppbench report::There is no report: ppbench report ended with exit code" in runner.log


def test_a_regression_fails_after_report_and_comment(runner: Runner, tmp_path: Path) -> None:
    new = run_file(tmp_path / "new.json", 20)
    assert runner.run(run=str(new), baseline=str(tmp_path / "base.json"), max_drop="noise=1", report="false") == 1
    assert runner.outputs["check"] | {"table": ""} == {"exit-code": "1", "verdict": "regression", "table": ""}
    assert "### ppbench: regression" in runner.written[0]["body"][0]
    assert "worse than allowed" in runner.written[0]["body"][0]


def test_what_cannot_be_judged_says_why_everywhere(runner: Runner, tmp_path: Path) -> None:
    assert runner.run(run=str(tmp_path / "none.json"), baseline=str(tmp_path / "base.json")) == 3
    (body,) = runner.written[0]["body"]
    assert "### ppbench: error" in body
    assert "exit code 3" in body
    assert "none.json" in body
    assert "none.json" in runner.summary.read_text()


def test_a_comment_that_is_there_is_changed(runner: Runner) -> None:
    runner.comments((5, "somebody", f"{MARKER}\nnot ours"), (6, BOT, "another tool's"), (7, BOT, f"{MARKER}\nold"))
    runner.comment()
    (changed,) = runner.written
    assert changed["arguments"][:4] == ["api", "--method", "PATCH", "repos/owner/models/issues/comments/7"]


def test_the_title_of_a_comment_calls_only_a_pass_of_every_rule_a_pass(runner: Runner) -> None:
    runner.comment("### NOT DECIDED (not failed): a against b: 1 rule, undecided (9 images)")
    runner.comment("### PASS: NOT DECIDED against b: 1 rule, passed (9 images)")
    titles = [re.search(r"### ppbench: .*", str(one))[0] for one in runner.written]
    assert titles[0].startswith("### ppbench: not decided (not failed)")
    assert titles[1].startswith("### ppbench: pass")


def test_a_comment_on_a_later_page_is_found(runner: Runner) -> None:
    runner.comments(*((number, "somebody", "hello") for number in range(100)))
    runner.comments((700, BOT, f"{MARKER}\nold"), page=2)
    runner.comment()
    assert runner.written[0]["arguments"][3].endswith("/comments/700")


def test_checks_of_several_names_have_a_comment_each(runner: Runner) -> None:
    runner.comments((7, BOT, f"{MARKER}\nold"))
    runner.comment(name="small -->\nmodel")
    (added,) = runner.written
    assert added["arguments"][2] == "POST"
    assert added["body"][0].startswith("<!-- ppbench check: small_--__model -->\n")


@pytest.mark.parametrize("refusal", ["no-reading", "no-writing"])
def test_a_token_that_may_not_write_is_a_warning(runner: Runner, refusal: str) -> None:
    (runner.folder / refusal).touch()
    assert runner.comment() == 0
    assert "::warning title=ppbench comment::" in runner.log


@pytest.mark.parametrize(("event", "comment"), [("push", "true"), ("pull_request", "false")])
def test_without_a_pull_request_or_if_not_wanted_nothing_is_commented(tmp_path: Path, event: str, comment: str) -> None:
    runner = Runner(tmp_path / "job", event)
    runner.comment(comment=comment)
    assert runner.calls == []


def test_hostile_names_and_values_do_nothing(runner: Runner, tmp_path: Path) -> None:
    hostile = "$(touch pwned)`touch pwned`;@everyone\n::error::x\n<!-- | "
    new = run_file(tmp_path / "new $(touch pwned).json", name=hostile)
    code = runner.run(run=str(new), baseline=str(tmp_path / "base.json"), report="false", name="$(touch pwned)")
    assert code == 0
    assert not list(tmp_path.rglob("pwned"))
    body = runner.written[0]["body"][0]
    assert "@everyone" not in body
    assert "@\u200beveryone" in body
    between = re.search(r"::stop-commands::(\w{32})\n(.*)\n::\1::", runner.log, re.DOTALL)
    assert between
    assert "::error::" not in runner.log.replace(between[0], "")
    runner.run(run="--help", baseline="; touch pwned", max_drop="$(touch pwned)", report="false")
    assert runner.outputs["check"]["verdict"] == "error"
    assert not list(tmp_path.rglob("pwned"))


def test_a_very_long_table_still_fits_a_comment(runner: Runner) -> None:
    assert runner.comment("ü@" * 30_000) == 0
    body = runner.written[0]["body"][0]
    assert 30_000 < len(body) < 65_536
    assert "The rest is in the summary of the build." in body


def test_the_action_installs_from_its_own_checkout(tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    python = tmp_path / "python"
    python.write_text(
        '#!/bin/sh\necho "$@" >>"$CALLS"\n[ "$2" != venv ] || { mkdir -p "$3/bin"; cp "$0" "$3/bin/python"; '
        'cp "$0" "$3/bin/uv"; }\n'
    )
    python.chmod(0o755)
    output = tmp_path / "output"
    environment = {"PATH": "/usr/bin:/bin", "CALLS": str(calls), "PYTHON": str(python), "ACTION": "/src/action"}
    environment |= {"RUNNER_TEMP": str(tmp_path), "GITHUB_OUTPUT": str(output), "COMMAND": ""}
    subprocess.run(["bash", ACTION / "install.sh"], env=environment, check=True)
    assert calls.read_text().splitlines()[-1].endswith("--torch-backend cpu /src/action/..")
    assert not re.search(r"install[^\n]* ppbench\b", (ACTION / "install.sh").read_text())
    assert output.read_text() == f"command={tmp_path}/ppbench-of-action/bin/ppbench\n"
