"""Whether the push-pull layer and the networks compute on the device what they compute on the CPU."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from ppbench.devices import computing, full_precision
from ppbench.models.pushpull import PushPullConv2d
from ppbench.models.resnet import create_model
from tools.gpu_check.context import Context
from tools.gpu_check.photographs import photographs


def layer(context: Context) -> Iterator[dict[str, Any]]:
    """Layers of several forms in float32, against two convolutions in float64 on the CPU; gradients as well."""
    forms = itertools.product((3, 7), (1, 2), (0, 3, 5), (False, True), (1, 4), (True, False))
    every = context.choose(9, 2, 1)
    for side, stride, mean, trainable, groups, rectified in itertools.islice(forms, 0, None, every):
        if not context.has_time():
            return
        torch.manual_seed(0)
        made = PushPullConv2d(
            4, 8, side, stride, padding=side // 2, groups=groups, avg_kernel_size=mean, inhibition=0.7,
            trainable_inhibition=trainable, rectified_push=rectified,
        )  # fmt: skip
        name = f"{side} x {side}, stride {stride}, mean {mean}, groups {groups}"
        name += f"{', trainable' if trainable else ''}{'' if rectified else ', push not rectified'}"
        yield {"name": name, **_layer_errors(context, made)}


def _layer_errors(context: Context, made: PushPullConv2d) -> dict[str, float]:
    x = torch.randn(2, 4, 33, 29, generator=torch.Generator().manual_seed(1))
    exact, wide = copy.deepcopy(made).double(), x.double().requires_grad_()
    reference = exact.by_two_convolutions(wide)
    weights = torch.randn(reference.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    (reference * weights).sum().backward()
    here = copy.deepcopy(made).to(context.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    given = x.to(context.device).to(memory_format=torch.channels_last).requires_grad_()
    with full_precision():
        trained = here(given)
        (trained * weights.float().to(context.device)).sum().backward()
        with torch.inference_mode():
            inferred = here(given.detach())
    pairs = {
        "forward": (inferred, reference), "forward_training": (trained, reference),
        "gradient_of_input": (given.grad, wide.grad), "gradient_of_weight": (here.weight.grad, exact.weight.grad),
    }  # fmt: skip
    errors = {name: _relative(found, wanted) for name, (found, wanted) in pairs.items()}
    return {**errors, "relative": max(errors.values())}


def _relative(found: Tensor | None, wanted: Tensor | None) -> float:
    assert found is not None
    assert wanted is not None
    wanted = wanted.detach()
    return float((found.detach().cpu().double() - wanted).norm() / wanted.norm())


def networks(context: Context) -> Iterator[dict[str, Any]]:
    """Logits in each precision, against float64 on the CPU; differences in standard deviations of the logits."""
    torch.manual_seed(0)
    count = context.choose(2, 8)
    names = (("resnet50", 224), ("resnet50-pp3", 224), ("resnet20-pp5", 32))
    for name, size in names[context.choose(2, 0) :]:
        if not context.has_time():
            return
        model = with_statistics(create_model(name).eval(), size)
        x = torch.from_numpy(photographs(count, size, size)).permute(0, 3, 1, 2).float().sub_(120).div_(60)
        with torch.inference_mode():
            reference = copy.deepcopy(model).double()(x.double())
            here = model.to(context.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
            given = x.to(context.device).to(memory_format=torch.channels_last)
            for precision in ("fp32", "tf32", "bf16") if context.is_card else ("fp32", "bf16"):
                with full_precision(), computing(precision, context.device):
                    logits = here(given).cpu().double()
                error = (logits - reference).abs() / reference.std()
                agree = int((logits.argmax(1) == reference.argmax(1)).sum())
                yield {
                    "name": f"{name}, {precision}", "precision": precision, "images": count,
                    "largest": float(error.max()), "mean": float(error.mean()), "same_class": agree,
                }  # fmt: skip


def with_statistics(model: nn.Module, size: int) -> nn.Module:
    """Give random weights the batch statistics of photographs, as training would: activations then keep their size."""
    images = torch.from_numpy(photographs(8, size, size, seed=3)).permute(0, 3, 1, 2).float().sub_(120).div_(60)
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = None
        norm.reset_running_stats()
    model.train()
    with torch.no_grad():
        model(images)
    return model.eval()
