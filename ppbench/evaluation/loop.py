"""The evaluation loop: every image of every cell through every model, once."""

from __future__ import annotations

import platform
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ppbench.data.source import Pixels, Source, ids_hash
from ppbench.errors import DataError, PpbenchError
from ppbench.evaluation.devices import describe_device, full_precision
from ppbench.evaluation.pixels import Piece, plan_pieces, stream
from ppbench.evaluation.scores import Scores, count_cell, score
from ppbench.models.card import Card
from ppbench.models.checkpoint import weights_hash
from ppbench.run import Cell, ModelRecord, Protocol, Provenance, Run, expected_cells
from ppbench.vocabulary import C15, CLEAN, SEVERITIES

Advance = Callable[[str, int, int], None]
"""Called after each batch with corruption, severity and the number of images done."""


class Subject(NamedTuple):
    """A model to measure."""

    name: str
    model: nn.Module
    card: Card


class Outcome(NamedTuple):
    """What an evaluation came to."""

    results: list[Result]
    """One per subject; of an evaluation that was stopped, with the finished cells."""
    stopped_by: KeyboardInterrupt | PpbenchError | None
    """What ended it early. Whoever called keeps the results, then raises this."""


class Result(NamedTuple):
    """A run and its correctness bits, ``(n,)`` booleans per cell of the run."""

    run: Run
    bits: dict[tuple[str, int], NDArray[np.bool_]]


@dataclass(frozen=True)
class Settings:
    """How to evaluate; nothing here but corruptions and severities changes a result."""

    corruptions: Sequence[str] = C15
    severities: Sequence[int] = SEVERITIES
    seed: int = 0
    normalizer: str = "none"
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    batch_size: int | None = None
    """Images per forward pass; None: 128 up to 64 px, 32 above."""
    workers: int = 0
    """Processes that make corrupted images; 0: none besides this one."""
    command: str = ""
    """The command line, for the record."""


def evaluate_all(
    subjects: Sequence[Subject],
    source: Source,
    settings: Settings,
    advance: Advance = lambda corruption, severity, images: None,
) -> Outcome:
    """Measure all ``subjects`` on the same images; every image is loaded and corrupted once for all of them.

    Models are put into eval mode. If Ctrl-C, an image that cannot be read or logits that are not finite end the
    evaluation early, the cells that are finished are kept.

    Args:
        subjects: Models with their cards; those of one call must want images of one geometry.
        source: The images.
        settings: How.
        advance: Told of progress.

    Raises:
        DataError: Before the start, if a model does not fit the source or the source lacks cells.
    """
    for subject in subjects:
        check_fits(subject, source)
    source.check(settings.corruptions, settings.severities)
    started, clock = datetime.now(UTC), time.perf_counter()
    tallies = [_Tally(subject, settings.device) for subject in subjects]
    stopped_by: KeyboardInterrupt | PpbenchError | None = None
    try:
        with full_precision(), _threads_to_spare(settings, _is_small(subjects[0].card)):
            _run_through(tallies, source, settings, advance)
    except (KeyboardInterrupt, PpbenchError) as reason:
        stopped_by = reason
    seconds = round(time.perf_counter() - clock, 3)
    provenance = _provenance(settings, started, seconds)
    status: Literal["complete", "interrupted"] = "complete" if stopped_by is None else "interrupted"
    return Outcome([tally.result(source, settings, provenance, status) for tally in tallies], stopped_by)


@contextmanager
def _threads_to_spare(settings: Settings, small: bool) -> Iterator[None]:
    """One thread for the network where the workers need the cores.

    With small images, making them costs as much as classifying them, and OpenMP's threads, which spin while they
    wait, would take the workers' time: 32 s against 26 s for the embedded run with 250 images on 2 cores.
    """
    before = torch.get_num_threads()
    if small and settings.workers > 0 and settings.device.type == "cpu":
        torch.set_num_threads(max(1, before - settings.workers))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _is_small(card: Card) -> bool:
    return card.input_size <= 64


def check_fits(subject: Subject, source: Source) -> None:
    """Raise `DataError` if the model cannot be meant for the images: classes or channels differ."""
    card = subject.card
    if card.num_classes != source.num_classes:
        raise DataError(
            f"{subject.name} tells {card.num_classes} classes apart, {source.dataset} has {source.num_classes}",
            "Take a model trained for this dataset, or a dataset with the model's classes.",
        )
    if card.in_channels == 1 and source.channels == 3:
        raise DataError(
            f"{subject.name} takes grey images, {source.dataset} has colour ones", "Take a model for colour."
        )
    if card.input_size != source.size:
        raise DataError(
            f"{subject.name} takes images of {card.input_size} px, {source.dataset} has {source.size} px",
            "Corrupted images are not resized: take a model made for their size.",
        )


