"""The images of a run, found again in a folder: the pixels are those that were evaluated, or they are refused."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from ppbench.data.catalog import DATASETS, EMBEDDED
from ppbench.data.exif import EXIF_APPLIED
from ppbench.data.opening import open_source
from ppbench.data.source import Geometry, Source, fingerprint_of, ids_hash, stratified_subset
from ppbench.data.walk import is_output
from ppbench.errors import DataError, PpbenchError
from ppbench.metrics.comparable import HASHES
from ppbench.models.card import Card
from ppbench.run import MeasuredRun, Run, expected_cells, image_keys
from ppbench.vocabulary import CLEAN

if TYPE_CHECKING:
    from ppbench.run import Protocol


class Reopened(NamedTuple):
    """A dataset, and where the images of a run are in it."""

    source: Source
    places: NDArray[np.int64]
    """``(n,)``: places in the source, in the order of the run."""


def reopen(measured: MeasuredRun, data: Path | None, labels: Path | None = None) -> Reopened:
    """Open the images of a run as ``ppbench eval`` did, and check that they are the same ones.

    Args:
        measured: The run with the keys of its images.
        data: Folder or tar of the images (``--data``); None for the embedded set.
        labels: The CSV of their labels (``--labels``), if the run had them from one.

    Raises:
        DataError: If the folder does not hold the images of the run, or their corrupted versions cannot be made again.
    """
    run, protocol = measured.run, measured.run.protocol
    if protocol.dataset not in DATASETS:
        raise DataError(f"the images of {protocol.dataset} cannot be opened again", "Leave --data out.")
    if data is not None and protocol.dataset == EMBEDDED:
        raise DataError(f"the images of {EMBEDDED} come with ppbench", "Leave --data out.")
    try:
        source = _opened(run, data, labels)
        _check_how_made(protocol, source, data)
        if run.cell(CLEAN, 0) is not None and not source.has_clean:
            raise _others(data, "the clean images of the run are not there")
        if measured.keys is None:
            return _all_or_limited(protocol, source, data)
        return Reopened(source, _places(measured, source, data))
    except DataError:
        raise
    except PpbenchError as error:  # a message about options of `eval`, which this command does not have
        raise _others(data, error.message) from error


def _opened(run: Run, data: Path | None, labels: Path | None) -> Source:
    protocol = run.protocol
    # Copies by `ppbench corrupt` are opened as published sets are, by their folder alone. Runs of earlier versions call
    # them published.
    is_copied = protocol.source != "published" and data is not None and is_output(data)
    is_made = protocol.source != "published" and not is_copied
    source = open_source(
        protocol.dataset,
        data,
        _geometry(run),
        recipe=protocol.recipe if is_made else None,
        seed=protocol.seed,
        backend="imagecorruptions" if is_made and protocol.engine.startswith("imagecorruptions") else "ppbench",
        jpeg=not is_made or protocol.source != "generated",
        exif=protocol.preprocessing.startswith(EXIF_APPLIED),
        labels=protocol.labels or (None if labels is None else str(labels)),
    )
    if is_copied:
        source.choose(protocol.corruptions)
    return source


def _geometry(run: Run) -> Geometry:
    """The cut of the model's card. Datasets with a cut of their own need none."""
    try:
        return Geometry.of(Card.model_validate(run.model.card))
    except ValidationError:
        return Geometry(224, 256)


def _check_how_made(protocol: Protocol, source: Source, data: Path | None) -> None:
    """Check all that decides the pixels of an image; which images these are comes after."""
    for name, here in (("source", source.kind), ("recipe", source.recipe), ("engine", source.engine)):
        there = getattr(protocol, name)
        if here != there:
            raise _others(data, f"{name} {here}, in the run {there}")
    elsewhere = protocol.preprocessing == "made elsewhere"
    if not elsewhere and not f"{protocol.preprocessing},".startswith(f"{source.cut},"):
        raise _others(data, f"the images are cut otherwise: {source.cut}, in the run {protocol.preprocessing}")


def _places(measured: MeasuredRun, source: Source, data: Path | None) -> NDArray[np.int64]:
    """Find the images of a run by their keys."""
    here, wanted = image_keys(source.ids), measured.keys
    assert wanted is not None
    order = np.argsort(here) if here is not None else np.zeros(0, np.int64)
    if here is None or not np.isin(wanted, here).all():
        lacking = len(wanted) if here is None else int((~np.isin(wanted, here)).sum())
        raise _others(data, f"{lacking:,} of the {len(wanted):,} images of the run are missing")
    places = order[np.searchsorted(here[order], wanted)].astype(np.int64)
    _check_hashes(measured.run.protocol, source, [source.ids[place] for place in places], data)
    return places


def _all_or_limited(protocol: Protocol, source: Source, data: Path | None) -> Reopened:
    """Find the images of a run without keys: all of them, or those of ``--limit``."""
    places = np.arange(len(source.ids))
    if protocol.n < len(source.ids):
        places = stratified_subset(source.ids, source.labels, protocol.n, protocol.seed)
    _check_hashes(protocol, source, [source.ids[place] for place in places], data)
    return Reopened(source, places)


def _check_hashes(protocol: Protocol, source: Source, ids: list[str], data: Path | None) -> None:
    source.check(protocol.corruptions, protocol.severities)
    cells = expected_cells(protocol.corruptions, protocol.severities)[not source.has_clean :]
    found = {"fingerprint": fingerprint_of(source, cells), "ids_sha256": ids_hash(ids)}
    for name in HASHES:
        if found[name] != getattr(protocol, name):
            raise _others(data, f"{name} {found[name][:12]}, in the run {getattr(protocol, name)[:12]}")


def _others(data: Path | None, why: str) -> DataError:
    where = "the embedded images" if data is None else str(data)
    hint = (
        "Give the folder of `ppbench eval --data`, and `--labels FILE.csv` if the labels were in a file; or leave "
        "--data out for a report without pictures."
    )
    return DataError(f"{where} are not the images that were evaluated: {why}", hint if data is not None else "")
