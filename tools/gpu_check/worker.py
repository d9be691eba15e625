"""The process that computes parts: reads their names from stdin, and writes what they find to a pipe, as JSON lines."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, TextIO

from ppbench.cli.threads import wait_without_spinning
from tools.gpu_check.context import Context, describe


def main() -> None:
    """Describe the device, then compute each part that stdin asks for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("pipe", type=int)
    parser.add_argument("device")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--full", action="store_true")
    options = parser.parse_args()
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the profiler's library talks on stderr
    with os.fdopen(options.pipe, "w") as pipe:
        try:
            wait_without_spinning()
            import torch

            if options.quick and options.device == "cpu":
                torch.set_num_threads(1)  # little work: threads would wait for each other
            found, device = describe(options.device), torch.device(options.device)
        except Exception:  # no GPU, no driver, no library
            say(pipe, {"failed": traceback.format_exc()})
            return
        serve(pipe, found, lambda until: Context(device, options.quick, options.full, until, options.folder))


def serve(pipe: TextIO, found: dict[str, Any], context_until: Callable[[float], Context]) -> None:
    """Say what was found of the device, then answer the requests that stdin has."""
    say(pipe, found)
    for line in sys.stdin:
        asked = json.loads(line)
        compute(pipe, asked["function"], context_until(time.monotonic() + asked["seconds"]))


def compute(pipe: TextIO, function: str, context: Context) -> None:
    """Compute one part, and write its rows as they come."""
    module, _, name = function.partition(":")
    try:
        for row in getattr(import_module(module), name)(context):
            say(pipe, {"row": row})
        say(pipe, {"done": not context.was_late})
    except Exception:  # whatever it is, it is a result: the part fails here
        say(pipe, {"failed": traceback.format_exc()})


def say(pipe: TextIO, message: dict[str, Any]) -> None:
    """Write one line, at once."""
    pipe.write(json.dumps(message) + "\n")
    pipe.flush()


if __name__ == "__main__":
    main()
