"""Networks that blur before they subsample: blur pool (Zhang 2019) and blur after convolutions (Vasconcelos 2021).

Sources: Zhang, "Making convolutional networks shift-invariant again", ICML 2019, code: github adobe/antialiased-cnns;
Vasconcelos et al., "Impact of aliasing on generalization in deep convolutional networks", ICCV 2021, arXiv 2108.03489.
The filter sizes, 4 and 5, are the ones in the push-pull authors' comparison.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ppbench.errors import UsageError
from ppbench.models.convolution import Padding, PerAxis, pad_same
from ppbench.models.first_convolution import find_first_convolution, padding_of, replace_module

POOL_SIZE, AFTER_SIZE = 4, 5
"""Side of the binomial filter at stride 2, in pixels: of blur pool, and of the blur after convolutions."""


def blur_and_subsample(x: Tensor, size: int, stride: PerAxis) -> Tensor:
    """Blur with a binomial filter and keep every ``stride``-th pixel, in one depthwise convolution.

    Along an axis of stride s the filter has ``size + 2 (s - 2)`` taps: binomial coefficients divided by their sum.
    An axis of stride 1 is not blurred. The border is reflected, or replicated if the image is not larger than the
    border. An odd border pixel goes below and to the right.

    Args:
        x: Images ``(N, C, H, W)``.
        size: Taps for a stride of 2.
        stride: Down and across, in pixels.

    Returns:
        ``(N, C, ceil(H / stride), ceil(W / stride))``.
    """
    if stride == (1, 1):
        return x
    taps = tuple(1 if s == 1 else size + 2 * (s - 2) for s in stride)
    # `F.pad` takes the last axis first.
    pads = [part for n in reversed(taps) for part in ((n - 1) // 2, n // 2)]
    mode = "reflect" if min(x.shape[-2:]) > max(pads) else "replicate"
    kernel = _binomial(x.shape[1], taps, x.device, x.dtype)
    return F.conv2d(F.pad(x, pads, mode), kernel, None, stride, groups=x.shape[1])


@lru_cache(maxsize=128)
def _binomial(channels: int, taps: tuple[int, ...], device: torch.device, dtype: torch.dtype) -> Tensor:
    """Return the kernel ``(channels, 1, *taps)``. It is no module buffer: state dicts equal the plain network's."""
    with torch.inference_mode(False):  # the tensor lives on, also for passes with gradients
        down, across = (
            torch.tensor([math.comb(n - 1, i) / 2 ** (n - 1) for i in range(n)], dtype=torch.float64) for n in taps
        )
        kernel = torch.outer(down, across).to(dtype).expand(channels, 1, -1, -1)
        return kernel.to(device).contiguous()


class BlurPool2d(nn.Module):
    """`blur_and_subsample` as a module without parameters.

    Args:
        size: Taps of the binomial filter.
        stride: In pixels, along both axes.

    Shape:
        ``(N, C, H, W)`` to ``(N, C, ceil(H / stride), ceil(W / stride))``.
    """

    def __init__(self, size: int = POOL_SIZE, stride: int = 2) -> None:
        super().__init__()
        self.size, self.stride = size, stride

    def forward(self, x: Tensor) -> Tensor:
        return blur_and_subsample(x, self.size, (self.stride, self.stride))

    def extra_repr(self) -> str:
        """Filter and stride."""
        return f"size={self.size}, stride={self.stride}"


