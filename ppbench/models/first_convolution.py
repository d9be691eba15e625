"""The first convolution of a network: finding it, its padding, and putting another layer in its place."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.utils import _pair

from ppbench.errors import UsageError

PerAxis = tuple[int, int]
Padding = int | PerAxis | str
"""Zero padding as of `torch.nn.Conv2d`; ``"same"`` is defined for strides, too (`pad_same`)."""


def find_first_convolution(model: nn.Module, what: str) -> tuple[str, nn.Conv2d, Padding]:
    """The name, the module and the padding of the first convolution of ``model`` that ``what`` can stand in for.

    "First" is the order of ``model.named_modules()``, which for image classifiers is the stem. timm's ``Conv2dSame``,
    which pads at run time, has the padding ``"same"``.

    Raises:
        UsageError: If there is none inside the model, it is of another derived class, or it pads otherwise than
            with zeros.
    """
    found = next(((name, m) for name, m in model.named_modules() if isinstance(m, nn.Conv2d)), None)
    if found is None or not found[0]:
        raise UsageError(
            "the model has no Conv2d to replace", f"{what} replaces the first convolution inside a network."
        )
    return *found, padding_of(*found, what)


def padding_of(name: str, conv: nn.Conv2d, what: str) -> Padding:
    """The padding of a convolution that computes nothing but the convolution.

    Raises:
        UsageError: If it is of a class that may compute something else, or pads otherwise than with zeros.
    """
    if _is_timm_same(conv):
        return "same"
    if type(conv) is not nn.Conv2d:
        raise UsageError(
            f"convolution {name!r} is a {type(conv).__name__}, which may compute something else",
            f"{what} replaces a plain torch.nn.Conv2d, or timm's Conv2dSame.",
        )
    if conv.padding_mode != "zeros":
        raise UsageError(f"convolution {name!r} pads with {conv.padding_mode!r}", f"{what} knows zero padding only.")
    return conv.padding  # type: ignore[return-value]


def replace_first_convolution(
    model: nn.Module, kind: Callable[..., nn.Module], what: str, **settings: Any
) -> nn.Module:
    """Put a layer of the same geometry in the place of the first convolution, with its weight and bias.

    They stay the same objects, so an optimizer that has them keeps them.

    Args:
        model: Changed in place.
        kind: Makes the layer, called as `torch.nn.Conv2d` is, with ``settings``.
        what: The layer's name in messages.
        settings: What else ``kind`` takes.

    Returns:
        The same model.

    Raises:
        UsageError: If the model has such a layer already; also as `find_first_convolution`.
    """
    if any(type(module) is kind for module in model.modules()):
        raise UsageError("the model has a push-pull convolution already", "Start from the plain model.")
    name, conv, padding = find_first_convolution(model, what)
    geometry = (conv.in_channels, conv.out_channels, conv.kernel_size, conv.stride, padding, conv.dilation, conv.groups)
    own = {"device": conv.weight.device, "dtype": conv.weight.dtype}
    layer = kind(*geometry, conv.bias is not None, **settings, **own)
    layer.weight = conv.weight
    layer.bias = conv.bias  # type: ignore[assignment]
    replace_module(model, name, layer.train(conv.training))
    return model


def replace_module(model: nn.Module, name: str, module: nn.Module) -> None:
    """Put ``module`` in the place of the submodule ``name`` of ``model``."""
    parent, _, attribute = name.rpartition(".")
    setattr(model.get_submodule(parent), attribute, module)


def like_convolution(
    in_channels: int,
    out_channels: int,
    kernel_size: int | PerAxis,
    stride: int | PerAxis,
    padding: Padding,
    dilation: int | PerAxis,
    groups: int,
    bias: bool,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
) -> nn.Conv2d:
    """A convolution that has checked the geometry and drawn weight and bias; of it only the tensors are kept.

    ``"same"`` is passed over, since `torch.nn.Conv2d` has it for stride 1 only.
    """
    checked = 0 if padding == "same" else padding
    return nn.Conv2d(
        in_channels,
        out_channels,
        kernel_size,
        stride,
        checked,
        dilation,
        groups,
        bias,
        device=device,
        dtype=dtype,
    )


def per_axis(value: Any) -> PerAxis:
    """Two numbers from one for both axes, which may be of numpy or torch, or from two."""
    both: PerAxis = _pair(value.item() if getattr(value, "ndim", None) == 0 else value)
    return both


def pad_same(x: Tensor, kernel_size: PerAxis, stride: PerAxis, dilation: PerAxis) -> Tensor:
    """Pad with zeros so that a convolution gives ``ceil(size / stride)`` values along each axis.

    TensorFlow's rule (its guide to ``tf.nn``, "SAME"), which at stride 1 is that of `torch.nn.Conv2d`: an odd pixel
    goes below and to the right.

    Args:
        x: ``(…, H, W)``.
        kernel_size: Height and width of the kernel.
        stride: Of the convolution, down and across.
        dilation: Of the convolution, down and across.
    """
    pads: list[int] = []
    for size, k, s, d in reversed(list(zip(x.shape[-2:], kernel_size, stride, dilation, strict=True))):
        total = max(0, (math.ceil(size / s) - 1) * s + d * (k - 1) + 1 - size)
        pads += [total // 2, total - total // 2]
    return F.pad(x, pads) if any(pads) else x


def _is_timm_same(conv: nn.Conv2d) -> bool:
    """Told by name: importing timm to ask would take seconds, and it may not be there."""
    kind = type(conv)
    return kind.__name__ == "Conv2dSame" and kind.__module__.partition(".")[0] == "timm"
