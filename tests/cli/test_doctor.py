"""``ppbench doctor``."""

from __future__ import annotations

import json
import re

import pytest
import torch
from typer.testing import CliRunner

from ppbench.cli import doctor
from ppbench.cli.main import app
from ppbench.corruptions import apply
from ppbench.corruptions.fused import graphs
from ppbench.errors import DataError
from ppbench.versions import __version__
from ppbench.vocabulary import C19, P4, P10

runner = CliRunner()


def test_the_doctor_shows_versions_and_passes_here() -> None:
    result = runner.invoke(app, ["doctor"])
    assert result.exit_code == 0, result.output
    assert torch.__version__.split("+")[0] in result.stdout
    assert result.stdout.count(" ok ") == 4
    # Its progress, while kernels are compiled.
    for what, names in (("corruption", C19), ("perturbation", (*P10, *P4))):
        said = [f"testing {what} {number} of {len(names)}: {name}\n" for number, name in enumerate(names, 1)]
        assert [line in result.stderr for line in said] == [True] * len(names)
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


def test_a_gpu_is_compared_with_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """The CPU stands in for it."""
    monkeypatch.setattr(graphs, "why_not", lambda device: "no compiler")
    found = doctor.compare_with_cpu("cpu")
    expected = "all 19 are the CPU's within a level; Triton does not work; torch.compile does not work (no compiler)"
    assert found == expected
    calls: list[str] = []

    def drifting(images: torch.Tensor, name: str, *given: object, **more: object) -> torch.Tensor:
        calls.append(name)
        return images // 2 + (2 if calls == [C19[0], C19[0]] else 0)

    monkeypatch.setattr(apply, "corrupt", drifting)
    with pytest.raises(DataError, match=f"{C19[0]} differs from the CPU's by 2 levels"):
        doctor.compare_with_cpu("cpu")


def test_there_is_a_self_test_for_each_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ppbench.devices.available_devices", lambda: ["cpu", "cuda:0", "cuda:1"])
    assert list(doctor._of_gpus()) == ["corruptions on cuda:0", "corruptions on cuda:1"]