class BlurConv2d(nn.Conv2d):
    """A convolution of stride 1 with `blur_and_subsample` after it, or before it.

    Args:
        conv: The convolution whose parameters (the same objects) and geometry it takes, but for the stride.
        padding: Zero padding of ``conv``; ``"same"`` as in `pad_same`, for the stride ``stride``.
        size: Taps of the binomial filter.
        stride: Of the subsampling.
        blur_first: Whether the input is blurred and subsampled, not the output.

    Shape:
        As of a convolution of stride ``stride``, if the padding is half the kernel.
    """

    def __init__(self, conv: nn.Conv2d, padding: Padding, *, size: int, stride: PerAxis, blur_first: bool) -> None:
        super().__init__(
            conv.in_channels,
            conv.out_channels,
            conv.kernel_size,  # type: ignore[arg-type]
            1,
            padding,
            conv.dilation,  # type: ignore[arg-type]
            conv.groups,
            conv.bias is not None,
            device="meta",
        )
        # The parameters made above are on the meta device and take no memory.
        self.weight, self.bias = conv.weight, conv.bias
        self.blur_size, self.blur_stride, self.blur_first = size, stride, blur_first
        # A 1x1 kernel mixes channels and the blur mixes places: they commute, and subsampled first it is less work.
        self._commutes = self.kernel_size == (1, 1) and padding in ("same", "valid", 0, (0, 0))
        self.train(conv.training)

    def forward(self, x: Tensor) -> Tensor:
        if self.blur_first or self._commutes:
            return super().forward(blur_and_subsample(x, self.blur_size, self.blur_stride))
        return blur_and_subsample(self._convolve(x), self.blur_size, self.blur_stride)

    def _convolve(self, x: Tensor) -> Tensor:
        if self.padding != "same":
            return super().forward(x)
        kernel_size, dilation = cast(PerAxis, self.kernel_size), cast(PerAxis, self.dilation)
        padded = pad_same(x, kernel_size, self.blur_stride, dilation)
        return F.conv2d(padded, self.weight, self.bias, 1, 0, dilation, self.groups)

    def extra_repr(self) -> str:
        """Describe the convolution, then the blur."""
        order = "first" if self.blur_first else "after"
        return f"{super().extra_repr()}, blur_size={self.blur_size}, blur_stride={self.blur_stride}, blur={order}"


def with_blur_pool(model: nn.Module, size: int = POOL_SIZE) -> nn.Module:
    """Replace the strides of ``model``, in place, by blur pools (Zhang, ICML 2019). Parameters stay the same.

    In torchvision's ResNets and ppbench's small ones, every stride is replaced, as in the author's code
    (``pool_only=False``), by convolution, norm, relu, then blur and subsampling:

    - A strided convolution of a block gets stride 1, and the next convolution blurs its input first.
    - A strided shortcut is blurred, then convolved.
    - The stem's convolution gets stride 1 and is blurred after its relu.
    - The max pool becomes 2x2 at stride 1, followed by a blur.

    In any other network only the first convolution changes, and its output is blurred at once: the modules do not
    say where an activation follows.

    Args:
        model: A ResNet, or any module whose first `torch.nn.Conv2d` has a stride and zero padding.
        size: Taps of the binomial filter, at least 2, for a stride of 2; two more for each pixel of stride above.

    Returns:
        The same model. The names and shapes in its state dict do not change.

    Raises:
        UsageError: If it blurs already, has no stride to replace, or its first convolution does not pad with zeros or
            is of a class derived from `torch.nn.Conv2d` (timm's ``Conv2dSame`` is supported).
    """
    _check(model, size)
    if not _is_resnet(model):
        return _blur_stem(model, size, "Blur pool")
    _strided(model)
    for block in _blocks(model):
        _blur_block(block, size)
    _blur_resnet_stem(model, size)
    return model


def with_blur_after(model: nn.Module, size: int = AFTER_SIZE) -> nn.Module:
    """Blur, in place, the output of the strided convolutions of ``model`` (Vasconcelos et al., ICCV 2021).

    A convolution of stride s becomes a convolution of stride 1, a fixed binomial blur and a subsampling by s, before
    the norm and the nonlinearity (blur pool comes after them). Parameters stay the same.

    In torchvision's ResNets and ppbench's small ones, this affects the stem's convolution, the strided convolution of
    each stage and its 1x1 shortcut. The max pool stays as it is; the network of this name in the push-pull authors'
    code blurs it too. In any other network only the first convolution is affected.

    Args:
        model: See `with_blur_pool`.
        size: See `with_blur_pool`.

    Returns:
        The same model. The names and shapes in its state dict do not change.

    Raises:
        UsageError: See `with_blur_pool`.
    """
    _check(model, size)
    if not _is_resnet(model):
        return _blur_stem(model, size, "Blur")
    for name, conv in _strided(model):
        replace_module(model, name, _blurred(name, conv, size, blur_first=False))
    return model


