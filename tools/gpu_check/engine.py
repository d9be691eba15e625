"""How fast corruptions are made on the device, with and without compiled graphs, and the pixels of the graphs."""

from __future__ import annotations

import json
import math
import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ppbench.corruptions.apply import corrupt
from ppbench.corruptions.fused import graphs
from ppbench.vocabulary import C15, C19, SEVERITIES
from tools.gpu_check.context import Context, rate
from tools.gpu_check.equality import difference
from tools.gpu_check.photographs import photographs

MAIN_BATCH = 256
"""Images per batch at which the goals hold: that of an evaluation on a GPU."""

DEFINITIONS, COMPILED = "definitions", "compiled"
"""With Triton's kernels and otherwise as they are defined; and as an evaluation of many images makes them."""

as_evaluated = partial(graphs.enabled, "where possible")
"""The context in which an evaluation of many images makes them."""

_WAYS: dict[str, Callable[[], AbstractContextManager[None]]] = {DEFINITIONS: nullcontext, COMPILED: as_evaluated}


def engine(context: Context) -> Iterator[dict[str, Any]]:
    """Images per second of each corruption at 224 px, all five severities, on images that lie on the device.

    A batch's work is queued while the device computes the one before, as in an evaluation; ids are given, as there.
    `share_of_bandwidth` compares with a copy of as many bytes as the images have, read once and written once. All are
    measured without graphs first, which takes no compiling.
    """
    bandwidth = copied_bytes_per_second(context)
    yield {"name": "bandwidth", "bytes_per_second": bandwidth}
    main = context.choose(4, MAIN_BATCH)
    yield from _measured(context, DEFINITIONS, main, C19, bandwidth)
    yield from _measured(context, COMPILED, main, context.choose(("brightness",), C19), bandwidth)
    for batch in context.choose((), (), (1024, 64, 512, 128)):
        yield from _measured(context, COMPILED, batch, C19, bandwidth)


def _measured(
    context: Context, way: str, batch: int, names: tuple[str, ...], bandwidth: float
) -> Iterator[dict[str, Any]]:
    is_main = batch == context.choose(4, MAIN_BATCH)
    images = batch_of(context, batch, context.choose(32, 224))
    ids, rates = [f"photograph {number}" for number in range(batch)], {}
    for name in names:
        if not context.has_time(5 if way == COMPILED and context.is_card else 0):
            return
        with warnings.catch_warnings(record=True) as said:  # such as that a graph cannot be compiled here
            warnings.simplefilter("always")
            seen = _compiled_pixels(context, name) if way == COMPILED and is_main else {}
            with _WAYS[way]():
                work = partial(_all_severities, images, name, ids)
                found = rate(batch * len(SEVERITIES), context.times(work, warm=1, repeats=5, most=0.4))
        rates[name] = found["rate"]
        yield {
            "name": name, "way": way, "batch": batch, "is_main": is_main, **found, **seen,
            "share_of_bandwidth": found["rate"] * 2 * images[0].numel() / bandwidth,
            **({"warnings": [str(one.message) for one in said]} if said else {}),
        }  # fmt: skip
    if all(name in rates for name in C15):
        common = [rates[name] for name in C15]
        yield {
            "name": f"the 15, {way}, batch {batch}", "batch": batch, "median": statistics.median(common),
            "geometric_mean": statistics.geometric_mean(common), "lowest": min(common),
            "bandwidth_limit": bandwidth / (2 * images[0].numel()), "left_out": graphs.left_out(),
        }  # fmt: skip
    del images
    context.tidy()


def _compiled_pixels(context: Context, name: str) -> dict[str, Any]:
    """How graphs' pixels differ from the CPU's; seconds of the first severity, which compiles, and of the others."""
    pixels = photographs(context.choose(1, 2), context.choose(32, 224), context.choose(32, 224))
    images, ids = torch.from_numpy(pixels).to(context.device).permute(0, 3, 1, 2), ["a", "b"][: len(pixels)]
    made, seconds = [], []
    with as_evaluated():
        for severity in SEVERITIES:
            clock = time.perf_counter()
            made.append(corrupt(images, name, severity, ids=ids))
            context.wait()
            seconds.append(time.perf_counter() - clock)
    reference = np.stack([corrupt(pixels, name, severity, ids=ids) for severity in SEVERITIES])
    _note_seconds(context, seconds[0])
    return {
        **difference(torch.stack(made).permute(0, 1, 3, 4, 2), reference), "first_seconds": round(seconds[0], 2),
        "other_seconds": round(max(seconds[1:]), 2),
    }  # fmt: skip


def _note_seconds(context: Context, more: float) -> None:
    """Add to the time that compiling took in this process, for `seconds_to_compile`."""
    file = context.folder / "seconds-to-compile.json"
    file.write_text(json.dumps(seconds_to_compile(context) + more))


def seconds_to_compile(context: Context) -> float:
    """How long it took to compile the graphs that an evaluation in this process finds ready."""
    file = context.folder / "seconds-to-compile.json"
    return float(json.loads(file.read_text())) if file.exists() else 0.0


def _all_severities(images: Tensor, name: str, ids: list[str]) -> None:
    for severity in SEVERITIES:
        corrupt(images, name, severity, ids=ids)


def batch_of(context: Context, count: int, side: int) -> Tensor:
    """Images on the device, uint8 ``(n, 3, side, side)`` in channels_last."""
    some = torch.from_numpy(photographs(min(count, 16), side, side)).to(context.device)
    return some.repeat(math.ceil(count / len(some)), 1, 1, 1)[:count].permute(0, 3, 1, 2)


def copied_bytes_per_second(context: Context) -> float:
    """Bytes read and written per second by a copy on the device that is larger than its caches."""
    source = torch.randint(256, (context.choose(2**24, 2**31),), dtype=torch.uint8, device=context.device)
    target = torch.empty_like(source)
    times = context.times(lambda: target.copy_(source), warm=3, repeats=20)
    return 2 * source.numel() / statistics.median(times)
