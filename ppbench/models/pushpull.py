"""PushPull-Conv: a convolution whose rectified response is inhibited by the response of its opposite-contrast kernel.

Source: Bennabhaktula, Alegre, Strisciuglio, Azzopardi, "PushPull-Net: Inhibition-driven ResNet robust to image
corruptions", ICPR 2024, arXiv 2408.04077. docs/push-pull.md derives the identity used here.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ppbench.errors import UsageError
from ppbench.models.convolution import ConvolutionLike, Padding, PerAxis, pad_same
from ppbench.models.first_convolution import replace_first_convolution


class PushPullConv2d(ConvolutionLike):
    """Push-pull convolution: ``relu(conv(x, W)) - inhibition * relu(avgpool(conv(x, P))) + bias``.

    The pull kernel ``P = -W + (max W + min W)``, per output channel, is derived from the push kernel ``W`` and is
    not trained itself; gradients flow through the maximum and minimum. ``conv(x, P)`` is never computed as a
    convolution: it equals ``(max W + min W) * S(x) - conv(x, W)``. ``S(x)`` is the sum of x over the window, one
    channel per group, shared by all filters.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: Height and width of the kernel, in pixels.
        stride: As in `torch.nn.Conv2d`.
        padding: Zero padding as in `torch.nn.Conv2d`; also ``"valid"``, and ``"same"``, which here may have a stride:
            the output then has ``ceil(size / stride)`` values along each axis, as in TensorFlow.
        dilation: As in `torch.nn.Conv2d`.
        groups: As in `torch.nn.Conv2d`.
        bias: Whether a bias per output channel is added after the subtraction.
        avg_kernel_size: Side of the mean filter over the pull response, odd ("PP3", "PP5"), in output pixels. Border
            windows are averaged over their real elements only. 0: no filter.
        inhibition: Strength of the pull response, dimensionless. The initial value is not used if trainable.
        trainable_inhibition: Whether the strength is a parameter, one per output channel, drawn from U[0, 1).
        rectified_push: Whether the push response is rectified, as in the paper. If not, the layer computes
            ``conv(x, W) - inhibition * relu(avgpool(conv(x, P))) + bias``, which at inhibition 0 is the plain
            convolution. This form is for networks that were trained with a plain convolution (docs/push-pull.md).
        device: Where the parameters live.
        dtype: Floating-point type of the parameters.

    Shape:
        Input ``(N, in_channels, H, W)``, output ``(N, out_channels, H', W')`` as for `torch.nn.Conv2d`, of the dtype
        of the parameters. Values may be negative.

    Raises:
        UsageError: If ``avg_kernel_size`` is even or negative.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | PerAxis,
        stride: int | PerAxis = 1,
        padding: Padding = 0,
        dilation: int | PerAxis = 1,
        groups: int = 1,
        bias: bool = True,
        *,
        avg_kernel_size: int = 3,
        inhibition: float = 1.0,
        trainable_inhibition: bool = False,
        rectified_push: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        if avg_kernel_size != 0 and (avg_kernel_size < 0 or avg_kernel_size % 2 == 0):
            raise UsageError(f"avg_kernel_size {avg_kernel_size} is not allowed", "It is 0 (none) or odd: 3, 5, 7, …")
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, device, dtype)
        self.avg_kernel_size = avg_kernel_size
        self.trainable_inhibition = trainable_inhibition
        self.rectified_push = rectified_push
        self.inhibition: float | nn.Parameter = float(inhibition)
        if trainable_inhibition:
            self.inhibition = nn.Parameter(torch.rand(out_channels, device=device, dtype=dtype))

    def forward(self, x: Tensor) -> Tensor:
        if x.dim() == 3:  # one image without a batch axis, which nn.Conv2d accepts too
            return self.forward(x.unsqueeze(0)).squeeze(0)
        x = self._pad(x)
        linear, total = self._convolve(x, self.weight), self._filtered_window_sum(x)
        if torch.is_grad_enabled():
            # hardtanh computes relu but saves its input for the backward pass, so its result may be changed in place.
            push = F.hardtanh(linear, 0.0, math.inf) if self.rectified_push else linear.clone()
            return self._inhibit_(push, self._negative_pull(linear, total))
        # Without gradients: work in place, one cache-sized piece of the batch at a time.
        for push, part in zip(*(t.split(_pieces(linear)) for t in (linear, total)), strict=True):
            negative_pull = self._negative_pull(push, part)
            self._inhibit_(push.relu_() if self.rectified_push else push, negative_pull)
        return linear

    def responses(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the push and pull responses, each ``(N, out_channels, H', W')``.

        The pull is never negative. The push is not negative if the layer rectifies it.
        """
        x = self._pad(x)
        linear = self._convolve(x, self.weight)
        push = F.relu(linear) if self.rectified_push else linear
        return push, -self._negative_pull(linear, self._filtered_window_sum(x))

    def by_two_convolutions(self, x: Tensor) -> Tensor:
        """Return the output by the layer's definition, with a convolution for the pull that `forward` avoids."""
        x, filters = self._pad(x), self.weight.flatten(1)
        # Computed here, not by `_extremes_sum`: this method checks `forward`, which uses that.
        pull_kernel = (filters.amax(1) + filters.amin(1)).view(-1, 1, 1, 1) - self.weight
        push = self._convolve(x, self.weight)
        pull = F.relu(self._mean_filter(self._convolve(x, pull_kernel)))
        strength = torch.as_tensor(self.inhibition).view(-1, 1, 1)
        output = (F.relu(push) if self.rectified_push else push) - strength * pull
        return output if self.bias is None else output + self.bias.view(-1, 1, 1)

    def _inhibit_(self, push: Tensor, negative_pull: Tensor) -> Tensor:
        """Compute ``push - inhibition * pull + bias`` in the memory of ``push``."""
        if isinstance(self.inhibition, Tensor):
            push.addcmul_(self.inhibition.view(-1, 1, 1), negative_pull)
        else:
            push.add_(negative_pull, alpha=self.inhibition)
        return push if self.bias is None else push.add_(self.bias.view(-1, 1, 1))

    def _negative_pull(self, linear: Tensor, total: Tensor) -> Tensor:
        """Return ``-relu(c * total - avgpool(linear))`` = ``-relu(avgpool(conv(x, P)))``; ``linear`` is not changed.

        The result stays negated because a negation is another pass over the response, forward and backward.
        The in-place product keeps the memory layout of ``linear``. Out of place, the one-channel ``total`` would turn
        channels_last into NCHW, and the mean filter alone would take eight times as long.
        """
        filtered = linear.clone() if self.avg_kernel_size == 0 else self._mean_filter(linear)
        extremes = self._extremes_sum()
        if self.groups == 1:
            filtered.addcmul_(extremes, total, value=-1)
        else:
            by_group = (self.groups, self.out_channels // self.groups)
            filtered.unflatten(1, by_group).addcmul_(extremes.unflatten(0, by_group), total.unsqueeze(2), value=-1)
        # min(filtered, 0); of torch's functions for it, hardtanh has the same derivative at 0 as relu (zero).
        return F.hardtanh(filtered, -math.inf, 0.0, inplace=not torch.is_grad_enabled())

    def _filtered_window_sum(self, x: Tensor) -> Tensor:
        """Return the mean-filtered sum of x over each window and the channels of each group, (N, groups, H', W')."""
        ones = self.weight.new_ones(self.groups, self.in_channels // self.groups, *self.kernel_size)
        total = self._convolve(x, ones)
        # Shaped (N * groups, 1, H', W'), a one-channel response is not taken for channels_last, whose pooling is slow.
        return self._mean_filter(total.flatten(0, 1).unsqueeze(1)).view_as(total)

    def pull_kernel(self) -> Tensor:
        """Return the pull kernel P, of the shape of ``weight``. It is for inspection; the forward pass needs none."""
        return self._extremes_sum().view(-1, 1, 1, 1) - self.weight

    def _extremes_sum(self) -> Tensor:
        """Return ``max + min`` of each filter, (out_channels, 1, 1). Tied values share the gradient evenly."""
        volume = (1, 2, 3)
        return (self.weight.amax(volume) + self.weight.amin(volume)).view(-1, 1, 1)

    @property
    def _pads_first(self) -> bool:
        """Whether the padding depends on the size of the images, which torch's convolution does not support."""
        return self.padding == "same" and self.stride != (1, 1)

    def _pad(self, x: Tensor) -> Tensor:
        return pad_same(x, self.kernel_size, self.stride, self.dilation) if self._pads_first else x

    def _convolve(self, x: Tensor, weight: Tensor) -> Tensor:
        padding = 0 if self._pads_first else self.padding
        return F.conv2d(x, weight, None, self.stride, padding, self.dilation, self.groups)

    def _mean_filter(self, x: Tensor) -> Tensor:
        k = self.avg_kernel_size
        return x if k == 0 else F.avg_pool2d(x, k, stride=1, padding=(k - 1) // 2, count_include_pad=False)

    def extra_repr(self) -> str:
        """Describe the geometry as `torch.nn.Conv2d` does, then what push-pull adds."""
        strength = "trainable" if self.trainable_inhibition else self.inhibition
        return f"{super().extra_repr()}, avg_kernel_size={self.avg_kernel_size}, inhibition={strength}" + (
            "" if self.rectified_push else ", rectified_push=False"
        )


def _pieces(linear: Tensor) -> int:
    """Return the images per piece: about 4 MB of response on a CPU, which fits its cache; elsewhere the whole batch."""
    if linear.device.type != "cpu" or len(linear) == 0:
        return max(1, len(linear))
    return max(1, 4 * 2**20 // max(1, linear[0].numel() * linear.element_size()))


def with_push_pull(
    model: nn.Module,
    avg_kernel_size: int = 3,
    *,
    inhibition: float = 1.0,
    trainable_inhibition: bool = False,
    rectified_push: bool = True,
) -> nn.Module:
    """Replace the first convolution of ``model``, in place, by a push-pull layer of the same geometry.

    "First" is in the order of ``model.named_modules()``; in image classifiers this is the stem. The parameters of the
    convolution, as the same objects, become push kernel and bias. An optimizer that holds them stays valid.

    Args:
        model: Any module holding a `torch.nn.Conv2d` with zero padding, or timm's ``Conv2dSame``.
        avg_kernel_size: See `PushPullConv2d`.
        inhibition: See `PushPullConv2d`.
        trainable_inhibition: See `PushPullConv2d`.
        rectified_push: See `PushPullConv2d`.

    Returns:
        The same model.

    Raises:
        UsageError: If the model has no convolution, has push-pull already, or its first convolution does not pad with
            zeros or is of another derived class; also for the reasons of `PushPullConv2d`.
    """
    return replace_first_convolution(
        model,
        PushPullConv2d,
        "Push-pull",
        avg_kernel_size=avg_kernel_size,
        inhibition=inhibition,
        trainable_inhibition=trainable_inhibition,
        rectified_push=rectified_push,
    )
