"""The trace of an evaluation."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from ppbench.errors import UsageError
from ppbench.evaluation import profile
from ppbench.evaluation.api import evaluate
from ppbench.evaluation.profile import (
    FEWEST_TRACED,
    MOST_TRACED,
    SKIPPED_BEFORE,
    TRACED_PHASES,
    Trace,
    check_trace_file,
    phase,
)
from ppbench.evaluation.request import EvalRequest
from tests.evaluation.models import tiny_checkpoint

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, list[dict[str, Any]]]:
    """The files of an evaluation without and with a trace, and the events of the trace."""
    folder = tmp_path_factory.mktemp("traced")
    net = tiny_checkpoint(folder / "net.safetensors")
    few: dict[str, Any] = {"corruptions": ["brightness"], "severities": "1-2", "limit": 20, "batch_size": 8}
    for name, more in (("plain", {}), ("traced", {"profile": folder / "trace.json"})):
        evaluate(str(net), output=folder / f"{name}.json", force=True, **few, **more)
    return folder / "plain.json", folder / "traced.json", json.loads((folder / "trace.json").read_text())["traceEvents"]


def test_it_names_the_phases_of_the_loop(traced: tuple[Path, Path, list[dict[str, Any]]]) -> None:
    *_, events = traced
    spans = [event for event in events if event.get("ph") == "X"]
    phases = Counter(event["name"].removeprefix("ppbench: ") for event in spans if "ppbench: " in event["name"])
    assert set(phases) == set(TRACED_PHASES)
    # 20 images in 8 at a time: 9 batches, after which scores are fetched once.
    assert (phases["network"], phases["score"], phases["corrupt"]) == (9, 9, 6)
    assert all(event["dur"] >= 0 for event in spans)
    assert any(event["name"].startswith("aten::conv") for event in spans)


def test_it_changes_no_result(traced: tuple[Path, Path, list[dict[str, Any]]]) -> None:
    runs = [json.loads(path.read_text()) for path in traced[:2]]
    for run in runs:
        del run["provenance"]
        run["bits"]["file"] = run["predictions"]["file"] = ""
    assert runs[0] == runs[1]
    assert traced[0].with_suffix(".bits.npz").exists() == traced[1].with_suffix(".bits.npz").exists()


class Recorded:
    """Stands in for torch's profiler, which takes seconds to start."""

    def __init__(self, **_: object) -> None:
        self.spans: list[list[int]] = []

    def start(self) -> None:
        Clock.spans.append([Clock.batches])

    def stop(self) -> None:
        Clock.spans[-1].append(Clock.batches)

    def export_chrome_trace(self, path: str) -> None:
        Path(path).write_text('{"schemaVersion": 1}')


class Clock:
    batches = 0
    spans: list[list[int]]


def spans(monkeypatch: pytest.MonkeyPatch, path: Path, batches: int, fetches: set[int]) -> tuple[list[Any], list[str]]:
    """When a trace begins and ends, in batches, and what is said."""
    monkeypatch.setattr(torch.profiler, "profile", Recorded)
    Clock.batches, Clock.spans = 0, []
    trace: Trace[int] = Trace(path, CPU)

    def numbers() -> Iterator[int]:
        for number in range(batches):
            Clock.batches = number
            yield number

    assert [*_noting(trace, numbers(), batches, fetches)] == list(range(batches))
    said: list[str] = []
    trace.finish(said.append)
    return Clock.spans, said


def _noting(trace: Trace[int], numbers: Iterator[int], batches: int, fetches: set[int]) -> Iterator[int]:
    for number in trace.follow(numbers, batches):
        yield number
        if number in fetches:
            trace.fetched()


@pytest.mark.parametrize(
    ("batches", "fetches", "expected"),
    [
        (3, set(), [0, 2]),  # few batches: all of them
        (20, {18}, [3, 19]),  # the last ones
        (1000, {30}, [SKIPPED_BEFORE - 1, SKIPPED_BEFORE + FEWEST_TRACED - 1]),
        (1000, {100}, [SKIPPED_BEFORE - 1, 100]),
        (1000, set(), [SKIPPED_BEFORE - 1, SKIPPED_BEFORE + MOST_TRACED - 1]),
    ],
)
def test_which_batches_are_traced(
    batches: int, fetches: set[int], expected: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, said = spans(monkeypatch, tmp_path / "trace.json", batches, fetches)
    assert found == [expected]
    assert said == [f"wrote {tmp_path / 'trace.json'}, a trace to open in https://ui.perfetto.dev or chrome://tracing"]
    assert [path.name for path in tmp_path.iterdir()] == ["trace.json"]


def test_nothing_left_to_compute_is_no_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trace: Trace[int] = Trace(tmp_path / "trace.json", CPU)
    said: list[str] = []
    trace.finish(said.append)
    assert said == [f"no trace in {tmp_path / 'trace.json'}: nothing was left to compute"]
    assert not list(tmp_path.iterdir())


def test_an_evaluation_that_ends_before_the_trace_begins_says_so(tmp_path: Path) -> None:
    trace: Trace[int] = Trace(tmp_path / "trace.json", CPU)
    said: list[str] = []
    batches = trace.follow((number for number in range(1000)), 1000)
    next(batches)
    batches.close()  # type: ignore[attr-defined]
    trace.finish(said.append)
    assert said == [f"no trace in {tmp_path / 'trace.json'}: the evaluation ended before its batches were traced"]


def test_without_a_file_nothing_happens() -> None:
    trace: Trace[int] = Trace(None, CPU)
    assert list(trace.follow((number for number in range(3)), 3)) == [0, 1, 2]
    trace.finish(pytest.fail)
    with phase("read") as inside:
        assert inside is None


def test_a_file_that_is_no_trace_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_text('{"version": 3}')
    with pytest.raises(UsageError, match=r"--profile .*run\.json is a file that is no trace"):
        check_trace_file(path)
    path.write_text('{\n  "schemaVersion": 1')
    check_trace_file(path)
    check_trace_file(tmp_path / "new.json")
    assert not (tmp_path / "new.json").exists()


def test_predictions_have_no_trace() -> None:
    with pytest.raises(UsageError, match="--profile is not for --predictions"):
        EvalRequest.of(predictions="a.npz", profile="b.json").check()


def test_a_disk_that_is_full_at_the_end_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise profile.PpbenchError("cannot write trace.json")

    monkeypatch.setattr(profile, "atomic_write", fail)
    _, said = spans(monkeypatch, tmp_path / "trace.json", 3, set())
    assert said == ["warning: cannot write trace.json"]
