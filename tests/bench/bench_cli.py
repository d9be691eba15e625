"""Start-up of the command line: ``ppbench --help`` and ``ppbench show RUN``, median of 10 processes each.

python tests/bench/bench_cli.py
"""

from __future__ import annotations

import argparse
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
GOALS = {"--help": 0.45, "show": 0.9}
"""Seconds."""


def seconds(command: list[str]) -> float:
    """Wall time of one process."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> None:
    """Time both commands in turns, after one unmeasured round, and print medians with quartiles."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=10)
    sys.path.insert(0, str(ROOT))
    from tests.bench import record

    record.add_json_option(parser)
    options = parser.parse_args()
    repeats = options.repeats
    from ppbench.run import write_run
    from tests.builders import make_run

    ppbench = str(Path(sys.executable).with_name("ppbench"))
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run.json"
        write_run(run, make_run())
        commands = {"--help": [ppbench, "--help"], "show": [ppbench, "show", str(run)]}
        rounds = [{name: seconds(command) for name, command in commands.items()} for _ in range(repeats + 1)][1:]
    print(f"python {platform.python_version()}, {platform.platform()}, {repeats} rounds")
    for name, goal in GOALS.items():
        low, median, high = statistics.quantiles([r[name] for r in rounds], n=4)
        print(f"ppbench {name:8} {median:.3f} s (quartiles {low:.3f} to {high:.3f}), goal {goal} s")
    rows = [
        {
            "name": f"`ppbench {name}`",
            "time": record.figure([r[name] for r in rounds]),
            "goal": {"of": "time", "at_most": goal},
        }
        for name, goal in GOALS.items()
    ]
    columns = [record.column("time", "time", 2, "s")]
    record.save(options.json, __file__, "fresh processes", columns, rows, n=repeats, first_column="command")


if __name__ == "__main__":
    main()
