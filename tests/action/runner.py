"""A small GitHub runner: it does the steps of a composite action as they are written, with a ``gh`` that is played."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.forks import python

ACTION = Path(__file__).parents[2] / "action"

GH = """#!{python}
import json, os, pathlib, sys
folder = pathlib.Path(os.environ["PLAYED_GH"])
arguments = sys.argv[1:]
calls = folder / "calls.jsonl"
body = [pathlib.Path(a.removeprefix("body=@")).read_text() for a in arguments if a.startswith("body=@")]
with calls.open("a") as file:
    file.write(json.dumps({{"arguments": arguments, "body": body, "token": os.environ["GH_TOKEN"]}}) + "\\n")
writes = "--method" in arguments
if (folder / ("no-writing" if writes else "no-reading")).exists():
    sys.exit("HTTP 403: Resource not accessible by integration")
if not writes:
    page = int(arguments[1].rpartition("page=")[2])
    file = folder / f"page{{page}}.json"
    print(file.read_text() if file.exists() else "[]")
"""
"""It answers with files of comments, and records what it is called with."""


@dataclass
class Runner:
    """One job in a folder of its own."""

    folder: Path
    event: str = "pull_request"
    outputs: dict[str, dict[str, str]] = field(default_factory=dict)
    used: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """Actions of others that the steps use, with what they are given."""
    log: str = ""
    code: int = 0

    def __post_init__(self) -> None:
        self.summary = self.folder / "summary.md"
        bin_folder = self.folder / "bin"
        bin_folder.mkdir(parents=True)
        gh = bin_folder / "gh"
        gh.write_text(GH.format(python=sys.executable))
        gh.chmod(0o755)
        (self.folder / "temp").mkdir()
        event = self.folder / "event.json"
        event.write_text(json.dumps({"pull_request": {"number": 17}}))
        self.environment = {
            "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ACTION.parent),
            "PLAYED_GH": str(self.folder),
            "RUNNER_TEMP": str(self.folder / "temp"),
            "GITHUB_STEP_SUMMARY": str(self.summary),
            "GITHUB_EVENT_PATH": str(event),
            "GITHUB_REPOSITORY": "owner/models",
            "GITHUB_SERVER_URL": "https://github.com",
            "GITHUB_RUN_ID": "99",
            "GITHUB_SHA": "abc123",
            "HOME": str(self.folder),
        }

    def comment(self, table: str = "| mean | pass |", **inputs: str) -> int:
        """Do only the step that comments, after a check with this table."""
        file = self.folder / "table.md"
        file.write_text(table)
        self.outputs["check"] = {"verdict": "pass", "table": str(file)}
        return self.run(only="comment", run="run.json", **inputs)

    def run(self, only: str | None = None, **inputs: str) -> int:
        """Do all steps, or one; return the exit code of the first that fails, else 0."""
        described = yaml.safe_load((ACTION / "action.yml").read_text())
        values = {name: str(one.get("default", "")) for name, one in described["inputs"].items()}
        values |= {"command": f"{python()} -m ppbench"}
        values |= {name.replace("_", "-"): value for name, value in inputs.items()}
        for step in described["runs"]["steps"]:
            if only not in (None, step.get("id")):
                continue
            if "if" in step and not self._holds(step["if"], values):
                continue
            if "uses" in step:
                self.used.append((step["uses"], {k: self._filled(v, values) for k, v in step["with"].items()}))
                if step.get("id") == "upload":
                    self.outputs["upload"] = {"artifact-url": "https://github.com/owner/models/artifacts/5"}
                continue
            self.code = self._script(step, values)
            if self.code:
                return self.code
        return 0

    def _script(self, step: dict[str, Any], values: dict[str, str]) -> int:
        output = self.folder / f"output-{len(self.outputs)}"
        output.touch()
        environment = {name: self._filled(value, values) for name, value in step["env"].items()}
        done = subprocess.run(
            ["bash", "-eo", "pipefail", "-c", step["run"]], cwd=self.folder, capture_output=True, text=True,
            check=False, env={**self.environment, **environment, "GITHUB_OUTPUT": str(output)},
        )  # fmt: skip
        self.log += done.stdout + done.stderr
        self.outputs[step.get("id", "")] = dict(line.split("=", 1) for line in output.read_text().splitlines())
        return done.returncode

    def _value(self, name: str, values: dict[str, str]) -> str:
        first, *rest = name.split(".")
        if first == "inputs":
            return values[rest[0]]
        if first == "steps":
            return self.outputs.get(rest[0], {}).get(rest[2], "")
        return {
            "github.action_path": str(ACTION),
            "github.token": "the token",
            "github.event_name": self.event,
        }[name]

    def _filled(self, text: Any, values: dict[str, str]) -> str:
        once = re.sub(r"\${{ ([\w.-]+) }}", lambda found: self._value(found[1], values), str(text))
        return re.sub(r"\${{ ([\w.-]+) }}", lambda found: self._value(found[1], values), once)  # of a default

    def _holds(self, condition: str, values: dict[str, str]) -> bool:
        """Conditions of the form ``a == 'x' && b != ''``."""
        for part in condition.split(" && "):
            found = re.fullmatch(r"([\w.-]+) (==|!=) '(.*)'", part)
            assert found, f"the test does not know the condition {part!r}"
            if (self._value(found[1], values) == found[3]) is not (found[2] == "=="):
                return False
        return True

    @property
    def calls(self) -> list[dict[str, Any]]:
        """What ``gh`` was called with."""
        file = self.folder / "calls.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    @property
    def written(self) -> list[dict[str, Any]]:
        """The calls that write."""
        return [call for call in self.calls if "--method" in call["arguments"]]

    def comments(self, *comments: tuple[int, str, str], page: int = 1) -> None:
        """Comments that are there already: number, author and text."""
        content = [{"id": number, "user": {"login": who}, "body": text} for number, who, text in comments]
        (self.folder / f"page{page}.json").write_text(json.dumps(content))
