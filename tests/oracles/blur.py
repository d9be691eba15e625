"""Blur and subsample by loops, and whole anti-aliased networks written out by hand; no code of ppbench is used."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def pascal(taps: int) -> list[int]:
    """A row of Pascal's triangle."""
    row = [1]
    while len(row) < taps:
        row = [1, *(a + b for a, b in pairwise(row)), 1]
    return row


def mirrored(place: int, size: int) -> int:
    """Where a place outside the image is found inside it, the border pixel itself not doubled."""
    if place < 0:
        return -place
    return 2 * (size - 1) - place if place >= size else place


def clipped(place: int, size: int) -> int:
    return min(max(place, 0), size - 1)


def blur(x: Tensor, taps: tuple[int, int], stride: tuple[int, int]) -> Tensor:
    """Binomial blur, then every ``stride``-th pixel; the frame is ``(taps - 1) // 2`` wide above and left."""
    height, width = x.shape[-2:]
    inside = mirrored if min(height, width) > max(taps) // 2 else clipped
    down, across = pascal(taps[0]), pascal(taps[1])
    total = torch.zeros_like(x[..., :: stride[0], :: stride[1]])
    for i, a in enumerate(down):
        rows = [inside(u + i - (taps[0] - 1) // 2, height) for u in range(0, height, stride[0])]
        for j, b in enumerate(across):
            columns = [inside(v + j - (taps[1] - 1) // 2, width) for v in range(0, width, stride[1])]
            total = total + a * b * x[..., rows, :][..., columns]
    return total / (sum(down) * sum(across))


def _blur2(x: Tensor, taps: int) -> Tensor:
    return blur(x, (taps, taps), (2, 2))


def _norm(state: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    """Batch norm in training mode, from the statistics of the batch."""
    mean, variance = x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), unbiased=False, keepdim=True)
    scaled = (x - mean) / torch.sqrt(variance + 1e-5)
    return scaled * state[f"{name}.weight"].view(1, -1, 1, 1) + state[f"{name}.bias"].view(1, -1, 1, 1)


def _shortcut(state: dict[str, Tensor], name: str, x: Tensor, kind: str, strided: bool) -> Tensor:
    """The image itself, or its 1x1 convolution where a block changes the number of channels or the size."""
    if f"{name}.downsample.0.weight" not in state:
        return x
    shortcut = F.conv2d(x, state[f"{name}.downsample.0.weight"])
    if strided:
        shortcut = _blur2(shortcut, 4 if kind == "blurpool" else 5)
    return _norm(state, f"{name}.downsample.1", shortcut)


def _basic_block(state: dict[str, Tensor], name: str, x: Tensor, kind: str, strided: bool) -> Tensor:
    """Two 3x3 convolutions and a shortcut, with the blur after the relu (Zhang) or the convolution."""
    out = F.conv2d(x, state[f"{name}.conv1.weight"], padding=1)
    if strided and kind == "blurafter":
        out = _blur2(out, 5)
    out = F.relu(_norm(state, f"{name}.bn1", out))
    if strided and kind == "blurpool":
        out = _blur2(out, 4)
    out = _norm(state, f"{name}.bn2", F.conv2d(out, state[f"{name}.conv2.weight"], padding=1))
    return F.relu(out + _shortcut(state, name, x, kind, strided))


def _bottleneck(state: dict[str, Tensor], name: str, x: Tensor, kind: str, strided: bool) -> Tensor:
    """1x1, 3x3 (with the stride), 1x1, and a shortcut."""
    out = F.relu(_norm(state, f"{name}.bn1", F.conv2d(x, state[f"{name}.conv1.weight"])))
    out = F.conv2d(out, state[f"{name}.conv2.weight"], padding=1)
    if strided and kind == "blurafter":
        out = _blur2(out, 5)
    out = F.relu(_norm(state, f"{name}.bn2", out))
    if strided and kind == "blurpool":
        out = _blur2(out, 4)
    out = _norm(state, f"{name}.bn3", F.conv2d(out, state[f"{name}.conv3.weight"]))
    return F.relu(out + _shortcut(state, name, x, kind, strided))


def resnet(state: dict[str, Tensor], x: Tensor, kind: str, blocks: tuple[int, ...], **_: Any) -> Tensor:
    """Logits of a ResNet in training mode whose strides are blurred as ``kind`` says: "blurpool" or "blurafter"."""
    large = state["conv1.weight"].shape[-1] == 7
    out = F.conv2d(x, state["conv1.weight"], state.get("conv1.bias"), padding=3 if large else 1)
    if large and kind == "blurafter":
        out = _blur2(out, 5)
    out = F.relu(_norm(state, "bn1", out))
    if large and kind == "blurpool":
        out = _blur2(F.max_pool2d(_blur2(out, 4), 2, 1), 4)
    elif large:
        out = F.max_pool2d(out, 3, 2, 1)
    for stage, count in enumerate(blocks, 1):
        for number in range(count):
            name = f"layer{stage}.{number}"
            block = _bottleneck if f"{name}.conv3.weight" in state else _basic_block
            out = block(state, name, out, kind, strided=stage > 1 and number == 0)
    return F.linear(out.mean((2, 3)), state["fc.weight"], state["fc.bias"])
