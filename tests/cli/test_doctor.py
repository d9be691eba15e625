"""``ppbench doctor``."""

from __future__ import annotations

import json
import re

import pytest
import torch
from typer.testing import CliRunner

from ppbench.cli import doctor
from ppbench.cli.main import app
from ppbench.versions import __version__
from ppbench.vocabulary import C19

runner = CliRunner()


def test_the_doctor_shows_versions_and_passes_here() -> None:
    result = runner.invoke(app, ["doctor"])
    assert result.exit_code == 0, result.output
    assert torch.__version__.split("+")[0] in result.stdout
    assert result.stdout.count(" ok ") == 4
    assert [name in result.stderr for name in C19] == [True] * 19  # its progress, while kernels are compiled
    assert "19 of 19" not in result.stdout


def test_the_doctor_finds_a_layer_that_computes_something_else(monkeypatch: pytest.MonkeyPatch) -> None:
    from ppbench.models.pushpull import PushPullConv2d

    monkeypatch.setattr(PushPullConv2d, "_extremes_sum", lambda self: self.weight.amax((1, 2, 3)).view(-1, 1, 1))
    result = runner.invoke(app, ["doctor"])
    assert result.exit_code == 3
    assert re.search("push-pull layer +failed +differs from its definition", result.stdout)
    assert "1 of 4 self-tests failed" in result.stderr


def test_the_report_has_every_format(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> str:
        raise RuntimeError("first line\nsecond line")

    monkeypatch.setattr(doctor, "_TESTS", {"good": lambda: "fine", "bad": broken})
    result = runner.invoke(app, ["doctor", "--format", "json"])
    assert result.exit_code == 3
    found = json.loads(result.stdout)
    assert found["installation"]["ppbench"] == __version__
    assert found["tests"] == [
        {"name": "good", "passed": True, "finding": "fine"},
        {"name": "bad", "passed": False, "finding": "first line"},
    ]
    assert "bad,failed,first line" in runner.invoke(app, ["doctor", "--format", "csv"]).stdout
    assert "| bad | failed | first line |" in runner.invoke(app, ["doctor", "--format", "markdown"]).stdout
