"""The push-pull convolution by its plain definition: two full convolutions, nothing saved, nothing rearranged.

From the formulas of Bennabhaktula et al., ICPR 2024 (arXiv 2408.04077), section 3; it shares no code with ppbench.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class Parts(NamedTuple):
    """The output and what each of the two rectifiers was given, all ``(N, out_channels, H', W')``."""

    output: Tensor
    push_input: Tensor
    pull_input: Tensor


def pull_kernel(push_kernel: Tensor) -> Tensor:
    """``-W + (max W + min W)`` for each filter over its whole volume."""
    largest = torch.amax(push_kernel, dim=(1, 2, 3), keepdim=True)
    smallest = torch.amin(push_kernel, dim=(1, 2, 3), keepdim=True)
    return -push_kernel + (largest + smallest)


def push_pull(
    x: Tensor,
    weight: Tensor,
    inhibition: Tensor | float,
    bias: Tensor | None,
    *,
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int] = (0, 0),
    dilation: tuple[int, int] = (1, 1),
    groups: int = 1,
    avg_kernel_size: int = 3,
) -> Parts:
    """``relu(conv(x, W)) - inhibition * relu(avgpool(conv(x, P))) + bias`` in the dtype of ``x``."""
    push_input = F.conv2d(x, weight, None, stride, padding, dilation, groups)
    pull_input = F.conv2d(x, pull_kernel(weight), None, stride, padding, dilation, groups)
    if avg_kernel_size:
        k = avg_kernel_size
        pull_input = F.avg_pool2d(pull_input, k, stride=1, padding=(k - 1) // 2, count_include_pad=False)
    strength = inhibition.view(1, -1, 1, 1) if isinstance(inhibition, Tensor) else inhibition
    output = torch.relu(push_input) - strength * torch.relu(pull_input)
    if bias is not None:
        output = output + bias.view(1, -1, 1, 1)
    return Parts(output, push_input, pull_input)
