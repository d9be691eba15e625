"""Whether run files are the same on both devices, with several processes, with too little memory, and after a kill."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

import ppbench
from ppbench.evaluation.inference import Inference
from ppbench.evaluation.subject import ClassHead, Subject
from ppbench.models.card import IMAGENET_MEAN, IMAGENET_STD, Card
from ppbench.models.embedded import EMBEDDED_MODELS
from ppbench.models.resnet import create_model
from ppbench.run import Predictions, Run, read_arrays, read_predictions, read_run
from ppbench.vocabulary import Cell
from tests.bench.record import ROOT
from tools.gpu_check.context import Context
from tools.gpu_check.photographs import photographs

LISTED = 40
"""Images that are named of those that are right on one device alone."""


def run_files(context: Context) -> Iterator[dict[str, Any]]:
    """The embedded networks on embedded images, all 76 cells in float32: counts, or the images that differ."""
    limit, cells = context.choose(30, 500, 1000), context.choose({"corruptions": ["brightness", "contrast"]}, {})
    for model in list(EMBEDDED_MODELS)[: context.choose(1, None)]:
        if not context.has_time():
            return
        paths = [context.folder / f"{model} on {where}.json" for where in ("the CPU", "the device")]
        for path, device in zip(paths, ("cpu", context.device.type), strict=True):
            ppbench.evaluate(model, limit=limit, device=device, output=path, fresh=True, **cells)
        yield {"name": f"{model}, {limit} images", **compared(*paths)}


def compared(first: Path, second: Path) -> dict[str, Any]:
    """The cells whose counts are equal, and the images that are right in one run alone."""
    runs = [read_run(path) for path in (first, second)]
    bits, classes = [], []
    for path, run in zip((first, second), runs, strict=True):
        bits.append(read_arrays(path, run))
        classes.append(read_predictions(path, run))
    flipped, other_class = [], 0
    for cell, right in bits[0][0].items():
        other_class += int(np.count_nonzero(classes[0].classes[cell] != classes[1].classes[cell]))
        for place in np.flatnonzero(right != bits[1][0][cell]):
            keys = bits[0][1]
            seen = [_seen(each, cell, place) for each in classes]
            key = None if keys is None else f"{int(keys[place]):016x}"
            flipped.append({"cell": f"{cell[0]}/{cell[1]}", "image": key, "first": seen[0], "second": seen[1]})
    equal = sum(a.top1 == b.top1 for a, b in zip(runs[0].cells, runs[1].cells, strict=True))
    return {
        "cells": len(runs[0].cells), "cells_with_equal_counts": equal, "images": runs[0].protocol.n,
        "flipped": len(flipped), "other_class": other_class, "which": flipped[:LISTED],
    }  # fmt: skip


def _seen(predictions: Predictions, cell: Cell, place: Any) -> tuple[str, float | None]:
    """The predicted class of an image, and its probability."""
    kept = predictions.confidences
    name = predictions.class_name(int(predictions.classes[cell][place]))
    return name, None if kept is None else round(int(kept[cell][place]) / 255, 3)


def images_of(context: Context) -> int:
    """How many images `command` evaluates."""
    return context.choose(300, 1000)


def command(context: Context, output: Path, *more: str) -> list[str]:
    """The command that evaluates an embedded network on the device, in 76 cells, or in 11 if it is to be quick."""
    model, cells = next(iter(EMBEDDED_MODELS)), context.choose(("-c", "brightness", "-c", "contrast"), ())
    return [
        sys.executable, "-m", "ppbench", "eval", "--model", model, "--limit", str(images_of(context)), "--device",
        context.device.type, "--output", str(output), "--format", "json", *cells, *more,
    ]  # fmt: skip


def start(line: list[str], log: Path, **environment: str) -> subprocess.Popen[bytes]:
    """Start a command of this checkout; both of its streams go to a file."""
    with log.open("wb") as file:
        return subprocess.Popen(
            line, cwd=ROOT, env={**os.environ, **environment}, stdin=subprocess.DEVNULL, stdout=file,
            stderr=subprocess.STDOUT,
        )  # fmt: skip


class CommandError(Exception):
    """A command failed."""


def finish(process: subprocess.Popen[bytes], log: Path, seconds: float) -> str:
    """Wait for a command, and return what it said.

    Raises:
        CommandError: If it fails or takes too long.
    """
    try:
        code: int | str = process.wait(max(1.0, seconds))
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        code = f"a kill after {seconds:.0f} s"
    said = log.read_text(errors="replace")
    if code != 0:
        raise CommandError(f"{' '.join(map(str, process.args))} ended with {code}: {said[-1500:]}")  # type: ignore[union-attr]
    return said


def reference(context: Context, *more: str) -> Path:
    """The run file of one process; made once for all parts."""
    path = context.folder / f"reference{''.join(more)}.json"
    if not path.exists():
        log = path.with_suffix(".log")
        finish(start(command(context, path, *more), log), log, context.left())
    return path


def content(path: Path) -> tuple[Any, ...]:
    """What has to be equal in two run files of the same measurement."""
    run: Run = read_run(path)
    bits, keys = read_arrays(path, run)
    packed = tuple(right.tobytes() for right in bits.values())
    return tuple(cell.model_dump_json() for cell in run.cells), packed, None if keys is None else keys.tobytes()


def processes(context: Context) -> Iterator[dict[str, Any]]:
    """Two processes that share the device, against one."""
    clock = time.monotonic()
    alone = reference(context)
    first = time.monotonic() - clock
    shared = context.folder / "shared.json"
    port = str(_free_port())
    clock = time.monotonic()
    logs = [context.folder / f"process-{rank}.log" for rank in range(2)]
    started = [
        start(
            command(context, shared), log, RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE="2",
            MASTER_ADDR="127.0.0.1", MASTER_PORT=port, GLOO_SOCKET_IFNAME="lo",
        )
        for rank, log in enumerate(logs)
    ]  # fmt: skip
    try:
        for process, log in zip(started, logs, strict=True):
            finish(process, log, context.left())
    finally:
        for process in started:
            process.kill()
            process.wait()
    yield {
        "name": f"{images_of(context)} images", "differ": int(content(alone) != content(shared)),
        "seconds_of_one": round(first, 1), "seconds_of_two": round(time.monotonic() - clock, 1),
    }  # fmt: skip


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def resume(context: Context) -> Iterator[dict[str, Any]]:
    """Kill an evaluation as soon as its journal has results, repeat the command, compare with an unbroken run."""
    # Small batches take a GPU some seconds, in which it can be killed. A GPU may round other batches otherwise.
    more = ("--batch-size", "32") if context.is_card else ()
    broken = context.folder / "broken.json"
    journal, log = Path(f"{broken}.journal"), context.folder / "broken.log"
    line = command(context, broken, *more)
    process = start(line, log)
    try:
        while process.poll() is None and context.has_time() and _lines(journal) < 4:
            time.sleep(0.002)
        lines = _lines(journal)
    finally:
        process.kill()  # SIGKILL
        code = process.wait()
    if code != -signal.SIGKILL:
        raise CommandError(f"it ended with {code} before it could be killed: {log.read_text(errors='replace')[-1500:]}")
    said = finish(start(line, log), log, context.left())
    reused = [line.strip() for line in said.splitlines() if "reused" in line]
    if not reused:
        raise CommandError(f"nothing was used again after a kill at {lines} lines of journal: {said[-1500:]}")
    unbroken = reference(context, *more)
    yield {
        "name": f"{images_of(context)} images", "lines_of_journal": lines, "said": reused[0],
        "differ": int(content(unbroken) != content(broken)),
    }  # fmt: skip


def _lines(journal: Path) -> int:
    try:
        return journal.read_bytes().count(b"\n")
    except FileNotFoundError:
        return 0


def memory(context: Context) -> Iterator[dict[str, Any]]:
    """Score a batch with a limit of memory that it exceeds, and in batches of the size that was found, without one."""
    torch.manual_seed(0)
    card = Card(
        architecture="resnet50", num_classes=1000, input_size=224, resize=256, mean=IMAGENET_MEAN, std=IMAGENET_STD
    )
    subject = Subject("resnet50", create_model("resnet50").eval(), card, ClassHead(None, "own"))
    images = torch.from_numpy(photographs(16, 224, 224)).repeat(64, 1, 1, 1).to(context.device).permute(0, 3, 1, 2)
    labels = torch.arange(len(images), device=context.device) % 1000
    whole = torch.cuda.get_device_properties(context.device).total_memory
    context.tidy()
    with torch.inference_mode():
        limited = Inference(subject, context.device, batch=len(images))
        # 1,024 images take 3 GB for each of the largest responses, of which several live at once.
        torch.cuda.set_per_process_memory_fraction(min(1.0, 4e9 / whole), context.device)
        try:
            found = limited.score(images, labels).cpu()
        finally:
            torch.cuda.set_per_process_memory_fraction(1.0, context.device)
        context.tidy()
        free = Inference(subject, context.device, batch=limited.batch).score(images, labels).cpu()
    if limited.batch == len(images):
        raise CommandError("the batch was not halved: the limit of memory had no effect")
    # Libraries may choose other algorithms where memory is short: probabilities may differ in their last digits.
    rank, nll, _, predicted = (found != free).long()
    yield {
        "name": f"{len(images)} images in 4 GB", "halved_to": limited.batch,
        "differ": int(torch.count_nonzero(rank + predicted)), "other_digits": int(torch.count_nonzero(nll)),
    }  # fmt: skip
