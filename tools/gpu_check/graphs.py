"""The corruptions as compiled graphs: their pixels, their speed, and whether severities share one compilation."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import torch

from ppbench.corruptions.apply import corrupt
from ppbench.corruptions.fused import graphs as compiling
from ppbench.vocabulary import C19, SEVERITIES
from tools.gpu_check.context import Context, rate
from tools.gpu_check.equality import difference
from tools.gpu_check.photographs import photographs
from tools.gpu_check.speed import MAIN_BATCH, _all_severities, batch_of


def graphs(context: Context) -> Iterator[dict[str, Any]]:
    """Each corruption compiled: pixels against the CPU's, seconds of the first severity and of the others, speed."""
    count, side = context.choose((1, 32), (6, 224))
    pixels, ids = photographs(count, side, side), [f"photograph {number}" for number in range(count)]
    images = torch.from_numpy(pixels).to(context.device).permute(0, 3, 1, 2)
    many = batch_of(context, context.choose(2, MAIN_BATCH), side)
    all_ids = [f"photograph {number}" for number in range(len(many))]
    for name in context.choose(("brightness",), C19):
        if not context.has_time(context.choose(0, 8)):
            return
        reference = np.stack([corrupt(pixels, name, s, ids=ids) for s in SEVERITIES])
        made, seconds = [], []
        with compiling.enabled():
            for severity in SEVERITIES:
                clock = time.perf_counter()
                made.append(corrupt(images, name, severity, ids=ids))
                context.wait()
                seconds.append(time.perf_counter() - clock)
            work = partial(_all_severities, many, name, all_ids)
            speed = rate(len(many) * len(SEVERITIES), context.times(work, repeats=5, most=0.5))
        yield {
            "name": name, **difference(torch.stack(made).permute(0, 1, 3, 4, 2), reference), **speed,
            "first_seconds": round(seconds[0], 2), "other_seconds": round(max(seconds[1:]), 2),
        }  # fmt: skip
