"""Scoring of predictions that another framework made, without a model."""

from __future__ import annotations

import hashlib
import time
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from ppbench.data.source import Source
from ppbench.errors import DataError, UsageError
from ppbench.evaluation.identity import Identity, protocol
from ppbench.evaluation.inference import score
from ppbench.evaluation.plan import open_images
from ppbench.evaluation.request import EvalRequest
from ppbench.evaluation.run_files import place, results
from ppbench.evaluation.sanity import PROBE, doubtful
from ppbench.evaluation.settings import Settings
from ppbench.evaluation.subject import ClassHead, choose_head
from ppbench.evaluation.tally import Piece, Scored, Tally, count
from ppbench.files import check_regular
from ppbench.lookup import counted
from ppbench.models.card import Card
from ppbench.run import MOST_CLASSES, UNKNOWN, MeasuredRun, ModelRecord
from ppbench.run.fields import as_utf8
from ppbench.vocabulary import CLEAN, PREDICTED, Cell

_CHUNK = 4096
_MOST_BYTES = 2**18
"""Per image and cell: 32,768 logits of 64 bits, more than any dataset has classes."""

_MOST_PACKED, _MOST_RATIO = 2**28, 20
"""Bytes that a small file may unpack to, and how many times its own size a larger array may have."""

_T = TypeVar("_T")
_FORM = (
    'Write it by `np.savez("file.npz", **{"clean": …, "fog/3": …, "ids": …})`: per cell logits (images, classes) or '
    "predicted classes (images,), and the images' ids as `ppbench` has them, <class>/<file>."
)


class ScoredPredictions(NamedTuple):
    """Scored predictions: what they are of, and the outcome."""

    identity: Identity
    scored: Scored
    notes: tuple[str, ...] = ()
    """Assumptions about the file, for people."""


def measure_predictions(
    path: Path, request: EvalRequest, say: Callable[[str], None] = lambda line: None
) -> tuple[MeasuredRun, Path | None]:
    """Score predictions that were made elsewhere, and write their run.

    Args:
        path: See `score_predictions`.
        request: The dataset, corruptions and severities, and the output.
        say: Called with lines for people: assumptions about the file.

    Returns:
        The run, and the path that it was written to.

    Raises:
        UsageError: If a name or value is not allowed, or another process is writing to the same place.
        DataError: If the predictions or the dataset are missing or do not fit.
    """
    if request.weights_files:
        raise UsageError("--weights-file is not for --predictions", "Leave it out: the file itself is hashed.")
    if request.until is not None or request.until_decided is not None:
        raise UsageError("--until is not for --predictions", "They are of all images already: leave it out.")
    if request.adapt is not None:
        raise UsageError("--adapt is for networks, and --predictions are given", "Leave --adapt out.")
    if request.labels == PREDICTED:
        raise UsageError(
            "--labels predicted is not for --predictions",
            "They may lack the clean images, whose predictions would be the labels. Give labels: `--labels FILE.csv`.",
        )
    replace(request, predictions=(path,)).check()
    source, settings = open_images(request, [])
    started = datetime.now(UTC)
    identity, scored, notes = score_predictions(path, source, settings)
    for note in notes:
        say(f"warning: {note}")
    (measured,) = results([identity], scored, source, settings, started, 1)
    if request.output is None:
        return measured, None
    where = place(request.output, identity, identity.key(settings), overwrite=request.overwrite)
    return measured.write(where), where


def score_predictions(path: Path, source: Source, settings: Settings) -> ScoredPredictions:
    """Score a file of predictions against a dataset's labels.

    Args:
        path: ``.npz`` with an array per cell, named ``fog/3`` and ``clean``: float logits ``(n, classes)``, whose
            classes are the dataset's in the sorted order of their names or ImageNet's 1000, or integers ``(n,)``, the
            classes' places in that order. ``ids`` ``(n,)``, strings, names their images; without it they are taken to
            be of the evaluated images in order, and a note says so.
        source: The images' ids and labels.
        settings: Corruptions, severities, seed.

    Raises:
        DataError: If the file cannot be read, lacks cells or images, or an array has another form.
    """
    clock = time.perf_counter()
    try:
        with _Arrays(path) as file:
            rows = _rows(path, file, source)
            cells = [cell for cell in settings.cells_of(source) if cell[0] != CLEAN or _find(file, cell) is not None]
            tally = Tally(cells, len(source.ids))
            outputs = 0
            for cell in cells:
                values = _values(path, file, cell, rows, source)
                outputs = values.shape[1] if values.ndim == 2 else outputs
                for piece in _pieces(values, cell, source, path, settings):
                    tally.add(piece)
        if not settings.request.force and (doubt := doubtful(tally, source.num_classes)) and len(source.ids) >= PROBE:
            raise DataError(f"{path} {doubt}", "Compare its class order with the dataset's. `--force` continues.")
    except OSError as error:
        raise DataError(f"cannot read the predictions {path}: {error.strerror or error}", _FORM) from error
    scored = Scored([tally], None, round(time.perf_counter() - clock, 3))
    identity = _identity(path, source, settings, outputs or source.num_classes, by_order=rows is None)
    return ScoredPredictions(identity, scored, _notes(path, source, by_order=rows is None))


