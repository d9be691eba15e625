"""Runs parts within a budget of time, one after the other, and writes what they find as it comes. Free of torch.

A worker process computes. It is stopped when a part's time is up, and a new one is started for the next part; the same
happens after an error, which may have left the GPU in a bad state. A worker that is well keeps its compiled kernels for
the next part.
"""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ppbench.files import atomic_write
from tests.bench.record import ROOT, commit, versions
from tools.gpu_check.goals import judged
from tools.gpu_check.parts import Part

DONE, FAILED, NO_TIME, STOPPED, NEEDS_A_CARD = "done", "failed", "no time left", "out of time", "needs a card"

Record = dict[str, Any]


@dataclass(frozen=True)
class Settings:
    """How to check."""

    device: str
    quick: bool
    seconds: float
    """For all parts."""
    full: bool = False
    """Whether there is more work than fits into the usual time."""
    start_up: float = 60.0
    """Seconds that a worker may take to start."""
    worker: str = "tools.gpu_check.worker"
    """Module that computes."""
    commit: str | None = None
    """For the record, where git does not say it."""


class Worker:
    """A process that computes parts."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        reading, writing = os.pipe()
        command = [sys.executable, "-m", settings.worker, str(writing), settings.device, str(folder)]
        paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        self._process = subprocess.Popen(
            [*command, *(f"--{name}" for name in ("quick", "full") if getattr(settings, name))],
            cwd=ROOT, env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)}, stdin=subprocess.PIPE,
            # What libraries print goes to stderr: stdout has the report alone.
            stdout=2, pass_fds=[writing], start_new_session=True,
        )  # fmt: skip
        os.close(writing)
        self._reading, self._rest = reading, b""

    def ask(self, function: str, seconds: float) -> None:
        """Tell the worker to compute a part."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # reading its answer will show that it is dead
            self._process.stdin.write(json.dumps({"function": function, "seconds": seconds}).encode() + b"\n")
            self._process.stdin.flush()

    def answer(self, until: float) -> Record | None:
        """The next message; None if none came by the moment ``until``. An end of the process is a message too."""
        while b"\n" not in self._rest:
            ready, _, _ = select.select([self._reading], [], [], max(0.0, until - time.monotonic()))
            if not ready:
                return None
            more = os.read(self._reading, 2**16)
            if not more:
                code = self._process.wait()
                return {"failed": f"the process ended with {_in_words(code)}"}
            self._rest += more
        line, _, self._rest = self._rest.partition(b"\n")
        return json.loads(line)  # type: ignore[no-any-return]

    def kill(self) -> None:
        """End the process and all that it started."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        os.close(self._reading)


def _in_words(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def run(parts: Sequence[Part], settings: Settings, file: Path | None, say: Callable[[str], None]) -> Record:
    """Run parts in their order; return the record, which is in ``file`` too.

    Args:
        parts: What to check.
        settings: Device, amount of work and time.
        file: JSON file, written after each figure; None: none.
        say: Called with lines for people.
    """
    start = time.monotonic()
    end = start + settings.seconds
    record = _new_record(settings)
    keep = _keeper(record, file)
    keep()
    worker: Worker | None = None
    with tempfile.TemporaryDirectory(prefix="gpu_check_", ignore_cleanup_errors=True) as folder:
        try:
            for part in parts:
                left = end - time.monotonic()
                found: Record = {"question": part.question, "status": None, "seconds": 0.0, "rows": []}
                record["parts"][part.name] = found
                if part.needs_card and settings.device == "cpu":
                    found["status"] = NEEDS_A_CARD
                elif left < part.least:
                    found["status"] = NO_TIME
                else:
                    try:
                        worker = worker or _started(settings, Path(folder), record, end)
                        seconds = min(part.most(settings.quick, settings.full), end - time.monotonic())
                        if not _follow(worker, part, seconds, found, keep):
                            worker.kill()
                            worker = None
                    except WorkerError as error:
                        found |= {"status": FAILED, "error": str(error)}
                        end = 0.0  # it would not start for the other parts either
                record["goals"] = judged(record)
                keep()
                say(line_of(part.name, found))
        finally:
            if worker is not None:
                worker.kill()
    record["seconds"] = round(time.monotonic() - start, 1)
    keep()
    return record


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end this process as Ctrl-C does: with its worker, which may hold a GPU."""

    def leave(number: int, frame: object) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class WorkerError(Exception):
    """The worker process does not start."""


def _new_record(settings: Settings) -> Record:
    return {
        "script": "tools/gpu_check", "commit": settings.commit or commit(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "settings": {
            "device": settings.device, "quick": settings.quick, "full": settings.full,
            "seconds": round(settings.seconds),
        },
        "device": None, "machine": None, "versions": versions(), "seconds": None, "goals": [], "parts": {},
    }  # fmt: skip


def _keeper(record: Record, file: Path | None) -> Callable[[], None]:
    def keep() -> None:
        if file is not None:
            atomic_write(file, json.dumps(record, indent=1, ensure_ascii=False) + "\n")

    return keep


def _started(settings: Settings, folder: Path, record: Record, end: float) -> Worker:
    """Start a worker; its first message describes the device.

    Raises:
        WorkerError: If it does not come.
    """
    worker = Worker(settings, folder)
    try:
        first = worker.answer(min(end, time.monotonic() + settings.start_up))
    except BaseException:
        worker.kill()
        raise
    if first is None or "failed" in first:
        worker.kill()
        raise WorkerError(first["failed"] if first else "the process did not start in time")
    record |= {name: first[name] for name in ("device", "machine")}
    return worker


def _follow(worker: Worker, part: Part, seconds: float, found: Record, keep: Callable[[], None]) -> bool:
    """Collect what a part finds until it ends or its time is up; return whether the worker can go on."""
    start = time.monotonic()
    # The part knows when its time ends, and stops by itself if it can; the watchdog comes a little later.
    worker.ask(part.function, seconds - part.grace)
    while True:
        message = worker.answer(start + seconds)
        found["seconds"] = round(time.monotonic() - start, 1)
        if message is None:
            found["status"] = STOPPED
        elif "row" in message:
            found["rows"].append(message["row"])
            keep()
            continue
        elif "failed" in message:
            found |= {"status": FAILED, "error": message["failed"]}
        else:
            found["status"] = DONE if message["done"] else STOPPED
            return True
        return False


def line_of(name: str, found: Record) -> str:
    """One line on how a part ended."""
    reason = f" ({headline(found['error'])})" if "error" in found else ""
    return f"{name:22} {found['status']}{reason}, {len(found['rows'])} results, {found['seconds']:.1f} s"


def headline(error: str) -> str:
    """The line of a traceback that names the last error; of other texts the last line."""
    lines = error.strip().splitlines()
    named = [line for line in lines if re.match(r"[\w.]+(Error|Exception|Interrupt)\b", line)]
    return (named or lines)[-1][:300]
