"""Multiply-accumulates of ppbench's networks, from their shapes alone. Free of torch."""

from __future__ import annotations

from ppbench.models.shapes import Shape, parse_model_name


def macs(model: str, size: int, *, in_channels: int = 3, num_classes: int = 1000) -> int:
    """Count the multiply-accumulates of the convolutions and the last layer for one image.

    The count is that of the plain network. It leaves out batch norms, blurs, and what a push-pull stem adds: a sum over
    windows and means, but no second convolution.

    Args:
        model: Name for `ppbench.create_model`.
        size: Side of the square image, in pixels.
        in_channels: 3 for colour, 1 for grey images.
        num_classes: Outputs.

    Raises:
        UsageError: If there is no such network.
    """
    architecture = parse_model_name(model)
    shape = architecture.shape
    kernel, stride = (7, 2) if architecture.stem == "imagenet" else (3, 1)
    side = _half(size) if stride == 2 else size
    channels = shape.channels[0]
    total = side * side * kernel * kernel * in_channels * channels
    if stride == 2:
        side = _half(side)  # the max-pooling after the stem
    inputs = channels
    for blocks, width in zip(shape.blocks, shape.channels, strict=True):
        for number in range(blocks):
            # Every stage but the first halves the image in its first block.
            halved = number == 0 and width != channels
            after = _half(side) if halved else side
            cost, outputs = _block(shape, inputs, width, side, after)
            total, inputs, side = total + cost, outputs, after
    return total + inputs * num_classes


def _block(shape: Shape, inputs: int, width: int, before: int, after: int) -> tuple[int, int]:
    """Count the MACs of one residual block whose images go from side ``before`` to ``after``; also its channels."""
    area = after * after
    if shape.bottleneck:
        inner, outputs = width * shape.width_per_group // 64 * shape.groups, 4 * width
        cost = before * before * inputs * inner + area * 9 * inner * inner // shape.groups + area * inner * outputs
    else:
        outputs = width
        cost = area * 9 * (inputs * width + width * width)
    shortcut = area * inputs * outputs if (inputs, before) != (outputs, after) else 0
    return cost + shortcut, outputs


def _half(side: int) -> int:
    """Side after a stride of 2, with the padding of these networks."""
    return -(-side // 2)
