"""Runs and readers for the tests of figures."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from functools import cache
from xml.etree import ElementTree

from ppbench.compare.comparison import Comparison, compare
from ppbench.compare.measured import ComparedRun
from ppbench.metrics.references import ALEXNET
from ppbench.report.summary import RunSummary, summarise
from ppbench.run import CALIBRATION_BINS, MICRO, CellCounts, Run
from ppbench.vocabulary import CLEAN, Cell
from tests.builders import make_errors
from tests.compare.runs import make_measured, shifted

HOSTILE = "<script>alert(\"1\")</script> & 'x' \u202eevil\x1b[2J\n" + "long" * 30
"""Markup, quotes, a mark that reverses writing, a terminal's command, a line break, and too long."""

CORRUPTIONS = ("gaussian_noise", "shot_noise", "fog", "snow")
MISSING: tuple[Cell, ...] = (("fog", 3), ("snow", 4), ("snow", 5))


def steady(name: str) -> float:
    """A number from 0 to 1 for a name, the same on every machine."""
    return zlib.crc32(name.encode()) / 2**32


@cache
def plain(n: int = 400) -> ComparedRun:
    """A run of four corruptions with its bits; errors grow with severity."""
    cells = make_errors(0, CORRUPTIONS)
    errors = {(c, s): 0.2 if c == CLEAN else 0.15 + 0.3 * steady(c) + 0.08 * s for c, s in cells}
    return make_measured(errors, name="plain", n=n, corruptions=CORRUPTIONS)


@cache
def better(name: str = "better", n: int = 400) -> ComparedRun:
    """The same images, with six points fewer errors on noise and two more on weather."""
    errors = {cell.key: cell.error for cell in plain(n).run.cells}
    errors = shifted(shifted(errors, "noise", -6.0), "weather", 2.0)
    return make_measured(errors, name=name, n=n, corruptions=CORRUPTIONS, seed=1, weights="1")


@cache
def with_gaps() -> ComparedRun:
    """The same images, without three cells."""
    errors = {cell.key: cell.error for cell in plain().run.cells if cell.key not in MISSING}
    return make_measured(errors, name="gaps", n=400, corruptions=CORRUPTIONS, seed=2, weights="2")


def calibrated() -> Run:
    """`plain` with probabilities that get too sure with severity: twenty images in each of several bins."""
    run = plain().run
    cells = []
    for cell in run.cells:
        share = (cell.severity + 1) / 8
        places = [place for place in range(CALIBRATION_BINS) if place >= 10 * (1 - share)]
        bin_n = [cell.n // len(places) if place in places else 0 for place in range(CALIBRATION_BINS)]
        bin_n[-1] += cell.n - sum(bin_n)
        left, bin_top1 = cell.top1, []
        for n in reversed(bin_n):
            bin_top1.insert(0, min(left, n))
            left -= bin_top1[0]
        sure = [round(n * (place + 0.6) / CALIBRATION_BINS * MICRO) for place, n in enumerate(bin_n)]
        counts = {"bin_n": tuple(bin_n), "bin_top1": tuple(bin_top1), "bin_confidence": tuple(sure)}
        cells.append(CellCounts.model_validate({**cell.model_dump(), **counts}))
    return run.model_copy(update={"cells": tuple(cells)})


def summary_of(measured: ComparedRun, *, has_bits: bool = True) -> RunSummary:
    """The summary with AlexNet as the normaliser."""
    return summarise(measured.run, ALEXNET, bits=measured.bits if has_bits else None)


@cache
def difference() -> Comparison:
    """`better` against `plain`."""
    return compare(plain(), better(), plain().cell_errors)


def parsed(drawing: str) -> ElementTree.Element:
    """A drawing as a tree; it must be well-formed XML."""
    return ElementTree.fromstring(f"<div>{drawing}</div>")


def having(tree: ElementTree.Element, **wanted: str) -> Iterator[ElementTree.Element]:
    """Elements with these ``data-…`` attributes."""
    named = {f"data-{name.replace('_', '-')}": value for name, value in wanted.items()}
    return (element for element in tree.iter() if named.items() <= element.attrib.items())


def ids(tree: ElementTree.Element) -> list[str]:
    """All ids."""
    return [element.attrib["id"] for element in tree.iter() if "id" in element.attrib]
