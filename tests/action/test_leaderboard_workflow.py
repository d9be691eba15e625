"""The workflow that publishes a leaderboard is YAML that GitHub takes, and runs commands that exist."""

from __future__ import annotations

import re

import yaml
from typer.testing import CliRunner

from ppbench.cli.main import app
from tests.action.runner import ACTION

TEXT = (ACTION / "leaderboard.yml").read_text()
WORKFLOW = yaml.safe_load(TEXT)


def test_it_has_what_a_workflow_needs() -> None:
    assert set(WORKFLOW) == {"name", True, "permissions", "concurrency", "jobs"}  # YAML reads "on" as true
    assert WORKFLOW[True]["push"]["branches"] == ["main"]
    assert WORKFLOW["permissions"] == {"contents": "read"}
    publish = WORKFLOW["jobs"]["publish"]
    assert publish["needs"] == "build"
    assert publish["permissions"] == {"pages": "write", "id-token": "write"}
    assert [step["uses"] for step in publish["steps"]] == ["actions/deploy-pages@v4"]


def test_what_is_uploaded_is_what_is_written() -> None:
    steps = WORKFLOW["jobs"]["build"]["steps"]
    (command,) = [step["run"] for step in steps if step.get("run", "").startswith("ppbench ")]
    folder, site = re.fullmatch(r"ppbench report (\w+)/ --index -o (\w+)/", command).groups()
    assert folder == steps[0]["with"]["path"]
    (upload,) = [step for step in steps if step.get("uses", "").startswith("actions/upload-pages-artifact@")]
    assert upload["with"]["path"] == site
    helped = CliRunner().invoke(app, ["report", "--help"]).stdout
    assert "--index" in helped


def test_ppbench_comes_from_its_repository() -> None:
    (install,) = [step["run"] for step in WORKFLOW["jobs"]["build"]["steps"] if "install" in step.get("run", "")]
    assert install.endswith(" ./ppbench")
    assert "${{" not in "".join(step.get("run", "") for job in WORKFLOW["jobs"].values() for step in job["steps"])
