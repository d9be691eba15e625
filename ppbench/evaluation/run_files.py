"""The runs of an evaluation, made from what was scored, and their files, with the journals beside them."""

from __future__ import annotations

import platform
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ppbench.data.source import Source, ids_hash
from ppbench.devices import describe_device
from ppbench.errors import PpbenchError, UsageError
from ppbench.evaluation.compiling import compiled_part
from ppbench.evaluation.identity import Identity
from ppbench.evaluation.journal import Images, Journal, JournalKey, is_of
from ppbench.evaluation.plan import EvalPlan
from ppbench.evaluation.processes import Processes
from ppbench.evaluation.settings import Settings
from ppbench.evaluation.tally import Scored, Tally
from ppbench.run import CellCounts, MeasuredRun, Provenance, Run, Stopping, image_keys, read_run
from ppbench.versions import versions_of
from ppbench.vocabulary import CLEAN, PREDICTED, Cell

_ODD = 0x9E3779B97F4A7C15
"""An odd factor without a pattern, so that the changes of two files do not cancel."""

_RECORDED = ("python", "ppbench", "torch", "torchvision", "numpy", "pillow", "imagecorruptions-imaug")
"""Whose versions every run records."""


def results(
    identities: list[Identity], scored: Scored, source: Source, settings: Settings, started: datetime, processes: int
) -> list[MeasuredRun]:
    """Make the runs, with their finished cells."""
    provenance = Provenance(
        command=settings.request.command or shlex.join(sys.argv),
        git_commit=_git_commit(),
        versions=versions_of(*_RECORDED, *sorted({name for identity in identities for name in identity.libraries})),
        platform=platform.platform(),
        device=describe_device(settings.device),
        started=started.astimezone(UTC).isoformat(timespec="seconds"),
        seconds=scored.seconds,
        processes=processes,
        compiled=settings.request.compiled,
        compiled_corruptions=compiled_part(settings, source),
    )
    stoppings: Sequence[Stopping | None] = scored.stoppings or [None] * len(identities)
    ids = source.ids
    if scored.images is not None and scored.images.any():
        ids = [name for name, is_in in zip(source.ids, scored.images, strict=True) if is_in]
        unreadable = tuple(source.ids[place] for place in sorted({broken.place for broken in scored.unreadable}))
        identities = [_narrowed(identity, ids, unreadable) for identity in identities]
    keys = image_keys(ids)
    labels = source.labels if scored.images is None else source.labels[scored.images]
    known = None if settings.are_predicted else labels
    return [
        MeasuredRun(
            _run(identity, tally, provenance, stopping),
            {cell: tally.bits(cell) for cell in tally.finished()},
            keys,
            tally.predictions(known, identity.outputs or source.class_names)
            if settings.request.keep_predictions
            else None,
            trials=tally.trials(),
        )
        for identity, tally, stopping in zip(identities, scored.tallies, stoppings, strict=True)
    ]


def _narrowed(identity: Identity, ids: Sequence[str], unreadable: tuple[str, ...]) -> Identity:
    """Restrict an identity to some of the images."""
    update = {"n": len(ids), "ids_sha256": ids_hash(ids), "unreadable": unreadable or None}
    protocol = identity.protocol.model_copy(update=update)
    return identity._replace(protocol=protocol)


def _run(identity: Identity, tally: Tally, provenance: Provenance, stopping: Stopping | None) -> Run:
    finished, are_predicted = tally.finished(), identity.protocol.labels == PREDICTED
    status: Literal["complete", "interrupted"] = "complete" if len(finished) == len(tally.cells) else "interrupted"
    return Run(
        status=status,
        model=identity.model,
        protocol=identity.protocol,
        cells=tuple(_cell(tally.cell(cell, label_confidence=are_predicted), identity.competing) for cell in finished),
        stopping=stopping,
        provenance=provenance,
    )


def _cell(counts: CellCounts, competing: int | None) -> CellCounts:
    """Drop the top-5 count of five outputs or fewer: every label is among them."""
    says_nothing = competing is not None and competing <= 5
    return counts.model_copy(update={"top5": None}) if says_nothing else counts


