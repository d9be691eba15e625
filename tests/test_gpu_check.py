"""The check on a GPU: its budget and watchdog, its record and tables, and its cheap parts on the CPU."""

from __future__ import annotations

import json
import os
import signal
import time
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

from ppbench.corruptions.apply import corrupt
from ppbench.evaluation.api import evaluate
from ppbench.models.embedded import EMBEDDED_MODELS
from ppbench.run import read_arrays, read_run
from ppbench.vocabulary import C15, C19
from tools import gpu_table
from tools.gpu_check import equality, needs, networks, runner, runs
from tools.gpu_check.__main__ import main
from tools.gpu_check.context import Context
from tools.gpu_check.goals import GOALS, judged
from tools.gpu_check.parts import PARTS, START_UP, USUAL_SECONDS, Part
from tools.gpu_check.photographs import photographs
from tools.gpu_check.profile import analysed, phases_of
from tools.gpu_check.report import is_good, summary
from tools.gpu_check.runner import DONE, FAILED, NEEDS_A_CARD, NO_TIME, STOPPED, Settings
from tools.gpu_check.whole import projected


def part(name: str, limit: float = 20, **more: Any) -> Part:
    return Part(name, f"tests.gpu_parts:{name}", "?", limit, **{"least": 0.5, "grace": 0.3, **more})


def run(parts: list[Part], file: Path | None = None, seconds: float = 60) -> dict[str, Any]:
    settings = Settings("cpu", False, seconds, worker="tests.gpu_parts")
    return runner.run(parts, settings, file, say=lambda line: None)


def test_every_end_of_a_part_is_recorded_and_the_next_one_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, states = tmp_path / "found.json", []

    def write(path: Path, text: str) -> None:
        states.append(json.loads(text))
        path.write_text(text)

    monkeypatch.setattr(runner, "atomic_write", write)
    names = ["works", "fails", "dies", "stops_in_time", "hangs"]
    limits = {"stops_in_time": 0.8, "hangs": 0.8}
    parts = [part(name, limits.get(name, 20)) for name in names]
    again = Part("again", "tests.gpu_parts:works", "?", 20)
    record = run([*parts, again, part("card", needs_card=True)], file)
    found = record["parts"]
    assert {name: each["status"] for name, each in found.items()} == {
        "works": DONE, "fails": FAILED, "dies": FAILED, "stops_in_time": STOPPED, "hangs": STOPPED, "again": DONE,
        "card": NEEDS_A_CARD,
    }  # fmt: skip
    assert "ValueError: it does not work" in found["fails"]["error"]
    assert found["dies"]["error"] == "the process ended with signal SIGKILL"
    # What was found before an end stays, in the file too, which has each row as soon as it is known.
    assert all(len(found[name]["rows"]) == 1 for name in ("fails", "dies", "hangs"))
    assert len(found["stops_in_time"]["rows"]) > 3
    assert json.loads(file.read_text()) == record
    assert [len(state["parts"]["works"]["rows"]) for state in states if list(state["parts"]) == ["works"]] == [1, 2, 2]
    # A process that failed or hung computes nothing any more.
    assert found["again"]["rows"][0]["pid"] != found["works"]["rows"][0]["pid"]


def test_a_signal_ends_the_worker_too_and_leaves_the_file_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "found.json"

    def write(path: Path, text: str) -> None:
        path.write_text(text)
        if '"hangs"' in text and len(json.loads(text)["parts"]["hangs"]["rows"]) == 1:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(runner, "atomic_write", write)
    with pytest.raises(SystemExit) as ended, runner.ended_by_signals():
        run([part("works"), part("hangs")], file)
    assert ended.value.code == 128 + signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    record = json.loads(file.read_text())
    assert record["parts"]["works"]["status"] == DONE
    with pytest.raises(ProcessLookupError):
        os.kill(record["parts"]["works"]["rows"][0]["pid"], 0)


def test_what_does_not_fit_into_the_time_is_recorded() -> None:
    start = time.monotonic()
    record = run([part("hangs", 100), part("works", least=30)], seconds=3)
    assert [each["status"] for each in record["parts"].values()] == [STOPPED, NO_TIME]
    assert time.monotonic() - start < 30


def test_a_worker_that_cannot_start_is_tried_once() -> None:
    settings = Settings("cpu", True, 60, worker="tests.no_such_module")
    record = runner.run([part("works"), part("fails")], settings, None, say=lambda line: None)
    assert [each["status"] for each in record["parts"].values()] == [FAILED, NO_TIME]
    assert record["parts"]["works"]["error"] == "the process ended with exit code 1"


