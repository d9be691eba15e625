"""Parts and a worker for the tests of the check on a GPU: they compute nothing, and need no torch."""

from __future__ import annotations

import argparse
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tools.gpu_check.context import Context
from tools.gpu_check.worker import serve


def works(context: Context) -> Iterator[dict[str, Any]]:
    yield {"name": "process", "pid": os.getpid()}
    yield {"name": "whether it is quick", "quick": context.quick}


def fails(context: Context) -> Iterator[dict[str, Any]]:
    yield {"name": "first", "largest": 1}
    raise ValueError("it does not work")


def dies(context: Context) -> Iterator[dict[str, Any]]:
    yield {"name": "first"}
    os.kill(os.getpid(), signal.SIGKILL)


def hangs(context: Context) -> Iterator[dict[str, Any]]:
    yield {"name": "first"}
    while True:
        time.sleep(1)


def stops_in_time(context: Context) -> Iterator[dict[str, Any]]:
    while context.has_time():
        yield {"name": "again"}
        time.sleep(0.05)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("pipe", type=int)
    parser.add_argument("device")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--full", action="store_true")
    options = parser.parse_args()
    with os.fdopen(options.pipe, "w") as pipe:
        found = {"device": {"type": options.device, "name": "none"}, "machine": None}
        serve(pipe, found, lambda until: Context(None, options.quick, options.full, until, options.folder))  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
