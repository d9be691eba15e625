"""The page of a report with its pictures, as `report` writes it and `show` opens it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ppbench.cli import output

if TYPE_CHECKING:
    from ppbench.page.embedded import HeldRun
    from ppbench.page.inputs import PageInputs


MAKING = "making the pictures; the first time compiles the corruptions, which takes a minute or two"


def page_with_pictures(
    inputs: PageInputs, data: Path | None = None, labels: Path | None = None, tell: Callable[[str], None] = output.say
) -> tuple[str, HeldRun]:
    """Write the report of runs as HTML.

    Args:
        inputs: The runs.
        data: The folder of the first run's images; the embedded ones need none.
        labels: The CSV of their labels, if the run had them from one.
        tell: Takes a line for whoever waits, before pictures are made.

    Returns:
        The page, and what it holds of its first run.

    Raises:
        DataError: If the folder does not hold the images.
    """
    from ppbench.data.catalog import EMBEDDED
    from ppbench.page.document import report_html, report_page
    from ppbench.page.embedded import measured_run
    from ppbench.pictures.strip import picture_strip

    first = inputs.runs[0]
    measured = measured_run(first.path, first.run)
    protocol = first.run.protocol
    has_pictures = protocol.sequences is None and protocol.stream is None and protocol.passes is None
    if measured.bits and has_pictures and (data is not None or protocol.dataset == EMBEDDED):
        tell(MAKING)
    page = report_page(inputs, picture_strip(measured, data, labels))
    return report_html(page, measured, first.path.name)
