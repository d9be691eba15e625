"""The page of a report with its pictures, as `report` writes it and `show` opens it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ppbench.page.embedded import HeldRun
    from ppbench.page.inputs import PageInputs


def page_with_pictures(inputs: PageInputs, data: Path | None = None) -> tuple[str, HeldRun]:
    """Write the report of runs as HTML.

    Args:
        inputs: The runs.
        data: The folder of the first run's images; the embedded ones need none.

    Returns:
        The page, and what it holds of its first run.

    Raises:
        DataError: If the folder does not hold the images.
    """
    from ppbench.page.document import report_html, report_page
    from ppbench.page.embedded import measured_run
    from ppbench.pictures.strip import picture_strip

    first = inputs.runs[0]
    measured = measured_run(first.path, first.run)
    page = report_page(inputs, picture_strip(measured, data))
    return report_html(page, measured, first.path.name)
