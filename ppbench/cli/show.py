"""``ppbench show``: the tables of one run, from its run file or from a CSV of accuracies."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ppbench.cli.options import BaselineOption, FormatOption, NormalizerOption
from ppbench.cli.output import Format

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ppbench.metrics.cell_errors import CellErrors
    from ppbench.metrics.references import Normalizer
    from ppbench.report.summary import RunSummary
    from ppbench.run import Run


def show(
    run: Annotated[
        Path,
        typer.Argument(metavar="RUN|CSV", help="A run file, or a CSV with columns corruption,severity,accuracy."),
    ],
    normalizer: NormalizerOption = None,
    baseline: BaselineOption = None,
    confidence: Annotated[
        float, typer.Option(help="Of the intervals, if the run's correctness bits are beside it.")
    ] = 0.95,
    intervals: Annotated[
        bool,
        typer.Option("--intervals", help="Give single cells and CE theirs in tables too (JSON and CSV have them)."),
    ] = False,
    format: FormatOption = Format.RICH,
    formulas: Annotated[
        bool, typer.Option("--formulas", help="Print the metrics' definitions too (not in CSV).")
    ] = False,
) -> None:
    """Show how robust a measured model is: mCE and its kin, and accuracy per corruption and severity."""
    from ppbench.metrics.intervals import quantile
    from ppbench.report.summary import summarise

    quantile(confidence)  # refuses what is none before files are read
    results = load_results(run)
    bits, no_bits = load_bits(run, results)
    reference = load_accuracies(Path(baseline)) if baseline else None
    divisor = load_normalizer(normalizer) if normalizer else customary_normalizer(results, reference)
    document = summarise(results, divisor, reference, bits=bits, confidence=confidence, no_bits=no_bits)
    print_documents([document], format, formulas=formulas, intervals=intervals)


def print_documents(
    documents: list[RunSummary], format: Format, *, formulas: bool = False, intervals: bool = False
) -> None:
    """Print one document, or several side by side, to stdout."""
    from ppbench.cli import output

    if format is Format.RICH:
        from ppbench.report.sheets import sheets
        from ppbench.tables.terminal import draw

        output.render(draw(sheets(documents, formulas=formulas, intervals=intervals)))
    else:
        from ppbench.report.export import export

        output.data(export(documents, format, formulas=formulas, intervals=intervals))


def load_results(path: Path) -> Run | CellErrors:
    """Read a run file, or a CSV as bare accuracies; which it is, its ending says, else its first character.

    Raises:
        DataError: If the file cannot be read, or is neither.
    """
    from ppbench.metrics.cell_errors import CellErrors
    from ppbench.run import read_run

    return read_run(path) if _is_json(path) else CellErrors.from_csv(path)


def load_bits(
    path: Path, results: Run | CellErrors
) -> tuple[dict[tuple[str, int], NDArray[np.bool_]] | None, str | None]:
    """The correctness bits of what was read from ``path``, or why there are none: no failure, only no intervals."""
    from ppbench.errors import DataError
    from ppbench.run import Run, read_bits

    if not isinstance(results, Run):
        return None, f"{path.name} is a CSV, which has no correctness bits"
    if not results.cells or results.protocol.n < 2:
        return None, "there are no two images"
    if results.bits is None:
        return None, f"{path.name} was written without correctness bits"
    try:
        return read_bits(path, results), None
    except DataError as error:
        return None, error.message


def load_accuracies(path: Path) -> CellErrors:
    """The accuracies of a run file, with its correctness bits if they are beside it, or of a CSV.

    Raises:
        DataError: If the file cannot be read, or is neither.
    """
    from ppbench.metrics.cell_errors import CellErrors

    results = load_results(path)
    return results if isinstance(results, CellErrors) else CellErrors.from_run(results, load_bits(path, results)[0])


def load_normalizer(value: str) -> Normalizer | None:
    """The denominators that ``--normalizer`` names, in any case of letters; None for ``none``.

    Raises:
        UsageError: If it is neither a known name nor looks like a file.
        DataError: If it looks like a file and there is none, or it cannot be read.
    """
    from ppbench.errors import DataError
    from ppbench.lookup import unknown_name
    from ppbench.metrics.references import ALEXNET

    known = {"alexnet": ALEXNET, "none": None}
    if value.lower() in known:
        return known[value.lower()]
    path = Path(value)
    if not path.exists():
        if path.suffix or "/" in value or "\\" in value:
            raise DataError(f"there is no file {value}", "--normalizer takes alexnet, none, a run file or a CSV.")
        raise unknown_name("normaliser", value, [*known, "a run file", "a CSV"], "ppbench show --help")
    return load_accuracies(path)


def customary_normalizer(results: Run | CellErrors, baseline: CellErrors | None) -> Normalizer | None:
    """The denominators where the user names none: AlexNet for ImageNet's sets and for a CSV, else the baseline."""
    from ppbench.metrics.references import ALEXNET
    from ppbench.run import Run

    of_imagenet = results.protocol.normalizer == "alexnet" if isinstance(results, Run) else True
    return ALEXNET if of_imagenet else baseline


def _is_json(path: Path) -> bool:
    if path.suffix.lower() in (".json", ".csv"):
        return path.suffix.lower() == ".json"
    if not path.is_file():  # a pipe can be read once
        return False
    try:
        with path.open("rb") as file:
            return file.read(64).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{")
    except OSError:
        return False  # the reader of CSVs says why
