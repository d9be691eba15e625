"""Reports of runs as they are printed."""

import io

from rich.console import Console

from ppbench.cli.output import Format, written
from ppbench.report.report import RunReport
from ppbench.report.summary import summarise
from ppbench.tables.curves import BLOCKS
from ppbench.tables.terminal import drawn
from tests.builders import make_bits, make_errors, make_run


def sheets(runs, **options):
    return RunReport(runs, **options).sheets()


def export(runs, form):
    return written(RunReport(runs), Format(form))


def render(*documents, width=100, formulas=False, intervals=False):
    console = Console(file=io.StringIO(), width=width)
    console.print(drawn(sheets(documents, formulas=formulas, intervals=intervals)))
    return console.file.getvalue()


def line_of(text, name):
    """The words of the line that starts with these words, without its curve."""
    words = name.split()
    found = next(line.split() for line in text.splitlines() if line.split()[: len(words)] == words)
    return [word for word in found if word != "curve" and not set(word) <= {*BLOCKS, "·"}]


def with_bits(seed, normalizer=None, **fields):
    """A document with intervals."""
    run = make_run(make_errors(seed), n=400, **fields)
    return summarise(run, normalizer, bits=make_bits(run, seed))