def _check(model: nn.Module, size: int) -> None:
    if size < 2:
        raise UsageError(f"a blur of {size} taps is not allowed", "A blur has at least 2.")
    if any(isinstance(module, BlurConv2d | BlurPool2d) for module in model.modules()):
        raise UsageError("the model already blurs", "Start from the plain model.")


def _is_resnet(model: nn.Module) -> bool:
    """Whether the model has the attributes and the blocks of torchvision's ResNet."""
    named = all(hasattr(model, name) for name in ("conv1", "bn1", "relu", "layer1", "layer2", "fc"))
    blocks = list(_blocks(model)) if named else []
    return bool(blocks) and all(hasattr(block, "conv2") and hasattr(block, "downsample") for block in blocks)


def _blocks(model: nn.Module) -> Iterator[nn.Module]:
    for name, stage in model.named_children():
        if name.startswith("layer"):
            yield from stage.children()


def _strided(model: nn.Module) -> list[tuple[str, nn.Conv2d]]:
    """Return the strided convolutions with their names; raise `UsageError` if there are none."""
    found = [(name, m) for name, m in model.named_modules() if isinstance(m, nn.Conv2d) and m.stride != (1, 1)]
    if not found:
        raise UsageError("the model has no strided convolution to blur", "A blur belongs before a subsampling.")
    return found


def _blurred(name: str, conv: nn.Conv2d, size: int, *, blur_first: bool, stride: PerAxis | None = None) -> BlurConv2d:
    """Wrap ``conv`` so that a blur does its stride, or the given stride."""
    padding = padding_of(name, conv, "The blur")
    stride = cast(PerAxis, conv.stride) if stride is None else stride
    return BlurConv2d(conv, padding, size=size, stride=stride, blur_first=blur_first)


def _blur_stem(model: nn.Module, size: int, what: str) -> nn.Module:
    name, conv, _ = find_first_convolution(model, what)
    if conv.stride == (1, 1):
        raise UsageError(f"the first convolution, {name!r}, has stride 1", "A blur belongs before a subsampling.")
    replace_module(model, name, _blurred(name, conv, size, blur_first=False))
    return model


def _blur_block(block: nn.Module, size: int) -> None:
    """Move the stride of a residual block into a blur before the next convolution, and blur before the shortcut."""
    names = [name for name in ("conv1", "conv2", "conv3") if hasattr(block, name)]
    for name, following in pairwise(names):
        conv = cast(nn.Conv2d, getattr(block, name))
        stride = cast(PerAxis, conv.stride)
        if stride != (1, 1):
            conv.stride = (1, 1)
            behind = cast(nn.Conv2d, getattr(block, following))
            setattr(block, following, _blurred(following, behind, size, blur_first=True, stride=stride))
    if isinstance(block.downsample, nn.Sequential) and cast(nn.Conv2d, block.downsample[0]).stride != (1, 1):
        block.downsample[0] = _blurred("downsample.0", cast(nn.Conv2d, block.downsample[0]), size, blur_first=True)


def _blur_resnet_stem(model: nn.Module, size: int) -> None:
    """Blur after the stem's relu and after the max pool, if they have strides; stems for small images have none."""
    conv, pool = cast(nn.Conv2d, model.conv1), getattr(model, "maxpool", None)
    steps: list[nn.Module] = []
    if conv.stride != (1, 1):
        steps.append(BlurPool2d(size, conv.stride[0]))
        conv.stride = (1, 1)
    if isinstance(pool, nn.MaxPool2d):
        steps += [nn.MaxPool2d(2, stride=1), BlurPool2d(size, cast(int, pool.stride))]
    if steps:
        model.maxpool = nn.Sequential(*steps)
