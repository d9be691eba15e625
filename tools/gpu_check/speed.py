"""How fast networks are on the device."""

from __future__ import annotations

import copy
import statistics
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

from ppbench.devices import computing, full_precision
from ppbench.models.resnet import create_model
from tools.gpu_check.context import Context, rate
from tools.gpu_check.engine import MAIN_BATCH, batch_of


class Passes:
    """Forward passes of a network on one batch that lies on the device as the network takes it."""

    def __init__(self, context: Context, model: nn.Module, precision: str, layout: torch.memory_format, batch: int):
        self._context, self._precision = context, precision
        self._model = copy.deepcopy(model).to(context.device, memory_format=layout)  # type: ignore[call-overload]
        side = context.choose(32, 224)
        pixels = batch_of(context, batch, side).float().sub_(120).div_(60)
        self.images = pixels.contiguous(memory_format=layout)

    def compiled(self, **options: Any) -> Passes:
        """The same with a compiled network."""
        self._model = torch.compile(self._model, **options)  # type: ignore[assignment]
        return self

    def __call__(self) -> Tensor:
        with ExitStack() as stack:
            stack.enter_context(torch.inference_mode())
            stack.enter_context(full_precision())
            stack.enter_context(computing(self._precision, self._context.device))
            return self._model(self.images)  # type: ignore[no-any-return]

    def captured(self) -> Callable[[], None]:
        """The same as one CUDA graph."""
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                self()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self()

        def replay(needed: Passes = self) -> None:  # the graph reads the network and the images where they lie
            graph.replay()

        return replay


LAYOUTS = {"channels_last": torch.channels_last, "NCHW": torch.contiguous_format}


def forward(context: Context) -> Iterator[dict[str, Any]]:
    """Forward passes of ResNet-50 without compiling: precisions, layouts, sizes of batches, one CUDA graph."""
    torch.manual_seed(0)
    model = create_model(context.choose("resnet20", "resnet50")).eval()
    batch = context.choose(2, MAIN_BATCH)
    precisions = ("bf16", "tf32", "fp32", "fp16") if context.is_card else ("fp32",)
    forms = [(precision, "channels_last", batch) for precision in precisions]
    forms += [(precision, "NCHW", batch) for precision in precisions[:3]]
    forms += [("bf16", "channels_last", other) for other in (64, 128, 512, 1024) if context.is_card]
    for precision, layout, size in forms:
        if not context.has_time():
            return
        yield _passed(context, Passes(context, model, precision, LAYOUTS[layout], size), precision, layout, size)
    if context.is_card and context.has_time():
        graph = Passes(context, model, "bf16", torch.channels_last, batch).captured()
        yield _passed(context, graph, "bf16", "channels_last, CUDA graph", batch)


def forward_compiled(context: Context) -> Iterator[dict[str, Any]]:
    """The same through torch.compile, which takes a minute or more."""
    torch.manual_seed(0)
    model = create_model("resnet50").eval()
    for mode in ("default", "reduce-overhead"):
        if not context.has_time(20):
            return
        passes = Passes(context, model, "bf16", torch.channels_last, MAIN_BATCH).compiled(mode=mode)
        first = context.seconds(passes)
        row = _passed(context, passes, "bf16", f"channels_last, compiled ({mode})", MAIN_BATCH)
        yield {**row, "seconds_to_compile": round(first, 1)}


def _passed(
    context: Context, work: Callable[[], object], precision: str, layout: str, batch: int
) -> dict[str, Any]:  # fmt: skip
    found = rate(batch, context.times(work, warm=3, repeats=15, most=2.0))
    context.tidy()
    return {"name": f"{precision}, {layout}, batch {batch}", "precision": precision, "batch": batch, **found}


def push_pull(context: Context) -> Iterator[dict[str, Any]]:
    """ResNet-50 with a push-pull stem against the plain one, in turn: inference, then a whole step of SGD."""
    names = context.choose(("resnet20", "resnet20-pp3"), ("resnet50", "resnet50-pp3"))
    works = {"inference": _inference, "training step": _training_step}
    for precision in ("bf16", "tf32") if context.is_card else ("fp32",):
        for work, maker in works.items():
            if not context.has_time():
                return
            batch = context.choose(2, {"inference": MAIN_BATCH, "training step": 128}[work])
            torch.manual_seed(0)
            pair = {name: maker(context, create_model(name), precision, batch) for name in names}
            times = context.in_turn(pair, context.choose(2, 21), warm=context.choose(1, 4))
            ratios = [b / a for a, b in zip(*(times[name] for name in names), strict=True)]
            yield {
                "name": f"{work}, {precision}, batch {batch}", "work": work, "precision": precision,
                "ratio": statistics.median(ratios), "lowest": min(ratios), "highest": max(ratios),
                "plain_ms": 1000 * statistics.median(times[names[0]]),
                "push_pull_ms": 1000 * statistics.median(times[names[1]]),
            }  # fmt: skip
            del pair
            context.tidy()


def _inference(context: Context, model: nn.Module, precision: str, batch: int) -> Callable[[], object]:
    return Passes(context, model.eval(), precision, torch.channels_last, batch)


def _training_step(context: Context, model: nn.Module, precision: str, batch: int) -> Callable[[], object]:
    here = model.train().to(context.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.SGD(here.parameters(), lr=1e-3, momentum=0.9)
    images = batch_of(context, batch, context.choose(32, 224)).float().sub_(120).div_(60)
    labels = torch.arange(batch, device=context.device)

    def step() -> None:
        with full_precision():
            optimizer.zero_grad()
            with computing(precision, context.device):
                loss = nn.functional.cross_entropy(here(images), labels)
            loss.backward()
            optimizer.step()

    return step