class _Arrays:
    """A file of arrays by name, read one by one."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> _Arrays:
        check_regular(self.path)
        if not self.path.is_file():
            raise DataError(f"cannot read the predictions {self.path}: there is no such file", _FORM)
        self._file = self._reading(lambda: zipfile.ZipFile(self.path))
        self.files = [name.removesuffix(".npy") for name in self._file.namelist() if name.endswith(".npy")]
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __contains__(self, name: str) -> bool:
        return name in self.files

    def read(self, name: str, images: int) -> NDArray[Any]:
        """Read an array.

        Raises:
            DataError: If it is damaged, or larger than predictions of this many images can be.
        """
        entry = self._file.getinfo(f"{name}.npy")
        size = entry.file_size
        if size > _MOST_BYTES * max(images, 1) + 2**20:
            raise DataError(
                f"{self.path}: {name} has {size:,} bytes, too many for {counted(images, 'image')}",
                f"Is it damaged? {_FORM}",
            )
        if size > max(_MOST_PACKED, _MOST_RATIO * entry.compress_size):
            raise DataError(
                f"{self.path}: {name} unpacks from {entry.compress_size:,} to {size:,} bytes, as no logits do",
                f"Give predicted classes as integers (images,). {_FORM}",
            )
        return self._reading(lambda: self._array(name))

    def _array(self, name: str) -> NDArray[Any]:
        with self._file.open(f"{name}.npy") as member:
            return np.lib.format.read_array(member, allow_pickle=False)

    def _reading(self, read: Callable[[], _T]) -> _T:
        try:
            return read()
        except Exception as error:  # damaged files make the readers of zip, DEFLATE and arrays raise anything
            raise DataError(
                f"cannot read the predictions {self.path}: {error or type(error).__name__}", _FORM
            ) from error


class _Rows(NamedTuple):
    """The rows of the arrays that belong to the source's images."""

    places: NDArray[np.int64]
    given: int
    """Number of rows in the file."""


def _rows(path: Path, file: _Arrays, source: Source) -> _Rows | None:
    """Find the source's images in the arrays by the file's ids; None if it has no ids."""
    if "ids" not in file:
        return None
    array = file.read("ids", source.total)
    if array.ndim != 1:
        raise DataError(f"{path}: ids has shape {array.shape}", _FORM)
    ids = [str(name) for name in array.tolist()]
    number = {name: place for place, name in enumerate(ids)}
    if len(number) < len(ids):
        twice = next(name for place, name in enumerate(ids) if number[name] != place)
        raise DataError(f"{path} has the id {twice} twice", "Every image has one prediction a cell.")
    missing = [name for name in source.ids if name not in number]
    if missing:
        raise DataError(
            f"{path} has no prediction for {len(missing):,} of {len(source.ids):,} images, {missing[0]} among them",
            "Its `ids` must be the dataset's: `<class>/<file>`; or choose images with --limit or --classes.",
        )
    return _Rows(np.array([number[name] for name in source.ids], np.int64), len(ids))


def _find(file: _Arrays, cell: Cell) -> str | None:
    names = (CLEAN,) if cell[0] == CLEAN else (f"{cell[0]}/{cell[1]}", f"{cell[0]}_{cell[1]}")
    return next((name for name in names if name in file), None)


