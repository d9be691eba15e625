"""Scoring predictions that any other framework made, without a model."""

from __future__ import annotations

import hashlib
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from ppbench.data.source import Cell, Source
from ppbench.errors import DataError
from ppbench.evaluation.heads import choose_head, class_subset
from ppbench.evaluation.loop import Outcome, Settings, cells_of
from ppbench.evaluation.plausibility import PROBE, doubtful
from ppbench.evaluation.record import Identity, protocol
from ppbench.evaluation.scores import score
from ppbench.evaluation.tally import Record, Tally, count
from ppbench.models.card import Card
from ppbench.run import ModelRecord
from ppbench.vocabulary import CLEAN

_CHUNK = 4096
_FORM = (
    'Write it by `np.savez("file.npz", **{"clean": …, "fog/3": …, "ids": …})`: per cell logits (images, classes) or '
    "predicted classes (images,), and the images' ids as `ppbench` has them, <class>/<file>."
)


class Predictions(NamedTuple):
    """The record of predictions, as far as it is known before they are scored, and what scoring them came to."""

    identity: Identity
    outcome: Outcome


def score_predictions(path: Path, source: Source, settings: Settings) -> Predictions:
    """Score a file of predictions against a dataset's labels.

    Args:
        path: ``.npz`` with an array per cell, named ``fog/3`` and ``clean``: float logits ``(n, classes)``, whose
            classes are the dataset's in the sorted order of their names or ImageNet's 1000, or integers ``(n,)``, the
            classes' places in that order. ``ids`` ``(n,)``, strings, says which images they are of; without it they
            are the evaluated ones, in order.
        source: The images' ids and labels.
        settings: Corruptions, severities, seed.

    Raises:
        DataError: If the file cannot be read, lacks cells or images, or an array has another form.
    """
    clock = time.perf_counter()
    try:
        with np.load(path, allow_pickle=False) as file:
            rows = _rows(path, file, source)
            cells = [cell for cell in cells_of(source, settings) if cell[0] != CLEAN or _find(file, cell) is not None]
            tally = Tally(cells, len(source.ids))
            outputs = 0
            for cell in cells:
                values = _values(path, file, cell, rows)
                outputs = values.shape[1] if values.ndim == 2 else outputs
                for record in _records(values, cell, source, path, settings):
                    tally.add(record)
        if not settings.force and (doubt := doubtful(tally, source.num_classes)) and len(source.ids) >= PROBE:
            raise DataError(f"{path} {doubt}", "Compare its class order with the dataset's. `--force` goes on.")
    except (OSError, EOFError, ValueError, TypeError, zipfile.BadZipFile) as error:
        raise DataError(f"cannot read the predictions {path}: {error}", _FORM) from error
    outcome = Outcome([tally], None, round(time.perf_counter() - clock, 3))
    return Predictions(_identity(path, source, settings, outputs or source.num_classes), outcome)


def _rows(path: Path, file: Any, source: Source) -> NDArray[np.int64] | None:
    """The places of the source's images in the arrays; None if they are the same."""
    if "ids" not in file:
        return None
    ids = [str(name) for name in file["ids"].tolist()]
    number = {name: place for place, name in enumerate(ids)}
    if len(number) < len(ids):
        twice = next(name for place, name in enumerate(ids) if number[name] != place)
        raise DataError(f"{path} has the id {twice} twice", "Every image has one prediction a cell.")
    missing = [name for name in source.ids if name not in number]
    if missing:
        raise DataError(
            f"{path} has no prediction for {len(missing):,} of {len(source.ids):,} images, {missing[0]} among them",
            "Its `ids` are to be the dataset's: `<class>/<file>`; or choose images with --limit or --classes.",
        )
    return np.array([number[name] for name in source.ids], np.int64)


def _find(file: Any, cell: Cell) -> str | None:
    names = (CLEAN,) if cell[0] == CLEAN else (f"{cell[0]}/{cell[1]}", f"{cell[0]}_{cell[1]}")
    return next((name for name in names if name in file), None)


def _values(path: Path, file: Any, cell: Cell, rows: NDArray[np.int64] | None) -> NDArray[Any]:
    """The predictions of a cell, one per image of the source."""
    name = _find(file, cell)
    if name is None:
        there = ", ".join(sorted(file.files)[:6])
        raise DataError(
            f"{path} lacks the cell {cell[0]}/{cell[1]}; it has {there}, …",
            f"Choose with --corruptions and --severities. {_FORM}",
        )
    values = file[name]
    kind = {1: np.integer, 2: np.floating}.get(values.ndim)
    if kind is None or not np.issubdtype(values.dtype, kind):
        raise DataError(f"{path}: {name} has shape {values.shape} and type {values.dtype}", _FORM)
    if rows is not None and len(values) != len(file["ids"]):
        raise DataError(f"{path}: {name} has {len(values):,} predictions, `ids` {len(file['ids']):,}", _FORM)
    return np.asarray(values if rows is None else values[rows])


def _records(values: NDArray[Any], cell: Cell, source: Source, path: Path, settings: Settings) -> Sequence[Record]:
    images = len(source.ids)
    if len(values) != images:
        raise DataError(
            f"{path} has {len(values):,} predictions at {cell[0]}/{cell[1]} for {images:,} images",
            "Add `ids`, so that it is known which images they are of.",
        )
    places = np.arange(images)
    if values.ndim == 1:
        if values.min() < 0 or values.max() >= source.num_classes:
            raise DataError(
                f"{path} predicts the class {values.max() if values.min() >= 0 else values.min()} at "
                f"{cell[0]}/{cell[1]}; {source.dataset} has 0 to {source.num_classes - 1} here",
                "Classes are numbered in the sorted order of their names; give logits for a model of more classes.",
            )
        return [Record(cell, places, values == source.labels, None)]
    if not np.isfinite(values).all():
        raise DataError(f"{path} has values that are not finite at {cell[0]}/{cell[1]}", "Predict these images again.")
    head = choose_head(path.name, _card(source, values.shape[1]), source, settings.logits)
    records = []
    for start in range(0, images, _CHUNK):
        part = slice(start, start + _CHUNK)
        logits, labels = torch.from_numpy(values[part]), torch.from_numpy(source.labels[part])
        if head.columns is not None:
            columns = torch.from_numpy(head.columns)
            logits, labels = (logits[:, columns], labels) if head.logits == "masked" else (logits, columns[labels])
        records.append(count(cell, places[part], score(logits, labels).numpy()))
    return records


def _card(source: Source, outputs: int) -> Card:
    """A card that says no more than how many outputs there are."""
    return Card(
        architecture="predictions", num_classes=outputs, input_size=max(8, source.size), mean=(0, 0, 0), std=(1, 1, 1)
    )


def _identity(path: Path, source: Source, settings: Settings, outputs: int) -> Identity:
    card = _card(source, outputs)
    head = choose_head(path.name, card, source, settings.logits)
    model = ModelRecord(
        name=path.stem,
        weights_sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        parameters=0,
        card={"predictions": path.name},
    )
    classes = class_subset(head, card, source, chosen=settings.chosen_classes)
    return Identity(model, protocol(source, settings, "made elsewhere", classes, "unknown"))
