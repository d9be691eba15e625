"""Whole evaluations against the network's own forward passes, and the reading of JPEGs."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

import ppbench
from ppbench.evaluation import compiling
from ppbench.evaluation.nvjpeg import GpuDecoder
from ppbench.evaluation.plan import prepare
from ppbench.evaluation.request import EvalRequest
from ppbench.evaluation.subject import imagenet_classes
from ppbench.models.card import IMAGENET_MEAN, IMAGENET_STD, Card
from ppbench.models.load import LoadedModel
from ppbench.models.loaded import Checkpoint
from ppbench.models.resnet import create_model
from ppbench.pool import ordered_map, usable_cores
from ppbench.vocabulary import CLEAN
from tools.gpu_check.context import Context, rate
from tools.gpu_check.engine import MAIN_BATCH, seconds_to_compile
from tools.gpu_check.photographs import write_folder
from tools.gpu_check.speed import Passes

CELLS = 76
IMAGENET = 50_000
"""Images of the validation set, each in `CELLS` cells."""


def resnet50() -> Checkpoint:
    """With random weights, which cost as much as trained ones."""
    torch.manual_seed(0)
    card = Card(
        architecture="resnet50", num_classes=1000, input_size=224, resize=256, mean=IMAGENET_MEAN, std=IMAGENET_STD
    )
    return Checkpoint(create_model("resnet50").eval(), card)


def small() -> Checkpoint:
    """A network that costs little, for a quick run."""
    torch.manual_seed(0)
    card = Card(architecture="resnet20", num_classes=3, input_size=32, mean=IMAGENET_MEAN, std=IMAGENET_STD)
    return Checkpoint(create_model("resnet20", 3).eval(), card)


def photographs_of(context: Context) -> int:
    """How many photographs `folder_of` has."""
    return context.choose(9, 768)


def folder_of(context: Context) -> Path:
    """A folder of photographs in classes, as ImageNet's; made once for all parts."""
    classes = list(imagenet_classes())[: context.choose(3, 256)]
    return write_folder(context.folder / "val", photographs_of(context), classes)


@contextmanager
def as_of_many_images() -> Iterator[None]:
    """Let an evaluation make its images as that of all 50,000 would: by compiled graphs on a GPU."""
    before, compiling.MANY_PIXELS = compiling.MANY_PIXELS, 0
    try:
        yield
    finally:
        compiling.MANY_PIXELS = before


def evaluating(context: Context, **more: Any) -> tuple[Checkpoint, Callable[..., object]]:
    """A network, and a function that evaluates it on the photographs in the precision of the goals."""
    model = context.choose(small, resnet50)()
    dataset, workers = context.choose("imagefolder", "imagenet-c"), None if context.is_card else 0
    data, precision = folder_of(context), precision_of(context)

    def work(**given: Any) -> object:
        with as_of_many_images():
            return ppbench.evaluate(
                model, dataset, data=data, device=context.device.type, precision=precision, workers=workers,
                force=True, **more, **given,
            )  # fmt: skip

    return model, work


def precision_of(context: Context) -> str:
    """The precision of the goals."""
    return "bf16" if context.is_card else "fp32"


def evaluation(context: Context) -> Iterator[dict[str, Any]]:
    """ResNet-50 on JPEGs that are corrupted on the fly, clean and 15 x 5 cells, from files to the run file."""
    yield from _evaluated(context, compiled=False)


def evaluation_compiled(context: Context) -> Iterator[dict[str, Any]]:
    """The same with ``--compile``, against compiled forward passes."""
    yield from _evaluated(context, compiled=True)


