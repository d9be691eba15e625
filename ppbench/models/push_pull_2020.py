"""The push-pull layer of 2020, whose pull kernel is the negated push kernel, enlarged; a rival of PushPull-Conv.

Source: Strisciuglio, Lopez-Antequera, Petkov, "Enhanced robustness of convolutional networks with a push-pull
inhibition layer", Neural Computing and Applications, 2020; code: github nicstrisc/Push-Pull-CNN-layer.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ppbench.models.convolution import ConvolutionLike, Padding, PerAxis, pad_same
from ppbench.models.first_convolution import replace_first_convolution


class PushPull2020Conv2d(ConvolutionLike):
    """Push-pull convolution of 2020: ``relu(conv(x, W) + b) - inhibition * relu(conv(x, -up(W)) - b)``.

    ``up`` doubles the size of each channel of a kernel bilinearly, with aligned corners. An odd side k becomes
    ``2 k + 1``, as in the authors' code; an even side, which their code does not support, becomes ``2 k``. Both kernels
    therefore have the same centre. The pull has the stride, dilation and groups of the push. Gradients flow through the
    enlargement.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: Height and width of the push kernel, in pixels.
        stride: As in `torch.nn.Conv2d`.
        padding: Zero padding of the push as in `torch.nn.Conv2d`. ``"same"`` may have a stride: the output then has
            ``ceil(size / stride)`` values along each axis, as in TensorFlow. The padding of the pull is larger, to
            match its larger kernel.
        dilation: As in `torch.nn.Conv2d`.
        groups: As in `torch.nn.Conv2d`.
        bias: Whether there is a bias per output channel, added to the push and subtracted from the pull before
            they are rectified.
        inhibition: Strength of the pull response, dimensionless. The initial value is not used if trainable.
        trainable_inhibition: Whether the strength is a parameter, one per output channel, drawn as in the authors'
            code: from U[1/2 - r, 1/2 + r), r = 1 / sqrt(in_channels * out_channels). Negative values count as 0.
        device: Where the parameters live.
        dtype: Floating-point type of the parameters.

    Shape:
        Input ``(N, in_channels, H, W)``, output ``(N, out_channels, H', W')`` as for `torch.nn.Conv2d`, of the dtype
        of the parameters. Values may be negative.
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
        inhibition: float = 1.0,
        trainable_inhibition: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, device, dtype)
        self.pull_size = tuple(2 * k + k % 2 for k in self.kernel_size)
        self.trainable_inhibition = trainable_inhibition
        self.inhibition: float | nn.Parameter = float(inhibition)
        if trainable_inhibition:
            spread = 1 / math.sqrt(in_channels * out_channels)
            drawn = torch.rand(out_channels, device=device, dtype=dtype)
            self.inhibition = nn.Parameter(0.5 + spread * (2 * drawn - 1))

    def forward(self, x: Tensor) -> Tensor:
        push, negative_pull = self._parts(x)
        if isinstance(self.inhibition, Tensor):
            return torch.addcmul(push, F.relu(self.inhibition).view(-1, 1, 1), negative_pull)
        return torch.add(push, negative_pull, alpha=self.inhibition)

    def responses(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the rectified push and pull responses, each ``(N, out_channels, H', W')`` and never negative."""
        push, negative_pull = self._parts(x)
        return push, -negative_pull

    def pull_kernel(self) -> Tensor:
        """Return the pull kernel, ``(out_channels, in_channels / groups, *pull_size)``."""
        return -self._enlarged()

    def _parts(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the rectified push and the negated rectified pull.

        The latter is ``-relu(conv(x, -up(W)) - b) = min(conv(x, up(W)) + b, 0)``. Of torch's functions that compute
        this minimum, hardtanh has the same derivative at 0 as relu (zero).
        """
        if self.padding == "same":
            x = pad_same(x, self.kernel_size, self.stride, self.dilation)
        padding = (0, 0) if isinstance(self.padding, str) else self.padding
        # As much wider as the pull kernel reaches farther: both responses then have the same places.
        wider = tuple(
            p + d * (large - small) // 2
            for p, d, large, small in zip(padding, self.dilation, self.pull_size, self.kernel_size, strict=True)
        )
        push = F.conv2d(x, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)
        pull = F.conv2d(x, self._enlarged(), self.bias, self.stride, wider, self.dilation, self.groups)
        return F.relu(push, inplace=True), F.hardtanh(pull, -math.inf, 0.0, inplace=True)

    def _enlarged(self) -> Tensor:
        return F.interpolate(self.weight, self.pull_size, mode="bilinear", align_corners=True)

    def extra_repr(self) -> str:
        """Describe the geometry as `torch.nn.Conv2d` does, then what push-pull adds."""
        strength = "trainable" if self.trainable_inhibition else self.inhibition
        return f"{super().extra_repr()}, pull_size={self.pull_size}, inhibition={strength}"


def with_push_pull_2020(model: nn.Module, *, inhibition: float = 1.0, trainable_inhibition: bool = False) -> nn.Module:
    """Replace the first convolution of ``model``, in place, by the push-pull layer of 2020 of the same geometry.

    The parameters of the convolution, as the same objects, become push kernel and bias.

    Args:
        model: Any module holding a `torch.nn.Conv2d` with zero padding, or timm's ``Conv2dSame``.
        inhibition: See `PushPull2020Conv2d`.
        trainable_inhibition: See `PushPull2020Conv2d`.

    Returns:
        The same model.

    Raises:
        UsageError: If the model has no convolution, has this layer already, or its first convolution does not pad with
            zeros or is of another derived class.
    """
    return replace_first_convolution(
        model,
        PushPull2020Conv2d,
        "Push-pull",
        inhibition=inhibition,
        trainable_inhibition=trainable_inhibition,
    )