def _git_commit() -> str | None:
    """Return the commit of the working directory, marked if tracked files differ from it."""
    try:
        # No tag is allowed, so the answer is the commit itself.
        ask = ["git", "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"]
        answer = subprocess.run(ask, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() or None


class Output(NamedTuple):
    """The destination of one run."""

    path: Path
    journal: Journal


@contextmanager
def claimed_outputs(
    plan: EvalPlan, identities: Sequence[Identity], processes: Processes, say: Callable[[str], None]
) -> Iterator[list[Output]]:
    """Yield a destination for each run, locked, with a journal of what is already finished.

    In a folder, a run of another measurement is left alone and the next free name is taken. A file that the user named
    is written if it does not exist, if it is of the same measurement or unfinished, or if it may be overwritten.
    Journals stay behind unless they were removed.

    The list is empty if no file is wanted, and in all processes except the first.

    Args:
        plan: What is evaluated.
        identities: One per run.
        processes: Processes that share the work. All of them end with the error of the first one.
        say: Called with what is used again, and with why something is not.

    Raises:
        UsageError: If another process is writing there, or the file there must not be overwritten.
        DataError: If nothing can be written there.
    """
    outputs: list[Output] = []
    refused: PpbenchError | None = None
    target = plan.settings.request.output
    try:
        try:
            if processes.is_first and target is not None:
                for identity in identities:
                    outputs.append(_claim(target, identity, plan))
                    _say_reused(outputs[-1], plan, say)
        except PpbenchError as error:
            refused = error
        # All other processes wait here. They get the error of the first one before it raises it.
        if (refused := processes.share(refused)) is not None:
            raise refused
        yield outputs
    finally:
        for output in outputs:
            output.journal.close()


def save(output: Output, measured: MeasuredRun, say: Callable[[str], None]) -> MeasuredRun:
    """Write the finished cells without destroying another result, and say where they are.

    A complete run is never replaced by an interrupted one, nor by one that lacks unreadable images. The journal is
    removed once the run is whole.

    Raises:
        DataError: If the run cannot be written; the journal is then kept.
    """
    run = measured.run
    path, journal = output
    if run.cells:
        # The file there has more, so the new run goes beside it.
        if _wholeness(run) < _wholeness_of(path):
            path = path.with_name(f"{path.stem}.{'partial' if run.status == 'complete' else 'interrupted'}.json")
        measured = measured.write(path)
        say(f"wrote {path}" + ("" if run.status == "complete" else f" (interrupted: {len(run.cells)} finished cells)"))
    if _wholeness(run) == _WHOLE:
        journal.remove()
    return measured


def place(target: Path, identity: Identity, key: JournalKey, *, overwrite: bool = False) -> Path:
    """Return the path of a run: the file that the user named, or the first free one in a folder.

    Raises:
        UsageError: If that file is the finished run of another measurement, or not a run, and must not be overwritten.
    """
    if target.suffix == ".json":
        if not overwrite and target.is_file():
            _refuse_another(target, identity)
        return target
    adaptation = identity.protocol.adaptation
    adapted = "" if adaptation is None else f"--{_file_name(adaptation.label)}"
    if (stream := identity.protocol.stream) is not None:
        adapted = f"--{stream.kind}-{stream.level}-{stream.speed}-{identity.protocol.seed}{adapted}"
    first = target / f"{_file_name(identity.model.name)}--{_file_name(identity.protocol.dataset)}{adapted}.json"
    return next(free for free in _numbered(first) if _is_free(free, identity, key))


def _claim(target: Path, identity: Identity, plan: EvalPlan) -> Output:
    request, key = plan.settings.request, identity.key(plan.settings)
    path = place(target, identity, key, overwrite=request.overwrite)
    images = Images(plan.source.ids, plan.source.labels.tolist())
    # Results of an adapted network depend on all images of their cell.
    joint, stamps = plan.joint, _stamps(plan)
    return Output(path, Journal(_journal(path), key, plan.cells, stamps, images, fresh=request.fresh, joint=joint))


def _stamps(plan: EvalPlan) -> Callable[[Cell], NDArray[np.uint64]]:
    """The stamps by which a journal knows whether an image's file has changed since its result was written down.

    If clean predictions are the labels, a result of a corrupted image is of two files.
    """
    source = plan.source
    if not plan.settings.are_predicted:
        return source.stamps

    def of_both(cell: Cell) -> NDArray[np.uint64]:
        own = source.stamps(cell)
        return own if cell[0] == CLEAN else own + np.uint64(_ODD) * source.stamps((CLEAN, 0))

    return of_both


def _journal(path: Path) -> Path:
    return path.with_name(f"{path.name}.journal")


def _say_reused(output: Output, plan: EvalPlan, say: Callable[[str], None]) -> None:
    """Say what is used again from an earlier evaluation, and why not all of it is."""
    path, journal = output
    if journal.why is not None:
        kept = f" (what it held is kept as {journal.put_aside.name})" if journal.put_aside else ""
        what = "these are computed again" if journal.pieces else f"starting over{kept}"
        say(f"{journal.path}: {journal.why}; {what}")
    if not journal.pieces:
        return
    cells, images = len(plan.cells), len(plan.source.ids)
    done: dict[tuple[str, int], int] = {}
    for piece in journal.pieces:
        done[piece.cell] = done.get(piece.cell, 0) + len(piece.places)
    whole = sum(number == images for number in done.values())
    known = sum(done.values())
    say(
        f"reused {known:,} of {cells * images:,} image evaluations, {100 * known / (cells * images):.0f} % "
        f"({whole} of {cells} cells are finished), for {path}"
    )
    if plan.settings.request.keep_predictions and any(
        piece.predicted is None and piece.trials is None for piece in journal.pieces
    ):
        say(
            f"{path} will have no predictions: the journal of an earlier version, which lacks them, is used again "
            "(`--fresh` starts over)"
        )


def _refuse_another(path: Path, identity: Identity) -> None:
    """Refuse to replace the finished run of another measurement, or a file that is not a run."""
    try:
        there = read_run(path)
    except PpbenchError:
        what = "exists and is not a run file"
    else:
        names = [name for name, own in identity.protocol if getattr(there.protocol, name) != own]
        names += ["weights"] if there.model.weights_sha256 != identity.model.weights_sha256 else []
        if _wholeness(there) < _WHOLE or (not names and identity.model.weights_sha256 is not None):
            return
        other = f"another measurement ({', '.join(names)})" if names else "whose weights are not known to be these"
        what = f"is the finished run of {there.model.name}, {other}"
    raise UsageError(f"{path} {what}", "Give another `--output`, or replace it: `--overwrite`.")


def _numbered(path: Path) -> Iterator[Path]:
    """``a.json``, ``a-2.json``, ``a-3.json``, …"""
    yield path
    for number in count(2):
        yield path.with_name(f"{path.stem}-{number}.json")


def _is_free(path: Path, identity: Identity, key: JournalKey) -> bool:
    """Whether nothing is lost if a run replaces the file at ``path`` and its journal."""
    if not is_of(_journal(path), key):
        return False
    if not path.exists():
        return True
    try:
        there = read_run(path)
    except PpbenchError:
        return False
    if not there.model.has_weights_of(identity.model.weights_sha256):
        return False
    # The cells of a run that is not whole are all in the journal beside it, whichever images there were then.
    return there.protocol == identity.protocol or (_wholeness(there) < _WHOLE and _journal(path).exists())


_WHOLE = 2


def _wholeness(run: Run) -> int:
    """How much a run has, so that one with more is never replaced by one with less; `_WHOLE`: nothing is missing."""
    if run.status != "complete":
        return 0
    return 1 if run.protocol.unreadable else _WHOLE


def _wholeness_of(path: Path) -> int:
    """The wholeness of the run file at ``path``; less than any run's if there is none."""
    try:
        return _wholeness(read_run(path))
    except PpbenchError:
        return -1


def _file_name(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_.@+" else "-" for c in name)
