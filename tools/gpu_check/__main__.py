"""``python -m tools.gpu_check``: see the package's docstring."""

from __future__ import annotations

import argparse
import math
import sys
import time
from pathlib import Path

from ppbench.errors import PpbenchError
from ppbench.files import check_writable
from tools.gpu_check.needs import missing, old


def main(arguments: list[str] | None = None) -> int:
    """Run the parts, print a summary, and return the exit code: 1 if a part failed or a result is not the CPU's."""
    start = time.monotonic()
    from tools.gpu_check.parts import PARTS, USUAL_SECONDS

    names = [part.name for part in PARTS]
    parser = argparse.ArgumentParser(prog="python -m tools.gpu_check", description="Check ppbench on a GPU.")
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--quick", action="store_true", help="little work per part, to test the script itself")
    parser.add_argument("--full", action="store_true", help="all parts, and more of each: at most 24 minutes")
    parser.add_argument("--minutes", type=_minutes, help="time for all parts; 8 by default, 24 with --full")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write each figure to this file as it comes")
    parser.add_argument("--commit", help="the commit, for a copy without git")
    parser.add_argument("--only", nargs="+", metavar="PART", choices=names, help=f"of: {', '.join(names)}")
    options = parser.parse_args(arguments)
    if options.json is not None:
        try:
            check_writable(options.json, "--json FILE")
        except PpbenchError as error:
            parser.error(error.message)
    if lines := missing():
        print("\n".join(["missing:", *lines]), file=sys.stderr)
        return 2
    for line in old():
        print(f"warning: {line}", file=sys.stderr)
    # Only now: these need what may be missing.
    from tools.gpu_check.report import is_good, summary
    from tools.gpu_check.runner import Settings, ended_by_signals, run

    wanted = [part for part in PARTS if options.only is None or part.name in options.only]
    minutes = options.minutes or (24.0 if options.full else USUAL_SECONDS / 60)
    left = minutes * 60 - (time.monotonic() - start)
    settings = Settings(options.device, options.quick, left, full=options.full, commit=options.commit)
    with ended_by_signals():
        record = run(wanted, settings, options.json, say=lambda line: print(line, flush=True))
    print(summary(record))
    return 0 if is_good(record) else 1


def _minutes(text: str) -> float:
    minutes = float(text)
    if not (math.isfinite(minutes) and minutes > 0):
        raise argparse.ArgumentTypeError(f"{text} is not a time")
    return minutes


if __name__ == "__main__":
    sys.exit(main())
