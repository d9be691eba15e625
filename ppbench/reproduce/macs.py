"""Multiply-accumulates of ppbench's networks, from their shapes alone. Free of torch."""

from __future__ import annotations

from collections.abc import Iterator

from ppbench.models.shapes import SMALL_RESNETS, parse_model_name

BASIC = {"resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3)}
"""Blocks of two 3x3 convolutions per stage: He et al., CVPR 2016, table 1."""

BOTTLENECK = {
    "resnet50": ((3, 4, 6, 3), 1, 64),
    "resnet101": ((3, 4, 23, 3), 1, 64),
    "resnet152": ((3, 8, 36, 3), 1, 64),
    "resnext50_32x4d": ((3, 4, 6, 3), 32, 4),
    "resnext101_32x8d": ((3, 4, 23, 3), 32, 8),
}
"""Blocks of 1x1, 3x3 and 1x1 convolutions per stage, groups, and width per group at 64 channels (Xie et al., 2017)."""


def macs(model: str, size: int, *, in_channels: int = 3, num_classes: int = 1000) -> int:
    """Multiply-accumulates of the convolutions and the last layer for one image.

    Of the plain network: what a push-pull stem adds (a sum over windows and means, no second convolution) or blurs, and
    batch norms, are left out.

    Args:
        model: Name for `ppbench.create_model`.
        size: Side of the square image, in pixels.
        in_channels: 3 for colour, 1 for grey images.
        num_classes: Outputs.

    Raises:
        UsageError: If there is no such network.
    """
    architecture = parse_model_name(model)
    small = architecture.network in SMALL_RESNETS
    kernel, stride, channels = (7, 2, 64) if architecture.stem == "imagenet" else (3, 1, 16 if small else 64)
    side = _half(size) if stride == 2 else size
    total = side * side * kernel * kernel * in_channels * channels
    if stride == 2:
        side = _half(side)  # the max-pooling after the stem
    inputs = channels
    for blocks, width in _stages(architecture.network):
        for number in range(blocks):
            halved = number == 0 and width != channels
            after = _half(side) if halved else side
            cost, outputs = _block(architecture.network, inputs, width, side, after)
            total, inputs, side = total + cost, outputs, after
    return total + inputs * num_classes


def _stages(network: str) -> Iterator[tuple[int, int]]:
    """Blocks and channels of each stage."""
    if network in SMALL_RESNETS:
        yield from ((SMALL_RESNETS[network], width) for width in (16, 32, 64))
        return
    blocks = BASIC[network] if network in BASIC else BOTTLENECK[network][0]
    yield from zip(blocks, (64, 128, 256, 512), strict=True)


def _block(network: str, inputs: int, width: int, before: int, after: int) -> tuple[int, int]:
    """MACs of one residual block that goes from side ``before`` to ``after``, and its outputs."""
    area = after * after
    if network in BOTTLENECK:
        _, groups, base = BOTTLENECK[network]
        inner, outputs = width * base // 64 * groups, 4 * width
        cost = before * before * inputs * inner + area * 9 * inner * inner // groups + area * inner * outputs
    else:
        outputs = width
        cost = area * 9 * (inputs * width + width * width)
    shortcut = area * inputs * outputs if (inputs, before) != (outputs, after) else 0
    return cost + shortcut, outputs


def _half(side: int) -> int:
    """After a stride of 2, with padding as in these networks."""
    return -(-side // 2)
