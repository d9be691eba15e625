"""Reading the inputs of a report: runs, CSVs, normalisers and baselines."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ppbench.errors import DataError, UsageError
from ppbench.lookup import unknown_name
from ppbench.metrics.cell_errors import CellErrors
from ppbench.metrics.intervals import quantile
from ppbench.metrics.references import ALEXNET, Normalizer
from ppbench.metrics.without_labels import NO_LABELS, has_normalizer, without_classes
from ppbench.report.part import Part
from ppbench.report.summary import RunSummary, summarise
from ppbench.run import Run, is_page, read_bits, read_predictions, read_run, trials_if_any
from ppbench.vocabulary import cell_in_words

if TYPE_CHECKING:
    # `ppbench show` of a CSV answers sooner without numpy.
    import numpy as np
    from numpy.typing import NDArray

    from ppbench.report.by_image import ByImage
    from ppbench.run import Predictions, Trials
    from ppbench.vocabulary import Cell

    _Bits = dict[Cell, NDArray[np.bool_]]
    _Images = tuple[_Bits | None, Trials | None, str | None]


def load_summary(
    source: Path | Run, normalizer: str | None, baseline: str | None, confidence: float, part: Part | None = None
) -> RunSummary:
    """Read a run file or a CSV and compute its report.

    Args:
        source: The file, or a run in memory, whose bits are beside the file that it came from.
        normalizer: A value for `load_normalizer`; None for the customary one.
        baseline: The file of the model that R_net compares with, if any.
        confidence: Confidence of the intervals.
        part: The corruptions and severities to use; None: all.

    Raises:
        UsageError: If a value is not allowed.
        DataError: If a file is missing or damaged.
    """
    return _load(source, normalizer, baseline, confidence, part)[0]


def load_with_images(
    path: Path, normalizer: str | None, baseline: str | None, confidence: float, part: Part | None = None
) -> tuple[RunSummary, ByImage]:
    """Do as `load_summary`, and compute what is known by class and image."""
    from ppbench.report.by_image import PARTS, ByImage, by_image

    summary, whole, (bits, _, no_bits) = _load(path, normalizer, baseline, confidence, part)
    if isinstance(whole, CellErrors):
        reason = f"{path.name} is a CSV, which has results of cells alone"
        errors = whole if part is None else part.of(whole)
        return summary, ByImage(errors, confidence, reasons=dict.fromkeys(PARTS, reason))
    predictions, no_predictions = _load_predictions(path, whole, bits)
    run = whole if part is None else part.of(whole)
    return summary, by_image(run, bits, predictions, confidence, no_bits, no_predictions)


def _load(
    source: Path | Run, normalizer: str | None, baseline: str | None, confidence: float, part: Part | None
) -> tuple[RunSummary, Run | CellErrors, _Images]:
    """Read a file once, or take a run: the report of a part, all its results, and what is known by image."""
    quantile(confidence)  # refuses what is none before files are read
    results = source if isinstance(source, Run) else load_results(source)
    if isinstance(results, CellErrors) and results.flips:
        raise UsageError(
            f"{source} has flip probabilities to divide by, and no run",
            f"Give it as the normaliser: `--normalizer {source}`.",
        )
    bits, trials, no_bits = _load_images(source.path if isinstance(source, Run) else source, results)
    predictions = reference = divisor = None
    if isinstance(results, Run) and not has_normalizer(results.protocol):
        refuse_normalizer(normalizer, without_classes(results.protocol))
        predictions = None if results.path is None else _load_predictions(results.path, results, bits)[0]
    else:
        reference = load_cell_errors(Path(baseline)) if baseline else None
        divisor = load_normalizer(normalizer) if normalizer else customary_normalizer(results, reference)
    summary = summarise(
        results if part is None else part.of(results),
        divisor,
        reference,
        bits=bits,
        predictions=predictions,
        trials=trials,
        confidence=confidence,
        no_bits=no_bits,
    )
    return summary, results, (bits, trials, no_bits)


def refuse_normalizer(normalizer: str | None, why: str = NO_LABELS) -> None:
    """Raise `UsageError` for a normaliser with a run that has nothing to divide, by default for want of labels."""
    if normalizer is not None and normalizer.lower() != "none":
        raise UsageError(f"--normalizer {normalizer} divides errors, and {why}", "Leave it out.")


def load_results(path: Path) -> Run | CellErrors:
    """Read a run file, or a CSV as bare errors. The ending decides which it is, else the first character.

    Raises:
        DataError: If the file cannot be read, or is neither.
    """
    if path.is_dir():
        runs = sorted(path.glob("*.json"))
        hint = f"Give a run file in it, such as {runs[0]}." if runs else "Give a run file or a CSV."
        raise DataError(f"{path} is a folder, not a run file", hint)
    return read_run(path) if _is_run(path) else CellErrors.from_csv(path)


def load_cell_errors(path: Path) -> CellErrors:
    """Read the errors of a CSV, or of a run file with the correctness bits if they are beside it.

    Raises:
        DataError: If the file cannot be read, or is neither.
    """
    results = load_results(path)
    if isinstance(results, CellErrors):
        return results
    bits, trials, _ = _load_images(path, results)
    return CellErrors.from_run(results, bits, trials=trials)


def load_normalizer(value: str) -> Normalizer | None:
    """Read the denominators that ``--normalizer`` names, in upper or lower case; None for ``none``.

    Raises:
        UsageError: If it is neither a known name nor looks like a file.
        DataError: If it looks like a file and there is none, or it cannot be read.
    """
    known = {"alexnet": ALEXNET, "none": None}
    if value.lower() in known:
        return known[value.lower()]
    path = Path(value)
    if not path.exists():
        if path.suffix or "/" in value or "\\" in value:
            raise DataError(f"there is no file {value}", "--normalizer takes alexnet, none, a run file or a CSV.")
        raise unknown_name("normaliser", value, [*known, "a run file", "a CSV"], "ppbench show --help")
    return load_cell_errors(path)


def customary_normalizer(results: Run | CellErrors, baseline: CellErrors | None) -> Normalizer | None:
    """The denominators if the user names none: AlexNet for ImageNet's sets and for a CSV, else the baseline."""
    if isinstance(results, Run) and not has_normalizer(results.protocol):
        return None
    if isinstance(results, Run) and results.protocol.sequences is not None:
        return baseline  # of AlexNet's flips no source could be read
    of_imagenet = results.protocol.normalizer == "alexnet" if isinstance(results, Run) else True
    return ALEXNET if of_imagenet else baseline