def _values(path: Path, file: _Arrays, cell: Cell, rows: _Rows | None, source: Source) -> NDArray[Any]:
    """Read the predictions of a cell, one per image of the source."""
    name = _find(file, cell)
    if name is None:
        there = ", ".join(sorted(file.files)[:6])
        raise DataError(
            f"{path} lacks the cell {cell[0]}/{cell[1]}; it has {there}, …",
            f"Choose with --corruptions and --severities. {_FORM}",
        )
    values = file.read(name, max(source.total, rows.given if rows else 0))
    kind = {1: np.integer, 2: np.floating}.get(values.ndim)
    if kind is None or not np.issubdtype(values.dtype, kind) or 0 in values.shape:
        raise DataError(f"{path}: {name} has shape {values.shape} and type {values.dtype}", _FORM)
    if rows is not None and len(values) != rows.given:
        raise DataError(f"{path}: {name} has {len(values):,} predictions, `ids` {rows.given:,}", _FORM)
    chosen = values if rows is None else values[rows.places]
    # torch has neither other byte orders than this machine's nor more than 64 bits.
    return chosen.astype(np.dtype(f"{chosen.dtype.kind}{min(chosen.dtype.itemsize, 8)}"), copy=False)


def _pieces(values: NDArray[Any], cell: Cell, source: Source, path: Path, settings: Settings) -> Sequence[Piece]:
    images = len(source.ids)
    if len(values) != images:
        raise DataError(
            f"{path} has {counted(len(values), 'prediction')} at {cell[0]}/{cell[1]} for {counted(images, 'image')}",
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
        predicted = values.astype(np.uint16) if source.num_classes <= MOST_CLASSES else None
        return [Piece(cell, places, values == source.labels, None, predicted=predicted)]
    if not np.isfinite(values).all():
        raise DataError(f"{path} has values that are not finite at {cell[0]}/{cell[1]}", "Predict these images again.")
    head = _head(path, values.shape[1], source, settings)
    pieces = []
    for start in range(0, images, _CHUNK):
        part = slice(start, start + _CHUNK)
        logits, labels = torch.from_numpy(values[part]), torch.from_numpy(source.labels[part])
        if head.columns is not None:
            columns = torch.from_numpy(head.columns)
            logits, labels = (logits[:, columns], labels) if head.logits == "masked" else (logits, columns[labels])
        scores = score(logits, labels).numpy()
        if (numbers := head.class_numbers()) is not None:
            scores[3] = numbers[scores[3]]
        pieces.append(count(cell, places[part], scores))
    return pieces


def _head(path: Path, outputs: int, source: Source, settings: Settings) -> ClassHead:
    """Choose the outputs that stand for the classes, by a card that knows the number of outputs alone."""
    card = Card(
        architecture="predictions", num_classes=outputs, input_size=max(8, source.size), mean=(0, 0, 0), std=(1, 1, 1)
    )
    request = settings.request
    return choose_head(path.name, card, source, request.logits, chosen=request.classes is not None)


def _identity(path: Path, source: Source, settings: Settings, outputs: int, *, by_order: bool) -> Identity:
    head = _head(path, outputs, source, settings)
    model = ModelRecord(
        name=path.stem,
        weights_sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        parameters=0,
        card={"predictions": as_utf8(path.name), **({"images": "by order"} if by_order else {})},
    )
    record = protocol(source, settings, "made elsewhere", head.subset, UNKNOWN)
    if not source.is_stored:
        # The images of this source were not looked at: others were corrupted elsewhere, in a way that is unknown.
        unknown = {"recipe": UNKNOWN, "engine": UNKNOWN, "own_corruptions": None, "decoder": None}
        record = record.model_copy(update={"source": "generated", **unknown})
    return Identity(model, record, competing=head.competing)


def _notes(path: Path, source: Source, *, by_order: bool) -> tuple[str, ...]:
    notes = []
    if by_order:
        notes.append(
            f"{path.name} has no ids: its predictions are taken to be of these {len(source.ids):,} images in this "
            f"order, {source.ids[0]} first; with `ids` they are matched"
        )
    if not source.is_stored:
        more = {"source": source.kind != "generated", "own_corruptions": bool(source.own)}
        fields = ("engine", "recipe", "precision", *(name for name, differs in more.items() if differs))
        notes.append(
            f"who made the corrupted images of {path.name} is not known: the run file says {UNKNOWN}, and is compared "
            f"with others by `{' '.join(f'--allow {field}' for field in fields)}`"
        )
    return tuple(notes)