def test_what_is_missing_is_one_line_each() -> None:
    assert needs.missing() == []
    lines = needs.missing(lambda name: None if name in ("numba", "pydantic_core", "cv2") else object())
    assert "numba: no module numba; bring its wheel" in lines
    assert "opencv-python: no module cv2; bring its wheel" in lines
    assert "pydantic: needed by pydantic_core; bring its wheel" not in lines
    assert "pydantic_core: needed by pydantic; bring its wheel" in lines
    assert any("pictures of frost" in line for line in lines)
    assert {"torch", "numba", "imagecorruptions-imaug"} <= set(needs.required())


def test_nothing_runs_without_what_is_needed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setattr("tools.gpu_check.__main__.missing", lambda: ["numba: no module numba"])
    assert main(["--device", "cpu"]) == 2
    assert capsys.readouterr().err.splitlines() == ["missing:", "numba: no module numba"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--json", "folder"], "cannot write folder: it is a folder"),
        (["--json", "folder/file/found.json"], "cannot write folder/file/found.json"),
        (["--minutes", "nan"], "nan is not a time"),
        (["--minutes", "0"], "0 is not a time"),
        (["--only", "everything"], "invalid choice: 'everything'"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_computed(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").touch()
    with pytest.raises(SystemExit) as ended:
        main(["--device", "cpu", *arguments])
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_parts_of_the_script_run_on_a_cpu(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "found.json"
    arguments = ["--device", "cpu", "--quick", "--json", str(file), "--only", "jpeg", "layer", "memory"]
    assert main(arguments) == 0
    record = json.loads(file.read_text())
    assert {name: found["status"] for name, found in record["parts"].items()} == {
        "jpeg": DONE, "layer": DONE, "memory": NEEDS_A_CARD,
    }  # fmt: skip
    assert record["device"] == {"type": "cpu", "name": "CPU"}
    assert record["versions"]["torch"]
    assert {goal["verdict"] for goal in record["goals"] if goal["part"] != "memory"} == {"met"}
    assert "Nothing failed, no goal is missed." in capsys.readouterr().out


def on_cpu(tmp_path: Path, seconds: float = 60) -> Context:
    return Context(torch.device("cpu"), True, False, time.monotonic() + seconds, tmp_path)


def test_corruptions_are_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def corrupt_with_a_warning(images: Any, *rest: Any, **more: Any) -> Any:
        if isinstance(images, torch.Tensor):
            warnings.warn("it takes longer", stacklevel=1)
        return corrupt(images, *rest, **more)

    monkeypatch.setattr(equality, "corrupt", corrupt_with_a_warning)
    monkeypatch.setattr(equality, "C19", ("brightness", "pixelate"))
    found = {row["name"]: row for row in equality.corruptions(on_cpu(tmp_path))}
    assert found["brightness, cifar-c, 32 x 32, RGB"]["largest"] <= 1
    assert "it takes longer" in found["brightness, cifar-c, 32 x 32, RGB"]["warnings"]
    assert len(found) == 1 + 2 * len(equality.QUICK)


def test_a_difference_says_where_it_is() -> None:
    reference = photographs(5, 8, 8)[:, None]
    made = torch.from_numpy(reference.copy())
    made[2, 0, 3, 3, 0] += 1
    assert equality.difference(made, reference) == {
        "largest": 1, "differing": 1, "values": reference.size, "severities": [3],
    }  # fmt: skip


def test_jpeg_that_is_not_libjpegs_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(equality, "saved", lambda images, quality: images)
    assert all(row["differing"] > 0 for row in equality.jpeg(on_cpu(tmp_path)))


def test_a_layer_that_computes_something_else_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(networks.PushPullConv2d, "_mean_filter", lambda self, x: x + 0.01)
    monkeypatch.setattr(networks.PushPullConv2d, "by_two_convolutions", networks.PushPullConv2d.forward)
    rows = list(networks.layer(on_cpu(tmp_path)))
    assert max(row["relative"] for row in rows) < 1e-4  # both sides are wrong alike
    monkeypatch.undo()
    monkeypatch.setattr(networks.PushPullConv2d, "_inhibit_", lambda self, push, pull: push)
    assert max(row["relative"] for row in networks.layer(on_cpu(tmp_path))) > 1e-2


def test_images_that_are_right_in_one_run_alone_are_listed(tmp_path: Path) -> None:
    first, second = (tmp_path / f"{name}.json" for name in EMBEDDED_MODELS)
    for name, path in zip(EMBEDDED_MODELS, (first, second), strict=True):
        evaluate(name, limit=40, corruptions="fog", severities=5, device="cpu", output=path)
    same, other = runs.compared(first, first), runs.compared(first, second)
    assert (same["flipped"], same["other_class"], same["cells_with_equal_counts"], same["cells"]) == (0, 0, 2, 2)
    bits = [read_arrays(path, read_run(path))[0] for path in (first, second)]
    flipped = sum(int((right != bits[1][cell]).sum()) for cell, right in bits[0].items())
    assert other["flipped"] == len(other["which"]) == flipped > 0
    assert other["which"][0]["first"][0] != other["which"][0]["second"][0]
    assert 0 <= other["which"][0]["first"][1] <= 1


def test_a_trace_says_what_takes_the_time(tmp_path: Path) -> None:
    def event(first: float, last: float, name: str, category: str = "kernel") -> dict[str, Any]:
        return {"ph": "X", "cat": category, "ts": 1000 * first, "dur": 1000 * (last - first), "name": name}

    events = [event(4, 6, "a"), event(0, 2, "a"), event(1, 3, "b"), event(9, 10, "c"), event(0, 50, "f", "cpu_op")]
    (tmp_path / "trace.json").write_text(json.dumps({"traceEvents": [*events, {"ph": "M", "name": "process"}]}))
    found = analysed(tmp_path / "trace.json", ("kernel",))
    assert (found["span_ms"], found["busy_ms"], found["events"]) == (10, 6, 4)
    assert found["gaps"] == [{"ms": 3, "before": "c"}, {"ms": 1, "before": "a"}]
    assert found["kernels"][0] == {"name": "a", "calls": 2, "ms": 4}
    assert analysed(tmp_path / "trace.json", ("nothing",))["busy_share"] is None


def test_a_trace_names_the_phases(tmp_path: Path) -> None:
    def event(name: str, category: str, milliseconds: float) -> dict[str, Any]:
        return {"ph": "X", "cat": category, "ts": 0, "dur": 1000 * milliseconds, "name": name}

    events = [
        event("ppbench: read", "user_annotation", 2), event("ppbench: network", "user_annotation", 1),
        event("ppbench: network", "user_annotation", 1), event("ppbench: network", "gpu_user_annotation", 9),
        event("other", "user_annotation", 100),
    ]  # fmt: skip
    (tmp_path / "trace.json").write_text(json.dumps({"traceEvents": events}))
    assert phases_of(tmp_path / "trace.json") == [
        {"name": "network", "calls": 2, "cpu_ms": 2, "gpu_ms": 9},
        {"name": "read", "calls": 1, "cpu_ms": 2, "gpu_ms": 0},
    ]


def test_minutes_of_all_images_are_projected() -> None:
    found = projected(rate=10_000, first=25, again=10, images=20_000)
    assert found["fixed_seconds"] == 8
    assert found["warm_minutes"] == pytest.approx((380 + 8) / 60)
    assert found["cold_minutes"] == pytest.approx((380 + 8 + 15) / 60)


def card_record(**rates: float) -> dict[str, Any]:
    """A record as a card would give it."""
    engine: list[dict[str, Any]] = [
        {"name": name, "way": way, "batch": batch, "is_main": batch == 256, "share_of_bandwidth": 0.25,
         "rate": rates.get(name, 90_000.0) / (1 if way == "compiled" else 3), "largest": 1, "differing": 0, "values": 1}
        for way, batch in (("definitions", 256), ("compiled", 256), ("compiled", 64)) for name in C19
    ]  # fmt: skip
    pixels = [
        {"name": f"{name}, RGB", "corruption": name, "largest": 1, "differing": 3, "values": 1000} for name in C19
    ]
    corrupted = {"name": "corrupt", "calls": 16, "cpu_ms": 1.5, "gpu_ms": 30.25}
    phase = {
        "name": "evaluation",
        "phases": [corrupted],
        "kernels": [{"name": "a|b", "ms": 2.5, "calls": 1}],
        "events": 1200,
    }
    rows = {
        "corruptions": [{"name": "Triton's kernels", "are_used": True}, *pixels],
        "engine": [{"name": "bandwidth", "bytes_per_second": 1e12}, *engine],
        "forward": [{"name": "bf16, channels_last, batch 256", "rate": 7_000.0}],
        "profile": [{**phase, "span_ms": 4.0, "busy_ms": 3.0, "busy_share": 0.75}],
        "evaluation": [{"name": "1 rounds", "ratio": 0.5}, {"name": "2 rounds", "ratio": 0.93, "warm_minutes": 9.0}],
        "decode": [],
    }  # fmt: skip
    parts = {name: {"question": "?", "status": DONE, "seconds": 1.0, "rows": found} for name, found in rows.items()}
    parts["decode"]["status"] = NO_TIME
    device = {
        "type": "cuda", "name": "A Card", "memory_gib": 80.0, "driver": "1.2", "cuda": "13", "cudnn": 9, "triton": "3",
    }  # fmt: skip
    record = {
        "commit": "abc", "date": "2026-11-28T12:00:00", "device": device,
        "settings": {"device": "cuda", "quick": False},
        "machine": {"cpu": "A CPU", "cores": 8, "memory_gib": 64}, "versions": {"torch": "2"}, "seconds": 400.0,
        "parts": parts,
    }  # fmt: skip
    return record | {"goals": judged(record)}


def test_goals_are_met_or_missed_or_not_measured() -> None:
    verdicts = {goal["name"]: goal["verdict"] for goal in card_record(fog=10_000)["goals"]}
    assert verdicts["engine, median over the 15, images/s"] == "met"
    assert verdicts["engine, median over the 15, images/s, later"] == "missed"
    assert verdicts["engine, geometric mean over the 15, images/s"] == "none"
    assert verdicts["engine, slowest corruption, images/s"] == "missed"
    assert verdicts["evaluation on the fly / forward passes alone, bf16"] == "met"  # the last row counts
    assert verdicts["ImageNet-C with ResNet-50, cold, minutes"] == "not measured"
    assert verdicts["ImageNet-C with ResNet-50, warm, minutes"] == "missed"
    record = card_record()
    rows = record["parts"]["engine"]["rows"]
    for ways, expected in ((("compiled",), 30_000), (("compiled", "definitions"), None)):  # not that of fourteen
        left = [row for row in rows if row["name"] != C15[0] or row["way"] not in ways]
        record["parts"]["engine"]["rows"] = left
        median = next(goal for goal in judged(record) if goal["name"].startswith("engine, median"))
        assert median["value"] == expected
    assert median["verdict"] == "not measured"


def test_the_usual_parts_fit_into_eight_minutes() -> None:
    assert sum(part.limit for part in PARTS if part.is_usual) + START_UP <= USUAL_SECONDS == 8 * 60
    assert sum(part.most(False, True) for part in PARTS) + START_UP <= 24 * 60
    # What gets time only if some is left comes last.
    assert [part.is_usual for part in PARTS] == sorted((part.is_usual for part in PARTS), reverse=True)


def test_every_goal_is_of_a_part() -> None:
    assert {goal.part for goal in GOALS} <= {part.name for part in PARTS}
    assert len({goal.name for goal in GOALS}) == len(GOALS)


def test_the_summary_says_what_to_look_at_first() -> None:
    record = card_record(fog=10_000)
    assert is_good(record)  # slow is not wrong
    text = summary(record)
    assert "A Card, memory_gib 80.0, driver 1.2" in text
    first = text.partition("Look at this first:\n")[2].splitlines()
    assert first[0].startswith("- engine, median over the 15, images/s, later: 90,000, wanted at least 200,000")
    assert "    fog, compiled: 10,000 images/s" in first
    assert first[-1] == "- not begun, no time left: decode"
    record["parts"]["corruptions"]["rows"][1]["largest"] = 4
    record["goals"] = judged(record)
    assert not is_good(record)
    first = summary(record).partition("Look at this first:\n")[2].splitlines()
    assert first[0] == "- corruptions: largest difference, levels: 4, wanted at most 1"
    assert first[1].startswith(f"    {C19[0]}, RGB: largest 4")
    record["parts"]["corruptions"]["rows"][2]["warnings"] = ["Triton cannot run the kernel a.b here"] * 2
    assert summary(record).count("\n- warning: Triton cannot run the kernel a.b here") == 1
    record["parts"]["forward"] |= {"status": FAILED, "error": "Traceback\nValueError: no\n"}
    assert summary(record).partition("Look at this first:\n")[2].startswith("- forward failed: ValueError: no")


def test_the_table_of_a_card(tmp_path: Path) -> None:
    file = tmp_path / "gpu.json"
    assert gpu_table.gpu_tables(file).startswith("**Not measured**")
    record = card_record(fog=10_000)
    file.write_text(json.dumps(record))
    text = gpu_table.gpu_tables(file)
    assert "| engine, slowest corruption, images/s | 10,000 | at least 20,000: **missed** |" in text
    assert "| fog | 10,000 | 10,000 | 3,333 | 25 % | 1 level in 0.3 % | equal |" in text
    assert "| bf16, channels_last, batch 256 | 7,000 |" in text
    assert "| evaluation | `a\\|b`, 2.50 ms | 1,200 | 4.00 | 75 % |" in text
    assert "| evaluation: corrupt | 16 | 1.5 | 30.2 |" in text
    assert "Not complete: decode: no time left." in text
    assert "A Card, 80.0 GiB, driver 1.2, CUDA 13" in text
    file.write_text(json.dumps(record | {"device": {"type": "cpu", "name": "CPU"}}))
    assert gpu_table.gpu_tables(file).startswith("**Not measured**")
