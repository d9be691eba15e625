"""Geometry, parameters and padding, as shared by the layers that replace a convolution."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.utils import _pair

PerAxis = tuple[int, int]
Padding = int | PerAxis | str
"""Zero padding as in `torch.nn.Conv2d`; ``"same"`` is also defined for strides (`pad_same`)."""


class ConvolutionLike(nn.Module):
    """A layer with the geometry and the parameters of a `torch.nn.Conv2d`, which draws the initial values."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | PerAxis,
        stride: int | PerAxis,
        padding: Padding,
        dilation: int | PerAxis,
        groups: int,
        bias: bool,
        device: torch.device | str | None,
        dtype: torch.dtype | None,
    ) -> None:
        super().__init__()
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size, self.stride, self.dilation = (per_axis(p) for p in (kernel_size, stride, dilation))
        self.padding: PerAxis | str = padding if isinstance(padding, str) else per_axis(padding)
        # A throw-away Conv2d checks the geometry and draws the parameters. It knows "same" for stride 1 only, hence 0.
        like = nn.Conv2d(
            in_channels, out_channels, self.kernel_size, self.stride, 0 if self.padding == "same" else self.padding,
            self.dilation, groups, bias, device=device, dtype=dtype,
        )  # fmt: skip
        self.weight, self.bias = like.weight, like.bias

    def extra_repr(self) -> str:
        """The geometry, as `torch.nn.Conv2d` prints its own."""
        return (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}, "
            f"padding={self.padding}, dilation={self.dilation}, groups={self.groups}, bias={self.bias is not None}"
        )


def per_axis(value: Any) -> PerAxis:
    """Return two numbers, given two, or one (also of numpy or torch) for both axes."""
    both: PerAxis = _pair(value.item() if getattr(value, "ndim", None) == 0 else value)
    return both


def pad_same(x: Tensor, kernel_size: PerAxis, stride: PerAxis, dilation: PerAxis) -> Tensor:
    """Pad with zeros so that a convolution gives ``ceil(size / stride)`` values along each axis.

    This is TensorFlow's rule (its guide to ``tf.nn``, "SAME"), which equals `torch.nn.Conv2d`'s at stride 1. An odd
    pixel goes below and to the right.

    Args:
        x: ``(…, H, W)``.
        kernel_size: Height and width of the kernel.
        stride: Stride of the convolution, down and across.
        dilation: Dilation of the convolution, down and across.
    """
    pads: list[int] = []
    # `F.pad` takes the last axis first.
    for size, k, s, d in reversed(list(zip(x.shape[-2:], kernel_size, stride, dilation, strict=True))):
        total = max(0, (math.ceil(size / s) - 1) * s + d * (k - 1) + 1 - size)
        pads += [total // 2, total - total // 2]
    return F.pad(x, pads) if any(pads) else x
