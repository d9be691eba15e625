"""A run in one line, as Python prints it."""

from __future__ import annotations

from ppbench.lookup import counted
from ppbench.metrics.cell_errors import CellErrors
from ppbench.metrics.quantities import QUANTITIES, case_of
from ppbench.metrics.without_labels import has_labels, plain_of
from ppbench.run import Run, expected_cells
from ppbench.tables.escapes import for_terminal
from ppbench.tables.numbers import decimals


def run_in_words(run: Run) -> str:
    """``resnet8 on fashion-mnist-2k: all 2000 images, 76 cells, clean_error 6.75 %, mean_error 32.30 %``."""
    protocol, case = run.protocol, case_of(CellErrors.from_run(run))
    wanted = len(expected_cells(protocol.corruptions, protocol.severities)) - (protocol.sequences is not None)
    cells = counted(len(run.cells), "cell")
    if run.status != "complete":
        cells = f"{len(run.cells)} of {counted(wanted, 'cell')}, interrupted"
    found = [plain_of(protocol)]
    if has_labels(protocol):
        found.insert(0, QUANTITIES["clean_error"])
    values = [
        f"{one.name} {decimals(one.value, 2)} %"
        for one in (quantity.metric(case) for quantity in found)
        if one.value is not None
    ]
    return for_terminal(f"{run.called} on {protocol.dataset}: {', '.join([protocol.images_in_words, cells, *values])}")
