"""When a GPU makes images by compiled graphs: asked for, or because there are many."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from ppbench.corruptions.fused import graphs
from ppbench.evaluation import compiling
from ppbench.evaluation.compiling import compiled_corruptions, compiled_part, with_graphs
from ppbench.evaluation.identity import identify
from ppbench.evaluation.plan import EvalPlan, prepare
from ppbench.evaluation.processes import Processes
from ppbench.evaluation.request import EvalRequest
from ppbench.evaluation.settings import Settings

GPU = torch.device("cuda")


@pytest.fixture(scope="module")
def plan() -> EvalPlan:
    return prepare(EvalRequest.of(models="fashion-mnist-resnet8", limit=5, corruptions="fog", device="cpu"))


def chosen(
    plan: EvalPlan, monkeypatch: pytest.MonkeyPatch, why_not: str | None = None, **more: Any
) -> tuple[bool, str]:
    """Whether graphs are chosen on a GPU for settings, and what is said."""
    lines: list[str] = []
    monkeypatch.setattr(graphs, "why_not", lambda device: why_not)
    settings = replace(plan.settings, **{"device": GPU, **more})
    found = with_graphs(replace(plan, settings=settings), Processes(), lines.append)
    return found.settings.graphs, " ".join(lines)


def test_many_images_are_made_by_graphs_where_they_can_be_compiled(
    plan: EvalPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert chosen(plan, monkeypatch) == (False, "")
    monkeypatch.setattr(compiling, "MANY_PIXELS", 5 * 28 * 28 * 5)
    made, said = chosen(plan, monkeypatch)
    assert made
    assert said == "corruptions: compiled for cuda at their first use, which takes seconds to a minute each"
    made, said = chosen(plan, monkeypatch, why_not="no compiler")
    assert not made
    assert said == "corruptions: not compiled (no compiler); they take longer"
    assert chosen(plan, monkeypatch, severities=(1, 2)) == (False, "")
    assert chosen(plan, monkeypatch, device=torch.device("cpu")) == (False, "")
    asked = replace(plan.settings.request, compiled=True)
    assert chosen(plan, monkeypatch, request=asked) == (False, "")  # no matter how many


def test_the_key_of_a_journal_and_the_record_say_so(plan: EvalPlan) -> None:
    subject = plan.subjects[0]
    identity = identify(subject, plan.source, plan.settings)
    keys = [identity.key(replace(plan.settings, device=GPU, graphs=graphs)) for graphs in (False, True)]
    assert keys[1] == keys[0] | {"compiled_corruptions": True}
    assert compiled_part(replace(plan.settings, device=GPU), plan.source) is None
    assert compiled_part(replace(plan.settings, device=GPU, graphs=True), plan.source) == "all"


@pytest.mark.parametrize(
    ("device", "compiled", "many"),
    [("cuda", True, False), ("cuda", False, False), ("cuda", False, True), ("cpu", True, False)],
)
def test_they_are_compiled_only_on_a_gpu(plan: EvalPlan, device: str, compiled: bool, many: bool) -> None:
    settings = Settings(EvalRequest(compiled=compiled), device=torch.device(device), graphs=many)
    with compiled_corruptions(settings, plan.source):
        assert graphs.is_enabled() == (device == "cuda" and (compiled or many))
    assert not graphs.is_enabled()


def test_frames_of_sequences_are_never_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"models": "fashion-mnist-resnet8", "dataset": "fashion-mnist-2k-p", "device": "cpu"}
    plan = prepare(EvalRequest.of(**given, limit=5, corruptions="tilt"))
    monkeypatch.setattr(compiling, "MANY_PIXELS", 1)
    assert chosen(plan, monkeypatch) == (False, "")
    settings = replace(plan.settings, device=GPU, graphs=True)
    with compiled_corruptions(settings, plan.source):
        assert not graphs.is_enabled()
    assert compiled_part(settings, plan.source) is None