def _load_predictions(path: Path, run: Run, bits: _Bits | None) -> tuple[Predictions | None, str | None]:
    """The predictions of a run, or why there are none that can be used."""
    try:
        predictions = read_predictions(path, run)
    except DataError as error:
        return None, f"{error.message}. {error.hint}"
    # The counts of each cell are checked on reading. Only here are both known image by image.
    if bits is not None and (cell := predictions.contradicted(bits)) is not None:
        return None, f"its predictions of {cell_in_words(cell)} contradict its correctness bits. Evaluate again."
    return predictions, None


def _load_images(path: Path | None, results: Run | CellErrors) -> _Images:
    """The correctness bits of a file and its trials, or why there are none. Without them there are no intervals."""
    if path is None:
        return (None, None, "the run is in no file")
    if not isinstance(results, Run):
        return (None, None, f"{path.name} is a CSV, which has no correctness bits")
    if not results.cells or results.protocol.n < 2:
        return (None, None, "there are fewer than two images")
    if results.bits is None:
        return (None, None, f"{path.name} was written without correctness bits")
    try:
        return read_bits(path, results), trials_if_any(path, results), None
    except DataError as error:
        return (None, None, error.message)


def _is_run(path: Path) -> bool:
    if path.suffix.lower() in (".json", ".csv"):
        return path.suffix.lower() == ".json"
    if is_page(path):
        return True
    if not path.is_file():  # a pipe can be read only once
        return False
    try:
        with path.open("rb") as file:
            return file.read(64).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{")
    except OSError:
        return False  # the CSV reader reports why
