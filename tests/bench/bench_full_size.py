"""``show``, ``compare``, ``report`` and ``check`` of a synthetic pair of ImageNet-C runs: 50,000 images x 76 cells.

python tests/bench/bench_full_size.py

Each is a fresh process; median of 5 after one that is not counted, the commands in turns.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
GOAL = 3.0
"""Seconds; of a report, which has all figures of both runs, 5."""


class Cost(NamedTuple):
    """What one process took."""

    seconds: float
    cpu: float
    """Seconds of all threads."""
    memory: float
    """MiB, peak."""


def cost(command: list[str]) -> Cost:
    """Run a command and measure it."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    unit = 1024 if sys.platform != "darwin" else 1024**2
    return Cost(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / unit)


def written(folder: str, images: int) -> list[str]:
    """Write the pair in a process of its own: what a process starts inherits the peak of its memory."""
    program = "import sys; from pathlib import Path; from tests.full_size import write_pair as write;"
    program += "print(*write(Path(sys.argv[1]), int(sys.argv[2])), sep='\\n')"
    command = [sys.executable, "-c", program, folder, str(images)]
    return subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.PIPE, text=True).stdout.splitlines()


def main() -> None:
    """Write the pair, time all commands and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--images", type=int, default=50_000)
    sys.path.insert(0, str(ROOT))
    from tests.bench import record

    record.add_json_option(parser)
    options = parser.parse_args()
    ppbench = str(Path(sys.executable).with_name("ppbench"))
    with tempfile.TemporaryDirectory() as folder:
        old, new = written(folder, options.images)
        rules = [part for name in ("mean=0.5", "noise=1", "fog/3=2") for part in ("--max-drop", name)]
        commands = {
            "show RUN": ["show", old],
            "show RUN --baseline RUN": ["show", new, "--baseline", old],
            "compare RUN RUN": ["compare", old, new],
            "compare RUN RUN --cells": ["compare", old, new, "--cells"],
            "report RUN --baseline RUN": ["report", new, "--baseline", old, "-o", f"{folder}/report.html"],
            "check RUN --baseline RUN, 3 rules": ["check", new, "--baseline", old, *rules],
        }
        rounds = [
            {name: cost([ppbench, *command]) for name, command in commands.items()} for _ in range(1 + options.repeats)
        ]
    print(f"python {platform.python_version()}, {platform.platform()}, {options.images} images, goal {GOAL} s\n")
    print("| command | median | slowest | CPU | memory |\n| --- | ---: | ---: | ---: | ---: |")
    for name in commands:
        costs = [found[name] for found in rounds[1:]]
        seconds, cpu = (statistics.median(values) for values in ([c.seconds for c in costs], [c.cpu for c in costs]))
        slowest, memory = max(c.seconds for c in costs), max(c.memory for c in costs)
        print(f"| `{name}` | {seconds:.2f} s | {slowest:.2f} s | {cpu:.2f} s | {memory:.0f} MiB |")
    rows = []
    for name in commands:
        costs = [found[name] for found in rounds[1:]]
        memory = record.single(max(c.memory for c in costs))
        times = {"time": record.figure([c.seconds for c in costs]), "processor": record.figure([c.cpu for c in costs])}
        rows.append({"name": f"`ppbench {name}`", **times, "memory": memory, "goal": {"of": "time", "at_most": GOAL}})
    columns = [
        record.column("time", "time", 2, "s"),
        record.column("processor", "processor time", 2, "s"),
        record.column("memory", "peak memory", 0, "MiB"),
    ]
    settings = f"{options.images:,} images in 76 cells; fresh processes, the commands in turns"
    record.save(options.json, __file__, settings, columns, rows, n=options.repeats, first_column="command")


if __name__ == "__main__":
    main()