def _evaluated(context: Context, *, compiled: bool) -> Iterator[dict[str, Any]]:
    """Evaluate few images and many: the difference is the rate of a long evaluation, without start and end."""
    few, many = context.choose(3, 256), photographs_of(context)
    batch, cells = (MAIN_BATCH if context.is_card else 4), context.choose(2, CELLS)
    model, work = evaluating(
        context, compiled=compiled, output=context.folder / "whole.json", fresh=True, overwrite=True,
        corruptions=context.choose(["fog"], None), severities=context.choose("3", "1-5"),
    )  # fmt: skip
    first = context.seconds(partial(work, limit=few))
    # What an earlier part of the check has compiled would be compiled here.
    compiling_took = seconds_to_compile(context)
    yield {
        "name": "the first of the process", "images": few * cells, "seconds": first, "compiling": compiling_took,
    }  # fmt: skip
    first += compiling_took
    passes = Passes(context, model.model, precision_of(context), torch.channels_last, batch)
    if compiled:
        passes.compiled(mode="reduce-overhead")  # CUDA graphs, as in the evaluation
    passes()
    count = -(-(many - few) * cells // batch)
    works = {
        "few": partial(work, limit=few), "many": work, "forward": lambda: [passes() for _ in range(count)],
    }  # fmt: skip
    times: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(context.choose(1, 4)):
        if turn and not context.has_time(1.2 * sum(each[-1] for each in times.values())):
            return
        for name in list(works) if turn % 2 else list(reversed(works)):
            times[name].append(context.seconds(works[name]))
        yield _rates(times, first, few * cells, many * cells, count * batch, is_quick=context.quick)


def _rates(
    times: dict[str, list[float]], first: float, few: int, many: int, passed: int, *, is_quick: bool
) -> dict[str, Any]:
    """What the rounds up to now say. A later row replaces the earlier ones, which are kept in case none comes."""
    seconds = {name: statistics.median(each) for name, each in times.items()}
    rate = (many - few) / max(seconds["many"] - seconds["few"], 1e-9)
    forward = passed / seconds["forward"]
    found = {
        "name": f"{len(times['few'])} rounds", "images": many - few, "evaluation_rate": rate, "forward_rate": forward,
        "seconds": {name: [round(value, 3) for value in each] for name, each in times.items()},
    }  # fmt: skip
    # A quick run has too few images for a rate, and other networks.
    return found if is_quick else {**found, "ratio": rate / forward, **projected(rate, first, seconds["few"], few)}


def projected(rate: float, first: float, again: float, images: int) -> dict[str, float]:
    """Minutes for 50,000 images in 76 cells, in a process that has evaluated before ("warm") and in a fresh one.

    Args:
        rate: Images per second of a long evaluation, reading included.
        first: Seconds of the process's first evaluation.
        again: Seconds of the same once more.
        images: Images of these two, in all cells.
    """
    fixed = max(0.0, again - images / rate)
    warm = IMAGENET * CELLS / rate + fixed
    return {"warm_minutes": warm / 60, "cold_minutes": (warm + max(0.0, first - again)) / 60, "fixed_seconds": fixed}


def decode(context: Context) -> Iterator[dict[str, Any]]:
    """JPEGs of 500 x 375 px read, decoded and cut per second, in this process and in workers."""
    model = context.choose(small, resnet50)()
    subject = LoadedModel(model.card.architecture, model.model, model.card)
    dataset = context.choose("imagefolder", "imagenet-c")
    request = EvalRequest.of(models=[subject], dataset=dataset, data=folder_of(context), device="cpu")
    source = prepare(request).source
    block = context.choose(3, 16)
    places = [np.arange(first, first + block) for first in range(0, photographs_of(context), block)]
    for workers in context.choose((0,), (0, *sorted({4, usable_cores()}))):
        if not context.has_time():
            return
        # Enough for each worker to read many times; the first results come when the processes have started.
        tasks, first = (places * context.choose(1, 6), 2 * workers) if workers else (places[:8], 1)
        with closing(ordered_map(source.reader, ((CLEAN, 0, each) for each in tasks), workers)) as loaded:
            for _ in range(first):
                next(loaded)
            clock = time.perf_counter()
            read = sum(len(each[0]) for each in loaded)
            seconds = time.perf_counter() - clock
        yield {
            "name": f"{workers} workers" if workers else "this process", "workers": workers, "images": read,
            "rate": read / seconds, "minutes_of_imagenet": IMAGENET * seconds / read / 60,
        }  # fmt: skip
    if context.is_card and context.has_time():
        yield {"name": "nvJPEG (--decode cuda)", **_decoded_on_the_card(context, source)}


def _decoded_on_the_card(context: Context, source: Any) -> dict[str, Any]:
    """The decoding and cutting of 256 files that lie in memory."""
    decoder, read = GpuDecoder(source.encoded_cut, context.device), source.encoded_reader()
    files = read(CLEAN, 0, np.arange(MAIN_BATCH))
    found = rate(MAIN_BATCH, context.times(lambda: decoder.decode(files), warm=1, repeats=5))
    return {**found, "images": MAIN_BATCH, "minutes_of_imagenet": IMAGENET / found["rate"] / 60}