class _Tally:
    """One model on its way through the cells."""

    def __init__(self, subject: Subject, device: torch.device) -> None:
        self.subject = subject
        self.hash = weights_hash(subject.model)
        self.model = subject.model.eval().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        values = [torch.tensor(v, device=device).view(-1, 1, 1) * 255 for v in (subject.card.mean, subject.card.std)]
        self.mean, self.std = values
        self.open: list[Scores] = []
        self.cells: list[Cell] = []
        self.bits: dict[tuple[str, int], NDArray[np.bool_]] = {}

    def add(self, images: Tensor, labels: Tensor) -> None:
        """Score a batch: images ``(n, C, H, W)`` uint8 in channels_last, labels ``(n,)``."""
        if self.subject.card.in_channels == 3 and images.shape[1] == 1:
            images = images.expand(-1, 3, -1, -1)
        x = ((images - self.mean) / self.std).contiguous(memory_format=torch.channels_last)
        self.open.append(score(self.model(x), labels))

    def close_cell(self, corruption: str, severity: int) -> None:
        """Count the batches added since the last call as one cell."""
        cell, right = count_cell(corruption, severity, self.open)
        self.cells.append(cell)
        self.bits[cell.key] = right
        self.open = []

    def result(
        self, source: Source, settings: Settings, provenance: Provenance, status: Literal["complete", "interrupted"]
    ) -> Result:
        """The run so far."""
        model = ModelRecord(
            name=self.subject.name,
            weights_sha256=self.hash,
            parameters=sum(p.numel() for p in self.subject.model.parameters()),
            card=self.subject.card.model_dump(mode="json", exclude_none=True),
        )
        run = Run(
            status=status,
            model=model,
            protocol=_protocol(self.subject.card, source, settings),
            cells=tuple(self.cells),
            provenance=provenance,
        )
        return Result(run, self.bits)


def _run_through(tallies: list[_Tally], source: Source, settings: Settings, advance: Advance) -> None:
    cells = expected_cells(settings.corruptions, settings.severities)
    if not source.has_clean:
        cells.remove((CLEAN, 0))
    small = _is_small(tallies[0].subject.card)
    pieces = plan_pieces(cells, len(source.ids), settings.batch_size or (128 if small else 32))
    labels = torch.from_numpy(np.asarray(source.labels)).to(settings.device)
    with torch.inference_mode():
        for piece, pixels in stream(source, pieces, settings.workers):
            images = _to_device(pixels, settings.device)
            of_piece = labels[int(piece.places[0]) : int(piece.places[-1]) + 1]
            for tally in tallies:
                tally.add(images, of_piece)
            if int(piece.places[-1]) == len(source.ids) - 1:
                _close(tallies, piece)
            advance(piece.corruption, piece.severity, len(piece.places))


def _close(tallies: list[_Tally], piece: Piece) -> None:
    for tally in tallies:
        tally.close_cell(piece.corruption, piece.severity)


def _to_device(pixels: Pixels, device: torch.device) -> Tensor:
    """``(n, H, W, C)`` in memory is ``(n, C, H, W)`` in channels_last: no copy but the one to the device."""
    return torch.from_numpy(np.ascontiguousarray(pixels)).to(device).permute(0, 3, 1, 2)


def _protocol(card: Card, source: Source, settings: Settings) -> Protocol:
    return Protocol(
        dataset=source.dataset,
        fingerprint=source.fingerprint(),
        source=source.kind,
        recipe=source.recipe,
        engine=source.engine,
        seed=settings.seed,
        corruptions=tuple(settings.corruptions),
        severities=tuple(settings.severities),
        n=len(source.ids),
        total=source.total,
        ids_sha256=ids_hash(source.ids),
        preprocessing=card.preprocessing(source.resizes),
        precision="fp32",
        normalizer=settings.normalizer,
    )


def _provenance(settings: Settings, started: datetime, seconds: float) -> Provenance:
    packages = ("ppbench", "torch", "torchvision", "numpy", "pillow", "imagecorruptions-imaug")
    return Provenance(
        command=settings.command or shlex.join(sys.argv),
        git_commit=_git_commit(),
        versions={"python": platform.python_version(), **{name: version(name) for name in packages}},
        platform=platform.platform(),
        device=describe_device(settings.device),
        started=started.isoformat(timespec="seconds"),
        seconds=seconds,
    )


def _git_commit() -> str | None:
    """Commit of the working directory, marked if files under version control differ from it."""
    try:
        ask = ["git", "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"]
        answer = subprocess.run(ask, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() or None
