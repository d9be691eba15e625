"""Where the time of each phase goes: the kernels that take most of it, and the time in which the device is idle."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity
from torch.profiler import profile as recording

from ppbench.corruptions.apply import corrupt
from ppbench.models.resnet import create_model
from ppbench.vocabulary import C15, C19
from tools.gpu_check.context import Context
from tools.gpu_check.engine import MAIN_BATCH, as_evaluated, batch_of
from tools.gpu_check.speed import Passes
from tools.gpu_check.whole import evaluating, precision_of

ON_DEVICE = ("kernel", "gpu_memcpy", "gpu_memset")
"""Categories of what a GPU does, in a trace of Chrome's format."""


def profile(context: Context) -> Iterator[dict[str, Any]]:
    """Traces of an evaluation, of forward passes and of each corruption."""
    yield {"name": "evaluation", **_evaluation(context)}
    if context.has_time():
        yield {"name": "forward passes", **_forward(context)}
    images = batch_of(context, context.choose(2, MAIN_BATCH), context.choose(32, 224))
    ids = [f"photograph {number}" for number in range(len(images))]
    for name in C19[:: context.choose(9, 1)]:
        if not context.has_time():
            return
        work = partial(corrupt, images, name, 3, ids=ids)
        with as_evaluated() if context.is_card else nullcontext():
            found = traced(context, work, top=4)
        yield {"name": name, "is_common": name in C15, **found}


def _forward(context: Context) -> dict[str, Any]:
    torch.manual_seed(0)
    precision = precision_of(context)
    model = create_model(context.choose("resnet20", "resnet50")).eval()
    passes = Passes(context, model, precision, torch.channels_last, context.choose(1, MAIN_BATCH))
    return {"precision": precision, **traced(context, lambda: [passes() for _ in range(5)])}


def _evaluation(context: Context) -> dict[str, Any]:
    """An evaluation of two blocks of images in 76 cells, from files, with workers: its steady part (`--profile`)."""
    file = context.folder / "evaluation-trace.json"
    _, work = evaluating(
        context, severities=context.choose("3", "1-5"), corruptions=context.choose(["fog"], None),
        limit=context.choose(3, 2 * MAIN_BATCH),
    )  # fmt: skip
    work(profile=file)
    return {**analysed(file, on_device(context), 12), "phases": phases_of(file)}


def traced(context: Context, work: Callable[[], object], *, top: int = 8) -> dict[str, Any]:
    """Do the work twice, the second time under torch's profiler, and say what its trace shows."""
    work()
    context.wait()
    kinds = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if context.is_card else [])]
    with recording(activities=kinds) as recorded:
        work()
        context.wait()
    file = context.folder / "trace.json"
    recorded.export_chrome_trace(str(file))
    return analysed(file, on_device(context), top)


def on_device(context: Context) -> tuple[str, ...]:
    """The categories of a trace's events that count; on a CPU its operations."""
    return ON_DEVICE if context.is_card else ("cpu_op",)


def phases_of(file: Path) -> list[dict[str, Any]]:
    """The phases of an evaluation by their names in its trace: milliseconds of this machine, and of the GPU."""
    found: dict[str, dict[str, Any]] = {}
    for event in json.loads(file.read_text())["traceEvents"]:
        where = {"user_annotation": "cpu_ms", "gpu_user_annotation": "gpu_ms"}.get(event.get("cat"))
        name = str(event.get("name"))
        if where is None or not name.startswith("ppbench: "):
            continue
        row = found.setdefault(name, {"name": name.removeprefix("ppbench: "), "calls": 0, "cpu_ms": 0.0, "gpu_ms": 0.0})
        row[where] += event.get("dur", 0) / 1000
        row["calls"] += where == "cpu_ms"
    return sorted(found.values(), key=lambda row: -max(row["cpu_ms"], row["gpu_ms"]))


def analysed(file: Path, categories: tuple[str, ...], top: int = 8) -> dict[str, Any]:
    """What a trace of Chrome's format shows of the events of some categories.

    Returns:
        Milliseconds from the first event to the last (``span_ms``), those in which at least one was running
        (``busy_ms``), the number of events, the longest gaps between them with what came after each, and the names that
        took most of the time. Of a CPU's operations, of which one contains others, the outermost count.
    """
    events = [
        (event["ts"], event["ts"] + event.get("dur", 0), event["name"])
        for event in json.loads(file.read_text())["traceEvents"]
        if event.get("ph") == "X" and event.get("cat") in categories
    ]
    events.sort(key=lambda event: (event[0], -event[1]))
    busy, end, gaps, count = 0.0, None, [], 0
    taken: dict[str, list[float]] = defaultdict(list)
    for first, last, name in events:
        if end is not None and last <= end and categories == ("cpu_op",):
            continue
        count += 1
        taken[name].append((last - first) / 1000)
        if end is not None and first > end:
            gaps.append(((first - end) / 1000, name))
        busy += max(0.0, last - (first if end is None else max(first, end)))
        end = last if end is None else max(end, last)
    span = 0.0 if end is None else end - events[0][0]
    ranked = sorted(taken.items(), key=lambda item: -sum(item[1]))[:top]
    return {
        "span_ms": span / 1000, "busy_ms": busy / 1000, "busy_share": busy / span if span else None, "events": count,
        "gaps": [{"ms": ms, "before": name[:80]} for ms, name in sorted(gaps, reverse=True)[:5]],
        "kernels": [{"name": name[:80], "calls": len(each), "ms": sum(each)} for name, each in ranked],
    }  # fmt: skip
