"""Scoring perturbation sequences: every frame through all networks, once for all difficulties that share the frames.

An image is read once, its frames are made on the device, and they pass in batches of several sequences.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ppbench.data.sequences import ReadSequences, SequenceSource
from ppbench.evaluation.feed import ImageBlock, plan_blocks, share
from ppbench.evaluation.flips import Ranked, ranked, trial_scores
from ppbench.evaluation.inference import Inference, free_memory, is_out_of_memory
from ppbench.evaluation.plan import EvalPlan
from ppbench.evaluation.profile import phase
from ppbench.evaluation.settings import Settings
from ppbench.evaluation.transport import to_device
from ppbench.evaluation.work import Work
from ppbench.pool import ordered_map
from ppbench.run import is_noise
from ppbench.vocabulary import Cell

_ROOM = {"cpu": 2**25, "cuda": 2**29}
"""Bytes of the frames that are made together: several forward passes, so that the last one, which is filled up, costs
little."""


class FrameSet(NamedTuple):
    """The frames of some cells: of a noise at one difficulty, or of another perturbation at all its difficulties."""

    perturbation: str
    difficulty: int
    cells: tuple[int, ...]
    """Places in the list of cells."""


def frame_sets(cells: Sequence[Cell]) -> list[FrameSet]:
    """Group cells whose frames are the same, in the order of their first cell."""
    found: dict[Cell, list[int]] = {}
    for number, (perturbation, difficulty) in enumerate(cells):
        found.setdefault((perturbation, difficulty if is_noise(perturbation) else 1), []).append(number)
    return [FrameSet(*made, tuple(numbers)) for made, numbers in found.items()]


def sequences_at_once(settings: Settings, source: SequenceSource) -> int:
    """Number of sequences whose frames are made together."""
    frames = max(source.frames_of(name) for name in settings.corruptions)
    if (wanted := settings.request.batch_size) is not None:
        return max(1, wanted // frames)
    room = _ROOM.get(settings.device.type, _ROOM["cpu"])
    return max(1, room // (frames * source.size**2 * source.channels))


class SequenceBatch(NamedTuple):
    """The frames of some sequences, on the device."""

    of: FrameSet
    places: NDArray[np.int64]
    """``(n,)``, in the source; images that could be read."""
    frames: Tensor
    """``(n, frames, H, W, C)`` uint8."""


def compute_sequences(plan: EvalPlan, source: SequenceSource, networks: Sequence[Inference], work: Work) -> None:
    """Score this process's share of the sequences that any network lacks."""
    keeper, processes = work.keeper, work.processes
    sets = frame_sets(plan.cells)
    done = np.logical_and.reduce(keeper.done)
    # The frames of a set pass once for all its cells: one cell that lacks a sequence makes them needed.
    missing = share(np.stack([~done[list(one.cells)].all(0) for one in sets]), processes.rank, processes.size)
    size = sequences_at_once(plan.settings, source)
    blocks = plan_blocks(missing, size, image_major=source.image_major)
    with torch.inference_mode():
        batches = _stream(plan.settings, source, sets, blocks, work)
        for batch in work.trace.follow(batches, sum(len(block.cells) for block in blocks)):
            for subject, network in enumerate(networks):
                _score(plan.cells, batch, subject, network, work)
            work.fetch_if_due()
            if processes.is_stopped():
                break
        work.fetch(last=True)


def _score(cells: Sequence[Cell], batch: SequenceBatch, subject: int, network: Inference, work: Work) -> None:
    """Put the frames of a batch through a network, unless it has finished all their cells."""
    wanted = [~work.keeper.done[subject][cell][batch.places] for cell in batch.of.cells]
    if not any(one.any() for one in wanted):
        return
    top = rank_frames(network, batch.frames)
    with phase("score"):
        for cell, of_cell in zip((cells[number] for number in batch.of.cells), wanted, strict=True):
            if of_cell.any():
                work.arrivals.put(subject, cell, batch.places, of_cell, trial_scores(top, cell))


def rank_frames(network: Inference, frames: Tensor) -> Ranked:
    """Put frames ``(n, frames, H, W, C)`` through a network, and rank the classes of each."""
    # The same memory is ``(n * frames, C, H, W)`` in channels_last, as networks take it.
    logits = network.logits(frames.flatten(0, 1).permute(0, 3, 1, 2))
    with phase("score"):
        return ranked(logits.view(*frames.shape[:2], -1))


def _stream(
    settings: Settings, source: SequenceSource, sets: Sequence[FrameSet], blocks: Sequence[ImageBlock], work: Work
) -> Iterator[SequenceBatch]:
    """Yield the frames of all blocks. Images that cannot be read are noted, and have none."""
    tasks = [
        (reading, block.places, of)
        for block in blocks
        for reading, of in by_reading(source, [sets[number] for number in block.cells]).items()
    ]
    wanted = ((reading, places) for reading, places, _ in tasks)
    with closing(ordered_map(source.sequence_reader, wanted, settings.workers)) as found:
        for _, _, of in tasks:
            with phase("read"):
                read = next(found)
            work.keeper.leave_out(read.broken)
            for one in of if read.arrays else ():
                with phase("corrupt"):
                    made = made_together(source, read, one, settings.device)
                for places, frames in made:
                    yield SequenceBatch(one, places, frames)


def by_reading(source: SequenceSource, sets: Sequence[FrameSet]) -> dict[Cell, list[FrameSet]]:
    """Group frames by what is read for them."""
    found: dict[Cell, list[FrameSet]] = {}
    for one in sets:
        found.setdefault(source.reading(one.perturbation, one.difficulty), []).append(one)
    return found


def made_together(
    source: SequenceSource, read: ReadSequences, of: FrameSet, device: torch.device
) -> list[tuple[NDArray[np.int64], Tensor]]:
    """Return frames with their places, those of one size together; in halves, if the device's memory is too small."""
    try:
        return _joined(source.frames(read, of.perturbation, of.difficulty, device), device)
    except RuntimeError as error:
        if len(read.arrays) == 1 or not is_out_of_memory(error):
            raise
    free_memory(device)
    half = len(read.arrays) // 2
    parts = read.part(slice(half)), read.part(slice(half, None))
    return [one for part in parts for one in made_together(source, part, of, device)]


def _joined(
    made: Iterable[tuple[NDArray[np.int64], Any]], device: torch.device
) -> list[tuple[NDArray[np.int64], Tensor]]:
    found: dict[tuple[int, ...], list[tuple[NDArray[np.int64], Tensor]]] = {}
    for places, frames in made:
        there = frames if isinstance(frames, Tensor) else torch.from_numpy(np.ascontiguousarray(frames))
        found.setdefault(tuple(frames.shape[1:]), []).append((places, there))
    return [
        (np.concatenate([places for places, _ in parts]), to_device(torch.cat([frames for _, frames in parts]), device))
        for parts in found.values()
    ]
