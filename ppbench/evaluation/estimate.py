"""Estimate of what an evaluation will take, from a short trial."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
import torch

from ppbench.data.sequences import SequenceSource
from ppbench.data.source import Source
from ppbench.devices import full_precision
from ppbench.evaluation.adaptation import ROUND
from ppbench.evaluation.feed import block_size, evenly_spread
from ppbench.evaluation.inference import Inference
from ppbench.evaluation.plan import EvalPlan
from ppbench.evaluation.sequences import by_reading, frame_sets, made_together
from ppbench.evaluation.settings import Settings
from ppbench.evaluation.subject import Subject
from ppbench.evaluation.transport import images_to_device, to_device
from ppbench.vocabulary import CLEAN, Cell

_START = 5.0
"""Seconds to start the worker processes and warm up."""


class EvalEstimate(NamedTuple):
    """What an evaluation will take."""

    images: int
    cells: int
    passes: int
    """Images through a network: images x cells x models, twice with ``--adapt``, K times with ``--passes K``; of
    sequences, all frames x models."""
    gigabytes: float
    """Read from files or arrays."""
    minutes: float
    processes: int


def estimate_evaluation(plan: EvalPlan, processes: int = 1) -> EvalEstimate:
    """Load, corrupt and classify a few images, and extrapolate.

    Args:
        plan: The evaluation.
        processes: Processes that share the work.
    """
    if plan.sequences is not None:
        return _estimate_sequences(plan, plan.sequences, processes)
    subjects, source, settings = plan.subjects, plan.source, plan.settings
    cells = plan.cells
    size = min(block_size(settings, source), len(source.ids))
    # Frames of a stream that follow each other share their corruptions, and are made together.
    places = np.arange(size) if source.stream else np.flatnonzero(evenly_spread(len(source.ids), size))
    with full_precision(), torch.inference_mode():
        loading, making = _time_images(source, cells, places, settings)
        forward = sum(_time_network(plan, subject, places) for subject in subjects)
    images, several = len(source.ids), 1
    reads = images if source.image_major else images * len(cells)
    repeated = settings.request.passes or 1
    if plan.adaptation is not None:  # two passes, over some cells at a time
        several = 2
        reads = 2 * (images * -(-len(cells) // ROUND) if source.image_major else reads)
    loaded = reads * loading / max(1, settings.workers)
    made = several * images * sum(making.values())
    seconds = max(loaded, 0.0) + made + several * repeated * images * len(cells) * forward
    return EvalEstimate(
        images=images,
        cells=len(cells),
        passes=several * repeated * images * len(cells) * len(subjects),
        gigabytes=reads * source.mean_bytes() / 1e9,
        minutes=(seconds / processes + _START) / 60,
        processes=processes,
    )


def _estimate_sequences(plan: EvalPlan, source: SequenceSource, processes: int) -> EvalEstimate:
    """Make the frames of a few images and classify some of them."""
    settings, sets, images = plan.settings, frame_sets(plan.cells), len(source.ids)
    places = np.flatnonzero(evenly_spread(images, 2))
    reading = making = forward = 0.0
    frames = None
    with full_precision(), torch.inference_mode():
        for what, of in by_reading(source, sets).items():
            clock = time.perf_counter()
            read = source.read(what, places)
            reading += (time.perf_counter() - clock) / len(places)
            for one in of if read.arrays else ():
                make = partial(made_together, source, read, one, settings.device)
                frames = make()[0][1]
                making += _seconds(make, settings) / len(places)
        for subject in plan.subjects:
            if frames is None:  # none of the images could be read
                break
            network = _network(plan, subject)
            classify = partial(network.logits, frames.flatten(0, 1)[: network.batch].permute(0, 3, 1, 2))
            classify()
            # A pass of fewer images is filled up.
            forward += _seconds(classify, settings) / network.batch
    of_image = sum(source.frames_of(one.perturbation) for one in sets)
    reads = images * len(by_reading(source, sets))
    seconds = images * (reading / max(1, settings.workers) + making + of_image * forward)
    return EvalEstimate(
        images=images,
        cells=len(plan.cells),
        passes=images * of_image * len(plan.subjects),
        gigabytes=reads * source.mean_bytes() / 1e9,
        minutes=(seconds / processes + _START) / 60,
        processes=processes,
    )


def _network(plan: EvalPlan, subject: Subject) -> Inference:
    request = plan.settings.request
    return Inference(
        subject, plan.settings.device, precision=request.precision, compiled=request.compiled, resize=request.resize
    )


def _time_images(
    source: Source, cells: list[Cell], places: np.ndarray, settings: Settings
) -> tuple[float, dict[Cell, float]]:
    """Return the seconds per image to load it, and to make each of its cells."""
    first = (CLEAN, 0) if source.image_major else cells[0]
    clock = time.perf_counter()
    pixels = source.load(*first, places).pixels
    loading = (time.perf_counter() - clock) / len(places)
    images = images_to_device(pixels, settings.device)
    making: dict[Cell, float] = {}
    for cell in cells if source.image_major else []:
        if cell[0] == CLEAN:
            continue
        # The first call may compile; severities of a corruption take about as long as each other.
        if (same := next((known for known in making if known[0] == cell[0]), None)) is not None:
            making[cell] = making[same]
            continue
        source.corrupt(images[:1], cell[0], cell[1], places[:1])
        making[cell] = _seconds(partial(source.corrupt, images, cell[0], cell[1], places), settings) / len(places)
    return loading, making


def _time_network(plan: EvalPlan, subject: Subject, places: np.ndarray) -> float:
    """Return the seconds per image to classify it."""
    source, settings, network = plan.source, plan.settings, _network(plan, subject)
    first = (CLEAN, 0) if source.has_clean else plan.cells[0]
    images = images_to_device(source.load(*first, places).pixels, settings.device).permute(0, 3, 1, 2)
    labels = to_device(torch.from_numpy(source.labels[places]), settings.device)
    network.score(images, labels)
    return _seconds(lambda: network.score(images, labels), settings) / len(places)


def _seconds(work: Callable[[], object], settings: Settings) -> float:
    """Time some work twice, and return the shorter time: the first call may warm up caches."""
    times = []
    for _ in range(2):
        clock = time.perf_counter()
        work()
        if settings.device.type == "cuda":
            torch.cuda.synchronize(settings.device)
        times.append(time.perf_counter() - clock)
    return min(times)
