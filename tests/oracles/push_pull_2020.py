"""The push-pull layer of 2020 by loops over every output and every kernel element, in double precision.

From Strisciuglio et al. 2020 and the description of their code; it shares no code with ppbench and uses no
convolution or interpolation of a library.
"""

from __future__ import annotations

import torch
from torch import Tensor


def enlarge_axis(kernel: Tensor, size: int) -> Tensor:
    """Linear interpolation of the last axis to ``size`` values; first and last value stay."""
    old = kernel.shape[-1]
    columns = []
    for new in range(size):
        place = new * (old - 1) / (size - 1)
        left = min(int(place), old - 1)
        right = min(left + 1, old - 1)
        weight = place - left
        columns.append((1 - weight) * kernel[..., left] + weight * kernel[..., right])
    return torch.stack(columns, -1)


def pull_size(side: int) -> int:
    """Twice the side; one more if the side is odd, so that the centres agree."""
    return 2 * side + 1 if side % 2 else 2 * side


def enlarge(kernel: Tensor) -> Tensor:
    """Bilinear: along the rows, then along the columns."""
    height, width = kernel.shape[-2:]
    wide = enlarge_axis(kernel, pull_size(width))
    return enlarge_axis(wide.transpose(-1, -2), pull_size(height)).transpose(-1, -2)


def correlate(
    x: Tensor, kernel: Tensor, stride: tuple[int, int], padding: tuple[int, int], dilation: tuple[int, int], groups: int
) -> Tensor:
    """Zero-padded correlation, one output value after another."""
    batch, _, height, width = x.shape
    outputs, per_group, kh, kw = kernel.shape
    rows = (height + 2 * padding[0] - dilation[0] * (kh - 1) - 1) // stride[0] + 1
    columns = (width + 2 * padding[1] - dilation[1] * (kw - 1) - 1) // stride[1] + 1
    framed = torch.zeros(batch, x.shape[1], height + 2 * padding[0], width + 2 * padding[1], dtype=x.dtype)
    framed[:, :, padding[0] : padding[0] + height, padding[1] : padding[1] + width] = x
    values = []
    for o in range(outputs):
        group = o // (outputs // groups)
        channels = framed[:, group * per_group : (group + 1) * per_group]
        for u in range(rows):
            for v in range(columns):
                top, left = u * stride[0], v * stride[1]
                window = channels[:, :, top : top + dilation[0] * (kh - 1) + 1 : dilation[0]]
                window = window[:, :, :, left : left + dilation[1] * (kw - 1) + 1 : dilation[1]]
                values.append((window * kernel[o]).sum((1, 2, 3)))
    return torch.stack(values, 1).view(batch, outputs, rows, columns)


def push_pull_2020(
    x: Tensor,
    weight: Tensor,
    inhibition: Tensor | float,
    bias: Tensor | None,
    *,
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
    groups: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """The output, and what each of the two rectifiers was given."""
    shift = torch.zeros(len(weight), dtype=x.dtype) if bias is None else bias
    kernel = -enlarge(weight)
    extra = [d * (big - small) // 2 for d, big, small in zip(dilation, kernel.shape[2:], weight.shape[2:], strict=True)]
    wider = (padding[0] + extra[0], padding[1] + extra[1])
    push = correlate(x, weight, stride, padding, dilation, groups) + shift.view(1, -1, 1, 1)
    pull = correlate(x, kernel, stride, wider, dilation, groups) - shift.view(1, -1, 1, 1)
    strength = torch.relu(inhibition).view(1, -1, 1, 1) if isinstance(inhibition, Tensor) else inhibition
    return torch.relu(push) - strength * torch.relu(pull), push, pull
