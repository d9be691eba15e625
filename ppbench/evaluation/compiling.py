"""Whether an evaluation makes its images by compiled graphs: on a GPU, with --compile or if there are many."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Literal

from ppbench.data.sequences import SequenceSource
from ppbench.data.source import Source
from ppbench.evaluation.plan import EvalPlan
from ppbench.evaluation.processes import Processes
from ppbench.evaluation.settings import Settings

MANY_PIXELS = 2e9
"""Pixels of each corruption's images from which on they are compiled: 8,000 photographs of 224 x 224 px in five
severities. Compiling takes seconds to a minute for each corruption, once on a machine. No GPU was at hand to measure
from where on it pays."""


def with_graphs(plan: EvalPlan, processes: Processes, say: Callable[[str], None]) -> EvalPlan:
    """Decide whether the images of a plan are made by compiled graphs although nobody asked; say so in one line.

    It depends on the plan alone and on whether torch can compile here, not on what is finished: the parts of an
    interrupted evaluation are made alike.

    Args:
        plan: What will be evaluated.
        processes: Processes that share the work; they do the same.
        say: Called with the line.
    """
    if not _has_many(plan):
        return plan
    # Only here, because it imports torch's compiler.
    from ppbench.corruptions.fused import graphs

    device = plan.settings.device
    reasons = [reason for reason in processes.gather(graphs.why_not(device)) if reason is not None]
    if reasons:
        say(f"corruptions: not compiled ({reasons[0]}); they take longer")
        return plan
    say(f"corruptions: compiled for {device} at their first use, which takes seconds to a minute each")
    return replace(plan, settings=replace(plan.settings, graphs=True))


def _has_many(plan: EvalPlan) -> bool:
    settings, source = plan.settings, plan.source
    if settings.device.type != "cuda" or settings.request.compiled or plan.sequences or not source.image_major:
        return False
    pixels = len(source.ids) * source.size**2 * len(settings.severities)
    return pixels >= MANY_PIXELS


def compiled_corruptions(settings: Settings, source: Source) -> AbstractContextManager[None]:
    """Enable compiled graphs where this run uses them. Frames of sequences never come from them.

    A journal knows the kind of device and whether its run was compiled, so the parts of a run are made alike.
    """
    if not _are_compiled(settings, source):
        return nullcontext()
    from ppbench.corruptions.fused import graphs

    return graphs.enabled("compiled" if settings.request.compiled else "where possible")


def compiled_part(settings: Settings, source: Source) -> Literal["all", "some"] | None:
    """How many corruptions went through graphs, for the record; None: none."""
    if not source.image_major or not _are_compiled(settings, source):
        return None
    from ppbench.corruptions.fused import graphs

    return "some" if graphs.left_out() else "all"


def _are_compiled(settings: Settings, source: Source) -> bool:
    is_wanted = settings.request.compiled or settings.graphs
    return settings.device.type == "cuda" and is_wanted and not isinstance(source, SequenceSource)
